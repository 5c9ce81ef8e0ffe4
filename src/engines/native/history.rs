//! The messages of a session, kept in the sandbox's home folder so that a later run goes on from them.

use std::sync::Arc;

use crate::{
    domain::{
        message::{Message, ToolCall, ToolResult},
        tokens,
    },
    ports::sandbox::Sandbox,
};

use super::exec::run;

/// Largest history that is read again, in bytes.
const MOST: usize = 16 * 1024 * 1024;
/// What a call is told whose result was lost.
const LOST: &str =
    "Error: this call was cut off; it may have run in part or in full. Look before you repeat it.";

/// Messages at the end that are always whole.
const FRESH: usize = 6;
/// Output that is not worth leaving out, in bytes.
const SHORT: usize = 200;
const LEFT_OUT: &str = "[older output, left out to save room; run the tool again if you need it]";

const APPEND: &str = "mkdir -p -- \"$1\" && exec cat >> \"$1/$2.jsonl\"";
const READ: &str = "[ -f \"$1/$2.jsonl\" ] || exit 44; exec cat -- \"$1/$2.jsonl\"";

/// Sessions of our own engine.
pub(super) struct History {
    sandbox: Arc<dyn Sandbox>,
    folder: String,
}

impl History {
    pub(super) fn new(sandbox: Arc<dyn Sandbox>, home: &str) -> Self {
        Self { sandbox, folder: format!("{}/.atoll/sessions", home.trim_end_matches('/')) }
    }

    /// Keeps messages at the end of a session.
    pub(super) async fn append(&self, session: &str, messages: &[Arc<Message>]) -> Result<(), String> {
        let mut lines = Vec::new();
        for message in messages {
            serde_json::to_writer(&mut lines, message.as_ref()).map_err(|error| error.to_string())?;
            lines.push(b'\n');
        }
        let argv = self.argv(APPEND, session)?;
        let ran = run(self.sandbox.as_ref(), argv, Some(lines), 4_096, |_| {}).await;
        match ran {
            Ok(ran) if ran.exit == Some(0) => Ok(()),
            Ok(ran) => Err(ran.err.text().trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The messages of a session, ready to go on from; `None` when there is none of this name.
    pub(super) async fn read(&self, session: &str) -> Result<Option<Vec<Arc<Message>>>, String> {
        let argv = self.argv(READ, session)?;
        let ran =
            run(self.sandbox.as_ref(), argv, None, MOST, |_| {}).await.map_err(|error| error.to_string())?;
        match ran.exit {
            Some(0) => {}
            Some(44) => return Ok(None),
            _ => return Err(ran.err.text().trim().to_owned()),
        }
        let Some(bytes) = ran.out.whole() else { return Err("the session is too long to go on with".into()) };
        Ok(Some(mended(&String::from_utf8_lossy(&bytes))))
    }

    fn argv(&self, script: &str, session: &str) -> Result<Vec<String>, String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if session.is_empty() || session.len() > 64 || !session.bytes().all(plain) {
            return Err("this is no name of a session".into());
        }
        Ok(["sh", "-c", script, "sh", &self.folder, session].map(str::to_owned).to_vec())
    }
}

/// The messages in these lines. What cannot be read is left out; a call without its results gets told so.
fn mended(lines: &str) -> Vec<Arc<Message>> {
    let mut messages: Vec<Arc<Message>> = Vec::new();
    for message in lines.lines().filter_map(|line| serde_json::from_str::<Message>(line).ok()) {
        match &message {
            // Results without their calls are of no use.
            Message::Tool { results }
                if !open(&messages).map(|call| &call.id).eq(results.iter().map(|r| &r.id)) =>
            {
                continue;
            }
            Message::Tool { results } if results.is_empty() => continue,
            Message::Tool { .. } => {}
            Message::User { .. } | Message::Assistant { .. } => close(&mut messages),
        }
        messages.push(Arc::new(message));
    }
    close(&mut messages);
    messages
}

/// The calls of the last message: those that have no results.
fn open(messages: &[Arc<Message>]) -> impl Iterator<Item = &ToolCall> {
    let calls = match messages.last().map(AsRef::as_ref) {
        Some(Message::Assistant { calls, .. }) => calls.as_slice(),
        _ => &[],
    };
    calls.iter()
}

/// Gives open calls at the end their results.
fn close(messages: &mut Vec<Arc<Message>>) {
    let results = open(messages).map(|call| ToolResult {
        id: call.id.clone(),
        name: call.name.clone(),
        output: LOST.into(),
        failed: true,
        files: Vec::new(),
    });
    let results: Vec<ToolResult> = results.collect();
    if !results.is_empty() {
        messages.push(Arc::new(Message::Tool { results }));
    }
}

/// The messages within so many tokens, as far as leaving out the oldest output of tools can do it.
pub(super) fn fit(messages: &[Arc<Message>], room: u64) -> Vec<Arc<Message>> {
    let mut fitted = messages.to_vec();
    let mut all = tokens::of_messages(&fitted);
    let old = fitted.len().saturating_sub(FRESH);
    for message in &mut fitted[..old] {
        if all <= room {
            break;
        }
        let Message::Tool { results } = message.as_ref() else { continue };
        let before = tokens::of_message(message);
        let mut results = results.clone();
        for result in results.iter_mut().filter(|result| result.output.len() > SHORT) {
            LEFT_OUT.clone_into(&mut result.output);
        }
        let shorter = Message::Tool { results };
        all = all.saturating_sub(before.saturating_sub(tokens::of_message(&shorter)));
        *message = Arc::new(shorter);
    }
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::is_paired;
    use proptest::prelude::*;

    fn message(kind: u8, id: u8) -> Message {
        let (id, name) = (id.to_string(), "t".to_owned());
        match kind {
            0 => Message::user("hi"),
            1 => Message::assistant("ho"),
            2 => {
                let call = ToolCall { id, name, args: serde_json::json!({}) };
                Message::Assistant { text: String::new(), calls: vec![call] }
            }
            _ => {
                let output = String::new();
                Message::Tool { results: vec![ToolResult { id, name, output, failed: false, files: vec![] }] }
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_was_kept_calls_and_results_stand_together(
            kinds in proptest::collection::vec((0u8..4, 0u8..3), 0..20), noise in "[a-z{}\"]{0,20}",
        ) {
            let lines: Vec<String> =
                kinds.iter().map(|(kind, id)| serde_json::to_string(&message(*kind, *id)).unwrap()).collect();
            let read = mended(&format!("{}\n{noise}", lines.join("\n")));
            prop_assert!(is_paired(&read), "{read:?}");
            let plain = kinds.iter().filter(|(kind, _)| *kind < 3).count();
            prop_assert_eq!(read.iter().filter(|one| !matches!(one.as_ref(), Message::Tool { .. })).count(), plain);
        }
    }

    #[test]
    fn old_output_gives_way_and_the_newest_messages_stay_whole() {
        let output = |text: &str| {
            let result = ToolResult {
                id: "1".into(),
                name: "t".into(),
                output: text.into(),
                failed: false,
                files: vec![],
            };
            Arc::new(Message::Tool { results: vec![result] })
        };
        let mut messages: Vec<Arc<Message>> = (0..10).map(|_| output(&"x".repeat(3_000))).collect();
        messages[1] = output("short");
        assert_eq!(fit(&messages, 1_000_000), messages);
        let fitted = fit(&messages, 8_000);
        assert!(tokens::of_messages(&fitted) <= 8_000);
        assert_ne!(fitted[0], messages[0]);
        assert_eq!((&fitted[1], &fitted[4..]), (&messages[1], &messages[4..]));
    }
}
