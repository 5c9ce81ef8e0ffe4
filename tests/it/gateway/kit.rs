//! A relay as a process of this machine, a gateway on its stdio, and whom it asks and tells.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::{IpAddr, SocketAddr},
    process::Stdio,
    sync::{Arc, Mutex},
};

use atoll::{
    config::Secret,
    domain::{
        Millis,
        gateway::{
            EgressLimits, EgressPolicy, EgressRecord,
            hosts::{AllowList, Host},
            usage::{Api, Metered},
        },
    },
    net::Clients,
    ports::{
        clock::{Clock, NoRandom},
        gateway::{
            Egress, Gateway, GatewayFault, GatewaySpec, Gateways, JobToken, Meter, ModelCall, NoBudget,
            Resolver, Terminals, Ticket,
        },
        sandbox::Exec,
    },
    sandbox::{
        gateway::{GatewayProvider, HostGateways, KeyHeader},
        install_relay,
    },
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
    sync::{mpsc, oneshot},
};

use crate::support::until;

/// The key of the provider: it must never be seen inside.
pub(crate) const KEY: &str = "sk-real-4f1d9c7ab2";

/// A program of this machine as if it ran in a sandbox. Sending on the second ends it at once.
pub(crate) fn exec(mut command: Command) -> (Exec, oneshot::Sender<()>) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let (stdin, mut typed) = mpsc::channel::<Bytes>(4);
    let mut input = child.stdin.take().unwrap();
    tokio::spawn(async move {
        while let Some(bytes) = typed.recv().await {
            if input.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let stdout = pump(child.stdout.take().unwrap());
    let stderr = pump(child.stderr.take().unwrap());
    let (ended, exit) = oneshot::channel();
    let (kill, killed) = oneshot::channel();
    tokio::spawn(wait(child, ended, killed));
    (Exec { stdin, stdout, stderr, exit }, kill)
}

async fn wait(mut child: Child, ended: oneshot::Sender<i64>, killed: oneshot::Receiver<()>) {
    tokio::select! {
        status = child.wait() => drop(ended.send(status.unwrap().code().unwrap_or(-1).into())),
        Ok(()) = killed => {
            child.kill().await.unwrap();
            let _ = ended.send(137);
        }
    }
}

fn pump(mut from: impl AsyncRead + Unpin + Send + 'static) -> mpsc::Receiver<Bytes> {
    let (to, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            if to.send(Bytes::copy_from_slice(&buffer[..count])).await.is_err() {
                return;
            }
        }
    });
    receiver
}

/// The relay, on a port that the system chooses.
pub(crate) fn relay() -> (Exec, oneshot::Sender<()>) {
    relay_with("127.0.0.1:0")
}

/// The relay that carries terminals.
pub(crate) fn relay_of_terminals() -> (Exec, oneshot::Sender<()>) {
    relay_with("-")
}

fn relay_with(argument: &str) -> (Exec, oneshot::Sender<()>) {
    static FOLDER: std::sync::LazyLock<tempfile::TempDir> =
        std::sync::LazyLock::new(|| tempfile::tempdir().unwrap());
    let mut command = Command::new(install_relay(FOLDER.path()).unwrap());
    command.arg(argument);
    exec(command)
}

/// The real clock.
struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> Millis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        since.as_millis() as Millis
    }
    fn fresh(&self) -> u128 {
        0
    }
    fn secret(&self) -> Result<[u8; 32], NoRandom> {
        Ok([1; 32])
    }
}

/// An account with a cap on tokens, and all that was booked.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) calls: Mutex<Vec<ModelCall>>,
    pub(crate) settled: Mutex<Vec<(Ticket, Metered)>>,
    pub(crate) refusal: Mutex<Option<NoBudget>>,
}

impl Ledger {
    /// The settlement of the only call, as soon as it is there.
    pub(crate) async fn only(&self) -> Metered {
        until("it is settled", async || !self.settled.lock().unwrap().is_empty()).await;
        let settled = self.settled.lock().unwrap();
        assert_eq!((settled.len(), settled[0].0), (1, Ticket(1)));
        settled[0].1
    }
}

impl Meter for Ledger {
    fn reserve(&self, call: ModelCall) -> BoxFuture<'static, Result<Ticket, NoBudget>> {
        let mut calls = self.calls.lock().unwrap();
        calls.push(call);
        let answer = match self.refusal.lock().unwrap().clone() {
            Some(refusal) => Err(refusal),
            None => Ok(Ticket(calls.len() as u64)),
        };
        Box::pin(std::future::ready(answer))
    }
    fn settle(&self, ticket: Ticket, used: Metered) -> BoxFuture<'static, ()> {
        self.settled.lock().unwrap().push((ticket, used));
        Box::pin(std::future::ready(()))
    }
}

/// All records.
#[derive(Default)]
pub(crate) struct Log(pub(crate) Mutex<Vec<EgressRecord>>);

impl Egress for Log {
    fn record(&self, record: EgressRecord) {
        self.0.lock().unwrap().push(record);
    }
}

impl Log {
    /// The record number `count`, as soon as it is there; there are no more.
    pub(crate) async fn last_of(&self, count: usize) -> EgressRecord {
        until("it is recorded", async || self.0.lock().unwrap().len() >= count).await;
        let records = self.0.lock().unwrap();
        assert_eq!(records.len(), count, "{records:?}");
        records[count - 1].clone()
    }
}

/// A little internet: names, and where the addresses lead.
#[derive(Default)]
pub(crate) struct Internet {
    /// What a name resolves to, one answer after the other; the last stays.
    pub(crate) names: Mutex<BTreeMap<String, VecDeque<Vec<IpAddr>>>>,
    /// Where an address leads on this machine.
    pub(crate) places: Mutex<BTreeMap<IpAddr, SocketAddr>>,
    pub(crate) connected: Mutex<Vec<IpAddr>>,
}

impl Internet {
    pub(crate) fn name(&self, name: &str, answers: &[&[&str]]) {
        let answers =
            answers.iter().map(|list| list.iter().map(|text| text.parse().unwrap()).collect()).collect();
        self.names.lock().unwrap().insert(name.into(), answers);
    }

    pub(crate) fn place(&self, address: &str, place: SocketAddr) {
        self.places.lock().unwrap().insert(address.parse().unwrap(), place);
    }
}

impl Resolver for Internet {
    fn resolve(&self, host: &Host) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut names = self.names.lock().unwrap();
        let answer = names.get_mut(host.as_str()).and_then(|answers| {
            if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
        });
        Box::pin(std::future::ready(answer.ok_or_else(|| io::ErrorKind::NotFound.into())))
    }
    fn connect(&self, address: IpAddr) -> BoxFuture<'static, io::Result<TcpStream>> {
        self.connected.lock().unwrap().push(address);
        let place = self.places.lock().unwrap().get(&address).copied();
        Box::pin(async move {
            match place {
                Some(place) => TcpStream::connect(place).await,
                None => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        })
    }
}

fn gateways(providers: Vec<GatewayProvider>, internet: Arc<Internet>) -> HostGateways {
    HostGateways::new(providers, internet, Arc::new(RealClock), Arc::new(Clients::default()))
}

/// The terminals of this relay.
pub(crate) async fn terminals_of(exec: Exec) -> Result<Arc<dyn Terminals>, GatewayFault> {
    gateways(Vec::new(), Arc::default()).terminals(exec).await
}

/// A gateway with everything around it.
pub(crate) struct House {
    pub(crate) gateway: Arc<dyn Gateway>,
    pub(crate) token: JobToken,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) log: Arc<Log>,
    pub(crate) internet: Arc<Internet>,
    pub(crate) kill: Option<oneshot::Sender<()>>,
}

/// A policy that allows these hosts.
pub(crate) fn allowing(hosts: &[&str]) -> EgressPolicy {
    EgressPolicy { allow: AllowList::parse(hosts.iter().copied()).unwrap(), hosted_tools: false }
}

impl House {
    /// A gateway that allows these hosts, with both providers at `upstream`.
    pub(crate) async fn open(upstream: &str, hosts: &[&str], limits: EgressLimits) -> Self {
        let (exec, kill) = relay();
        let house = Self::over(exec, upstream, hosts, limits).await;
        Self { kill: Some(kill), ..house }
    }

    /// The same, with this relay.
    pub(crate) async fn over(exec: Exec, upstream: &str, hosts: &[&str], limits: EgressLimits) -> Self {
        atoll::net::install_tls();
        let provider = |name: &str, api, base: String, key_header| GatewayProvider {
            name: name.into(),
            api,
            base_url: base,
            key_header,
            key: Secret::new(KEY.to_owned()),
        };
        let providers = vec![
            provider("anthropic", Api::Anthropic, upstream.into(), KeyHeader::Named("x-api-key".into())),
            provider("openai", Api::OpenAi, format!("{upstream}/v1"), KeyHeader::Bearer),
        ];
        let (ledger, log, internet) =
            (Arc::<Ledger>::default(), Arc::<Log>::default(), Arc::<Internet>::default());
        let host = gateways(providers, internet.clone());
        let token = JobToken::new([7; 32]);
        let spec = GatewaySpec {
            token: token.clone(),
            policy: allowing(hosts),
            limits,
            meter: ledger.clone(),
            egress: log.clone(),
        };
        let gateway = host.serve(exec, spec).await.unwrap();
        Self { gateway, token, ledger, log, internet, kill: None }
    }

    /// Somebody inside connects.
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.gateway.port())).await.unwrap()
    }

    /// Somebody inside sends these bytes and hears all that comes back.
    pub(crate) async fn raw(&self, bytes: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A connection that breaks in the middle gives what came before.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    /// A request of an engine, with the job's token.
    pub(crate) async fn post(&self, path: &str, body: &str) -> String {
        self.raw(&request(path, &format!("x-api-key: {}", self.token.reveal()), body)).await
    }
}

/// A request with one more header line.
pub(crate) fn request(path: &str, header: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:3128\r\n{header}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
