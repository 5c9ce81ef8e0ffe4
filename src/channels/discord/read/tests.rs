//! Events as Discord sends them, and what is read of them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::menu::MENU;

const ME: u64 = 900;

fn known() -> Known {
    let mut known = Known::new(ME);
    known.add_role(77);
    known.add_thread(55);
    known
}

fn message(more: Value) -> Value {
    let mut message = json!({
        "id": "1101", "channel_id": "42", "guild_id": "7", "type": 0, "content": "hello", "tts": false,
        "author": {"id": "5", "username": "ann", "global_name": "Ann", "discriminator": "0", "avatar": null},
        "timestamp": "2024-05-01T10:00:00.000000+00:00", "edited_timestamp": null, "mention_everyone": false,
        "mentions": [], "mention_roles": [], "attachments": [], "embeds": [], "pinned": false, "flags": 0
    });
    let fields = message.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    fields.retain(|_, value| *value != json!("(none)"));
    message
}

fn news(name: &str, data: &Value) -> News {
    read(name, &data.to_string(), &known(), MENU).unwrap()
}

fn told(more: Value) -> Option<Incoming> {
    match news("MESSAGE_CREATE", &message(more)) {
        News::Message(arrived) => arrived.incoming,
        other => panic!("{other:?}"),
    }
}

/// Words, whether they are for the bot, and the quote.
fn said(more: Value) -> (String, bool, Option<Quote>) {
    match told(more).unwrap().event {
        Event::Message { text, addressed, quote, .. } => (text, addressed, quote),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_says_who_where_and_when() {
    let id = ((1_700_000_000_000u64 - FIRST as u64) << 22) + 5;
    let incoming = told(json!({"id": id.to_string(), "member": {"nick": "Annie"}})).unwrap();
    assert_eq!(incoming.id, format!("m{id}"));
    assert_eq!(incoming.place.name(), "42");
    assert_eq!((incoming.sender.id.as_str(), incoming.sender.name.as_str()), ("5", "Annie"));
    assert_eq!((incoming.group, incoming.at), (true, 1_700_000_000_000));
    assert!(!told(json!({"guild_id": "(none)"})).unwrap().group);
}

#[test]
fn it_is_for_the_bot_when_it_mentions_it_replies_to_it_or_nobody_else_is_there() {
    let bob = json!({"id": "6", "username": "bob"});
    let me = json!({"id": "900", "username": "atoll", "bot": true});
    let reply = |author: &Value| json!({"type": 19, "referenced_message": {"id": "1000", "author": author, "content": "what I said"}});
    let cases = [
        (json!({}), "hello", false),
        (json!({"guild_id": "(none)"}), "hello", true),
        (json!({"channel_id": "55"}), "hello", true),
        (json!({"content": "<@900> /status", "mentions": [me]}), "/status", true),
        (json!({"content": "hey <@!900> do it", "mentions": [me]}), "hey do it", true),
        (json!({"content": "hey <@&77>, do it", "mention_roles": ["77"]}), "hey , do it", true),
        (json!({"content": "hey <@&78> do it", "mention_roles": ["78"]}), "hey <@&78> do it", false),
        (
            json!({"content": "ask <@6> or <@8> <@x> 1<@2", "mentions": [bob]}),
            "ask @bob or <@8> <@x> 1<@2",
            false,
        ),
        (json!({"content": "everybody", "mention_everyone": true}), "everybody", false),
        (reply(&me), "hello", true),
        (reply(&bob), "hello", false),
    ];
    for (more, text, addressed) in cases {
        let (words, is_for_bot, _) = said(more.clone());
        assert_eq!((words.as_str(), is_for_bot), (text, addressed), "{more}");
    }
}

#[test]
fn what_is_replied_to_is_quoted_unless_it_is_the_bots_last() {
    let me = json!({"id": "900", "username": "atoll"});
    let reply =
        json!({"type": 19, "referenced_message": {"id": "1000", "author": me, "content": "é".repeat(900)}});
    let (_, _, quote) = said(reply.clone());
    assert_eq!(quote.unwrap().text, "é".repeat(QUOTE));
    let mut known = known();
    known.said(42, 1_000);
    let news = read("MESSAGE_CREATE", &message(reply).to_string(), &known, MENU).unwrap();
    let News::Message(arrived) = news else { panic!("{news:?}") };
    assert!(matches!(arrived.incoming.unwrap().event, Event::Message { quote: None, addressed: true, .. }));
}

#[test]
fn bots_webhooks_and_what_discord_says_itself_are_nothing_for_us() {
    for more in [
        json!({"author": {"id": "900", "username": "atoll", "bot": true}}),
        json!({"author": {"id": "31", "username": "other", "bot": true}}),
        json!({"webhook_id": "12"}),
        json!({"type": 7}),
        json!({"type": 21}),
        json!({"content": "", "sticker_items": [{"id": "1"}]}),
    ] {
        assert_eq!(told(more.clone()), None, "{more}");
    }
    let own = message(json!({"author": {"id": "900", "username": "atoll", "bot": true}}));
    assert!(matches!(news("MESSAGE_CREATE", &own), News::Message(arrived) if arrived.own));
    // The mention alone calls the bot.
    let me = json!([{"id": "900", "username": "atoll"}]);
    assert_eq!(said(json!({"content": "<@900>", "mentions": me})), (String::new(), true, None));
}

#[test]
fn files_have_their_kind() {
    let file = |name: &str, kind: Value| json!({"id": "3", "filename": name, "content_type": kind, "size": 9, "url": "https://cdn/x", "proxy_url": "y"});
    let files = |more: Value| match told(more).unwrap().event {
        Event::Message { files, .. } => files,
        other => panic!("{other:?}"),
    };
    let all = files(json!({"content": "", "attachments": [
        file("a.png", json!("IMAGE/png")), file("b.mp4", json!("video/mp4")), file("c.txt", json!("text/plain; charset=utf-8")),
        file("", Value::Null), file("d.mp3", json!("audio/mpeg")), {"filename": "without an address"}
    ]}));
    let kinds: Vec<_> =
        all.iter().map(|file| (file.media, file.media_type.as_str(), file.name.as_str())).collect();
    assert_eq!(
        kinds,
        [
            (Media::Photo, "image/png", "a.png"),
            (Media::Video, "video/mp4", "b.mp4"),
            (Media::Document, "text/plain", "c.txt"),
            (Media::Document, "application/octet-stream", "file"),
            (Media::Audio, "audio/mpeg", "d.mp3"),
        ]
    );
    let voice = json!({"flags": 1 << 13, "content": "", "attachments": [file("v.ogg", json!("audio/ogg"))]});
    assert_eq!(files(voice)[0].media, Media::Voice);
    let forwarded = json!({"content": "", "message_reference": {"type": 1}, "message_snapshots": [
        {"message": {"content": "from elsewhere", "attachments": [file("e.pdf", json!("application/pdf"))]}}
    ]});
    assert_eq!(said(forwarded.clone()).0, "from elsewhere");
    assert_eq!(files(forwarded)[0].name, "e.pdf");
}

#[test]
fn a_correction_is_told_and_the_preview_of_a_link_is_not() {
    let stamp = "2024-05-01T10:00:01.5+00:00";
    let News::Edited { channel: 42, incoming } =
        news("MESSAGE_UPDATE", &message(json!({"edited_timestamp": stamp, "content": "hello, all"})))
    else {
        panic!("nothing was read")
    };
    assert_eq!(incoming.id, "e1101-1714557601500");
    let wanted = Event::Edited { message: "1101".into(), text: "hello, all".into(), addressed: false };
    assert_eq!(incoming.event, wanted);
    for more in [
        json!({}),
        json!({"edited_timestamp": stamp, "content": "(none)"}),
        json!({"author": "(none)", "edited_timestamp": stamp}),
    ] {
        assert_eq!(news("MESSAGE_UPDATE", &message(more)), News::Nothing);
    }
}

fn interaction(kind: u8, data: Value) -> Asked {
    let event = json!({
        "id": "2202", "application_id": "901", "type": kind, "token": "secret-token", "channel_id": "42", "guild_id": "7",
        "member": {"nick": null, "user": {"id": "5", "username": "ann"}}, "message": {"id": "1101"}, "data": data, "version": 1
    });
    match news("INTERACTION_CREATE", &event) {
        News::Asked(asked) => *asked,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_command_is_the_line_that_would_be_typed() {
    let asked = interaction(
        2,
        json!({"id": "1", "name": "task", "type": 1, "options": [
        {"name": "file", "type": 11, "value": "31"}, {"name": "instruction", "type": 3, "value": " mend the test "},
        {"name": "project", "type": 3, "value": "app"}
    ], "resolved": {"attachments": {"31": {"id": "31", "filename": "log.txt", "size": 3, "url": "https://cdn/l"}}}}),
    );
    assert_eq!((asked.id, asked.channel, asked.token.reveal()), (2202, 42, "secret-token"));
    assert!(!format!("{asked:?}").contains("secret-token"));
    let What::Command(incoming) = asked.what else { panic!("no command") };
    assert_eq!((incoming.id.as_str(), incoming.sender.name.as_str()), ("i2202", "ann"));
    let Event::Command { line, files, token } = incoming.event else { panic!("no command") };
    assert_eq!((line.as_str(), files[0].name.as_str()), ("/task app mend the test", "log.txt"));
    assert_eq!(token.as_deref(), Some("2202"));
}

#[test]
fn taps_and_what_is_being_typed_are_read() {
    let tap = interaction(3, json!({"custom_id": "d:y:1", "component_type": 2}));
    let What::Tap(Incoming { event, .. }) = tap.what else { panic!("no tap") };
    assert_eq!(event, Event::Tap { message: "1101".into(), data: "d:y:1".into(), token: "2202".into() });
    let typing = interaction(
        4,
        json!({"id": "1", "name": "task", "type": 1, "options": [
            {"name": "project", "type": 3, "value": "ap", "focused": true}
        ]}),
    );
    let What::Typing(Typing { command, option, typed, .. }) = typing.what else { panic!("nothing is typed") };
    assert_eq!((command.as_str(), option.as_str(), typed.as_str()), ("task", "project", "ap"));
}

#[test]
fn alone_with_the_bot_is_only_what_discord_says_is() {
    let cases = [
        (json!({"guild_id": "7", "context": 0}), true),
        (json!({"guild_id": "7"}), true),
        (json!({"guild_id": "7", "context": 1}), true),
        (json!({"context": 1}), false),
        (json!({}), false),
        (json!({"context": null}), false),
        (json!({"context": 2}), true),
        (json!({"context": 0}), true),
        (json!({"context": "1"}), true),
    ];
    for (where_, group) in cases {
        for (kind, data) in [
            (2, json!({"name": "cost"})),
            (3, json!({"custom_id": "d:y:1"})),
            (4, json!({"name": "task", "options": [{"name": "project", "value": "a", "focused": true}]})),
        ] {
            let mut event = json!({"id": "2202", "application_id": "901", "type": kind, "token": "t",
                "channel_id": "42", "user": {"id": "5", "username": "ann"}, "message": {"id": "1101"}, "data": data});
            event.as_object_mut().unwrap().extend(where_.as_object().unwrap().clone());
            let News::Asked(asked) = news("INTERACTION_CREATE", &event) else { panic!("{event}") };
            let is_group = match asked.what {
                What::Command(incoming) | What::Tap(incoming) => incoming.group,
                What::Typing(typing) => typing.group,
            };
            assert_eq!(is_group, group, "{event}");
        }
    }
}

#[test]
fn the_bot_learns_its_own_roles_and_threads() {
    let guild = json!({"id": "7", "roles": [{"id": "70", "tags": {"bot_id": "900"}}, {"id": "71", "tags": null}],
        "threads": [{"id": "56", "owner_id": "900"}, {"id": "57", "owner_id": "5"}]});
    assert_eq!(news("GUILD_CREATE", &guild), News::Facts(vec![Fact::Role(70), Fact::Thread(56)]));
    assert_eq!(
        news("THREAD_CREATE", &json!({"id": "58", "owner_id": "900"})),
        News::Facts(vec![Fact::Thread(58)])
    );
    assert_eq!(news("THREAD_DELETE", &json!({"id": "58"})), News::Facts(vec![Fact::Gone(58)]));
    assert_eq!(news("TYPING_START", &json!({"channel_id": "1"})), News::Nothing);
}

#[test]
fn odd_decoration_costs_no_message_and_a_broken_one_is_not_repeated_in_the_error() {
    let odd = json!({"mentions": [3, {"id": "900", "username": "atoll"}], "attachments": {"a": 1}, "flags": "x",
        "member": 4, "referenced_message": {"id": 0}, "message_snapshots": [{}], "mention_roles": null});
    assert_eq!(said(odd), ("hello".into(), true, None));
    for bad in ["", "{}", "[]", r#"{"id":"0","channel_id":"1"}"#, r#"{"id":"x","channel_id":"secret words"}"#]
    {
        let error = read("MESSAGE_CREATE", bad, &known(), MENU).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn what_is_fetched_comes_oldest_first() {
    let list =
        json!([message(json!({"id": "9", "guild_id": "(none)"})), {"id": 1}, message(json!({"id": "8"}))]);
    let (all, count) = fetched(&list.to_string(), true, &known()).unwrap();
    assert_eq!(count, 3);
    assert_eq!(all.iter().map(|arrived| arrived.message).collect::<Vec<_>>(), [8, 9]);
    assert!(all.iter().all(|arrived| arrived.group));
}

proptest! {
    #[test]
    fn words_without_mentions_of_the_bot_come_through(text in "[a-z<@>!& 0-9]{0,40}") {
        let spaced = said(json!({"content": format!("x{text}x"), "guild_id": "(none)"})).0;
        let expected = format!("x{text}x");
        if !["<@900>", "<@!900>", "<@&77>"].iter().any(|mention| expected.contains(mention)) {
            prop_assert_eq!(spaced, expected);
        }
    }
}
