//! From a stream of events to one answer, whatever the codec.

use serde_json::Value;

use crate::{
    domain::{
        message::ToolCall,
        model::{ModelError, Reply, Stop, Usage},
    },
    net::sse::{SseEvent, SseParser},
};

/// Turns a provider's events into one answer.
pub trait Decoder {
    /// Takes an event and gives the words in it, if there are any.
    ///
    /// # Errors
    /// When the provider reports one, or says something that cannot be read.
    fn event(&mut self, event: &SseEvent) -> Result<String, ModelError>;

    /// Takes an answer that came whole.
    ///
    /// # Errors
    /// When it cannot be read.
    fn whole(&mut self, body: &Value) -> Result<(), ModelError>;

    /// The answer.
    ///
    /// # Errors
    /// When the stream broke off before its end.
    fn finish(self: Box<Self>) -> Result<Parts, ModelError>;
}

/// What a decoder collects.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// The words.
    pub text: String,
    /// The calls, arguments as they came.
    pub calls: Vec<RawCall>,
    /// Why it stopped.
    pub stop: Stop,
    /// What it used, when the provider said.
    pub usage: Option<Usage>,
    /// The model that answered, when the provider said.
    pub model: Option<String>,
}

/// A call whose arguments are still text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawCall {
    /// The provider's id.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments, JSON if all is well.
    pub args: String,
}

impl Parts {
    /// The answer of `provider`, asked as `model`; `estimate` stands in for usage that was not told.
    pub(super) fn into_reply(self, provider: &str, model: &str, estimate: Usage) -> Reply {
        let cut = self.stop == Stop::Length;
        let calls: Vec<ToolCall> = self
            .calls
            .into_iter()
            .enumerate()
            .filter(|(_, call)| !call.name.is_empty())
            .filter_map(|(at, call)| read_call(at, call, cut))
            .collect();
        let stop = match self.stop {
            Stop::End | Stop::Tools if calls.is_empty() => Stop::End,
            Stop::End | Stop::Tools => Stop::Tools,
            other => other,
        };
        Reply {
            text: self.text,
            calls,
            stop,
            usage: self.usage.unwrap_or(estimate),
            provider: provider.to_owned(),
            model: self.model.filter(|name| !name.is_empty()).unwrap_or_else(|| model.to_owned()),
        }
    }
}

/// Arguments that are no JSON are kept as text: the turn tells the model so. In a cut-off answer they are
/// dropped with the call.
fn read_call(at: usize, call: RawCall, cut: bool) -> Option<ToolCall> {
    let id = if call.id.is_empty() { format!("call_{at}") } else { call.id };
    let text = call.args.trim();
    let args = match serde_json::from_str(if text.is_empty() { "{}" } else { text }) {
        Ok(Value::Null) => Value::Object(serde_json::Map::new()),
        Ok(args) => args,
        Err(_) if cut => return None,
        Err(_) => Value::String(call.args),
    };
    Some(ToolCall { id, name: call.name, args })
}

/// Feeds bytes through the event parser into a decoder: what a whole stream comes to.
///
/// # Errors
/// As the decoder says.
pub fn decode_bytes(mut decoder: Box<dyn Decoder>, bytes: &[u8]) -> Result<Parts, ModelError> {
    let mut parser = SseParser::default();
    let events = parser.push(bytes).map_err(|error| ModelError::Unavailable(error.to_string()))?;
    for event in &events {
        decoder.event(event)?;
    }
    decoder.finish()
}

/// The error of a stream that ends too early.
pub(super) fn broke_off() -> ModelError {
    ModelError::Unavailable("the answer broke off".into())
}

/// The error of an event that cannot be read.
pub(super) fn unreadable() -> ModelError {
    ModelError::Unavailable("the provider sent something unreadable".into())
}

/// A count in a usage block.
pub(super) fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}
