//! `atoll chat`: a conversation in the terminal, or one question for a script.

use std::{
    cell::RefCell,
    io::{IsTerminal as _, Read as _},
};

use reqwest::Method;
use rustyline::{DefaultEditor, error::ReadlineError};
use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;

use crate::{home::Home, net::sse::SseEvent};

use super::{
    CliError, CliResult,
    args::ChatArgs,
    client::{Client, block_on},
    table::{say, say_piece},
};

pub(super) fn run(home: &Home, args: &ChatArgs) -> CliResult {
    let client = Client::find(home)?;
    match args.message.as_deref() {
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            one(&client, args, text.trim())
        }
        Some(message) => one(&client, args, message),
        None if std::io::stdin().is_terminal() => converse(&client, home, args),
        None => Err(CliError::said("give a message, or `-` to read one from standard input")),
    }
}

fn one(client: &Client, args: &ChatArgs, message: &str) -> CliResult {
    block_on(send(client, args, message))?
}

fn converse(client: &Client, home: &Home, args: &ChatArgs) -> CliResult {
    let failed = |error: ReadlineError| CliError::said(error.to_string());
    let mut editor = DefaultEditor::new().map_err(failed)?;
    let history = home.root().join("chat_history");
    let _ = editor.load_history(&history);
    say("Write to the assistant. /help lists commands, Ctrl-C ends what it is doing, Ctrl-D leaves.");
    loop {
        match editor.readline("you> ") {
            Ok(line) if line.trim().is_empty() => {}
            Ok(line) => {
                let _ = editor.add_history_entry(line.as_str());
                if let Err(error) = one(client, args, line.trim()) {
                    say(&format!("! {error}"));
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(failed(error)),
        }
    }
    let _ = editor.save_history(&history);
    Ok(())
}

/// Sends a message and shows what comes. Ctrl-C cancels the work and waits for its end.
async fn send(client: &Client, args: &ChatArgs, message: &str) -> CliResult {
    let body = json!({
        "message": message, "userId": args.user, "conversationId": args.conversation,
    });
    let request = client.request(Method::POST, "/api/chat").json(&body);
    let screen = RefCell::new(Screen {
        json: args.json,
        line_open: false,
        shown: String::new(),
        failed: None,
        waits_for: None,
        goes_on: None,
    });
    let (note, mut decided) = unbounded_channel();
    let mut cancelled = false;
    {
        let streaming = client.stream(request, |event| {
            let mut screen = screen.borrow_mut();
            let more = screen.show(event);
            screen.goes_on.take().into_iter().for_each(|id| drop(note.send(id)));
            more
        });
        tokio::pin!(streaming);
        loop {
            tokio::select! {
                biased;
                Some(id) = decided.recv() => {
                    let text = decision(client, &id).await?;
                    screen.borrow_mut().decided(id, text);
                }
                outcome = &mut streaming => break outcome?,
                _ = tokio::signal::ctrl_c(), if !cancelled => {
                    cancelled = true;
                    let order = json!({"userId": args.user, "conversationId": args.conversation});
                    client.post("/api/chat/cancel", &order).await?;
                }
            }
        }
    }
    let mut screen = screen.into_inner();
    while let Ok(id) = decided.try_recv() {
        let text = decision(client, &id).await?;
        screen.decided(id, text);
    }
    match screen.failed {
        Some(_) if cancelled => Ok(()),
        Some(why) => Err(CliError::said(why)),
        None => Ok(()),
    }
}

/// Who decided a question, wherever that was; nothing while it is open.
async fn decision(client: &Client, id: &str) -> Result<Option<String>, CliError> {
    let all = client.get("/api/v1/approvals").await?;
    let row = all["approvals"].as_array().into_iter().flatten().find(|row| row["id"] == id);
    let text = |key: &str| row.and_then(|row| row[key].as_str());
    let how = match text("status") {
        Some("approved" | "consumed") => "Approved",
        Some("rejected") => "Rejected",
        Some("expired") => return Ok(Some("nobody decided in time".into())),
        _ => return Ok(None),
    };
    Ok(Some(format!("{how} by {}", text("decidedBy").unwrap_or("nobody"))))
}

/// What stands in the terminal.
struct Screen {
    json: bool,
    /// The cursor is not at the beginning of a line.
    line_open: bool,
    /// Words of the answer that were shown as they came.
    shown: String,
    failed: Option<String>,
    /// The question that it waits for.
    waits_for: Option<String>,
    /// One that seems to be decided: the work goes on.
    goes_on: Option<String>,
}

impl Screen {
    /// Shows an event; false when it was the last.
    fn show(&mut self, event: &SseEvent) -> bool {
        let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
        let last = matches!(event.event.as_str(), "done" | "error");
        if event.event == "error" {
            self.failed = Some(data["message"].as_str().unwrap_or("it failed").to_owned());
        }
        if self.json {
            say(&json!({"event": event.event, "data": data}).to_string());
            return !last;
        }
        if data["status"] != "waiting_approval" {
            self.goes_on = self.waits_for.take();
        }
        match event.event.as_str() {
            "status" => match data["status"].as_str() {
                Some("queued") => self.note("waits for the answer before"),
                Some("waiting_approval") => {
                    let id = data["approvalId"].as_str().unwrap_or_default();
                    self.note(&format!("waits for an approval: /approve {id}   or   /reject {id} reason"));
                    self.waits_for = Some(id.to_owned());
                }
                _ => {}
            },
            "progress" => self.progress(&data),
            "response" => self.answer(data["text"].as_str().unwrap_or_default()),
            "files" => {
                for file in data["files"].as_array().into_iter().flatten() {
                    let text = |key: &str| file[key].as_str().unwrap_or_default().to_owned();
                    self.note(&format!("file {} at {}", text("name"), text("url")));
                }
            }
            _ => {}
        }
        !last
    }

    /// What became of a question; while it is open it is waited for.
    fn decided(&mut self, id: String, text: Option<String>) {
        match text {
            Some(text) => self.note(&text),
            None => drop(self.waits_for.get_or_insert(id)),
        }
    }

    fn progress(&mut self, data: &Value) {
        let text = data["text"].as_str().unwrap_or_default();
        match data["kind"].as_str() {
            Some("delta") => {
                say_piece(text);
                self.shown.push_str(text);
                self.line_open = !self.shown.ends_with('\n');
            }
            Some("restart") => {
                self.note("another model begins anew");
                self.shown.clear();
            }
            _ => {
                self.note(text);
                self.shown.clear();
            }
        }
    }

    /// The answer that counts; shown again when it is not what was shown as it came.
    fn answer(&mut self, text: &str) {
        if self.shown.trim() != text.trim() {
            self.end_line();
            say_piece(text);
            self.line_open = true;
        }
        self.end_line();
        self.shown.clear();
    }

    fn note(&mut self, text: &str) {
        self.end_line();
        say(&format!("  · {text}"));
    }

    fn end_line(&mut self) {
        if std::mem::take(&mut self.line_open) {
            say("");
        }
    }
}
