//! A task as it is watched in a terminal: its log as it comes, and the question at its end.

use std::{
    io::{BufRead as _, IsTerminal as _, Write as _},
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    CliError, CliResult,
    client::Client,
    table::{field, say},
    task::{path, say_check},
};

/// Characters of a tool's arguments that are shown.
const ARGUMENTS: usize = 160;
/// How often, and after which pause, the question of a task that waits is looked for.
const LOOKS: usize = 40;
const LOOK: Duration = Duration::from_millis(250);

/// How a task is watched.
pub(super) struct Look {
    pub(super) verbosity: Option<String>,
    /// Lines of JSON.
    pub(super) json: bool,
    /// Questions about its work are asked here.
    pub(super) answers: bool,
    /// They are answered with yes.
    pub(super) yes: bool,
}

/// A task that is watched.
pub(super) struct Watch<'a> {
    client: &'a Client,
    id: String,
    next: u64,
    look: Look,
    /// The question that was left to others.
    left: Option<String>,
}

/// Why the lines stopped.
enum Stopped {
    /// The task waits for an answer about its work.
    Asks,
    /// It is over.
    Over { status: String, text: String },
}

impl<'a> Watch<'a> {
    pub(super) fn new(client: &'a Client, id: &str, next: u64, look: Look) -> Self {
        Self { client, id: id.to_owned(), next, look, left: None }
    }

    /// Shows the lines that are there.
    pub(super) async fn what_is_there(&mut self) -> CliResult {
        loop {
            let from = self.next.to_string();
            let mut query = vec![("from", from.as_str()), ("limit", "500")];
            query.extend(self.look.verbosity.as_deref().map(|word| ("verbosity", word)));
            let page = self.client.get_with(&format!("{}/logs", path(&self.id)), &query).await?;
            for line in page["lines"].as_array().into_iter().flatten() {
                show(line, self.look.json);
            }
            let next = page["next"].as_u64().unwrap_or(self.next);
            if next <= self.next {
                return Ok(());
            }
            self.next = next;
        }
    }

    /// Shows lines until the task is over. One that did not come to a good end is a failure.
    pub(super) async fn until_over(&mut self) -> CliResult {
        loop {
            match self.lines().await? {
                Stopped::Asks => {
                    if let Some(task) = self.question().await? {
                        self.answer(&task).await?;
                    }
                }
                Stopped::Over { status, text } => {
                    if self.look.json {
                        say(&json!({"end": status, "text": text}).to_string());
                    } else {
                        say(&format!("── {status}  {}", plain(&text)));
                    }
                    let good = matches!(status.as_str(), "done" | "unchanged");
                    return if good || !self.look.answers { Ok(()) } else { Err(CliError::Quiet) };
                }
            }
        }
    }

    /// Shows lines as they come, until there is something to do.
    async fn lines(&mut self) -> Result<Stopped, CliError> {
        let mut query = vec![("from", self.next.to_string())];
        query.extend(self.look.verbosity.clone().map(|word| ("verbosity", word)));
        let place = format!("{}/logs/stream", path(&self.id));
        let request = self.client.request(Method::GET, &place).query(&query);
        let (json, answers, mut next, mut stopped) = (self.look.json, self.look.answers, self.next, None);
        let streamed = self.client.stream(request, |event| {
            let data: Value = serde_json::from_str(&event.data).unwrap_or_default();
            match event.event.as_str() {
                "line" => {
                    next = data["seq"].as_u64().map_or(next, |seq| seq + 1);
                    show(&data, json);
                    if answers && data["event"]["state"] == "awaiting_approval" {
                        stopped = Some(Stopped::Asks);
                    }
                }
                "end" => {
                    stopped =
                        Some(Stopped::Over { status: field(&data, "status"), text: field(&data, "text") });
                }
                _ => {}
            }
            stopped.is_none()
        });
        streamed.await?;
        self.next = next;
        stopped.ok_or_else(|| CliError::said("the stream ended"))
    }

    /// The task, when it waits for an answer now; the line may be of long ago.
    async fn question(&self) -> Result<Option<Value>, CliError> {
        for _ in 0..LOOKS {
            let task = self.client.get(&path(&self.id)).await?;
            match (task["status"].as_str(), task["approvalId"].as_str()) {
                (Some("awaiting_approval"), Some(id)) if self.left.as_deref() == Some(id) => return Ok(None),
                (Some("awaiting_approval"), Some(_)) => return Ok(Some(task)),
                // It is just being asked.
                (Some("awaiting_approval" | "committing"), _) => tokio::time::sleep(LOOK).await,
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    async fn answer(&mut self, task: &Value) -> CliResult {
        let id = self.id.clone();
        if !self.look.json {
            self.show_work(task).await;
        }
        if self.look.yes {
            return self.tell("approve", json!({})).await;
        }
        if !std::io::stdin().is_terminal() || self.look.json {
            self.left = task["approvalId"].as_str().map(str::to_owned);
            if !self.look.json {
                say(&format!("waits for an answer: atoll task approve {id}   or   atoll task reject {id}"));
            }
            return Ok(());
        }
        loop {
            let word =
                ask("[a]pprove, approve [w]ithout pull request, [r]eject, show the [d]iff, [l]eave it: ")?;
            match word.as_str() {
                "a" | "approve" => return self.tell("approve", json!({})).await,
                "w" => return self.tell("approve", json!({"withoutPullRequest": true})).await,
                "r" | "reject" => {
                    let reason = ask("what is to be done instead (nothing ends the task): ")?;
                    let reason = (!reason.is_empty()).then_some(reason);
                    return self.tell("reject", json!({"reason": reason})).await;
                }
                "d" | "diff" => self.show_diff().await,
                "l" | "leave" | "" => {
                    self.left = task["approvalId"].as_str().map(str::to_owned);
                    say(&format!("it waits: atoll task approve {id}   or   atoll task reject {id}"));
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    /// Tells the answer. When somebody was faster, that is said, and the watching goes on.
    async fn tell(&self, what: &str, body: Value) -> CliResult {
        match self.client.post(&format!("{}/{what}", path(&self.id)), &body).await {
            Ok(_) => Ok(()),
            Err(CliError::Said(text)) if text.ends_with("(409)") => {
                say(&format!("! {text}"));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn show_work(&self, task: &Value) {
        self.show_diff().await;
        say("");
        for (head, key) in
            [("claims", "output"), ("changes", "stat"), ("branch", "branch"), ("cost", "costUsd")]
        {
            let text = plain(&field(task, key));
            if !text.is_empty() {
                say(&format!("{head:<8} {}", text.trim().replace('\n', "\n         ")));
            }
        }
        for flag in task["flags"].as_array().into_iter().flatten() {
            say(&format!("look at  {}", plain(flag.as_str().unwrap_or_default())));
        }
        for run in task["evidence"].as_array().into_iter().flatten() {
            say_check(run);
        }
    }

    async fn show_diff(&self) {
        match self.client.text(&format!("{}/diff", path(&self.id))).await {
            Ok(diff) => say(plain(&diff).trim_end()),
            Err(error) => say(&format!("! {error}")),
        }
    }
}

/// Asks on the terminal; nothing more to read is an empty answer.
fn ask(question: &str) -> Result<String, CliError> {
    super::table::say_piece(question);
    std::io::stdout().flush()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// A text without what could mislead a terminal: it comes out of a sandbox.
pub(super) fn plain(text: &str) -> String {
    // Also those that change the direction in which text runs.
    let odd = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.replace("\r\n", "\n").chars().map(|c| if odd(c) { '�' } else { c }).collect()
}

fn show(line: &Value, as_json: bool) {
    if as_json {
        say(&line.to_string());
        return;
    }
    let text = describe(&line["event"]);
    if let Some(text) = text {
        say(&text);
        return;
    }
    if line["event"]["type"] == "check" {
        say_check(&line["event"]);
    }
}

/// An event in words for a terminal; `None` when there is nothing to say in one piece.
fn describe(event: &Value) -> Option<String> {
    let text = |key: &str| plain(&field(event, key));
    let short = |text: String| {
        let cut: String = text.chars().take(ARGUMENTS).collect();
        if cut.len() < text.len() { format!("{cut}…") } else { cut }
    };
    Some(match (event["type"].as_str()?, event["event"].as_str().unwrap_or_default()) {
        ("state", _) => format!("── {}  {}", text("state"), text("text")).trim_end().to_owned(),
        ("note", _) => format!("  · {}", text("text")),
        ("egress", _) => format!("  ⇄ {} {}", text("host"), short(text("verdict"))),
        ("engine", "text") => text("text"),
        ("engine", "thinking") => format!("  … {}", text("text").trim()),
        ("engine", "tool_call") => format!("  → {} {}", text("name"), short(text("input"))),
        ("engine", "tool_result") => format!("  ← {}", short(text("output").trim().replace('\n', "  "))),
        ("engine", "file_change") => format!("  ± {} {}", text("change"), text("path")),
        ("engine", "question") => format!("  ? {}", text("preview")),
        ("engine", "denied") => format!("  ! {} was not allowed: {}", text("tool"), text("why")),
        ("engine", "error") => format!("  ! {}", text("message")),
        ("engine", "retry") => format!("  · asks the model again: {}", text("why")),
        ("engine", "result") if event["ok"] == true => "  · the engine is through".into(),
        ("engine", "result") => format!("  ! the engine ended: {}", text("text")),
        ("engine", "steered") => format!("  · told: {}", text("text")),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sandbox_says_cannot_move_the_cursor() {
        let odd = "ok\x1b[2J\x1b]0;evil\x07\r\nnext\rover\tthe\u{202e}end";
        assert_eq!(plain(odd), "ok�[2J�]0;evil�\nnext�over\tthe�end");
    }

    #[test]
    fn events_are_told_in_a_line() {
        let cases = [
            (json!({"type": "state", "state": "running"}), "── running"),
            (json!({"type": "note", "text": "a\u{7}b"}), "  · a�b"),
            (
                json!({"type": "engine", "event": "tool_call", "name": "bash", "input": {"command": "ls"}}),
                "  → bash {\"command\":\"ls\"}",
            ),
            (
                json!({"type": "engine", "event": "file_change", "path": "a.rs", "change": "added"}),
                "  ± added a.rs",
            ),
            (json!({"type": "engine", "event": "result", "ok": true}), "  · the engine is through"),
        ];
        for (event, text) in cases {
            assert_eq!(describe(&event).as_deref(), Some(text));
        }
        assert_eq!(describe(&json!({"type": "engine", "event": "turn", "number": 1})), None);
        let long = json!({"type": "engine", "event": "tool_call", "name": "x", "input": "y".repeat(1_000)});
        assert!(describe(&long).unwrap().chars().count() < 200);
    }
}
