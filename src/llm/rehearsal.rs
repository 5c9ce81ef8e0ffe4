//! The scripted stand-in for a model: deterministic, can use every tool, and says in every answer what it is.

mod coding;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::{
    domain::{
        message::{Message, ToolCall},
        model::{ModelError, ModelRequest, Reply, Stop, Usage},
        outbound::Progress,
        price::Price,
        tokens,
    },
    ports::model::{Model, ProgressSink, Takes},
};

/// What every answer begins with.
pub(super) const MARK: &str = "[rehearsal, a script and no model]";
const HELP: &str = "I can show how Atoll works, but I do not think. Try: \"remember that I like tea\", \"recall \
     tea\", \"list memories\", \"forget <id>\", \"what time is it\", \"activate <skill>\", or \"call <tool> \
     {\"key\": \"value\"}\". Give Atoll a real model in config.yaml under `llm:`.";

/// The stand-in.
pub(super) struct Rehearsal;

impl Model for Rehearsal {
    fn name(&self) -> &str {
        "rehearsal"
    }

    fn model(&self) -> &str {
        "rehearsal"
    }

    fn takes(&self) -> Takes {
        Takes { tools: true, ..Takes::default() }
    }

    fn price(&self) -> Option<Price> {
        Some(Price::default())
    }

    fn concurrency(&self) -> u32 {
        1_000
    }

    fn max_output(&self) -> u32 {
        1_024
    }

    fn ask(
        &self,
        request: Arc<ModelRequest>,
        progress: ProgressSink,
    ) -> BoxFuture<'static, Result<Reply, ModelError>> {
        let reply = answer(&request);
        for words in reply.text.split_inclusive(' ') {
            progress(Progress::Delta { text: words.to_owned() });
        }
        Box::pin(std::future::ready(Ok(reply)))
    }
}

fn answer(request: &ModelRequest) -> Reply {
    let (text, calls) = if coding::applies(request) { coding::answer(request) } else { talk(request) };
    let usage = Usage {
        input: tokens::of_text(&request.system) + tokens::of_messages(&request.messages),
        output: tokens::of_text(&text),
        ..Usage::default()
    };
    Reply {
        stop: if calls.is_empty() { Stop::End } else { Stop::Tools },
        text,
        calls,
        usage,
        provider: "rehearsal".into(),
        model: "rehearsal".into(),
    }
}

fn talk(request: &ModelRequest) -> (String, Vec<ToolCall>) {
    let step =
        request.messages.iter().filter(|message| matches!(message.as_ref(), Message::Tool { .. })).count();
    match request.messages.last().map(AsRef::as_ref) {
        Some(Message::Tool { results }) => {
            let lines: Vec<String> =
                results.iter().map(|result| format!("{} said: {}", result.name, result.output)).collect();
            (format!("{MARK} {}", lines.join("\n")), Vec::new())
        }
        Some(Message::User { text, .. }) => script(words_of(text), step),
        Some(Message::Assistant { .. }) | None => (format!("{MARK} {HELP}"), Vec::new()),
    }
}

/// The person's own words, without the notes that Atoll puts before them.
fn words_of(text: &str) -> &str {
    match text.split_once("]\n\n") {
        Some((notes, words)) if notes.starts_with("[atoll") => words,
        _ => text,
    }
}

fn script(text: &str, step: usize) -> (String, Vec<ToolCall>) {
    let text = text.trim();
    let lower = text.to_lowercase();
    let after = |start: &str| lower.starts_with(start).then(|| text[start.len()..].trim());
    let call = |name: &str, args: Value| {
        let call = ToolCall { id: format!("rehearsal_{step}"), name: name.to_owned(), args };
        (format!("{MARK} Let me use `{name}`."), vec![call])
    };
    if let Some(fact) = after("remember that ").or_else(|| after("remember ")).filter(|fact| !fact.is_empty())
    {
        return call("memory_store", json!({"content": fact}));
    }
    if let Some(query) = after("recall ").or_else(|| after("what do you know about ")) {
        return call("memory_retrieve", json!({"query": query.trim_end_matches('?')}));
    }
    if lower.starts_with("list memories") {
        return call("memory_list", json!({}));
    }
    if let Some(id) = after("forget ") {
        return call("memory_delete", json!({"memory_id": id}));
    }
    if lower.starts_with("what time is it") {
        return call("clock", json!({}));
    }
    if let Some(skill) = after("activate ") {
        return call("activate_skill", json!({"skill_name": skill}));
    }
    if let Some(rest) = after("call ") {
        let (name, args) = rest.split_once(char::is_whitespace).unwrap_or((rest, "{}"));
        return match serde_json::from_str::<Value>(args) {
            Ok(args) => call(name, args),
            Err(error) => (format!("{MARK} The arguments of `{name}` are no JSON: {error}."), Vec::new()),
        };
    }
    let said: String = text.chars().take(500).collect();
    (format!("{MARK} You said: {said}\n{HELP}"), Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::ToolResult;

    fn reply(messages: Vec<Message>) -> Reply {
        let request = ModelRequest {
            system: "s".into(),
            messages: messages.into_iter().map(Arc::new).collect(),
            tools: vec![],
            max_tokens: None,
        };
        answer(&request)
    }

    #[test]
    fn it_uses_tools_when_told_and_names_itself_always() {
        let cases = [
            ("remember that I like tea", "memory_store", json!({"content": "I like tea"})),
            ("Recall tea", "memory_retrieve", json!({"query": "tea"})),
            ("call dig {\"deep\": 2}", "dig", json!({"deep": 2})),
            ("[atoll: it is Monday]\n\nwhat time is it?", "clock", json!({})),
        ];
        for (text, tool, args) in cases {
            let reply = reply(vec![Message::user(text)]);
            assert_eq!((reply.calls[0].name.as_str(), &reply.calls[0].args), (tool, &args), "{text}");
            assert!(reply.text.starts_with(MARK));
        }
        let plain = reply(vec![Message::user("hello")]);
        assert!(plain.calls.is_empty() && plain.text.starts_with(MARK) && plain.text.contains("hello"));
        let result = ToolResult {
            id: "1".into(),
            name: "clock".into(),
            output: "noon".into(),
            failed: false,
            files: vec![],
        };
        let told = reply(vec![Message::Tool { results: vec![result] }]);
        assert!(told.text.starts_with(MARK) && told.text.contains("noon"));
    }
}
