//! A whole conversation on Discord with the real binary, and every call that goes out to Discord in it, as a text to be
//! read: `snapshots`. The model says its words when it is told to, so that all comes in one order. Left out are heartbeats
//! and the sign that the bot writes: they go by the clock.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::kit::{heard, keys, own};
use crate::support::{
    discord::{APPLICATION, FakeDiscord, ME, Shown, Trouble},
    *,
};

/// A picture of one dot.
const DOT: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";

/// What happens, and what of it was written down.
struct Play {
    fake: FakeDiscord,
    model: MockModel,
    site: Site,
    /// Names of numbers, in the order in which they come.
    names: BTreeMap<u64, String>,
    seen: usize,
    text: String,
}

impl Play {
    fn begin() -> Self {
        let (fake, model) = (FakeDiscord::start(), MockModel::instant("nothing"));
        let config = with_model(&model, &format!("{}\n{BENCH}", keys(&fake, &[])));
        let site = Site::new(&config).with_bench();
        let names = [(ME, "bot"), (APPLICATION, "application"), (fake.user("ann"), "ann")];
        let mut names: BTreeMap<u64, String> = names.map(|(id, name)| (id, name.to_owned())).into();
        names.insert(fake.dm_channel("ann"), "dm".into());
        Self { fake, model, site, names, seen: 0, text: String::new() }
    }

    fn dm(&self) -> u64 {
        self.fake.dm_channel("ann")
    }

    /// Waits until the bot's last message in a channel is so.
    async fn shows(&self, channel: u64, what: &str, so: impl Fn(&Shown) -> bool) {
        let last = || self.fake.messages(channel).into_iter().rfind(|shown| shown.own);
        until(what, async || last().is_some_and(|last| so(&last))).await;
    }

    /// Waits until nothing is under way, and writes down what went out since.
    async fn scene(&mut self, title: &str) {
        self.end_scene(title, false).await;
    }

    /// The same for calls that wait for each other in no order.
    async fn scene_in_any_order(&mut self, title: &str) {
        self.end_scene(title, true).await;
    }

    async fn end_scene(&mut self, title: &str, any_order: bool) {
        let site = &self.site;
        until(&format!("the end of: {title}"), async || {
            let waits = "SELECT (SELECT count(*) FROM outbox WHERE state IN ('due', 'claimed'))
                + (SELECT count(*) FROM inbound WHERE state NOT IN ('answered', 'cancelled'))
                + (SELECT count(*) FROM drafts)";
            site.number(waits) == 0
        })
        .await;
        self.write(title, any_order);
    }

    fn write(&mut self, title: &str, any_order: bool) {
        let log = self.fake.log();
        let fresh: Vec<Value> = log[self.seen..].to_vec();
        self.seen = log.len();
        let by_the_clock = |call: &str| call == "gateway heartbeat" || call.ends_with("/typing");
        let mut lines: Vec<String> = Vec::new();
        for entry in fresh {
            let call = entry["call"].as_str().unwrap();
            if !by_the_clock(call) {
                let mut body = entry["body"].clone();
                let call = self.named(call);
                self.tidy(&mut body);
                lines.push(shown(&call, &body));
            }
        }
        if any_order {
            lines.sort();
        }
        self.text.push_str(&format!("# {title}\n\n{}\n", lines.concat()));
    }

    /// The words with names in the place of long numbers.
    fn named(&mut self, words: &str) -> String {
        let (mut out, mut digits) = (String::new(), String::new());
        for c in words.chars().chain(['\n']) {
            if c.is_ascii_digit() {
                digits.push(c);
                continue;
            }
            match digits.parse::<u64>().ok().filter(|_| digits.len() >= 15) {
                Some(number) => {
                    let next =
                        format!("#{}", self.names.values().filter(|name| name.starts_with('#')).count() + 1);
                    out.push_str(&format!("{{{}}}", self.names.entry(number).or_insert(next)));
                }
                None => out.push_str(&digits),
            }
            digits.clear();
            out.push(c);
        }
        out.pop();
        out
    }

    /// Takes out of a body what is another one each time.
    fn tidy(&mut self, value: &mut Value) {
        match value {
            Value::String(words) => *words = self.named(words),
            Value::Array(all) => all.iter_mut().for_each(|one| self.tidy(one)),
            Value::Object(fields) => {
                for (name, field) in fields.iter_mut() {
                    let words = field.as_str().unwrap_or_default().to_owned();
                    match name.as_str() {
                        "nonce" => *field = json!("{nonce}"),
                        "custom_id" => {
                            let kind = words.rsplit_once(':').map_or("", |(kind, _)| kind);
                            *field = json!(format!("{kind}:{{question}}"));
                        }
                        "content" if words.contains("Open until ") => {
                            let (before, after) = words.split_once("Open until ").unwrap();
                            let rest = after.split_once('.').map_or("", |(_, rest)| rest);
                            *field = json!(format!("{before}Open until {{time}}.{rest}"));
                        }
                        _ => self.tidy(field),
                    }
                }
            }
            _ => {}
        }
    }
}

/// A call with its body, which stands below it.
fn shown(call: &str, body: &Value) -> String {
    let body = match body {
        Value::Null => String::new(),
        // The menu: a line for each command.
        Value::Array(all) => all.iter().map(|one| format!("{one}\n")).collect(),
        other => format!("{}\n", serde_json::to_string_pretty(other).unwrap()),
    };
    let body: String = body.lines().map(|line| format!("    {line}\n")).collect();
    format!("{call}\n{body}")
}

/// An answer whose words come when the first gate is opened, and that ends with the second.
fn words(text: &str) -> (Gate, Gate, Reply) {
    let (speak, end) = (Gate::new(), Gate::new());
    let reply = Reply::Stepwise(vec![(speak.clone(), text.to_owned())], Vec::new(), end.clone());
    (speak, end, reply)
}

impl Play {
    /// The model calls a tool, then says this; the words are shown, then final.
    async fn answers(&self, channel: u64, first: Vec<Reply>, text: &str, ask: impl Fn(&FakeDiscord)) {
        let (speak, end, reply) = words(text);
        self.model.becomes(in_turn(first.into_iter().chain([reply]).collect()));
        ask(&self.fake);
        speak.open();
        let begins: String = text.chars().filter(|c| c.is_alphanumeric()).take(20).collect();
        self.shows(channel, "the words", |last| {
            last.content.chars().filter(|c| c.is_alphanumeric()).collect::<String>().starts_with(&begins)
        })
        .await;
        end.open();
    }

    async fn command(&mut self, name: &str, options: &[(&str, &str)]) {
        self.fake.slash(self.dm(), "ann", name, options);
        let words: Vec<&str> = options.iter().map(|(_, value)| *value).collect();
        self.scene(&format!("Ann gives the command /{name} {}", words.join(" "))).await;
    }

    /// An answer that grows, with a tool in its midst.
    async fn streams(&mut self) {
        let dm = self.dm();
        let (speak, call, _) = words("");
        let first = Reply::Stepwise(
            vec![(speak.clone(), "Let me look at that; it takes a moment to find out.".into())],
            vec![("bench_meet".into(), json!({"n": 1}))],
            call.clone(),
        );
        let (go_on, end, second) = words("All three have **met**.");
        self.model.becomes(in_turn(vec![first, second]));
        self.fake.dm("ann", "Do they meet?");
        speak.open();
        self.shows(dm, "the first words", |last| last.content.starts_with("Let me look")).await;
        call.open();
        self.shows(dm, "the tool", |last| last.content.contains("bench_meet")).await;
        for other in ["here.a", "here.b"] {
            std::fs::write(self.site.bench().join(other), "").unwrap();
        }
        self.shows(dm, "the tool is through", |last| !last.content.contains("bench_meet")).await;
        go_on.open();
        self.shows(dm, "more words", |last| last.content.contains("**met**")).await;
        end.open();
        self.scene("Ann asks: the answer grows, with a tool in its midst").await;
    }

    /// A question with buttons.
    async fn asks(&mut self) {
        let (speak, end, reply) = words("It is paid, all five of it, to the last coin.");
        self.model.becomes(in_turn(vec![Reply::call("bench_pay", json!({"n": 5})), reply]));
        self.fake.dm("ann", "Pay them.");
        self.shows(self.dm(), "the question", |last| !last.buttons.is_empty()).await;
        self.write("The bot asks before it pays", false);
        let question = self.fake.messages(self.dm()).into_iter().rfind(|shown| shown.own).unwrap();
        let (_, approve) = question.buttons[0].iter().find(|(label, _)| label == "Approve").unwrap();
        let tap = self.fake.tap(self.dm(), "ann", question.id, approve);
        until("she is told", async || !self.fake.said(tap).is_empty()).await;
        self.shows(self.dm(), "the decision", |last| last.content.contains("Approved by ann")).await;
        self.write("Ann presses the button", true);
        speak.open();
        self.shows(self.dm(), "the words", |last| last.content.starts_with("It is paid")).await;
        end.open();
        self.scene("It is paid").await;
    }

    async fn cancels(&mut self) {
        let (speak, _end, reply) = words("I begin to think about that, and this may take long.");
        self.model.becomes(in_turn(vec![reply]));
        self.fake.dm("ann", "Think about everything.");
        speak.open();
        self.shows(self.dm(), "the words", |last| last.content.starts_with("I begin")).await;
        self.write("Ann asks for something long", false);
        self.fake.slash(self.dm(), "ann", "cancel", &[]);
        self.shows(self.dm(), "the end", |last| last.content == "Cancelled.").await;
        self.scene_in_any_order("Ann gives the command /cancel: what was shown is taken away").await;
    }
}

/// Words with all that is formatted, in more than one part.
fn long() -> String {
    let code: String =
        (1..=60).map(|n| format!("    let value_{n} = compute(\"step {n}\", {n})?;\n")).collect();
    format!(
        "# How it is done\n\nFirst *this*, then **that**, and ~~nothing~~ else:\n\n1. read [the guide](https://example.org/a_b)\n2. \
         run `make test`\n\n> It is not hard.\n\n```rust\nfn all() -> Result<()> {{\n{code}    Ok(())\n}}\n```\n\n| Step | \
         Time |\n|---|---|\n| read | 5 min |\n\nThat is all; a_name_with_underscores stays as it is."
    )
}

#[tokio::test]
async fn every_call_of_a_whole_conversation_is_as_it_was_read() {
    let mut play = Play::begin();
    let server = play.site.start();
    heard(&play.fake).await;
    play.write("The bot begins to listen", true);
    own(&play.site, &play.fake, "ann").await;
    play.scene("Ann shows a code of the command line with /link").await;
    let dm = play.dm();

    play.command("verbosity", &[("how", "quiet")]).await;
    let activate = Reply::call("activate_skill", json!({"skill_name": "bench"}));
    let text = "The bench is open, and all its tools lie ready.";
    play.answers(dm, vec![activate], text, |fake| _ = fake.dm("ann", "Open the bench.")).await;
    play.scene("Ann wants to see no tools; one is used").await;
    play.command("verbosity", &[("how", "normal")]).await;
    play.streams().await;
    play.command("verbosity", &[("how", "quiet")]).await;
    play.asks().await;
    play.answers(dm, Vec::new(), &long(), |fake| _ = fake.dm("ann", "How is it done?")).await;
    play.scene("A long answer in parts").await;

    let text = "That is a picture of a single dot, and nothing else.";
    let sends = |fake: &FakeDiscord| {
        fake.send_file(dm, "ann", "What is this?", ("dot.png", "image/png", DOT), false);
    };
    play.answers(dm, Vec::new(), text, sends).await;
    play.scene("Ann sends a picture").await;
    let text = "Here is the file that I have just made for you.";
    let files = Reply::call("bench_files", json!({}));
    play.answers(dm, vec![files], text, |fake| _ = fake.dm("ann", "Make a file.")).await;
    play.scene("The answer brings a file").await;
    play.cancels().await;

    let text = "**This** is what Discord does `not` take for some reason.";
    let (speak, end, reply) = words(text);
    play.model.becomes(in_turn(vec![reply]));
    play.fake.dm("ann", "Say something odd.");
    speak.open();
    play.shows(dm, "the words", |last| last.content == text).await;
    play.fake.trouble("PATCH", "/messages/", Trouble::Refuse(400, 50_035), 1);
    end.open();
    play.scene("Discord refuses the form of an answer: it goes out as plain words").await;

    let room = play.fake.guild_channel();
    play.names.insert(room, "room".into());
    let text = "Good morning to all of you who read along here.";
    play.answers(room, Vec::new(), text, |fake| _ = fake.mention(room, "ann", "good morning")).await;
    play.scene("Ann mentions the bot in a channel").await;

    assert!(play.fake.log().iter().any(|entry| entry["call"].as_str().unwrap().ends_with("/typing")));
    let refused = play.fake.faults();
    assert!(refused.is_empty(), "{refused:?}");
    assert!(play.model.refused().is_empty(), "{:?}", play.model.refused());
    server.stop();
    insta::assert_snapshot!(play.text);
}
