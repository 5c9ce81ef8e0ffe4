//! Updates as the Bot API sends them, and what is made of them.

use serde_json::{Value, json};

use super::*;
use crate::domain::chat::{Media, RemoteFile};

fn me() -> Me {
    Me { id: 7, name: "AtollBot".into() }
}

fn ann() -> Value {
    json!({"id": 42, "is_bot": false, "first_name": "Ann", "last_name": "Lee", "username": "ann", "language_code": "en"})
}

/// A message of Ann in a chat of this kind, with more fields.
fn from(kind: &str, more: Value) -> Value {
    let chat = if kind == "private" { 42 } else { -1001 };
    let mut message = json!({
        "message_id": 10, "from": ann(), "chat": {"id": chat, "type": kind, "first_name": "Ann"}, "date": 1_700_000_000,
    });
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    message
}

fn heard(update: Value) -> Incoming {
    match read(&update, &me()) {
        Reading::Heard { incoming, .. } => *incoming,
        other => panic!("passed over: {other:?}"),
    }
}

fn private(more: Value) -> Incoming {
    heard(json!({"update_id": 1, "message": from("private", more)}))
}

fn group(more: Value) -> Incoming {
    heard(json!({"update_id": 1, "message": from("supergroup", more)}))
}

fn passed_over(update: Value) -> String {
    match read(&update, &me()) {
        Reading::Nothing(why) => why.into_owned(),
        other => panic!("{other:?}"),
    }
}

fn text(incoming: &Incoming) -> &str {
    match &incoming.event {
        Event::Message { text, .. } | Event::Edited { text, .. } => text,
        other => panic!("{other:?}"),
    }
}

fn addressed(incoming: &Incoming) -> bool {
    match &incoming.event {
        Event::Message { addressed, .. } | Event::Edited { addressed, .. } => *addressed,
        other => panic!("{other:?}"),
    }
}

fn quote(incoming: Incoming) -> Option<Quote> {
    match incoming.event {
        Event::Message { quote, .. } => quote,
        other => panic!("{other:?}"),
    }
}

fn file(incoming: Incoming) -> RemoteFile {
    match incoming.event {
        Event::Message { mut files, .. } => {
            assert_eq!(files.len(), 1, "{files:?}");
            files.remove(0)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_in_a_direct_chat() {
    let incoming = private(json!({"text": " hello "}));
    assert_eq!(incoming.id, "42:10");
    assert_eq!(incoming.place, Place { chat: "42".into(), thread: None });
    assert_eq!(incoming.sender, Sender { id: "42".into(), name: "Ann Lee".into() });
    assert_eq!((incoming.group, incoming.at), (false, 1_700_000_000_000));
    let event = Event::Message {
        message: "10".into(),
        text: "hello".into(),
        files: vec![],
        addressed: true,
        quote: None,
    };
    assert_eq!(incoming.event, event);
}

#[test]
fn in_a_group_it_is_for_the_bot_when_it_is_named_or_replied_to() {
    for (more, is) in [
        (json!({"text": "hello all"}), false),
        (json!({"text": "@atollbot hello"}), true),
        (json!({"text": "/status@AtollBot"}), true),
        (json!({"text": "/status"}), false),
        (
            json!({"text": "yes", "reply_to_message": {"message_id": 3, "from": {"id": 7, "is_bot": true}}}),
            true,
        ),
        (
            json!({"text": "yes", "reply_to_message": {"message_id": 3, "from": {"id": 8}, "text": "hm"}}),
            false,
        ),
        (json!({"caption": "@AtollBot look", "photo": [{"file_id": "p"}]}), true),
        (json!({"text": "@AtollBot"}), true),
    ] {
        let incoming = group(more.clone());
        assert_eq!(addressed(&incoming), is, "{more}");
        assert!(incoming.group && !text(&incoming).to_lowercase().contains("@atollbot"), "{more}");
    }
    assert_eq!(
        passed_over(json!({"message": from("group", json!({"text": "/status@OtherBot"}))})),
        "a command for another bot"
    );
}

#[test]
fn topics_are_threads_and_reply_threads_are_not() {
    let opener =
        json!({"message_id": 5, "from": {"id": 7, "is_bot": true}, "forum_topic_created": {"name": "x"}});
    let topic =
        json!({"text": "x", "message_thread_id": 5, "is_topic_message": true, "reply_to_message": opener});
    let incoming = group(topic);
    assert_eq!(incoming.place, Place { chat: "-1001".into(), thread: Some("5".into()) });
    assert!(!addressed(&incoming), "the message that opened a topic is not replied to");
    let reply = json!({"text": "x", "message_thread_id": 5, "reply_to_message": {"message_id": 5, "from": {"id": 7}}});
    let incoming = group(reply);
    assert_eq!((incoming.place.thread.as_deref(), addressed(&incoming)), (None, true));
}

#[test]
fn what_is_replied_to_comes_along() {
    let reply = |reply: Value| quote(private(json!({"text": "x", "reply_to_message": reply})));
    let bob = json!({"id": 8, "is_bot": false, "first_name": "Bob"});
    let words = |name: &str, text: &str| Some(Quote { name: name.into(), text: text.into() });
    assert_eq!(reply(json!({"message_id": 3, "from": bob, "text": "hm"})), words("Bob", "hm"));
    assert_eq!(reply(json!({"message_id": 3, "from": bob, "caption": "see"})), words("Bob", "see"));
    let photo = json!({"message_id": 3, "from": bob, "photo": [{"file_id": "p"}]});
    assert_eq!(reply(photo), words("Bob", "(a file: photo-3.jpg)"));
    let location = json!({"message_id": 3, "location": {"latitude": 1.5, "longitude": 2.0}});
    assert_eq!(reply(location), words("somebody", "(a location: 1.5, 2)"));
    let own = |at: i64| json!({"message_id": at, "from": {"id": 7, "is_bot": true, "first_name": "Atoll"}, "text": "old"});
    assert_eq!(reply(own(3)), words("Atoll", "old"));
    assert_eq!(reply(own(9)), None, "the last words of the bot are known");
    let long = "é".repeat(2_000);
    let cut = reply(json!({"message_id": 3, "from": bob, "text": long})).unwrap();
    assert_eq!(cut.text.chars().count(), QUOTE + 1);
    let part = json!({"text": "x", "reply_to_message": own(9), "quote": {"text": "ol", "position": 0}});
    assert_eq!(quote(private(part)), words("Atoll", "ol"));
}

#[test]
fn files_of_each_kind() {
    let of = |more: Value| file(private(more));
    let is = |media, name: &str, media_type: &str, size, reference: &str| RemoteFile {
        media,
        name: name.into(),
        media_type: media_type.into(),
        size,
        reference: reference.into(),
    };
    let photo = json!({"photo": [
        {"file_id": "s", "width": 90, "height": 90, "file_size": 1}, {"file_id": "l", "width": 900, "height": 900},
        {"file_id": "m", "width": 300, "height": 300, "file_size": 3},
    ], "caption": "look"});
    assert_eq!(text(&private(photo.clone())), "look");
    assert_eq!(of(photo), is(Media::Photo, "photo-10.jpg", "image/jpeg", None, "l"));
    for (more, expected) in [
        (
            json!({"voice": {"file_id": "v", "mime_type": "audio/ogg", "file_size": 5}}),
            is(Media::Voice, "voice-10.ogg", "audio/ogg", Some(5), "v"),
        ),
        (
            json!({"audio": {"file_id": "a", "mime_type": "audio/mp4", "file_name": "Song.m4a"}}),
            is(Media::Audio, "Song.m4a", "audio/mp4", None, "a"),
        ),
        (json!({"video": {"file_id": "f"}}), is(Media::Video, "video-10.mp4", "video/mp4", None, "f")),
        (
            json!({"video_note": {"file_id": "n"}}),
            is(Media::Video, "video-note-10.mp4", "video/mp4", None, "n"),
        ),
        (
            json!({"animation": {"file_id": "g"}, "document": {"file_id": "g"}}),
            is(Media::Video, "animation-10.mp4", "video/mp4", None, "g"),
        ),
        (
            json!({"document": {"file_id": "d", "mime_type": "Application/PDF", "file_name": " a.pdf "}}),
            is(Media::Document, "a.pdf", "application/pdf", None, "d"),
        ),
        // What a sender's program says may be anything; the file is there nevertheless.
        (
            json!({"document": {"file_id": "d", "mime_type": "odd", "file_name": "", "file_size": "x"}}),
            is(Media::Document, "document-10", "application/octet-stream", None, "d"),
        ),
        (
            json!({"sticker": {"file_id": "k", "is_animated": false, "is_video": false, "emoji": "😀"}}),
            is(Media::Photo, "sticker-10.webp", "image/webp", None, "k"),
        ),
    ] {
        assert_eq!(of(more), expected);
    }
}

#[test]
fn what_is_neither_words_nor_a_file_is_told_in_words() {
    for (more, words) in [
        (json!({"location": {"latitude": 52.5, "longitude": 13.4}}), "(a location: 52.5, 13.4)"),
        (
            json!({"venue": {"location": {"latitude": 1.0, "longitude": 2.0}, "title": "Bar", "address": "Road 1"},
                   "location": {"latitude": 1.0, "longitude": 2.0}}),
            "(a place: Bar, Road 1 (1, 2))",
        ),
        (json!({"contact": {"phone_number": "+49", "first_name": "Bob"}}), "(a contact: Bob, +49)"),
        (
            json!({"poll": {"question": "Tea?", "options": [{"text": "yes"}, {"text": "no"}]}}),
            "(a poll: Tea? [yes | no])",
        ),
        (json!({"checklist": {"title": "Buy", "tasks": [{"text": "milk"}]}}), "(a list: Buy [milk])"),
        (json!({"dice": {"emoji": "🎲", "value": 4}}), "(a throw of 🎲: 4)"),
        (json!({"sticker": {"file_id": "k", "is_animated": true, "emoji": "😀"}}), "(a sticker 😀)"),
        (json!({"story": {}}), "(a story)"),
    ] {
        assert_eq!(text(&private(more)), words);
    }
}

#[test]
fn pieces_of_an_album_say_which() {
    let update =
        json!({"message": from("private", json!({"photo": [{"file_id": "p"}], "media_group_id": "77"}))});
    let Reading::Heard { album, .. } = read(&update, &me()) else { panic!() };
    assert_eq!(album.as_deref(), Some("77"));
}

#[test]
fn an_edit_is_known_by_its_time_and_its_words() {
    let edit = |text: &str| {
        heard(json!({"edited_message": from("private", json!({"text": text, "edit_date": 1_700_000_009}))}))
    };
    let (one, two) = (edit("first"), edit("second"));
    assert!(one.id.starts_with("42:10:1700000009-") && one.id != two.id, "{} {}", one.id, two.id);
    assert_eq!((&one.id, one.at), (&edit("first").id, 1_700_000_009_000));
    assert_eq!(one.event, Event::Edited { message: "10".into(), text: "first".into(), addressed: true });
}

#[test]
fn a_tap_is_of_whoever_taps() {
    let message = json!({"message_id": 99, "chat": {"id": -1001, "type": "supergroup"}, "date": 0,
        "message_thread_id": 5, "is_topic_message": true});
    let tap =
        heard(json!({"callback_query": {"id": "4711", "from": ann(), "message": message, "data": "d:y:1"}}));
    assert_eq!((&*tap.id, tap.group, &*tap.sender.id), ("tap:4711", true, "42"));
    assert_eq!(tap.place.thread.as_deref(), Some("5"));
    assert_eq!(tap.event, Event::Tap { message: "99".into(), data: "d:y:1".into(), token: "4711".into() });
}

#[test]
fn a_group_that_becomes_a_supergroup_says_so_in_both() {
    for (more, from_id, to) in [
        (json!({"migrate_to_chat_id": -1002}), -1001, -1002),
        (json!({"migrate_from_chat_id": -5}), -5, -1001),
    ] {
        let update = json!({"update_id": 1, "message": from("supergroup", more)});
        assert_eq!(read(&update, &me()), Reading::Moved { from: from_id, to });
    }
}

#[test]
fn what_is_nothing_for_anybody_is_passed_over_with_its_reason() {
    let message = |more: Value| json!({"update_id": 1, "message": from("supergroup", more)});
    for (update, why) in [
        (message(json!({"new_chat_members": [ann()]})), "a message about the chat itself"),
        (message(json!({"forum_topic_created": {"name": "x"}})), "a message about the chat itself"),
        (message(json!({"text": "x", "from": {"id": 9, "is_bot": true}})), "a message of a bot"),
        (message(json!({"text": "x", "sender_chat": {"id": -9}})), "a message of a chat, not of a person"),
        (message(json!({"text": "x", "from": null})), "a message of nobody"),
        (json!({"message": from("channel", json!({"text": "x"}))}), "a message of a channel"),
        (json!({"message": {"text": "x"}}), "a message without chat or id"),
        (
            json!({"channel_post": from("channel", json!({"text": "x"}))}),
            "an update of a kind that is not read",
        ),
        (json!({"update_id": 1, "something_new": {}}), "an update of a kind that is not read"),
        (
            json!({"message_reaction": {"message_id": 10, "user": ann(), "new_reaction": [{"type": "emoji", "emoji": "👍"}]}}),
            "an update of a kind that is not read",
        ),
        (
            json!({"edited_message": from("private", json!({"photo": [{"file_id": "p"}]}))}),
            "an edit without words",
        ),
        (json!({"callback_query": {"id": "1", "from": ann(), "data": "x"}}), "a tap without message or data"),
        (
            json!({"my_chat_member": {"new_chat_member": {"status": "kicked"}}}),
            "the bot is now kicked of a chat",
        ),
        (json!(null), "an update of a kind that is not read"),
        (json!([1]), "an update of a kind that is not read"),
    ] {
        assert_eq!(passed_over(update.clone()), why, "{update}");
    }
}

#[test]
fn odd_fields_cost_themselves_and_not_the_message() {
    let odd = private(json!({
        "text": "still here", "entities": [{"type": "date_time", "offset": -3}, 7], "reply_to_message": "x",
        "date": "never", "media_group_id": 5, "photo": {"a": 1}, "is_topic_message": "yes", "message_thread_id": 3,
    }));
    assert_eq!((text(&odd), odd.at, odd.place.thread.as_deref()), ("still here", 0, None));
}
