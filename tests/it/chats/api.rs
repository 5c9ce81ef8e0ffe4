//! REST as a platform: a program with a key that reads streams, asks again under the same key when one breaks off, and
//! looks questions up.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::stand::{Seen, Stand};
use crate::support::*;

/// A message that was sent, and what it was answered with.
#[derive(Clone)]
struct Sent {
    key: String,
    body: Value,
    answer: Option<String>,
}

#[derive(Default)]
struct Book {
    /// Who has a key.
    allowed: BTreeSet<String>,
    /// The key of the program, and where the server is.
    program: Option<User>,
    seen: BTreeMap<String, Vec<Seen>>,
    sent: BTreeMap<String, Vec<Sent>>,
    lanes: BTreeMap<String, UnboundedSender<String>>,
    faults: Vec<String>,
    lose: u32,
    calls: usize,
    count: u64,
}

/// People who use a program that speaks REST.
#[derive(Clone, Default)]
pub(super) struct ApiStand(Arc<Mutex<Book>>);

impl ApiStand {
    fn with<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    /// The program as this person uses it: without a key that is known, unless they may.
    fn program(&self, person: &str) -> User {
        self.with(|book| {
            book.calls += 1;
            let mut program = book.program.clone().unwrap();
            if !book.allowed.contains(person) {
                program.key = "nobody".into();
            }
            program
        })
    }

    fn show(&self, person: &str, text: String, buttons: Vec<(String, String)>) {
        self.with(|book| {
            book.count += 1;
            let seen = Seen { id: book.count, text, buttons, reply_to: None };
            book.seen.entry(person.to_owned()).or_default().push(seen);
        });
    }

    fn fault(&self, what: String) {
        self.with(|book| book.faults.push(what));
    }

    /// Sends what somebody says, one after the other: the next one when the one before was taken.
    fn lane(&self, person: &str) -> UnboundedSender<String> {
        let known = self.with(|book| book.lanes.get(person).cloned());
        if let Some(lane) = known {
            return lane;
        }
        let (lane, mut said) = unbounded_channel::<String>();
        let (stand, who) = (self.clone(), person.to_owned());
        tokio::spawn(async move {
            while let Some(text) = said.recv().await {
                let body = json!({"message": text, "userId": who});
                let key = stand.with(|book| {
                    let sent = book.sent.entry(who.clone()).or_default();
                    let key = format!("k{}", sent.len());
                    sent.push(Sent { key: key.clone(), body: body.clone(), answer: None });
                    key
                });
                if let Some(stream) = stand.open(&who, &key, &body).await {
                    let (stand, who) = (stand.clone(), who.clone());
                    tokio::spawn(async move { stand.read(stream, &who, &key, &body).await });
                }
            }
        });
        self.with(|book| book.lanes.insert(person.to_owned(), lane.clone()));
        lane
    }

    /// A stream, when the message was taken; what was said about it is shown when it was not.
    async fn open(&self, person: &str, key: &str, body: &Value) -> Option<Stream> {
        let program = self.program(person);
        let request = program.request(reqwest::Method::POST, "/api/chat");
        let response = request.header("idempotency-key", key).json(body).send().await;
        let response = response.unwrap_or_else(|error| panic!("{person}: {error}"));
        if !response.status().is_success() {
            let (status, said) = (response.status(), response.json::<Value>().await.unwrap_or_default());
            let known = self.with(|book| book.allowed.contains(person));
            if known || status != 401 {
                self.fault(format!("{status}: {said}"));
            }
            self.show(person, code_of(&said).to_owned(), Vec::new());
            return None;
        }
        Some(Stream::from_response(response))
    }

    async fn read(&self, mut stream: Stream, person: &str, key: &str, body: &Value) {
        loop {
            let lost = self.with(|book| {
                let lost = book.lose > 0;
                book.lose -= u32::from(lost);
                lost
            });
            let event = match lost {
                true => None,
                false => stream.try_next().await.ok().flatten(),
            };
            let Some(event) = event else {
                // It broke off: the same message under the same key goes on where it is.
                let Some(again) = self.open(person, key, body).await else { return };
                stream = again;
                continue;
            };
            match event.name.as_str() {
                "response" => self.answered(person, key, event.data["text"].as_str().unwrap()),
                "status" => self.asked(person, &event.data),
                "error" if event.data["code"] == "interrupted_stream" => return,
                "error" => {
                    self.show(person, event.data["message"].as_str().unwrap().to_owned(), Vec::new());
                    return;
                }
                "done" => return,
                _ => {}
            }
        }
    }

    /// An answer counts once for each message.
    fn answered(&self, person: &str, key: &str, text: &str) {
        let before = self.with(|book| {
            let sent = book.sent.get_mut(person).unwrap().iter_mut().find(|sent| sent.key == key).unwrap();
            sent.answer.replace(text.to_owned())
        });
        match before {
            None => self.show(person, text.to_owned(), Vec::new()),
            Some(before) if before == text => {}
            Some(before) => self.fault(format!("`{before}` became `{text}` under the same key")),
        }
    }

    /// A question is shown, and what becomes of it is looked up until that is known.
    fn asked(&self, person: &str, data: &Value) {
        let Some(id) = data["approvalId"].as_str().map(str::to_owned) else { return };
        let known = self.with(|book| {
            let all = book.seen.get(person).into_iter().flatten();
            all.flat_map(|seen| &seen.buttons).any(|(_, stands_for)| *stands_for == id)
        });
        if known {
            return;
        }
        let buttons = ["Approve", "Reject"].map(|label| (label.to_owned(), id.clone())).to_vec();
        self.show(person, "May it?".into(), buttons);
        let (stand, person, program) = (self.clone(), person.to_owned(), self.program(person));
        tokio::spawn(async move {
            loop {
                let all = program.look("/api/v1/approvals").await;
                let mut all = all["approvals"].as_array().unwrap().iter();
                let row = all.find(|row| row["id"] == *id).unwrap();
                if row["status"] != "pending" {
                    let approved = ["approved", "consumed"].contains(&row["status"].as_str().unwrap());
                    let verb = if approved { "Approved" } else { "Rejected" };
                    let text = format!("{verb} by {}", row["decidedBy"].as_str().unwrap_or("nobody"));
                    return stand.decided(&person, &id, &text);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }

    fn decided(&self, person: &str, id: &str, text: &str) {
        self.with(|book| {
            let all = book.seen.get_mut(person).into_iter().flatten();
            for seen in all.filter(|seen| seen.buttons.iter().any(|(_, stands_for)| stands_for == id)) {
                seen.buttons.clear();
                seen.text = text.to_owned();
            }
        });
    }
}

impl Stand for ApiStand {
    const NAME: &'static str = "api";
    const LONGEST: usize = usize::MAX;

    fn start() -> Self {
        Self::default()
    }

    fn keys(&self, allowed: &[&str]) -> String {
        self.with(|book| book.allowed = allowed.iter().map(|person| (*person).to_owned()).collect());
        String::new()
    }

    fn meets(&self, site: &Site, server: &Server) {
        let known = self.with(|book| book.program.as_ref().map(|program| program.key.clone()));
        let key = known.unwrap_or_else(|| site.key("program", "owner"));
        self.with(|book| book.program = Some(User::new(&server.base, &key)));
    }

    fn secret(&self) -> String {
        self.with(|book| book.program.as_ref().unwrap().key.clone())
    }

    fn is_heard(&self) -> bool {
        self.with(|book| book.program.is_some())
    }

    fn say(&self, person: &str, text: &str) {
        self.lane(person).send(text.to_owned()).unwrap();
    }

    fn seen(&self, person: &str) -> Vec<Seen> {
        self.with(|book| book.seen.get(person).cloned().unwrap_or_default())
    }

    fn tap(&self, person: &str, message: &Seen, label: &str) {
        let (_, id) = message.buttons.iter().find(|(known, _)| known == label).unwrap().clone();
        let (stand, program) = (self.clone(), self.program(person));
        let path = format!("/api/v1/approvals/{id}/{}", label.to_lowercase());
        tokio::spawn(async move {
            let (status, body) = program.post(&path, json!({})).await;
            if !status.is_success() {
                stand.fault(format!("{path}: {status} {body}"));
            }
        });
    }

    fn faults(&self) -> Vec<String> {
        self.with(|book| book.faults.clone())
    }

    fn calls(&self) -> usize {
        self.with(|book| book.calls)
    }

    fn redeliver(&self, person: &str) {
        let sent = self.with(|book| book.sent[person].last().unwrap().clone());
        let (stand, person) = (self.clone(), person.to_owned());
        tokio::spawn(async move {
            let stream = stand.open(&person, &sent.key, &sent.body).await;
            stand.read(stream.unwrap(), &person, &sent.key, &sent.body).await;
        });
    }

    fn lose_answers(&self, times: u32) {
        self.with(|book| book.lose = times);
    }
}
