//! One side of a talk with an engine's process, line by line: pure, so that recordings and noise can drive it.

use serde_json::Value;

use super::lines::{Line, Lines};
use crate::domain::engine::{Control, EngineEvent, RAW, TEXT, clip};

/// What comes of a line or of an order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Heard {
    /// What it tells us.
    pub events: Vec<EngineEvent>,
    /// What is said to the process, one line each.
    pub say: Vec<Value>,
    /// Nothing more will be said: its input is closed, so that it ends.
    pub close: bool,
}

impl Heard {
    /// Only this event.
    pub(super) fn event(event: EngineEvent) -> Self {
        Self { events: vec![event], ..Self::default() }
    }

    /// Only this line.
    pub(super) fn say(line: Value) -> Self {
        Self { say: vec![line], ..Self::default() }
    }
}

/// A protocol.
pub trait Dialog: Send {
    /// What is said first.
    fn open(&mut self) -> Vec<Value>;

    /// A line of JSON came.
    fn line(&mut self, value: Value) -> Heard;

    /// Somebody gives an order.
    fn control(&mut self, control: Control) -> Heard;
}

/// Reads a line for a protocol: what is no JSON is kept raw.
pub fn hear(dialog: &mut dyn Dialog, line: Line) -> Heard {
    match line {
        Line::Whole(text) => match serde_json::from_str::<Value>(&text) {
            Ok(value @ Value::Object(_)) => dialog.line(value),
            _ => Heard::event(raw(&text)),
        },
        Line::TooLong { begins, bytes } => {
            let said = clip(&begins, RAW);
            Heard::event(EngineEvent::Raw { line: format!("[a line of {bytes} bytes was left out] {said}") })
        }
    }
}

/// For recordings and noise: all events that these bytes come to.
pub fn events_of(dialog: &mut dyn Dialog, bytes: &[u8]) -> Vec<EngineEvent> {
    let mut lines = Lines::default();
    let mut read = lines.push(bytes);
    read.extend(lines.end());
    read.into_iter().flat_map(|line| hear(dialog, line).events).collect()
}

/// An event that is kept as it came.
pub(super) fn raw(line: &str) -> EngineEvent {
    EngineEvent::Raw { line: clip(line, RAW) }
}

/// Words of bounded length.
pub(super) fn words(text: &str) -> String {
    clip(text, TEXT)
}

/// The text at this place, or nothing.
pub(super) fn text_at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The number at this place, or zero.
pub(super) fn number_at(value: &Value, pointer: &str) -> u64 {
    value.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
}

/// Arguments of a call, of bounded size: a huge value is told by its beginning.
pub(super) fn input_of(value: &Value) -> Value {
    let text = value.to_string();
    if text.len() <= TEXT { value.clone() } else { Value::String(clip(&text, TEXT)) }
}

/// A call in one line, for people.
pub(super) fn preview(tool: &str, input: &Value) -> String {
    let of = ["command", "file_path", "path", "description"];
    let said = of.iter().find_map(|key| input.get(key).and_then(Value::as_str));
    let said = said.map_or_else(|| input.to_string(), str::to_owned);
    clip(&format!("{tool}: {}", said.replace('\n', " ⏎ ")), 1_000)
}
