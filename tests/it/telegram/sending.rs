//! What goes out: messages with all that belongs to them, corrections, removals.

use atoll::domain::chat::{Button, Content, Failure, Place, Post, Tone};
use atoll::ports::platform::Platform;
use serde_json::json;

use super::kit::{Rig, place, post, words};

fn button(label: &str, data: &str) -> Button {
    Button { label: label.into(), data: data.into(), tone: Tone::Plain }
}

#[tokio::test]
async fn a_message_has_all_that_belongs_to_it() {
    let rig = Rig::new();
    let asked = rig.fake.say_in_topic(-100, 77, 42, "may I?");
    let buttons =
        vec![vec![button("Yes", "d:y:1"), button("No", "d:n:1")], vec![button("For the job", "d:j:1")]];
    let content = Content { buttons, ..words("May <b>it</b> &amp; <code>that</code>?") };
    let post = Post {
        place: Place { chat: "-100".into(), thread: Some("77".into()) },
        content,
        key: "k".into(),
        answers: None,
        reply_to: Some(asked.to_string()),
        silent: true,
        draft: false,
    };
    let id = rig.telegram.post(post).await.unwrap();
    let shown = rig.fake.said(-100).remove(0);
    assert_eq!((shown.id.to_string(), &*shown.text), (id, "May it & that?"));
    assert_eq!((shown.reply_to, shown.thread, shown.silent), (Some(asked), Some(77), true));
    let rows: Vec<Vec<&str>> =
        shown.buttons.iter().map(|row| row.iter().map(|(label, _)| &**label).collect()).collect();
    assert_eq!(rows, [vec!["Yes", "No"], vec!["For the job"]]);
    let call = rig.fake.calls_of("sendMessage").remove(0).fields;
    assert_eq!(call["parse_mode"], "HTML");
    assert_eq!(call["link_preview_options"], json!({"is_disabled": true}));
    assert_eq!(call["reply_parameters"], json!({"message_id": asked, "allow_sending_without_reply": true}));
}

#[tokio::test]
async fn words_without_markup_go_out_as_they_are() {
    let rig = Rig::new();
    rig.fake.open(42);
    let content = Content { plain: "a < b & <b>".into(), ..Content::default() };
    rig.telegram.post(post(42, content)).await.unwrap();
    assert_eq!(rig.fake.said(42)[0].text, "a < b & <b>");
    assert_eq!(rig.fake.calls_of("sendMessage")[0].fields.get("parse_mode"), None);
}

#[tokio::test]
async fn a_reply_to_a_message_that_is_gone_arrives_without_it() {
    let rig = Rig::new();
    rig.fake.open(42);
    let post = Post { reply_to: Some("999".into()), ..post(42, words("hello")) };
    rig.telegram.post(post).await.unwrap();
    assert_eq!(rig.fake.said(42)[0].reply_to, None);
}

#[tokio::test]
async fn a_message_grows_gets_buttons_and_loses_them_and_is_removed() {
    let rig = Rig::new();
    rig.fake.open(42);
    let id = rig.say(42, "<i>one</i>").await;
    let edit = async |content: Content| rig.telegram.edit(&place(42), &id, content).await;
    edit(words("<i>one</i> two")).await.unwrap();
    assert_eq!(edit(words("<i>one</i> two")).await, Err(Failure::Unchanged));
    let asked = Content { buttons: vec![vec![button("Yes", "y")]], ..words("<i>one</i> two") };
    edit(asked).await.unwrap();
    assert_eq!(rig.fake.said(42)[0].buttons.len(), 1);
    edit(words("<i>one</i> two")).await.unwrap();
    let shown = rig.fake.said(42).remove(0);
    assert_eq!((&*shown.text, shown.buttons.len(), shown.edits), ("one two", 0, 3));
    let only = Content { buttons: vec![vec![button("Again", "a")]], ..Content::default() };
    edit(only).await.unwrap();
    assert_eq!((rig.fake.said(42)[0].buttons.len(), &*rig.fake.said(42)[0].text), (1, "one two"));

    rig.telegram.remove(&place(42), &id).await.unwrap();
    assert!(rig.fake.said(42).is_empty());
    assert!(matches!(rig.telegram.remove(&place(42), &id).await, Err(Failure::NoMessage(_))));
    assert!(matches!(edit(words("x")).await, Err(Failure::NoMessage(_))));
}

#[tokio::test]
async fn it_shows_that_somebody_writes() {
    let rig = Rig::new();
    rig.fake.say_in_topic(-100, 77, 42, "x");
    let there = Place { chat: "-100".into(), thread: Some("77".into()) };
    rig.telegram.typing(&there).await.unwrap();
    assert_eq!(rig.fake.typed(-100), 1);
    let gone = Place { chat: "-100".into(), thread: Some("5".into()) };
    assert!(matches!(rig.telegram.typing(&gone).await, Err(Failure::NoChat(_))));
    assert_eq!(rig.telegram.thread(&there, "1", "a title").await, Ok(there.clone()));
}

#[tokio::test]
async fn commands_are_told_to_the_platform() {
    let rig = Rig::new();
    let long = "é".repeat(400);
    let commands = [("help".to_owned(), "What I can do".to_owned()), ("status".to_owned(), long)];
    rig.telegram.register(&commands).await.unwrap();
    let known = rig.fake.commands();
    assert_eq!((known.len(), &*known[0].0, known[1].1.chars().count()), (2, "help", 256));
    let bad = [("Help".to_owned(), "x".to_owned())];
    assert!(matches!(rig.telegram.register(&bad).await, Err(Failure::Refused(_))));
}

#[tokio::test]
async fn what_telegram_refuses_is_refused_for_its_reason() {
    let rig = Rig::new();
    rig.fake.open(42);
    let send = async |content: Content| rig.telegram.post(post(42, content)).await.unwrap_err();
    for bad in ["<b>open", "a & b", "<script>x</script>", "a < b"] {
        assert!(matches!(send(words(bad)).await, Failure::Markup(_)), "{bad}");
    }
    let refused = [
        words(""),
        words(" \n "),
        words("<b></b>"),
        words(&"é".repeat(4_097)),
        words(&"😀".repeat(2_049)),
        Content { buttons: vec![vec![button("x", &"d".repeat(65))]], ..words("x") },
        Content { buttons: vec![vec![button("", "d")]], ..words("x") },
    ];
    for content in refused {
        let failure = send(content.clone()).await;
        assert!(matches!(failure, Failure::Refused(_)), "{failure} for {content:?}");
    }
    rig.say(42, &"😀".repeat(2_048)).await;
    let nowhere = rig.telegram.post(post(43, words("x"))).await.unwrap_err();
    assert_eq!(nowhere, Failure::NoChat("Bad Request: chat not found".into()));
    let odd = Place { chat: "@news".into(), thread: None };
    assert!(matches!(rig.telegram.typing(&odd).await, Err(Failure::Refused(_))));
    let theirs = rig.fake.say(42, 42, "mine").to_string();
    let failure = rig.telegram.edit(&place(42), &theirs, words("yours")).await.unwrap_err();
    assert!(matches!(failure, Failure::NoMessage(_)), "{failure}");
}
