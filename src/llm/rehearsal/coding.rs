//! The stand-in with the tools of a coding engine: it does, step by step, what the instruction says in so many
//! words, and thinks nothing.
//!
//! Instructions, anywhere in the text, each with its parts in backquotes:
//! ``run `COMMAND` ``, ``write `FILE` with `TEXT` ``, and ``in `FILE` replace `OLD` with `NEW` ``.
//! Commands run before the changes, to show what is wrong, and once more after them.

use serde_json::{Value, json};

use crate::domain::{
    message::{Message, ToolCall},
    model::ModelRequest,
};

use super::MARK;

const HELP: &str = "I change files only when told exactly how: \"run `COMMAND`\", \"in `FILE` replace `OLD` with \
     `NEW`\", or \"write `FILE` with `TEXT`\". Nothing was changed.";
/// Most of a tool's words that are said again.
const SAID: usize = 600;

/// One thing that the instruction says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Run(String),
    Replace { file: String, old: String, new: String },
    Write { file: String, text: String },
}

/// True when the tools are those of a coding engine.
pub(super) fn applies(request: &ModelRequest) -> bool {
    ["bash", "read", "edit"].iter().all(|name| request.tools.iter().any(|tool| tool.name == *name))
}

/// The next words and calls.
pub(super) fn answer(request: &ModelRequest) -> (String, Vec<ToolCall>) {
    let messages: Vec<&Message> = request.messages.iter().map(AsRef::as_ref).collect();
    let asked = messages.iter().rposition(|message| matches!(message, Message::User { .. }));
    let Some(asked) = asked else { return (format!("{MARK} {HELP}"), Vec::new()) };
    let Message::User { text, .. } = messages[asked] else { return (format!("{MARK} {HELP}"), Vec::new()) };
    let told = told(text);
    let steps = steps(&told);
    let results: Vec<_> = messages[asked + 1..]
        .iter()
        .filter_map(|message| match message {
            Message::Tool { results } => results.first(),
            _ => None,
        })
        .collect();
    let at = results.len();
    // Only a command may fail and the work go on: the first run is there to show the fault.
    if let Some(last) = results.last().filter(|last| last.failed && last.name != "bash") {
        let said = short(&last.output);
        return (format!("{MARK} I stop, because `{}` failed: {said}", last.name), Vec::new());
    }
    if let Some((name, args)) = steps.get(at) {
        // Unique over all turns of the conversation.
        let id = format!("rehearsal_{}_{at}", messages.len());
        let call = ToolCall { id, name: (*name).to_owned(), args: args.clone() };
        return (format!("{MARK} Step {} of {}: `{name}`.", at + 1, steps.len()), vec![call]);
    }
    let Some(last) = results.last() else { return (format!("{MARK} {HELP}"), Vec::new()) };
    let said = short(&last.output);
    let checked = told.iter().any(|one| matches!(one, Told::Run(_)));
    let words = match (checked, last.failed) {
        (true, true) => format!("I did what I was told, and the check still fails: {said}"),
        (true, false) => format!("Done as told, and the check passes: {said}"),
        (false, _) => format!("Done as told; nothing was checked. {said}"),
    };
    (format!("{MARK} {words}"), Vec::new())
}

/// What the instruction says, in its order.
fn told(text: &str) -> Vec<Told> {
    let parts: Vec<&str> = text.split('`').collect();
    // An odd number of backquotes leaves the last one open: what follows it is no part.
    let quoted =
        |at: usize| (at + 1 < parts.len()).then(|| parts.get(at)).flatten().map(|part| (*part).to_owned());
    let mut told = Vec::new();
    let mut at = 1;
    while at < parts.len() {
        let ends = |at: usize, word: &str| {
            let before = parts.get(at - 1).map(|part| part.to_lowercase()).unwrap_or_default();
            before.split_whitespace().next_back() == Some(word)
        };
        let (one, two, three) = (quoted(at), quoted(at + 2), quoted(at + 4));
        match (one, two, three) {
            (Some(file), Some(old), Some(new))
                if ends(at, "in") && ends(at + 2, "replace") && ends(at + 4, "with") =>
            {
                told.push(Told::Replace { file, old, new });
                at += 4;
            }
            (Some(file), Some(text), _) if ends(at, "write") && ends(at + 2, "with") => {
                told.push(Told::Write { file, text });
                at += 2;
            }
            (Some(command), _, _) if ends(at, "run") => told.push(Told::Run(command)),
            _ => {}
        }
        at += 2;
    }
    told
}

/// The calls that this comes to: the plan, what is wrong, the changes, and the checks again.
fn steps(told: &[Told]) -> Vec<(&'static str, Value)> {
    let runs: Vec<(&'static str, Value)> = told
        .iter()
        .filter_map(|one| match one {
            Told::Run(command) => Some(("bash", json!({"command": command}))),
            _ => None,
        })
        .collect();
    let changes: Vec<(&'static str, Value)> = told
        .iter()
        .flat_map(|one| match one {
            Told::Run(_) => vec![],
            Told::Replace { file, old, new } => {
                vec![("read", json!({"path": file})), ("edit", json!({"path": file, "old": old, "new": new}))]
            }
            Told::Write { file, text } => vec![("write", json!({"path": file, "content": text}))],
        })
        .collect();
    if changes.is_empty() {
        return runs;
    }
    let plan = [("look at what is wrong", "doing"), ("change it", "open"), ("check it", "open")];
    let items: Vec<Value> =
        plan.iter().map(|(text, status)| json!({"text": text, "status": status})).collect();
    let mut steps = vec![("todo", json!({"items": items}))];
    steps.extend(runs.iter().cloned());
    steps.extend(changes);
    steps.extend(runs);
    steps
}

fn short(text: &str) -> &str {
    let text = text.trim();
    // The end of a check's output says how it came out.
    &text[text.ceil_char_boundary(text.len().saturating_sub(SAID))..]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{
        message::ToolResult,
        skill::{EffectClass, ToolSpec},
    };
    use proptest::prelude::*;

    const STORY: &str =
        "Fix the sum. In `calc.py` replace `a - b` with `a + b`. To check, run `python3 -m unittest`.";

    fn request(messages: Vec<Message>) -> ModelRequest {
        let tool = |name: &str| {
            Arc::new(ToolSpec {
                name: name.into(),
                description: String::new(),
                input_schema: json!({}),
                effect: EffectClass::Once,
                approval: false,
                skill: None,
            })
        };
        ModelRequest {
            system: "s".into(),
            messages: messages.into_iter().map(Arc::new).collect(),
            tools: ["bash", "read", "edit"].map(tool).to_vec(),
            max_tokens: None,
        }
    }

    /// All calls until it answers, with results made by `result`.
    fn play(text: &str, result: impl Fn(&ToolCall, usize) -> (bool, &'static str)) -> (Vec<String>, String) {
        let mut messages = vec![Message::user(text)];
        let mut names = Vec::new();
        for step in 0..20 {
            let (text, calls) = answer(&request(messages.clone()));
            assert!(text.starts_with(MARK), "{text}");
            let Some(call) = calls.first().cloned() else { return (names, text) };
            let (failed, output) = result(&call, step);
            names.push(call.name.clone());
            let (id, name, output) = (call.id.clone(), call.name.clone(), output.to_owned());
            messages.push(Message::Assistant { text, calls });
            messages.push(Message::Tool {
                results: vec![ToolResult { id, name, output, failed, files: vec![] }],
            });
        }
        panic!("it does not end");
    }

    #[test]
    fn it_does_what_it_is_told_and_nothing_else() {
        let (names, words) = play(STORY, |_, step| (step == 1, "OK"));
        assert_eq!(names, ["todo", "bash", "read", "edit", "bash"]);
        assert!(words.contains("the check passes: OK"), "{words}");
        let (names, words) = play("Make it nice, please.", |_, _| (false, ""));
        assert!(names.is_empty() && words.contains("Nothing was changed"), "{words}");
        let (names, _) = play("Write `a.txt` with `hello`.", |_, _| (false, ""));
        assert_eq!(names, ["todo", "write"]);
    }

    #[test]
    fn it_owns_up_to_what_does_not_work() {
        let (names, words) = play(STORY, |call, _| (call.name == "edit", "Error: does not occur"));
        assert_eq!(names.last().map(String::as_str), Some("edit"));
        assert!(words.contains("I stop") && words.contains("does not occur"), "{words}");
        let (_, words) = play(STORY, |call, _| (call.name == "bash", "1 failed"));
        assert!(words.contains("still fails: 1 failed"), "{words}");
    }

    #[test]
    fn parts_are_read_in_their_places_only() {
        let replace = Told::Replace { file: "f".into(), old: "o".into(), new: "n".into() };
        assert_eq!(told("In `f` replace `o` with `n`, then run `c`"), [replace, Told::Run("c".into())]);
        assert_eq!(told("the function `f` in `g` is bad; run `c"), []);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(run |in |write |replace |with |`|[a-z ]){0,30}") {
            let told = told(&text);
            prop_assert!(told.len() <= text.matches('`').count() / 2);
        }
    }
}
