//! The whole way out, in real gVisor: a sandbox, the relay in it, the gateway on the host; and nothing beside it.

use std::{collections::BTreeMap, sync::Arc};

use atoll::{
    domain::gateway::EgressLimits,
    ports::{
        gateway::{TerminalAsk, TerminalOver},
        sandbox::{ExecSpec, ExecUser, Sandbox, Sandboxes, place},
    },
    sandbox::install_relay,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};

use super::bench::{Bench, run, say, sh};
use crate::{
    gateway::{
        kit::{House, KEY, terminals_of},
        upstream::{Answer, Upstream},
    },
    support::{PATIENCE, until},
};

/// A sandbox with the relay, as a job has it.
async fn with_relay(bench: &Bench, env: BTreeMap<String, String>) -> Arc<dyn Sandbox> {
    let relay = install_relay(&bench.folder("run")).unwrap();
    let mut spec = bench.spec("way-out").with_relay(relay);
    spec.env.extend(env);
    bench.all.create(spec).await.unwrap()
}

async fn house(sandbox: &dyn Sandbox, upstream: &str, hosts: &[&str]) -> House {
    let exec = sandbox.exec(ExecSpec::relay()).await.unwrap();
    House::over(exec, upstream, hosts, EgressLimits::default()).await
}

/// What a program inside hears when it sends this to the gateway.
async fn sends(sandbox: &dyn Sandbox, request: &str) -> String {
    let script = "exec 3<>/dev/tcp/127.0.0.1/3128; cat >&3; cat <&3";
    let ran = run(sandbox, sh(script), request.replace('\n', "\r\n").into_bytes()).await;
    ran.text()
}

#[tokio::test]
async fn whoever_works_cannot_reach_into_the_relay() {
    let bench = Bench::new();
    let sandbox = with_relay(&bench, BTreeMap::new()).await;
    let house = house(&*sandbox, "http://127.0.0.1:9", &[]).await;
    let script = format!(
        "for place in /proc/[0-9]*; do [ \"$(tr '\\0' '\\n' <$place/cmdline | head -n 1)\" = {} ] && pid=${{place#/proc/}}; done; \
         stat -c %u /proc/$pid; for fd in 0 1 2 3; do for how in '<' '>>' '<>'; do \
         bash -c \": $how /proc/$pid/fd/$fd\" && echo \"opened $fd $how\"; done; done; \
         bash -c ': <>/proc/'$pid/mem && echo memory; for signal in 0 STOP TERM KILL; do \
         kill -$signal $pid && echo \"signal $signal\"; done; python3 -c 'import ctypes, sys; \
         print(ctypes.CDLL(None).ptrace(16, int(sys.argv[1]), 0, 0))' $pid; rm -f {0}; echo x > {0}; id -u",
        place::RELAY
    );
    let ran = run(&*sandbox, sh(&script), Vec::new()).await;
    assert_eq!(ran.text(), "1002\n-1\n1001", "{}", ran.err);
    assert!(ran.err.contains("Permission denied") && ran.err.contains("not permitted"), "{}", ran.err);
    // It lives, and carries.
    let answer = sends(&*sandbox, "GET / HTTP/1.1\nHost: example.org\n\n").await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");

    // The same attempts on a program of one's own succeed: it is the user that makes the difference.
    let own = "sleep 60 & pid=$!; (: <>/proc/$pid/fd/1) && kill -TERM $pid && echo reached";
    assert_eq!(say(&*sandbox, own).await, "reached");
    // And nobody inside becomes the relay's user.
    let become_it = "python3 -c 'import os; os.setuid(1002)' || su -s /bin/sh -c id '#1002' || true; id -u";
    assert_eq!(run(&*sandbox, sh(become_it), Vec::new()).await.text(), "1001");
    let spec = ExecSpec { user: ExecUser::Relay, ..sh("id -u; id -g; touch /workspace/x || echo refused") };
    assert_eq!(run(&*sandbox, spec, Vec::new()).await.text(), "1002\n1002\nrefused");
    drop(house);
}

#[tokio::test]
async fn an_engine_inside_reaches_the_model_and_never_its_key() {
    let bench = Bench::new();
    let upstream = Upstream::start(|_| {
        Answer::json(
            200,
            &json!({"type": "message", "model": "m-1", "content": [{"type": "text", "text": "hello inside"}],
                                  "usage": {"input_tokens": 12, "output_tokens": 3}}),
        )
    })
    .await;
    let token = atoll::ports::gateway::JobToken::new([7; 32]);
    let env = [
        ("ANTHROPIC_API_KEY", token.reveal()),
        ("ANTHROPIC_BASE_URL", "http://127.0.0.1:3128/llm/anthropic"),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let sandbox = with_relay(&bench, env).await;
    let house = house(&*sandbox, &upstream.base, &[]).await;
    assert_eq!(house.gateway.port(), 3128);
    let ask = "python3 - <<'END'\nimport json, os, urllib.request\n\
               body = json.dumps({'model': 'm-1', 'max_tokens': 20, 'messages': [{'role': 'user', 'content': 'hi'}]}).encode()\n\
               ask = urllib.request.Request(os.environ['ANTHROPIC_BASE_URL'] + '/v1/messages', body, \
               {'content-type': 'application/json', 'x-api-key': os.environ['ANTHROPIC_API_KEY']})\n\
               print(json.load(urllib.request.urlopen(ask))['content'][0]['text'])\nEND";
    assert_eq!(say(&*sandbox, ask).await, "hello inside");
    let metered = house.ledger.only().await;
    assert_eq!((metered.usage.input, metered.usage.output), (12, 3), "the gateway keeps the account");
    let asked = upstream.asked.lock().unwrap().clone();
    assert_eq!(asked[0].headers["x-api-key"], KEY, "the key is added on the host");
    // The key is nowhere inside: not in a process, the relay's among them, not in a file.
    let search = "cat > /dev/shm/needle; { env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline; } 2>/dev/null | tr '\\0' '\\n' | \
                  grep -F -f /dev/shm/needle && echo FOUND; grep -r -s -l -F -f /dev/shm/needle /home /workspace /tmp /run /opt/atoll \
                  /etc /var && echo FOUND; echo searched";
    assert_eq!(run(&*sandbox, sh(search), KEY.as_bytes().to_vec()).await.text(), "searched");
    // Nor does another token open anything.
    let other = ask.replace("os.environ['ANTHROPIC_API_KEY']", "'sk-guessed'");
    assert!(run(&*sandbox, sh(&other), Vec::new()).await.err.contains("HTTP Error 4"));
    assert_eq!(upstream.asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn there_is_no_other_way_out() {
    let bench = Bench::new();
    // A service of the host, on all its addresses: nobody inside may reach it.
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sandbox = with_relay(&bench, BTreeMap::new()).await;
    let house = house(&*sandbox, "http://127.0.0.1:9", &["allowed.example"]).await;
    let script = format!(
        "import socket, glob, os, stat\n\
         def attempt(name, work):\n\
         \x20   try: print('REACHED', name, work())\n\
         \x20   except OSError: pass\n\
         def tcp(family, address): s = socket.socket(family, socket.SOCK_STREAM); s.settimeout(3); s.connect(address); return 1\n\
         def udp(family, address, data):\n\
         \x20   s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(2); s.sendto(data, address); return s.recvfrom(99)\n\
         four, six = socket.AF_INET, socket.AF_INET6\n\
         for host in ['127.0.0.1', '10.0.0.1', '172.17.0.1', '192.168.0.1', '0.0.0.0']: attempt(host, lambda: tcp(four, (host, {port})))\n\
         for host in ['169.254.169.254', '1.1.1.1', '8.8.8.8', '100.100.100.200']: attempt(host, lambda: tcp(four, (host, 80)))\n\
         for host in ['::1', 'fe80::1', 'fd00:ec2::254', '2606:4700:4700::1111', '::ffff:169.254.169.254']: attempt(host, lambda: tcp(six, (host, 80)))\n\
         for host in ['8.8.8.8', '127.0.0.53', '169.254.169.253']: attempt('dns ' + host, lambda: udp(four, (host, 53), b'\\0' * 17))\n\
         attempt('udp6', lambda: udp(six, ('2001:4860:4860::8888', 53), b'\\0' * 17))\n\
         attempt('name', lambda: socket.getaddrinfo('example.org', 80))\n\
         attempt('raw', lambda: socket.socket(four, socket.SOCK_RAW, 1))\n\
         attempt('packet', lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3))\n\
         attempt('vsock', lambda: socket.socket(40, socket.SOCK_STREAM).connect((2, 1024)))\n\
         for path in ['/var/run/docker.sock', '/run/docker.sock', '/run/containerd/containerd.sock', '{socket}']: \
         attempt(path, lambda: socket.socket(socket.AF_UNIX).connect(path))\n\
         found = [p for top in ['/run', '/var', '/tmp', '/opt', '/workspace', '/home', '/dev'] for d, _, names in os.walk(top) \
         for p in [os.path.join(d, n) for n in names] if os.path.lexists(p) and stat.S_ISSOCK(os.lstat(p).st_mode)]\n\
         print('sockets', found, 'interfaces', [name for _, name in socket.if_nameindex()])\n",
        socket = super::bench::socket().display(),
    );
    let ran = run(&*sandbox, sh("python3 -"), script.into_bytes()).await;
    assert_eq!(ran.text(), "sockets [] interfaces ['lo']", "{}", ran.err);
    let unasked = timeout(std::time::Duration::from_millis(1), listener.accept()).await;
    assert!(unasked.is_err(), "somebody reached the host");
    drop(house);
}

#[tokio::test]
async fn the_gateway_refuses_what_it_should_also_from_real_gvisor() {
    let bench = Bench::new();
    let sandbox = with_relay(&bench, BTreeMap::new()).await;
    let house = house(&*sandbox, "http://127.0.0.1:9", &["allowed.example", "rebound.example"]).await;
    house.internet.name("rebound.example", &[&["169.254.169.254"]]);
    let refused = [
        ("GET http://allowed.example/ HTTP/1.1\nHost: allowed.example\n\n", "absolute-form"),
        (
            "GET http://169.254.169.254/latest/ HTTP/1.1\nHost: 169.254.169.254\n\n",
            "absolute-form to the metadata",
        ),
        ("CONNECT other.example:443 HTTP/1.1\nHost: other.example:443\n\n", "not allowed"),
        ("CONNECT allowed.example:80 HTTP/1.1\nHost: allowed.example:80\n\n", "another port"),
        ("CONNECT 169.254.169.254:443 HTTP/1.1\nHost: 169.254.169.254:443\n\n", "metadata"),
        ("CONNECT 127.0.0.1:443 HTTP/1.1\nHost: 127.0.0.1:443\n\n", "the host"),
        ("CONNECT [::ffff:10.0.0.1]:443 HTTP/1.1\nHost: [::ffff:10.0.0.1]:443\n\n", "mapped"),
        ("CONNECT rebound.example:443 HTTP/1.1\nHost: rebound.example:443\n\n", "rebound"),
        (
            "POST /llm/anthropic/v1/messages HTTP/1.1\nHost: x\nContent-Length: 5\nTransfer-Encoding: chunked\n\n0\n\nGET / HTTP/1.1\n\n",
            "smuggled by two lengths",
        ),
        ("GET / HTTP/1.1\nHost: x\nX-A: b\n c\n\n", "a folded line"),
    ];
    for (request, what) in &refused {
        let answer = sends(&*sandbox, request).await;
        assert!(answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 50"), "{what}: {answer}");
        let answers = answer.lines().filter(|line| line.starts_with("HTTP/1.1 ")).count();
        assert_eq!(answers, 1, "{what}: one answer, no second request: {answer}");
    }
    assert!(house.internet.connected.lock().unwrap().is_empty(), "nobody was asked");

    // What is allowed goes through, byte by byte.
    let there = TcpListener::bind("127.0.0.1:0").await.unwrap();
    house.internet.name("allowed.example", &[&["93.184.216.34"]]);
    house.internet.place("93.184.216.34", there.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = there.accept().await.unwrap();
        let mut word = [0; 4];
        stream.read_exact(&mut word).await.unwrap();
        stream.write_all(b"pong").await.unwrap();
    });
    let script = "exec 3<>/dev/tcp/127.0.0.1/3128; printf 'CONNECT allowed.example:443 HTTP/1.1\\r\\nHost: allowed.example:443\\r\\n\\r\\n' >&3; \
                  while read -r line <&3 && [ \"$line\" != $'\\r' ]; do :; done; printf ping >&3; head -c 4 <&3";
    assert_eq!(say(&*sandbox, script).await, "pong");
}

#[tokio::test]
async fn a_terminal_is_the_agents_and_goes_with_its_sandbox() {
    let bench = Bench::new();
    let sandbox = with_relay(&bench, BTreeMap::new()).await;
    let room = terminals_of(sandbox.exec(ExecSpec::terminals()).await.unwrap()).await.unwrap();
    let terminal = room.open(TerminalAsk { rows: 24, cols: 80, ..TerminalAsk::default() }).unwrap();
    terminal.write("stty size; echo \"$(id -u) $HOME $PWD\"; touch made\n".into()).await.unwrap();
    let mut seen = String::new();
    until("it answers", async || {
        seen = String::from_utf8_lossy(&terminal.read(0).bytes).into_owned();
        seen.contains("1001 /home/agent /workspace")
    })
    .await;
    assert!(seen.contains("24 80"), "{seen}");
    let made = bench.home.path().join("way-out-work/made");
    until("the file is made", async || made.exists()).await;
    sandbox.kill().await.unwrap();
    timeout(PATIENCE, room.ended()).await.unwrap();
    until("it is over", async || matches!(terminal.over(), Some(TerminalOver::Broken(_)))).await;
}
