//! One run: a site whose server dies and rises again, clients that repeat themselves until they are answered,
//! and a log of all of it.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fs::File,
    io::Write,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    time::{Duration, Instant},
};

use futures_util::future::{Either, select};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    rows::{self, Rows},
    script,
};
use crate::support::*;

/// What is written about a run; it stays when the run is over.
pub(super) struct Log {
    path: PathBuf,
    file: RefCell<File>,
    began: Instant,
}

impl Log {
    fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("crash");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{}.log", name.replace([':', '#', ' '], "-")));
        let file = RefCell::new(File::create(&path).unwrap());
        Self { path, file, began: Instant::now() }
    }

    pub(super) fn say(&self, line: impl AsRef<str>) {
        let at = self.began.elapsed().as_micros();
        writeln!(self.file.borrow_mut(), "{at:>9} us  {}", line.as_ref()).unwrap();
    }
}

impl Drop for Log {
    #[expect(clippy::print_stderr, reason = "the runner shows it beside the failure")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what was killed where, and what was found: {}", self.path.display());
        }
    }
}

/// What the world looked like when a life ended.
pub(super) struct Life {
    pub how: String,
    pub rows: Rows,
    /// Lines that tools had left behind.
    pub effects: Vec<String>,
}

/// What a client heard at last.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Heard {
    Answer(String),
    Withdrawn,
    Failed(String),
}

/// A message that was sent until it was answered.
#[derive(Clone)]
pub(super) struct Told {
    pub user: String,
    pub key: String,
    pub body: Value,
    pub heard: Heard,
}

/// The run.
pub(super) struct Stage {
    pub site: Site,
    pub model: MockModel,
    pub log: Log,
    pub lives: RefCell<Vec<Life>>,
    pub told: RefCell<Vec<Told>>,
    /// Where the coming lives end, in order; a life without such a place must not end by itself.
    pub faults: RefCell<VecDeque<String>>,
    /// Forks of the store are to be looked at when a life ends.
    pub forks: Cell<bool>,
    pub more: String,
    /// Where this life is to end.
    due: RefCell<Option<String>>,
    client: User,
    server: RefCell<Option<Server>>,
}

impl Stage {
    pub(super) fn new(name: &str, more: &str) -> Self {
        let model = MockModel::start(script::obey);
        let site = Site::new(&script::config(&model, more));
        let key = site.key("me", "owner");
        script::install(&site.home());
        Self {
            client: User::new("", &key),
            site,
            model,
            log: Log::new(name),
            lives: RefCell::default(),
            told: RefCell::default(),
            faults: RefCell::default(),
            forks: Cell::new(false),
            more: more.to_owned(),
            due: RefCell::default(),
            server: RefCell::default(),
        }
    }

    /// Begins the next life. One that is to end may end before it is ready.
    pub(super) async fn rise(&self) {
        loop {
            let fault = self.faults.borrow_mut().pop_front();
            self.log.say(format!("a life begins; it is to end at {fault:?}"));
            let env: Vec<(&str, &str)> = fault.iter().map(|fault| ("ATOLL_FAULT", fault.as_str())).collect();
            match (self.site.try_start(&env), &fault) {
                (Ok(server), _) => {
                    self.log.say("ready");
                    *self.due.borrow_mut() = fault;
                    *self.server.borrow_mut() = Some(server);
                    return;
                }
                (Err(_), Some(fault)) => self.bury(format!("{fault}, before it was ready")).await,
                (Err(said), None) => panic!("the server did not come up:\n{said}"),
            }
        }
    }

    /// Sees to it that there is a server, for ever.
    pub(super) async fn keep(&self) {
        loop {
            self.watch().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// When the server has died, notes what it left behind, and begins the next life.
    pub(super) async fn watch(&self) {
        let died = self.server.borrow_mut().as_mut().is_some_and(Server::is_dead);
        if died {
            let server = self.server.borrow_mut().take().unwrap();
            let signal = server.wait().signal();
            let fault = self.due.borrow_mut().take();
            assert!(fault.is_some() && signal == Some(9), "the server died by itself: {}", self.site.log());
            self.bury(fault.unwrap()).await;
            self.rise().await;
        }
    }

    /// Ends this life now.
    pub(super) fn kill(&self) {
        let server = self.server.borrow_mut().take();
        server.unwrap().kill();
    }

    /// Notes what a life left behind.
    pub(super) async fn bury(&self, how: String) {
        let home = self.site.home();
        let life = Life { how, rows: Rows::peek(&home), effects: script::effects(&home) };
        self.log.say(format!("died: {}; {}", life.how, summary(&life.rows)));
        self.lives.borrow_mut().push(life);
        if self.forks.get() {
            super::forks::agree(self).await;
        }
    }

    /// True when all lives that were to end have ended.
    pub(super) fn is_through(&self) -> bool {
        self.faults.borrow().is_empty() && self.due.borrow().is_none()
    }

    /// Ends the server as an operator does.
    pub(super) fn stop(&self) {
        let server = self.server.borrow_mut().take().unwrap();
        assert!(server.stop().success(), "{}", self.site.log());
    }

    /// How many rows the store counts now.
    pub(super) fn count(&self, sql: &str) -> i64 {
        rows::count(&self.site.home(), sql)
    }

    /// Waits until the store counts any row.
    pub(super) async fn until(&self, sql: &str) {
        until(sql, async || self.count(sql) > 0).await;
    }

    /// Waits until a tool has left a line.
    pub(super) async fn until_ran(&self, tool: &str) {
        let home = self.site.home();
        until(tool, async || script::effects(&home).iter().any(|line| line.ends_with(tool))).await;
    }

    fn client(&self) -> Option<User> {
        let mut client = self.client.clone();
        client.base = self.server.borrow().as_ref()?.base.clone();
        Some(client)
    }

    /// Asks until somebody answers.
    pub(super) async fn call(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let began = Instant::now();
        loop {
            if let Some(client) = self.client()
                && let Ok(response) = client.request(method.clone(), path).json(&body).send().await
                && response.status() != StatusCode::SERVICE_UNAVAILABLE
            {
                let status = response.status();
                if let Ok(body) = response.json().await {
                    return (status, body);
                }
            }
            assert!(began.elapsed() < PATIENCE, "nobody answers {path}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Says something in the conversation `user/conversation` under a key of its own until it is answered.
    pub(super) async fn say(&self, to: &str, text: &str) -> Heard {
        self.say_with(to, text, json!({})).await
    }

    /// As [`Stage::say`], with more in the body.
    pub(super) async fn say_with(&self, to: &str, text: &str, more: Value) -> Heard {
        let (user, conversation) = to.split_once('/').unwrap();
        let mut body = json!({"message": text, "userId": user, "conversationId": conversation});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        let key = format!(
            "{conversation}-{}",
            text.chars().filter(char::is_ascii_alphanumeric).take(60).collect::<String>()
        );
        let heard = self.hear(&key, &body).await;
        self.log.say(format!("{to}: {text:.40}: {heard:?}"));
        let told = Told { user: user.into(), key, body, heard: heard.clone() };
        self.told.borrow_mut().push(told);
        heard
    }

    /// Sends a message again and again under its key until something final comes.
    pub(super) async fn hear(&self, key: &str, body: &Value) -> Heard {
        let began = Instant::now();
        loop {
            if let Some(client) = self.client() {
                match client.try_chat(key, body.clone()).await {
                    Ok(events) => {
                        if let Some(heard) = heard(&events) {
                            return heard;
                        }
                    }
                    Err(why) => assert!(!why.starts_with('4'), "{key} was refused: {why}"),
                }
            }
            assert!(began.elapsed() < PATIENCE * 2, "{key} is never answered; {}", self.site.log());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Answers all questions as they come while something else goes on.
    pub(super) async fn with_answers<T>(&self, verb: &str, work: impl Future<Output = T>) -> T {
        let answering = async {
            loop {
                self.answer_all(verb).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match select(std::pin::pin!(work), std::pin::pin!(answering)).await {
            Either::Left((done, _)) => done,
            Either::Right(((), _)) => unreachable!("it never ends"),
        }
    }

    /// Answers all questions that are open now; whoever was told so stays told.
    pub(super) async fn answer_all(&self, verb: &str) {
        for id in self.questions().await {
            let path = format!("/api/v1/approvals/{id}/{verb}");
            let (status, body) = self.call(Method::POST, &path, json!({})).await;
            self.log.say(format!("{verb} {id}: {status}"));
            assert!(status.is_success() || status == StatusCode::CONFLICT, "{verb} {id}: {status} {body}");
        }
    }

    /// The questions that are open now.
    pub(super) async fn questions(&self) -> Vec<String> {
        let (_, body) = self.call(Method::GET, "/api/v1/approvals?status=pending", json!(null)).await;
        let open = body["approvals"].as_array().cloned().unwrap_or_default();
        open.iter().map(|question| question["id"].as_str().unwrap().to_owned()).collect()
    }
}

/// What a stream came to; `None` when it is to be asked for again.
fn heard(events: &[Event]) -> Option<Heard> {
    if let Some(text) = answer_of(events) {
        return Some(Heard::Answer(text));
    }
    let error = events.iter().find(|event| event.name == "error")?;
    match error.data["code"].as_str().unwrap_or_default() {
        "cancelled" | "interrupted" => Some(Heard::Withdrawn),
        "interrupted_stream" => None,
        _ => Some(Heard::Failed(error.data["message"].as_str().unwrap().to_owned())),
    }
}

/// Where everything stood, in one line.
fn summary(rows: &Rows) -> String {
    let open = rows.of("turns").iter().filter(|turn| turn["state"] != "over").map(|turn| {
        let entries = rows.entries(turn);
        let kinds: Vec<&str> = entries.iter().filter_map(|entry| entry["entry"].as_str()).collect();
        format!("{} turn {} {}: {}", turn["conversation_id"], turn["seq"], turn["state"], kinds.join(" "))
    });
    let queued = rows.of("inbound").iter().filter(|row| row["state"] == "queued").count();
    let over = rows.of("turns").iter().filter(|turn| turn["state"] == "over").count();
    let open: Vec<String> = open.collect();
    format!("{over} turns over, {queued} messages wait, open: [{}]", open.join("; "))
}
