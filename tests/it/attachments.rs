//! Files that come with a message: kept, sent in the shape of each protocol where the switch is on, named else.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::*;

/// A configuration in which these switches of the one provider are on.
fn switched(model: &MockModel, anthropic: bool, switches: &str) -> String {
    let (provider, base) =
        if anthropic { ("anthropic", model.anthropic()) } else { ("openai-compatible", model.openai()) };
    format!("llm: {{provider: {provider}, base_url: '{base}', model: mock, api_key: k{switches}}}")
}

fn house(config: &str) -> (Site, Server, User) {
    let site = Site::new(config);
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "owner"));
    (site, server, user)
}

fn file(name: &str, media_type: &str, bytes: &[u8]) -> Value {
    json!({"filename": name, "mediaType": media_type, "data": STANDARD.encode(bytes)})
}

/// The parts of the newest message of the user's own.
fn parts(request: &Request) -> Vec<Value> {
    let messages = request.body["messages"].as_array().unwrap();
    let user = messages.iter().rev().find(|message| message["role"] == "user").unwrap();
    user["content"].as_array().cloned().unwrap_or_default()
}

/// Asks with a file, and gives the parts that the model got.
async fn sent(anthropic: bool, switches: &str, file: Value) -> Vec<Value> {
    let model = MockModel::start(|_| Reply::say("seen"));
    let (_site, _server, user) = house(&switched(&model, anthropic, switches));
    let body = json!({"message": "look at this", "attachments": [file]});
    assert_eq!(user.ask_as(body).await, "seen");
    assert!(model.refused().is_empty(), "{:?}", model.refused());
    parts(&model.requests()[0])
}

#[tokio::test]
async fn each_kind_of_file_is_sent_when_its_switch_is_on_and_named_when_it_is_off() {
    let data = STANDARD.encode(b"bytes");
    let url = |kind: &str| format!("data:{kind};base64,{data}");
    let image = json!({"type": "image_url", "image_url": {"url": url("image/png")}});
    let audio = json!({"type": "input_audio", "input_audio": {"data": data, "format": "mp3"}});
    let video = json!({"type": "video_url", "video_url": {"url": url("video/mp4")}});
    let pdf = json!({"type": "file", "file": {"filename": "a.pdf", "file_data": url("application/pdf")}});
    let source = |kind: &str| json!({"type": "base64", "media_type": kind, "data": data});
    let own_image = json!({"type": "image", "source": source("image/png")});
    let own_pdf = json!({"type": "document", "title": "a.pdf", "source": source("application/pdf")});
    for (anthropic, switch, name, kind, expected) in [
        (false, "photo_enabled", "a.png", "image/png", Some(&image)),
        (false, "audio_enabled", "a.mp3", "audio/mpeg", Some(&audio)),
        (false, "video_enabled", "a.mp4", "video/mp4", Some(&video)),
        (false, "document_enabled", "a.pdf", "application/pdf", Some(&pdf)),
        (true, "photo_enabled", "a.png", "image/png", Some(&own_image)),
        (true, "document_enabled", "a.pdf", "application/pdf", Some(&own_pdf)),
        // The protocol has no place for these.
        (true, "audio_enabled", "a.mp3", "audio/mpeg", None),
        (true, "video_enabled", "a.mp4", "video/mp4", None),
    ] {
        let on = sent(anthropic, &format!(", {switch}: true"), file(name, kind, b"bytes")).await;
        match expected {
            Some(expected) => assert!(on.contains(expected), "{switch}: {on:#?}"),
            None => assert!(!json!(on).to_string().contains(&data), "{switch}: {on:#?}"),
        }
        for switches in [String::new(), format!(", {switch}: false")] {
            let off = json!(sent(anthropic, &switches, file(name, kind, b"bytes")).await).to_string();
            assert!(!off.contains(&data), "{switch} is off: {off}");
            assert!(off.contains(name) && off.contains("this model does not take it"), "{switch}: {off}");
        }
    }
}

#[tokio::test]
async fn a_text_is_sent_as_the_words_that_it_is() {
    for anthropic in [false, true] {
        for (name, kind) in [("notes.md", "text/markdown"), ("data.json", "APPLICATION/JSON")] {
            let text = "{\"grüße\": \"an alle\"}";
            let got = sent(anthropic, ", document_enabled: true", file(name, kind, text.as_bytes())).await;
            let found = got.iter().any(|part| {
                part["type"] == "text"
                    && part["text"].as_str().is_some_and(|t| t.contains(text) && t.contains(name))
            });
            assert!(found, "{got:#?}");
        }
    }
}

#[tokio::test]
async fn a_format_that_no_model_takes_is_named_and_does_not_spoil_the_conversation() {
    for anthropic in [false, true] {
        let model = MockModel::start(|_| Reply::say("seen"));
        let switches = ", photo_enabled: true, audio_enabled: true, document_enabled: true";
        let (_site, _server, user) = house(&switched(&model, anthropic, switches));
        for (name, kind) in [
            ("a.svg", "image/svg+xml"),
            ("a.tiff", "image/tiff"),
            ("a.ogg", "audio/ogg"),
            ("a.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            ("bad.txt", "text/plain"),
        ] {
            let body = json!({"message": "look", "attachments": [file(name, kind, &[0xff, 0xfe, 0x00])]});
            assert_eq!(user.ask_as(body).await, "seen", "{name}");
            let got = json!(parts(model.requests().last().unwrap())).to_string();
            assert!(got.contains(name), "{got}");
        }
        assert_eq!(user.ask("and on").await, "seen");
        assert!(model.refused().is_empty(), "{:?}", model.refused());
    }
}

#[tokio::test]
async fn a_file_goes_to_the_provider_that_takes_it() {
    let (blind, seeing) =
        (MockModel::start(|_| Reply::say("blind")), MockModel::start(|_| Reply::say("seeing")));
    let entry = |name: &str, model: &MockModel, own: &str| {
        format!(
            "{{provider: openai-compatible, name: {name}, base_url: '{}', model: m{own}}}",
            model.openai()
        )
    };
    let config =
        format!("llm: [{}, {}]", entry("a", &blind, ""), entry("b", &seeing, ", photo_enabled: true"));
    let (_site, _server, user) = house(&config);
    for _ in 0..3 {
        let body = json!({"message": "look", "conversationId": "pictures",
                          "attachments": [file("a.png", "image/png", b"x")]});
        assert_eq!(user.ask_as(body).await, "seeing");
    }
    assert_eq!(blind.count(), 0);
    assert_eq!(user.ask("just words").await, "blind");
}

#[tokio::test]
async fn tools_are_offered_only_when_their_switch_is_on() {
    for anthropic in [false, true] {
        for (switch, offered) in
            [("", true), (", tool_enabled: true", true), (", tool_enabled: false", false)]
        {
            let model = MockModel::start(|_| Reply::say("ok"));
            let (_site, _server, user) = house(&switched(&model, anthropic, switch));
            user.ask("hello").await;
            let tools = &model.requests()[0].body["tools"];
            assert_eq!(tools.as_array().is_some_and(|tools| !tools.is_empty()), offered, "{switch}: {tools}");
        }
    }
}

#[tokio::test]
async fn a_file_is_kept_for_its_user_and_comes_again_with_the_history() {
    let model = MockModel::start(|_| Reply::say("seen"));
    let (site, server, user) = house(&switched(&model, false, ", photo_enabled: true"));
    let picture = file("../../../etc/cat.png", "image/png", b"a cat");
    let body = json!({"message": "look", "attachments": [picture]});
    user.ask_as(body).await;
    user.ask("what was it?").await;
    assert!(model.requests()[1].text().contains(&STANDARD.encode(b"a cat")));
    let (id, name, size): (String, String, i64) = site
        .store()
        .query_row("SELECT id, name, size FROM files", [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap();
    assert_eq!((name.as_str(), size), ("cat.png", 5));
    let path = format!("/api/files/{id}");
    let got = user.request(reqwest::Method::GET, &path).send().await.unwrap();
    assert_eq!(got.headers()["content-type"], "image/png");
    assert!(got.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
    assert_eq!(got.bytes().await.unwrap().as_ref(), b"a cat");
    let other = User::new(&server.base, &site.key("ann", "developer"));
    assert_eq!(other.get(&path).await.0, 404, "another's file is as good as none");
}

#[tokio::test]
async fn the_same_message_with_its_file_sent_again_is_the_same_message() {
    let model = MockModel::start(|_| Reply::say("seen"));
    let (_site, _server, user) = house(&switched(&model, false, ", photo_enabled: true"));
    let body = json!({"message": "look", "attachments": [file("a.png", "image/png", b"x")]});
    for _ in 0..2 {
        let stream = user.open_keyed("k", body.clone()).await;
        assert_eq!(stream.status, 201);
        assert_eq!(answer_of(&stream.rest().await).unwrap(), "seen");
    }
    assert_eq!(model.count(), 1);
}

#[tokio::test]
async fn files_that_cannot_be_taken_are_refused_and_no_turn_begins() {
    let model = MockModel::start(|_| Reply::say("seen"));
    let (site, _server, user) = house(&switched(&model, false, ", photo_enabled: true"));
    let many = vec![file("a.png", "image/png", b"x"); 11];
    for (attachments, word) in [
        (json!([{"filename": "a.png", "mediaType": "image/png", "data": "***"}]), "base64"),
        (json!([file("a.png", "picture", b"x")]), "mediaType"),
        (json!([file("a.png", "image/png\r\nx: y", b"x")]), "mediaType"),
        (json!([{"path": "/etc/passwd"}]), "fit"),
        (json!(many), "at most 10"),
    ] {
        let (status, body) =
            user.post("/api/chat", json!({"message": "look", "attachments": attachments})).await;
        assert_eq!(status, 400, "{body}");
        assert!(body["error"]["message"].as_str().unwrap().contains(word), "{body}");
    }
    assert_eq!(model.count(), 0);
    let rows: i64 = site.store().query_row("SELECT count(*) FROM inbound", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 0);
    let alone = json!({"message": "", "attachments": [file("a.png", "image/png", b"x")]});
    assert_eq!(user.ask_as(alone).await, "seen", "a picture says enough");
}
