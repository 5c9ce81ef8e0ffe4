//! Every call that a whole conversation on Telegram takes of the real binary, as a text that is read by people. What is not
//! the same each time is left out: names that are made by chance, times, how often somebody is shown to be writing, and how
//! many steps an answer grew in. What is shown beside the messages (marks, answers to taps, that somebody is writing)
//! stands before them in each scene, for it is not waited for.

use serde_json::{Value, json};

use crate::support::{
    telegram::{Call, FakeTelegram, Shown, TOKEN, Trouble},
    *,
};

/// Longest words that are shown whole.
const WHOLE: usize = 900;
/// What is shown of longer ones, in characters.
const FIRST: usize = 600;
const LAST: usize = 160;
/// Who speaks, and where others read along.
const ANN: i64 = 42;
const GROUP: i64 = -100;
/// Said there, and not to the bot.
const ASIDE: &str = "lunch?";
/// What is shown beside the messages.
const BESIDE: [&str; 3] = ["answerCallbackQuery", "setMessageReaction", "sendChatAction"];

/// The bot, and what was seen of it so far.
struct Stage {
    fake: FakeTelegram,
    seen: usize,
    taps: usize,
    text: String,
}

impl Stage {
    fn ann(&self, text: &str) {
        self.fake.say(ANN, ANN, text);
    }

    fn said(&self) -> Vec<Shown> {
        self.fake.said(ANN)
    }

    /// Waits until the last message to Ann ends so.
    async fn ends(&self, words: &str) {
        let last = || self.said().last().is_some_and(|shown| shown.text.ends_with(words));
        until(&format!("{words:?} in the end"), async || last()).await;
    }

    /// Writes down the calls since the last scene, when all that is shown beside is there.
    async fn close(&mut self, title: &str) {
        let unmarked = |chat: i64| {
            let words = self.fake.messages(chat).into_iter().filter(|shown| !shown.own);
            words.filter(|shown| shown.reactions.is_empty() && shown.text != ASIDE).count()
        };
        let all_beside = || unmarked(ANN) + unmarked(GROUP) == 0 && self.fake.answers().len() == self.taps;
        until(&format!("what is shown beside: {title}"), async || all_beside()).await;
        let calls = self.fake.calls();
        self.text.push_str(&format!("# {title}\n"));
        for line in lines(&calls[self.seen..]) {
            self.text.push_str(&format!("{line}\n"));
        }
        self.text.push('\n');
        self.seen = calls.len();
    }
}

/// The calls of a scene, a line each.
fn lines(calls: &[Call]) -> Vec<String> {
    let (mut beside, mut lines) = (Vec::<String>::new(), Vec::<(Value, String)>::new());
    for call in calls.iter().filter(|call| !["getUpdates", "getWebhookInfo"].contains(&call.method.as_str()))
    {
        let mut fields = call.fields.clone();
        plain(&mut fields);
        if call.method == "setMyCommands" {
            let names =
                fields["commands"].as_array().unwrap().iter().map(|command| command["command"].clone());
            fields = names.collect();
        }
        let refused = call.error.as_ref().map_or(String::new(), |error| format!(" refused: {error}"));
        let line = format!("{} {fields}{refused}", call.method);
        if BESIDE.contains(&call.method.as_str()) {
            if !beside.contains(&line) {
                beside.push(line);
            }
            continue;
        }
        // Of several edits of a message, one after the other, what they come to.
        let edits = if call.method == "editMessageText" { fields["message_id"].clone() } else { Value::Null };
        if !edits.is_null() && lines.last().is_some_and(|(last, _)| *last == edits) {
            lines.pop();
        }
        lines.push((edits, line));
    }
    // A turn that goes on after a decision may show it again or not, by how long that took.
    let is_new = beside.iter().any(|line| line.starts_with("setMessageReaction"));
    beside.retain(|line| is_new || !line.starts_with("sendChatAction"));
    beside.sort();
    beside.into_iter().chain(lines.into_iter().map(|(_, line)| line)).collect()
}

/// Leaves out what is made by chance, the time, and the middle of what is long.
fn plain(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((way, _)) = text.strip_prefix("d:").and_then(|rest| rest.split_once(':')) {
                *text = format!("d:{way}:QUESTION");
            }
            if let Some((before, rest)) = text.clone().split_once("Open until ") {
                let (_, after) = rest.split_once(" UTC").unwrap();
                *text = format!("{before}Open until TIME UTC{after}");
            }
            let units = text.encode_utf16().count();
            if units > WHOLE {
                let chars: Vec<char> = text.chars().collect();
                let (first, last) = (&chars[..FIRST], &chars[chars.len() - LAST..]);
                let (first, last): (String, String) = (first.iter().collect(), last.iter().collect());
                *text = format!("{first} [… {units} units …] {last}");
            }
        }
        Value::Array(all) => all.iter_mut().for_each(plain),
        Value::Object(all) => all.values_mut().for_each(plain),
        _ => {}
    }
}

/// What the model says, by the last words that a person said, and by what tools returned. `rest` lets go the rest of a long
/// answer, `paid` the answer after a decision.
fn script(rest: Gate, paid: Gate) -> impl Fn(&Request) -> Reply + Send + Sync {
    move |request| {
        let (last, results) = (request.last_user(), request.results().concat());
        let call = |words: &str, tool: &str| match request.text().contains("bench_pay") {
            true => Reply::Call(words.to_owned(), vec![(tool.to_owned(), json!({"n": 5}))]),
            false => Reply::call("activate_skill", json!({"skill_name": "bench"})),
        };
        if results.contains("met {") {
            Reply::say("It is **so**: `a < b`, see [the page](https://atoll.example/?a=1&b=2).")
        } else if results.contains("paid {") {
            paid.say("They are *paid*.")
        } else if results.contains("made some") {
            Reply::say("Here.")
        } else if last.contains("look it up") {
            call("I look that up first.", "bench_meet")
        } else if last.contains("pay them") {
            call("", "bench_pay")
        } else if last.contains("the file") {
            call("", "bench_files")
        } else if last.contains("tell me all") {
            let (first, more) = long();
            Reply::Until(first, rest.clone(), more)
        } else if last.contains("this picture") {
            Reply::say("A boat.")
        } else if last.contains("wait") {
            Reply::Hang
        } else {
            Reply::say("**Noted**, yes.")
        }
    }
}

/// A long answer with all that can be formatted, as its first words and the rest.
fn long() -> (String, String) {
    let mut rest = "\n\n- one\n- two, with `code`\n\n1. first\n2. second\n\n> quoted\n\n~~struck~~ *and* **bold** & <b>raw</b>\n\n\
                    | name | size |\n|---|---|\n| a | 1 |\n\n```rust\n"
        .to_owned();
    for line in 0..160 {
        rest.push_str(&format!("let line_{line} = \"{}\";\n", "<&>".repeat(8)));
    }
    rest.push_str("```\n\nThat is **all** 😀.");
    ("# The whole story\n\nIt begins here, and it is rather long.".into(), rest)
}

#[actix_web::test]
async fn every_call_of_a_conversation_of_the_binary() {
    let (rest, paid) = (Gate::new(), Gate::new());
    let model = MockModel::start(script(rest.clone(), paid.clone()));
    let mut stage = Stage { fake: FakeTelegram::start(), seen: 0, taps: 0, text: String::new() };
    let keys = format!("enabled: true, token: '{TOKEN}', api_url: '{}'", stage.fake.url());
    let more =
        format!("channels: {{telegram: {{{keys}}}}}\n{BENCH}agent: {{memory: {{auto_extraction: false}}}}\n");
    let site = Site::new(&with_model(&model, &more)).with_bench();
    let server = site.start();
    stage.fake.name(ANN, "Ann");
    until("the commands are told", async || !stage.fake.commands().is_empty()).await;
    stage.close("the start").await;

    stage.ann(&format!("/link {}", site.say(&["link"])));
    until("the link", async || stage.said().len() == 1).await;
    stage.close("/link with a code of the command line: the first owner").await;

    stage.ann("look it up");
    until("the tool", async || stage.said().last().is_some_and(|shown| shown.text.contains("bench_meet")))
        .await;
    for other in ["here.a", "here.b"] {
        std::fs::write(site.bench().join(other), "").unwrap();
    }
    stage.ends("see the page.").await;
    stage.close("a question, answered as it grows, with a tool that is shown while it runs").await;

    stage.ann("/verbosity quiet");
    until("the answer", async || stage.said().len() == 3).await;
    stage.close("/verbosity quiet: no tools from here on").await;

    stage.ann("pay them");
    until("the question", async || stage.said().last().is_some_and(|shown| !shown.buttons.is_empty())).await;
    stage.close("something that needs a decision").await;
    let question = stage.said().pop().unwrap();
    stage.fake.tap(ANN, ANN, question.id, "Approve");
    stage.taps += 1;
    until("the decision", async || stage.said().last().is_some_and(|shown| shown.buttons.is_empty())).await;
    paid.open();
    stage.ends("They are paid.").await;
    stage.close("a tap on Approve").await;
    stage.fake.forge_tap(ANN, ANN, question.id, &question.buttons[0][1].1);
    stage.taps += 1;
    stage.close("a second tap, from a phone that shows the buttons still").await;

    stage.ann("tell me all");
    stage.ends("it is rather long.").await;
    rest.open();
    stage.ends("That is all 😀.").await;
    stage.close("a long answer with much in it, in parts").await;

    stage.fake.photo(ANN, ANN, b"a picture", "what is in this picture?");
    stage.ends("A boat.").await;
    stage.close("a photo").await;

    stage.ann("give me the file");
    until("the file", async || stage.said().last().is_some_and(|shown| shown.file.is_some())).await;
    stage.close("a file that a tool made").await;

    let asked = model.count();
    stage.ann("wait for me");
    until("it is worked on", async || model.count() > asked).await;
    let before = stage.said().len();
    stage.ann("/cancel");
    until("the end of it", async || stage.said().len() > before).await;
    stage.close("/cancel while it is worked on").await;

    let why = "Bad Request: can't parse entities: Can't find end tag corresponding to start tag \"b\"";
    stage.fake.next("sendMessage", 1, Trouble::Refuse(400, why.into()));
    stage.ann("and in odd words?");
    stage.ends("Noted, yes.").await;
    stage.close("markup that Telegram does not take").await;

    stage.fake.say(GROUP, ANN, ASIDE);
    stage.fake.say(GROUP, ANN, "@AtollBot note it");
    until("an answer", async || stage.fake.said(GROUP).len() == 1).await;
    stage.close("in a group, named by somebody").await;
    server.stop();
    insta::assert_snapshot!(stage.text);
}
