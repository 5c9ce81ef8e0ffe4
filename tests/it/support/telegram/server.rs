//! The stand-in's sockets: who may call, what comes as JSON or as a form, troubles that are planned, questions for updates
//! that are held.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use atoll::net::multipart;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, sync::watch};

use super::{
    fields::{check, file_of},
    methods::{Asked, LARGEST, Refusal, answer},
    world::{Call, World},
};

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is done, and its answer never comes.
    LoseAnswer,
    /// It is not read, and the line is cut.
    HangUp,
    /// It is refused with this status and these words.
    Refuse(u16, String),
    /// It is refused as too fast, for so many seconds.
    Slow(u64),
    /// It is done at once, and answered so much later.
    Delay(Duration),
    /// It is not done, and what comes is not the API's: a page of somebody in between.
    Page(u16),
}

/// A trouble for the next calls of a method.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub method: String,
    pub times: usize,
    pub trouble: Trouble,
}

pub(super) struct Shared {
    pub world: Mutex<World>,
    pub planned: Mutex<Vec<Planned>>,
    /// Goes up whenever something happens that a held question may want to know.
    pub moved: watch::Sender<u64>,
}

impl Shared {
    pub(super) fn touch(&self) {
        self.moved.send_modify(|count| *count += 1);
    }
}

/// Cuts the line.
#[derive(Debug, thiserror::Error)]
#[error("the line is cut")]
pub(super) struct Cut;

type Answer = Result<Response<Full<Bytes>>, Cut>;

pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) -> Infallible {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| serve(Arc::clone(&shared), request));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let kind = request.headers().get("content-type").and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().to_owned();
    let verb = request.method().clone();
    let body = request.into_body().collect().await.map_err(|_| Cut)?.to_bytes();
    if let Some(rest) = path.strip_prefix("/file/") {
        return file(&shared, rest);
    }
    let Some((bot, method)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
        return refused(&Refusal::new(404, "Not Found"));
    };
    if let Some(refusal) = stranger(&shared, bot) {
        return refused(&refusal);
    }
    if verb != "POST" {
        return refused(&Refusal::new(404, "Not Found"));
    }
    let trouble = plan(&shared, method);
    match &trouble {
        Some(Trouble::HangUp) => return Err(Cut),
        Some(Trouble::Page(status)) => return said(*status, "<html>somebody in between</html>".to_owned()),
        _ => {}
    }
    let asked = read(method, &kind, &body);
    let fields = asked.as_ref().map_or(Value::Null, |asked| shown(asked, &kind));
    let refusal = match (&asked, &trouble) {
        (Err(refusal), _) => Some(refusal.clone()),
        (_, Some(Trouble::Refuse(code, words))) => Some(Refusal::new(*code, words)),
        (_, Some(Trouble::Slow(wait))) => Some(Refusal::slow(*wait)),
        _ => None,
    };
    let polled = match (&asked, &refusal) {
        (Ok(asked), None) if asked.method == "getUpdates" => Some(updates(&shared, asked).await),
        _ => None,
    };
    let done = {
        // Whoever sees what a call did also sees the call.
        let mut world = shared.world.lock().unwrap();
        let done = match (asked, refusal, polled) {
            (_, Some(refusal), _) | (Err(refusal), ..) => Err(refusal),
            (_, _, Some(polled)) => polled,
            (Ok(asked), ..) => answer(&mut world, &asked),
        };
        let (status, error) = match &done {
            Ok(_) => (200, None),
            Err(refusal) => (refusal.code, Some(refusal.words.clone())),
        };
        world.calls.push(Call { method: method.to_owned(), fields, status, error });
        done
    };
    shared.touch();
    match trouble {
        Some(Trouble::LoseAnswer) => return Err(Cut),
        Some(Trouble::Delay(time)) => tokio::time::sleep(time).await,
        _ => {}
    }
    match done {
        Ok(result) => said(200, json!({"ok": true, "result": result}).to_string()),
        Err(refusal) => refused(&refusal),
    }
}

fn said(status: u16, body: String) -> Answer {
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(Full::new(Bytes::from(body))).map_err(|_| Cut)
}

fn refused(refusal: &Refusal) -> Answer {
    let mut body = json!({"ok": false, "error_code": refusal.code, "description": refusal.words});
    if let Some(wait) = refusal.wait {
        body["parameters"] = json!({"retry_after": wait});
    }
    if let Some(to) = refusal.moved {
        body["parameters"] = json!({"migrate_to_chat_id": to});
    }
    said(refusal.code, body.to_string())
}

/// Why somebody with this name may not call.
fn stranger(shared: &Shared, bot: &str) -> Option<Refusal> {
    let world = shared.world.lock().unwrap();
    let token = bot.strip_prefix("bot").unwrap_or_default();
    if !token.contains(':') {
        return Some(Refusal::new(404, "Not Found"));
    }
    (token != world.token || world.revoked).then(|| Refusal::new(401, "Unauthorized"))
}

fn plan(shared: &Shared, method: &str) -> Option<Trouble> {
    let mut planned = shared.planned.lock().unwrap();
    let at = planned.iter().position(|one| one.method == method || one.method == "*")?;
    planned[at].times -= 1;
    let trouble = planned[at].trouble.clone();
    if planned[at].times == 0 {
        planned.remove(at);
    }
    Some(trouble)
}

fn file(shared: &Shared, rest: &str) -> Answer {
    let world = shared.world.lock().unwrap();
    let found =
        rest.split_once('/').filter(|(bot, _)| *bot == format!("bot{}", world.token) && !world.revoked);
    let found = found.and_then(|(_, path)| world.files.values().find(|(known, _)| known == path));
    match found {
        Some((_, bytes)) => {
            let response = Response::builder().header("content-type", "application/octet-stream");
            response.body(Full::new(bytes.clone())).map_err(|_| Cut)
        }
        None => refused(&Refusal::new(404, "Not Found")),
    }
}

/// What is asked, from JSON or a form.
fn read(method: &str, kind: &str, body: &Bytes) -> Result<Asked, Refusal> {
    let wanted = file_of(method);
    if kind.starts_with("multipart/form-data") {
        let parts = multipart::parse(kind, body).map_err(|error| Refusal::bad(&error.to_string()))?;
        let (mut fields, mut files) = (Map::new(), Vec::new());
        for part in parts {
            if part.filename.is_some() {
                files.push(part);
                continue;
            }
            let text = String::from_utf8(part.bytes.to_vec())
                .map_err(|_| Refusal::bad("strings must be in UTF-8"))?;
            if fields.insert(part.name, Value::String(text)).is_some() {
                return Err(Refusal::bad("a field is there twice"));
            }
        }
        let fields = check(method, fields, true)?;
        let size: usize = files.iter().map(|file| file.bytes.len()).sum();
        if size > LARGEST {
            return Err(Refusal::new(413, "Request Entity Too Large"));
        }
        let attached = wanted.and_then(|name| fields.get(name)?.as_str()?.strip_prefix("attach://"));
        let place = attached.and_then(|name| files.iter().position(|file| file.name == name));
        let file = place.map(|at| files.swap_remove(at));
        if !files.is_empty() {
            return Err(Refusal::bad("a file that no field names"));
        }
        let file = file.map(|file| (file.filename.unwrap_or_default(), file.bytes));
        return Ok(Asked { method: method.to_owned(), fields, file });
    }
    if kind != "application/json" {
        return Err(Refusal::bad("neither JSON nor a form"));
    }
    let fields = serde_json::from_slice(body).map_err(|_| Refusal::bad("can't parse JSON object"))?;
    Ok(Asked { method: method.to_owned(), fields: check(method, fields, false)?, file: None })
}

/// A call's fields for the record.
fn shown(asked: &Asked, kind: &str) -> Value {
    let mut fields = asked.fields.clone();
    if let (Some(field), Some((name, bytes))) = (file_of(&asked.method), &asked.file) {
        let kind = kind.split(';').next().unwrap_or_default();
        fields.insert(field.to_owned(), json!({"name": name, "size": bytes.len(), "in": kind}));
    }
    Value::Object(fields)
}

/// Gives updates, now or when there are some.
async fn updates(shared: &Shared, asked: &Asked) -> Result<Value, Refusal> {
    let int = |name: &str| asked.fields.get(name).and_then(Value::as_i64);
    let (offset, limit) = (int("offset").unwrap_or(0), int("limit").unwrap_or(100));
    let until = Instant::now() + Duration::from_secs(int("timeout").unwrap_or(0).unsigned_abs());
    if offset < 0 || !(1..=100).contains(&limit) {
        return Err(Refusal::bad("offset or limit that nobody needs"));
    }
    let wanted = asked.fields.get("allowed_updates").and_then(Value::as_array).cloned().unwrap_or_default();
    let poll = {
        let mut world = shared.world.lock().unwrap();
        world.poll += 1;
        world.updates.retain(|update| update["update_id"].as_i64() >= Some(offset));
        world.poll
    };
    shared.touch();
    let mut moved = shared.moved.subscribe();
    loop {
        moved.mark_unchanged();
        {
            let mut world = shared.world.lock().unwrap();
            if world.webhook.is_some() {
                let why = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the \
                           webhook first";
                return Err(Refusal::new(409, why));
            }
            if world.poll != poll {
                let why = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
                return Err(Refusal::new(409, why));
            }
            if world.revoked {
                return Err(Refusal::new(401, "Unauthorized"));
            }
            let known = |update: &Value| {
                wanted.is_empty()
                    || wanted.iter().any(|kind| !update[kind.as_str().unwrap_or_default()].is_null())
            };
            world.updates.retain(known);
            let found: Vec<Value> =
                world.updates.iter().take(limit.unsigned_abs() as usize).cloned().collect();
            if !world.held && (!found.is_empty() || Instant::now() >= until) {
                return Ok(Value::Array(found));
            }
        }
        let _ = tokio::time::timeout_at(until.max(Instant::now()).into(), moved.changed()).await;
        if Instant::now() >= until {
            // Held beyond its time: whoever holds it lets it go.
            let _ = tokio::time::timeout(Duration::from_millis(20), moved.changed()).await;
        }
    }
}
