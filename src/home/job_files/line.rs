//! A line of a log in bytes: one JSON object, never longer than the bound; what does not fit is cut, and says so.

use serde_json::Value;

use crate::{domain::Millis, ports::job_files::LogEvent};

/// Most bytes of a line.
pub(super) const LINE: usize = 64 * 1024;
/// Of which the number, the time and the braces take at most so many.
const FRAME: usize = 96;
/// To what length the texts of an event are cut, until it fits.
const STEPS: [usize; 6] = [48 * 1024, 16 * 1024, 4 * 1024, 1024, 256, 64];

/// An event in bytes, short enough for a line.
pub(super) fn encode(event: &LogEvent) -> Vec<u8> {
    let fits = |bytes: &Vec<u8>| bytes.len() + FRAME <= LINE;
    let bytes = serde_json::to_vec(event).unwrap_or_default();
    if !bytes.is_empty() && fits(&bytes) {
        return bytes;
    }
    let mut value = serde_json::to_value(event).unwrap_or_default();
    for most in STEPS {
        shorten(&mut value, most);
        let shorter = serde_json::to_vec(&value).unwrap_or_default();
        if fits(&shorter) && !value.is_null() {
            return shorter;
        }
    }
    let text = format!("something of {} bytes is too long to be kept", bytes.len());
    serde_json::to_vec(&LogEvent::Note { text }).unwrap_or_default()
}

/// The whole line, with its end.
pub(super) fn frame(seq: u64, at: Millis, event: &[u8]) -> Vec<u8> {
    let mut line = format!("{{\"seq\":{seq},\"at\":{at},\"event\":").into_bytes();
    line.extend_from_slice(event);
    line.extend_from_slice(b"}\n");
    line
}

/// Takes the middle out of all texts that are longer than this.
fn shorten(value: &mut Value, most: usize) {
    match value {
        Value::String(text) if text.len() > most => {
            let (head, tail) = (floor(text, most / 2), text.len() - floor(text, most / 2));
            let tail = (tail..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
            *text = format!("{} … ({} bytes cut) … {}", &text[..head], tail - head, &text[tail..]);
        }
        Value::Array(list) => list.iter_mut().for_each(|one| shorten(one, most)),
        Value::Object(fields) => fields.values_mut().for_each(|one| shorten(one, most)),
        _ => {}
    }
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        engine::{EngineEvent, Question, QuestionKind},
        gateway::{EgressKind, EgressRecord, Verdict},
        job::VerifyRun,
    };

    #[test]
    fn every_kind_of_event_is_read_again_as_it_was() {
        let question = Question {
            id: "q".into(),
            kind: QuestionKind::Command,
            tool: "bash".into(),
            input: serde_json::json!({"type": "x", "kind": 1}),
            preview: "ls".into(),
        };
        let record = EgressRecord {
            at: 1,
            kind: EgressKind::Tunnel,
            host: "example.org".into(),
            verdict: Verdict::Refused { why: "no".into(), ask: true },
            sent: 1,
            received: 2,
            ms: 3,
        };
        let run = VerifyRun { command: "npm test".into(), exit: None, tail: "…".into() };
        for event in [
            LogEvent::State { state: "running".into(), text: String::new() },
            LogEvent::Note { text: "hello".into() },
            LogEvent::Engine(EngineEvent::Question(question)),
            LogEvent::Engine(EngineEvent::Raw { line: "{\"type\":1}".into() }),
            LogEvent::Check(run),
            LogEvent::Egress(record),
        ] {
            let bytes = encode(&event);
            assert_eq!(serde_json::from_slice::<LogEvent>(&bytes).unwrap(), event);
        }
    }

    #[test]
    fn what_is_too_long_is_cut_in_the_middle_and_says_so() {
        for text in ["é".repeat(200_000), "\u{1}".repeat(200_000), "x".repeat(1_000_000)] {
            let bytes = encode(&LogEvent::Note { text: text.clone() });
            assert!(frame(u64::MAX, Millis::MIN, &bytes).len() <= LINE, "{}", bytes.len());
            let Ok(LogEvent::Note { text: kept }) = serde_json::from_slice(&bytes) else {
                panic!("{bytes:?}")
            };
            assert!(kept.contains("bytes cut)"), "{kept}");
            assert!(kept.starts_with(&text[..20]) && kept.ends_with(&text[text.len() - 20..]));
        }
        let input = serde_json::json!(vec!["four"; 100_000]);
        let call = EngineEvent::ToolCall { id: "1".into(), name: "many".into(), input };
        let bytes = encode(&LogEvent::Engine(call));
        assert!(String::from_utf8_lossy(&bytes).contains("too long to be kept"));
    }
}
