//! `atoll chat`: a conversation in the terminal, or one question for a script.

use std::io::{IsTerminal as _, Read as _};

use reqwest::Method;
use rustyline::{DefaultEditor, error::ReadlineError};
use serde_json::{Value, json};

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
    let mut screen = Screen { json: args.json, line_open: false, shown: String::new(), failed: None };
    let mut cancelled = false;
    {
        let streaming = client.stream(request, |event| screen.show(event));
        tokio::pin!(streaming);
        loop {
            tokio::select! {
                outcome = &mut streaming => break outcome?,
                _ = tokio::signal::ctrl_c(), if !cancelled => {
                    cancelled = true;
                    let order = json!({"userId": args.user, "conversationId": args.conversation});
                    client.post("/api/chat/cancel", &order).await?;
                }
            }
        }
    }
    match screen.failed {
        Some(_) if cancelled => Ok(()),
        Some(why) => Err(CliError::said(why)),
        None => Ok(()),
    }
}

/// What stands in the terminal.
struct Screen {
    json: bool,
    /// The cursor is not at the beginning of a line.
    line_open: bool,
    /// Words of the answer that were shown as they came.
    shown: String,
    failed: Option<String>,
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
        match event.event.as_str() {
            "status" => match data["status"].as_str() {
                Some("queued") => self.note("waits for the answer before"),
                Some("waiting_approval") => {
                    let id = data["approvalId"].as_str().unwrap_or_default();
                    self.note(&format!("waits for an approval: /approve {id}   or   /reject {id} reason"));
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
