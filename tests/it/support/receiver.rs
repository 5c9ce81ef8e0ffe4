//! A receiver of webhooks, as strict as one should be: it believes only what is signed, fresh and whole, and knows a
//! delivery again.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::http::{Asked, HttpServer, Told};

/// The secret that both sides know.
pub(crate) const SECRET: &str = "s3cret";

/// What it knows.
#[derive(Default)]
struct Book {
    /// What it took, by delivery, in the order in which it came first.
    taken: Vec<(String, Value)>,
    /// The bodies of all deliveries, also of those that it did not take.
    bodies: BTreeMap<String, Vec<u8>>,
    /// What is wrong with what came.
    faults: Vec<String>,
    /// What it does with the next good ones instead of taking them.
    script: VecDeque<Trouble>,
    attempts: usize,
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// It answers this status, with these headers, and forgets what came.
    Says(u16, Vec<(String, String)>),
    /// It takes what came, and its answer is lost.
    Loses,
}

/// The receiver.
pub(crate) struct Receiver {
    server: HttpServer,
    book: Arc<Mutex<Book>>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let book: Arc<Mutex<Book>> = Arc::default();
        let kept = Arc::clone(&book);
        let server = HttpServer::start(move |asked| kept.lock().unwrap().hear(&asked));
        Self { server, book }
    }

    /// Where it listens; part of it is a secret.
    pub(crate) fn url(&self) -> String {
        format!("{}/hook?token=t0ken", self.server.url())
    }

    /// The part of a configuration that names it, with more keys in it.
    pub(crate) fn config(&self, more: &str) -> String {
        format!(
            "channels: {{webhook: {{enabled: true, callback_url: '{}', secret: {SECRET}, private_addresses: true{more}}}}}\n",
            self.url()
        )
    }

    /// What it is to do with the next good deliveries.
    pub(crate) fn then(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.book.lock().unwrap().script.extend(troubles);
    }

    /// What it took, each delivery once. Fails when anything came that it must refuse.
    pub(crate) fn taken(&self) -> Vec<Value> {
        let book = self.book.lock().unwrap();
        assert_eq!(book.faults, Vec::<String>::new());
        book.taken.iter().map(|(_, told)| told.clone()).collect()
    }

    /// What it took of this type.
    pub(crate) fn of(&self, kind: &str) -> Vec<Value> {
        self.taken().into_iter().filter(|told| told["type"] == kind).collect()
    }

    /// How often anything came.
    pub(crate) fn attempts(&self) -> usize {
        self.book.lock().unwrap().attempts
    }
}

impl Book {
    fn hear(&mut self, asked: &Asked) -> Told {
        self.attempts += 1;
        let told = match check(asked) {
            Ok(told) => told,
            Err(fault) => {
                self.faults.push(fault);
                return Told::Say(401, vec![], vec![]);
            }
        };
        let id = asked.header("x-delivery-id").to_owned();
        let first = self.bodies.entry(id.clone()).or_insert_with(|| asked.body.clone());
        if *first != asked.body {
            self.faults.push(format!("delivery {id} came with another body"));
        }
        let trouble = self.script.pop_front();
        if let Some(Trouble::Says(status, headers)) = trouble {
            return Told::Say(status, headers, vec![]);
        }
        if !self.taken.iter().any(|(known, _)| *known == id) {
            self.taken.push((id, told));
        }
        if trouble.is_some() { Told::HangUp } else { Told::Say(204, vec![], vec![]) }
    }
}

fn check(asked: &Asked) -> Result<Value, String> {
    let fault = |what: &str| Err(format!("{what}: {asked:?}"));
    let (method, path, query) = (asked.method.as_str(), asked.path.as_str(), asked.query.as_str());
    if (method, path, query) != ("POST", "/hook", "token=t0ken") {
        return fault("this is no place for posts");
    }
    if asked.header("content-type") != "application/json" {
        return fault("it is no JSON");
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(&asked.body);
    let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    if asked.header("x-signature") != signature {
        return fault("it is not signed");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let sent = asked.header("x-timestamp").parse::<u64>().unwrap_or(0);
    if now.abs_diff(sent) > 300 {
        return fault("it is not fresh");
    }
    if asked.header("x-delivery-id").parse::<u64>().is_err() {
        return fault("it has no number");
    }
    if !asked.body.starts_with(br#"{"userId":""#) {
        return fault("it does not say whose it is");
    }
    serde_json::from_slice(&asked.body).map_err(|error| format!("{error}: {asked:?}"))
}
