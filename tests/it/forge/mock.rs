//! A stand-in for a forge: it checks every request against a list of what the real one has, and keeps pull requests.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use atoll::{
    domain::project::ForgeKind,
    domain::{branch::BranchName, remote::RemoteUrl, secret::Secret},
    forge::{ForgeConfig, forge},
    net::{Clients, install_tls},
    ports::forge::{Forge, NewRequest},
};
use serde_json::{Value, json};

use crate::support::http::{Asked, HttpServer, Told};

pub(crate) const TOKEN: &str = "tok-5b0c1d9e77";

/// What a request may have.
pub(super) struct Route {
    pub method: &'static str,
    /// The path; `{}` stands for anything without a slash.
    pub path: &'static str,
    /// Names of parameters that may be in the query.
    pub query: &'static [&'static str],
    /// Fields that the body must have, with their kind: `s` for a text, `b` for a truth value. A `?` makes it optional.
    pub body: &'static [&'static str],
}

pub(super) const fn get(path: &'static str, query: &'static [&'static str]) -> Route {
    Route { method: "GET", path, query, body: &[] }
}

pub(super) const fn post(path: &'static str, body: &'static [&'static str]) -> Route {
    Route { method: "POST", path, query: &[], body }
}

/// Status, headers, body.
pub(crate) type Planned = (u16, Vec<(String, String)>, Value);

/// What the stand-in knows.
#[derive(Default)]
pub(crate) struct State {
    /// Pull requests as the forge shows them.
    pub requests: Vec<Value>,
    /// Bodies of what was posted, with the path.
    pub posted: Vec<(String, Value)>,
    /// What it refused because no real forge would take it.
    pub faults: Vec<String>,
    /// How often it was asked.
    pub count: usize,
    /// Answers for paths, before anything else. Used once each.
    pub planned: Vec<(String, Planned)>,
    /// A pull request that appears right before the next one is posted: somebody else was faster.
    pub faster: Option<Value>,
}

/// The stand-in.
pub(crate) struct Mock {
    pub http: HttpServer,
    pub state: Arc<Mutex<State>>,
}

/// The words of a request: its path in parts, decoded parameters, its body.
pub(super) struct Words<'a> {
    pub parts: Vec<&'a str>,
    pub query: Vec<(String, String)>,
    pub body: Value,
}

impl Words<'_> {
    pub(super) fn param(&self, name: &str) -> &str {
        self.query.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }
}

pub(super) fn said(status: u16, body: &Value) -> Told {
    let kind = ("content-type".to_owned(), "application/json".to_owned());
    Told::Say(status, vec![kind], body.to_string().into_bytes())
}

impl Mock {
    /// A forge with these routes; `auth` is the header that must be there, to the letter.
    pub(super) fn start(
        routes: &'static [Route],
        auth: (&'static str, String),
        answer: impl Fn(&mut State, &str, &Words<'_>) -> Told + Send + Sync + 'static,
    ) -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let kept = Arc::clone(&state);
        let http = HttpServer::start(move |asked| {
            let mut state = kept.lock().unwrap();
            state.count += 1;
            match check(&asked, routes, &auth) {
                Ok(words) => {
                    let planned = state.planned.iter().position(|one| asked.path.ends_with(&one.0));
                    if let Some(at) = planned {
                        let (_, (status, headers, body)) = state.planned.remove(at);
                        return Told::Say(status, headers, body.to_string().into_bytes());
                    }
                    if asked.method == "POST" {
                        state.posted.push((asked.path.clone(), words.body.clone()));
                    }
                    answer(&mut state, &asked.method, &words)
                }
                Err(fault) => {
                    let status = if fault == "auth" { 401 } else { 400 };
                    state.faults.push(format!("{} {}: {fault}", asked.method, asked.path));
                    said(status, &json!({"message": fault}))
                }
            }
        });
        Self { http, state }
    }

    /// Atoll's side of it.
    pub(super) fn forge(&self, kind: ForgeKind, api: &str, repo: &str) -> Arc<dyn Forge> {
        self.forge_with(kind, api, repo, TOKEN)
    }

    pub(super) fn forge_with(&self, kind: ForgeKind, api: &str, repo: &str, token: &str) -> Arc<dyn Forge> {
        install_tls();
        let config = ForgeConfig {
            kind,
            remote: RemoteUrl::parse(repo).unwrap(),
            api_url: Some(format!("{}{api}", self.http.url())),
            token: Secret::new(token),
        };
        forge(config, &Clients::default()).unwrap()
    }

    /// Nothing was asked that a real forge would not take.
    pub(crate) fn is_content(&self) {
        let state = self.state.lock().unwrap();
        assert!(state.faults.is_empty(), "{:?}", state.faults);
        assert!(state.count > 0);
    }
}

fn check<'a>(asked: &'a Asked, routes: &[Route], auth: &(&str, String)) -> Result<Words<'a>, String> {
    if asked.header(auth.0) != auth.1 {
        return Err("auth".into());
    }
    if !asked.header("user-agent").starts_with("atoll/") || asked.header("accept").is_empty() {
        return Err("a forge wants to know who asks, and for what".into());
    }
    let parts: Vec<&str> = asked.path.trim_start_matches('/').split('/').collect();
    let fits = |route: &&Route| {
        let wanted: Vec<&str> = route.path.trim_start_matches('/').split('/').collect();
        let same = |(want, is): (&&str, &&str)| *want == "{}" && !is.is_empty() || want == is;
        route.method == asked.method && wanted.len() == parts.len() && wanted.iter().zip(&parts).all(same)
    };
    let route = routes.iter().find(fits).ok_or("no such route")?;
    let query = decode_query(&asked.query);
    if let Some((name, _)) = query.iter().find(|(name, _)| !route.query.contains(&name.as_str())) {
        return Err(format!("unknown parameter {name}"));
    }
    let body = if asked.body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&asked.body).map_err(|e| e.to_string())?
    };
    if !route.body.is_empty() {
        if asked.header("content-type") != "application/json" {
            return Err("a body that is no JSON".into());
        }
        check_body(&body, route.body)?;
    }
    Ok(Words { parts, query, body })
}

fn check_body(body: &Value, wanted: &[&str]) -> Result<(), String> {
    let mut known = BTreeSet::new();
    for field in wanted {
        let (name, kind) = field.split_once(':').unwrap();
        known.insert(name);
        let fine = match (&body[name], kind.trim_end_matches('?')) {
            (Value::Null, _) => kind.ends_with('?'),
            (Value::String(_), "s") | (Value::Bool(_), "b") => true,
            _ => false,
        };
        if !fine {
            return Err(format!("field {name} must be {kind}"));
        }
    }
    let odd = body.as_object().and_then(|fields| fields.keys().find(|key| !known.contains(key.as_str())));
    odd.map_or(Ok(()), |odd| Err(format!("unknown field {odd}")))
}

fn decode_query(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (key.to_owned(), decode(value)))
        .collect()
}

pub(super) fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let hex = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

pub(super) fn branch(name: &str) -> BranchName {
    BranchName::parse(name).unwrap()
}

pub(super) fn new(draft: bool) -> NewRequest {
    NewRequest {
        head: branch("atoll/j1-fix"),
        base: branch("main"),
        title: "Fix the login".into(),
        body: "It was **broken**.".into(),
        draft,
    }
}
