//! What must hold whatever comes in: shared by the fuzz targets and the test that runs their corpora.
#![allow(dead_code, reason = "each fuzz target uses one of them")]

#[path = "../src/domain/markup/strict.rs"]
mod strict;

use atoll::{
    channels::{
        discord::{
            known::Known,
            read::{News, What, read},
        },
        telegram::read::{self as telegram, Me, Reading},
    },
    config,
    domain::{
        chat::{Event, Incoming, TELEGRAM},
        engine::{EngineEvent, TEXT},
        gateway::body::{Endpoint, screen},
        ids::UserId,
        markup::{Flavor, parts, preview, verbatim},
        menu::MENU,
        split::split,
    },
    engines::{
        claude_code::ClaudeDialog,
        codex::{CodexDialog, Opening},
        dialog::{Dialog, Heard, hear},
        lines::Lines,
    },
    llm::decode::{AnthropicDecoder, Decoder, OpenAiDecoder, decode_bytes},
    net::sse::{SseEvent, SseParser, encode},
    ports::engine::{Approvals, Session},
    sandbox::{
        gateway::head,
        mux::{
            frame::{self, Decoder as FrameDecoder, MOST_STREAMS, TerminalSpec},
            state::State,
        },
    },
};

/// A value of the environment that no message may repeat.
const CANARY: &str = "sk-canary-5d1f";

/// Events are the same however the bytes are cut, and what is written again is read again.
pub(crate) fn sse(bytes: &[u8]) {
    let whole = SseParser::default().push(bytes);
    let mut parser = SseParser::default();
    let pieces: Result<Vec<_>, _> =
        bytes.iter().map(|byte| parser.push(std::slice::from_ref(byte))).collect();
    let pieces = pieces.map(|events| events.into_iter().flatten().collect::<Vec<_>>());
    assert_eq!(whole, pieces, "cut into bytes, other events came");
    for event in whole.into_iter().flatten() {
        let again = SseParser::default().push(encode(&event).as_bytes());
        assert_eq!(again, Ok(vec![written(event)]), "what was written was not read");
    }
}

/// What a reader gets of an event that was written: line breaks are the protocol's own.
fn written(event: SseEvent) -> SseEvent {
    let one_line = |text: String| text.replace(['\r', '\n', '\0'], "");
    SseEvent {
        event: one_line(event.event),
        data: event.data.replace("\r\n", "\n").replace('\r', "\n"),
        id: event.id.map(one_line),
    }
}

/// Chat completions.
pub(crate) fn openai(bytes: &[u8]) {
    decoded(bytes, || Box::new(OpenAiDecoder::default()));
}

/// Anthropic messages.
pub(crate) fn anthropic(bytes: &[u8]) {
    decoded(bytes, || Box::new(AnthropicDecoder::default()));
}

/// The same bytes come to the same answer, and the words that were streamed are those of the answer.
fn decoded(bytes: &[u8], decoder: impl Fn() -> Box<dyn Decoder>) {
    let first = decode_bytes(decoder(), bytes);
    assert_eq!(first, decode_bytes(decoder(), bytes), "the same bytes came to another answer");
    let Ok(parts) = first else { return };
    let mut streamed = String::new();
    let mut live = decoder();
    for event in SseParser::default().push(bytes).unwrap_or_default() {
        streamed.push_str(&live.event(&event).unwrap_or_default());
    }
    assert_eq!(streamed, parts.text, "the stream said something else than the answer");
    assert!(parts.calls.len() <= bytes.len(), "more calls than bytes");
}

/// A configuration is understood or refused with reasons; neither ever shows a secret.
pub(crate) fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let env = |_: &str| Some(CANARY.to_owned());
    match config::parse(text, "config.yaml", &env) {
        Ok(config) => {
            let again = config::parse(text, "config.yaml", &env).map(|config| format!("{config:?}"));
            assert_eq!(again.ok(), Some(format!("{config:?}")), "read twice, it says something else");
        }
        Err(error) => {
            let said = error.to_string();
            assert!(said.starts_with("config.yaml"), "an error without its file: {said}");
            let secret = text.contains("api_key: ${") && !text.contains(CANARY);
            assert!(!(secret && said.contains(CANARY)), "an error shows a secret: {said}");
        }
    }
}

/// What Claude Code writes.
pub(crate) fn claude_code(bytes: &[u8]) {
    engine(bytes, || Box::new(ClaudeDialog::new("p".into(), "s".into(), Approvals::Ask)));
}

/// What Codex writes.
pub(crate) fn codex(bytes: &[u8]) {
    engine(bytes, || {
        Box::new(CodexDialog::new(Opening {
            prompt: "p".into(),
            system: "s".into(),
            session: Session::New("x".into()),
            model: None,
            approvals: Approvals::Ask,
            workspace: "/workspace".into(),
        }))
    });
}

/// Lines come to the same however they are cut, no event is huge, and nothing is understood of what is no JSON.
fn engine(bytes: &[u8], dialog: impl Fn() -> Box<dyn Dialog>) {
    let whole = heard(dialog(), [bytes].into_iter());
    assert_eq!(whole, heard(dialog(), bytes.chunks(7)), "cut into pieces, something else was heard");
    for event in whole.iter().flat_map(|heard| &heard.events) {
        let size = match event {
            EngineEvent::Text { text } | EngineEvent::Delta { text } | EngineEvent::Raw { line: text } => {
                text.len()
            }
            EngineEvent::ToolResult { output, .. } => output.len(),
            _ => 0,
        };
        assert!(size <= TEXT + 64, "an event of {size} bytes");
    }
}

fn heard<'a>(mut dialog: Box<dyn Dialog>, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Heard> {
    dialog.open();
    let mut lines = Lines::default();
    let mut read: Vec<_> = pieces.flat_map(|piece| lines.push(piece)).collect();
    read.extend(lines.end());
    read.into_iter().map(|line| hear(dialog.as_mut(), line)).collect()
}

/// Frames are the same however the bytes are cut, are written as they came, and never upset the accounting.
pub(crate) fn mux(bytes: &[u8]) {
    let whole = FrameDecoder::default().push(bytes);
    let mut decoder = FrameDecoder::default();
    let pieces: Result<Vec<_>, _> = bytes.iter().map(|byte| decoder.push(&[*byte])).collect();
    assert_eq!(
        whole,
        pieces.map(|frames| frames.into_iter().flatten().collect()),
        "cut into bytes, other frames came"
    );
    let (mut state, mut written) = (State::default(), Vec::new());
    state.open();
    for frame in whole.into_iter().flatten() {
        let before = written.len();
        frame::encode(&frame, &mut written);
        let is_text = matches!(frame.message, frame::Message::Reset(_));
        let is_same = bytes.get(before..written.len()) == Some(&written[before..]);
        if is_text && !is_same {
            // Words that are no UTF-8 come back as what was understood.
            return;
        }
        assert!(is_same, "a frame is written differently");
        if let frame::Message::Open(body) = &frame.message
            && let Some(spec) = TerminalSpec::decode(body)
        {
            assert_eq!(spec.encode().as_ref(), Some(body), "a terminal is written differently");
        }
        if state.receive(frame).is_err() {
            return;
        }
        assert!(state.open_streams() <= MOST_STREAMS);
    }
}

/// A request's head is understood or refused; a body that passes once passes again as it is.
pub(crate) fn gateway(bytes: &[u8]) {
    if let Some(end) = head::end(bytes) {
        let _ = head::look(&bytes[..end]);
    }
    for endpoint in [Endpoint::Messages, Endpoint::Responses, Endpoint::Chat] {
        for hosted in [true, false] {
            let Ok(first) = screen(endpoint, bytes, hosted) else { continue };
            let second =
                screen(endpoint, &first.body, hosted).map(|second| (second.dropped.len(), second.body));
            assert_eq!(second, Ok((0, first.body)), "what passed is refused or changed");
        }
    }
}

/// What a model writes: each part fits and is read by itself, what is shown as it is comes out as it is, and pieces of a
/// text are the text.
pub(crate) fn markup(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let units = |text: &str| text.encode_utf16().count();
    for flavor in [Flavor::Telegram, Flavor::Discord, Flavor::Plain] {
        let preview = preview(&text, "x_y <z>", flavor);
        assert!(preview.is_some(), "a preview without the line below it");
        for part in parts(&text, flavor).into_iter().chain(preview) {
            match flavor {
                Flavor::Telegram => {
                    let seen =
                        strict::visible(&part.markup).unwrap_or_else(|why| panic!("{why}: {}", part.markup));
                    let longest = units(&seen).max(units(&part.plain));
                    assert!(longest <= 4096 && part.markup.len() <= 32_768, "{longest} units");
                    assert!(!seen.trim().is_empty(), "a message without a word");
                }
                Flavor::Discord => {
                    let longest = part.markup.chars().count().max(part.plain.chars().count());
                    assert!(longest <= 2000, "{longest} characters");
                }
                Flavor::Plain => assert_eq!(part.markup, part.plain),
            }
        }
    }
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    let shown = verbatim(&text, Flavor::Telegram);
    let seen: String = shown.iter().map(|part| strict::visible(&part.markup).unwrap_or_default()).collect();
    assert!(shown.is_empty() || squeezed(&seen) == squeezed(&text), "verbatim is not");
    let pieces = split(&text, 16, units);
    assert!(pieces.is_empty() || pieces.concat() == text, "pieces are not the text");
    assert!(pieces.iter().all(|piece| (1..=16).contains(&units(piece))), "a piece is too long, or empty");
}

/// Events of Discord: the first line is the event's name, the rest what it carries. What is read has an id and a place
/// that a conversation can be named after, no mention of the bot is left, and no secret is shown.
pub(crate) fn discord(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (name, data) = text.split_once('\n').unwrap_or(("MESSAGE_CREATE", text));
    let known = Known::new(900);
    let first = read(name, data, &known, MENU);
    assert_eq!(first, read(name, data, &known, MENU), "read twice, it says something else");
    let incoming = match first {
        Err(error) => {
            let said = error.to_string();
            assert!(said.len() < 80, "an error repeats what came: {said}");
            return;
        }
        Ok(News::Message(arrived)) => arrived.incoming,
        Ok(News::Edited { incoming, .. }) => Some(*incoming),
        Ok(News::Asked(asked)) => {
            let (shown, token) = (format!("{:?}", asked.token), asked.token.reveal());
            assert!(
                token.is_empty() || !shown.contains(token) || "(secret)".contains(token),
                "a token is shown"
            );
            match asked.what {
                What::Command(incoming) | What::Tap(incoming) => Some(incoming),
                What::Typing(_) => None,
            }
        }
        Ok(News::Nothing | News::Facts(_)) => None,
    };
    let Some(Incoming { id, place, sender, event, .. }) = incoming else { return };
    assert!(id.len() < 64 && sender.id.bytes().all(|byte| byte.is_ascii_digit()));
    assert!(place.chat.parse::<u64>().is_ok_and(|chat| chat > 0) && place.thread.is_none());
    if let Event::Message { text, .. } | Event::Edited { text, .. } = event {
        assert_eq!(text, text.trim());
    }
}

/// Updates of Telegram. What is heard has ids that can be used, is the same each time, and says no more than came in; in a
/// group nothing is for the bot that does not name it.
pub(crate) fn telegram(bytes: &[u8]) {
    let Ok(update) = serde_json::from_slice::<serde_json::Value>(bytes) else { return };
    let me = Me { id: 7_000, name: "AtollBot".into() };
    let reading = telegram::read(&update, &me);
    assert_eq!(reading, telegram::read(&update, &me), "read twice, it is something else");
    let Reading::Heard { incoming, .. } = reading else { return };
    let conversation = incoming.place.conversation(TELEGRAM, &UserId::new("ann"));
    assert!(conversation.is_ok(), "a place that is none: {:?}", incoming.place);
    assert!(incoming.sender.name.chars().count() <= 81, "a name of any length");
    let (Event::Message { text, addressed, .. } | Event::Edited { text, addressed, .. }) = &incoming.event
    else {
        return;
    };
    assert!(text.len() <= bytes.len() + 64, "more words than came");
    let named = String::from_utf8_lossy(bytes).to_lowercase();
    // JSON may write any letter as a number.
    let plain = !named.contains('\\');
    let called = named.contains("atollbot") || named.contains("7000") || named.contains("7e3");
    assert!(!(incoming.group && *addressed && plain && !called), "called by nobody");
}
