//! OpenAI chat completions (<https://platform.openai.com/docs/api-reference/chat>), which nine of the ten
//! providers speak.

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::{Value, json};

use crate::{
    domain::{
        message::{Message, ToolCall},
        model::{ModelError, ModelRequest, Stop, Usage},
        skill::ToolSpec,
    },
    net::sse::SseEvent,
};

use super::{
    attachments::{Media, Part},
    stream::{Decoder, Parts, RawCall, broke_off, count, unreadable},
};

/// What the request says beside the conversation.
pub(super) struct Options<'a> {
    pub(super) model: &'a str,
    pub(super) max_tokens_field: &'a str,
    pub(super) max_tokens: u32,
    pub(super) temperature: Option<f64>,
    pub(super) tools: bool,
    /// Mark the stable prefix for the prompt cache: for routers to providers that want marks.
    pub(super) cache_marks: bool,
}

/// The body of a request, as bytes: it borrows the conversation, which may be long, instead of copying it.
pub(super) fn request(request: &ModelRequest, options: &Options<'_>, media: &Media) -> Vec<u8> {
    let messages = Messages { request, options, media };
    let tools = options.tools && !request.tools.is_empty();
    let mut bytes = Vec::with_capacity(16 * 1024);
    let mut serializer = serde_json::Serializer::new(&mut bytes);
    let written = serializer.serialize_map(None).and_then(|mut body| {
        body.serialize_entry("model", options.model)?;
        body.serialize_entry("messages", &messages)?;
        body.serialize_entry("stream", &true)?;
        body.serialize_entry("stream_options", &json!({"include_usage": true}))?;
        body.serialize_entry(options.max_tokens_field, &request.max_tokens.unwrap_or(options.max_tokens))?;
        if let Some(temperature) = options.temperature {
            body.serialize_entry("temperature", &temperature)?;
        }
        if tools {
            let tools: Vec<ToolShape<'_>> = request.tools.iter().map(|tool| ToolShape::of(tool)).collect();
            body.serialize_entry("tools", &tools)?;
        }
        SerializeMap::end(body)
    });
    // Writing to memory cannot fail, and nothing in it has keys that are no text.
    debug_assert!(written.is_ok());
    bytes
}

#[derive(Serialize)]
struct ToolShape<'a> {
    r#type: &'static str,
    function: FunctionShape<'a>,
}

#[derive(Serialize)]
struct FunctionShape<'a> {
    name: &'a str,
    description: &'a str,
    parameters: &'a Value,
}

impl<'a> ToolShape<'a> {
    fn of(tool: &'a ToolSpec) -> Self {
        let function = FunctionShape {
            name: &tool.name,
            description: &tool.description,
            parameters: &tool.input_schema,
        };
        Self { r#type: "function", function }
    }
}

struct Messages<'a> {
    request: &'a ModelRequest,
    options: &'a Options<'a>,
    media: &'a Media,
}

/// A message in the shape that is sent.
#[derive(Serialize)]
#[serde(untagged)]
enum MessageShape<'a> {
    Words { role: &'static str, content: &'a str },
    Parts { role: &'static str, content: Vec<Value> },
    Calls { role: &'static str, content: Option<&'a str>, tool_calls: Vec<CallShape<'a>> },
    Result { role: &'static str, tool_call_id: &'a str, content: &'a str },
}

#[derive(Serialize)]
struct CallShape<'a> {
    id: &'a str,
    r#type: &'static str,
    function: CalledShape<'a>,
}

#[derive(Serialize)]
struct CalledShape<'a> {
    name: &'a str,
    arguments: String,
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        let system = &*self.request.system;
        if self.options.cache_marks {
            let marked = json!({"type": "text", "text": system, "cache_control": {"type": "ephemeral"}});
            list.serialize_element(&MessageShape::Parts { role: "system", content: vec![marked] })?;
        } else {
            list.serialize_element(&MessageShape::Words { role: "system", content: system })?;
        }
        for message in &self.request.messages {
            match message.as_ref() {
                Message::User { text, attachments } if attachments.is_empty() => {
                    list.serialize_element(&MessageShape::Words { role: "user", content: text })?;
                }
                Message::User { text, attachments } => {
                    let words = json!({"type": "text", "text": text});
                    let files = attachments.iter().map(|file| part(&self.media.part(file)));
                    let content = std::iter::once(words).chain(files).collect();
                    list.serialize_element(&MessageShape::Parts { role: "user", content })?;
                }
                Message::Assistant { text, calls } if calls.is_empty() => {
                    list.serialize_element(&MessageShape::Words { role: "assistant", content: text })?;
                }
                Message::Assistant { text, calls } => {
                    let content = (!text.is_empty()).then_some(text.as_str());
                    let tool_calls = calls.iter().map(CallShape::of).collect();
                    list.serialize_element(&MessageShape::Calls { role: "assistant", content, tool_calls })?;
                }
                Message::Tool { results } => {
                    for result in results {
                        list.serialize_element(&MessageShape::Result {
                            role: "tool",
                            tool_call_id: &result.id,
                            content: &result.output,
                        })?;
                    }
                }
            }
        }
        list.end()
    }
}

impl<'a> CallShape<'a> {
    fn of(call: &'a ToolCall) -> Self {
        let arguments = match &call.args {
            Value::String(raw) => raw.clone(),
            other => other.to_string(),
        };
        Self { id: &call.id, r#type: "function", function: CalledShape { name: &call.name, arguments } }
    }
}

fn part(part: &Part) -> Value {
    match part {
        Part::Words(text) => json!({"type": "text", "text": text}),
        Part::Image { media_type, data } => {
            json!({"type": "image_url", "image_url": {"url": format!("data:{media_type};base64,{data}")}})
        }
        Part::Audio { format, data } => {
            json!({"type": "input_audio", "input_audio": {"data": data, "format": format}})
        }
        Part::Video { media_type, data } => {
            json!({"type": "video_url", "video_url": {"url": format!("data:{media_type};base64,{data}")}})
        }
        Part::Document { name, media_type, data } => json!({"type": "file", "file": {
            "filename": name, "file_data": format!("data:{media_type};base64,{data}"),
        }}),
    }
}

/// Reads `chat.completion.chunk` events.
#[derive(Debug, Default)]
pub struct OpenAiDecoder {
    text: String,
    calls: Vec<RawCall>,
    stop: Option<Stop>,
    usage: Option<Usage>,
    model: Option<String>,
    done: bool,
}

impl Decoder for OpenAiDecoder {
    fn event(&mut self, event: &SseEvent) -> Result<String, ModelError> {
        let data = event.data.trim();
        if data == "[DONE]" {
            self.done = true;
            return Ok(String::new());
        }
        let chunk: Value = serde_json::from_str(data).map_err(|_| unreadable())?;
        self.note_frame(&chunk)?;
        let choice = &chunk["choices"][0];
        let delta = &choice["delta"];
        for (at, call) in delta["tool_calls"].as_array().into_iter().flatten().enumerate() {
            self.call_delta(at, call);
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            self.stop = Some(stop(reason));
        }
        let words = delta["content"].as_str().unwrap_or_default();
        self.text.push_str(words);
        Ok(words.to_owned())
    }

    fn whole(&mut self, body: &Value) -> Result<(), ModelError> {
        self.note_frame(body)?;
        let choice = &body["choices"][0];
        let message = choice["message"].as_object().ok_or_else(unreadable)?;
        self.text = message.get("content").and_then(Value::as_str).unwrap_or_default().to_owned();
        for (at, call) in
            message.get("tool_calls").and_then(Value::as_array).into_iter().flatten().enumerate()
        {
            self.call_delta(at, call);
        }
        self.stop = Some(stop(choice["finish_reason"].as_str().unwrap_or("stop")));
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Parts, ModelError> {
        let Some(stop) = self.stop.or(self.done.then_some(Stop::End)) else { return Err(broke_off()) };
        Ok(Parts { text: self.text, calls: self.calls, stop, usage: self.usage, model: self.model })
    }
}

impl OpenAiDecoder {
    /// Errors, usage and the model's name: the same in chunks and in whole answers.
    fn note_frame(&mut self, frame: &Value) -> Result<(), ModelError> {
        if let Some(error) = frame.get("error").filter(|error| !error.is_null()) {
            let message = error["message"].as_str().or(error.as_str()).unwrap_or("an error in the stream");
            return Err(ModelError::Unavailable(message.to_owned()));
        }
        if let Some(model) = frame["model"].as_str() {
            self.model = Some(model.to_owned());
        }
        let usage = &frame["usage"];
        // A block without what was read tells nothing: the estimate is better than a call that seems free.
        if usage["prompt_tokens"].is_u64() {
            let cached = &usage["prompt_tokens_details"]["cached_tokens"];
            let cached = if cached.is_null() { &usage["prompt_cache_hit_tokens"] } else { cached };
            self.usage = Some(Usage {
                input: count(&usage["prompt_tokens"]),
                cached: count(cached),
                cache_written: 0,
                output: count(&usage["completion_tokens"]),
            });
        }
        Ok(())
    }

    /// Pieces of calls come by index; some providers leave it out and send whole calls.
    fn call_delta(&mut self, at: usize, delta: &Value) {
        const MOST_CALLS: usize = 256;
        let id = delta["id"].as_str().filter(|id| !id.is_empty());
        let index = match delta["index"].as_u64().and_then(|index| usize::try_from(index).ok()) {
            Some(index) => index,
            None => match id.and_then(|id| self.calls.iter().position(|call| call.id == id)) {
                Some(known) => known,
                None if id.is_some() => self.calls.len(),
                None => at,
            },
        };
        if index >= MOST_CALLS {
            return;
        }
        if self.calls.len() <= index {
            self.calls.resize_with(index + 1, RawCall::default);
        }
        let call = &mut self.calls[index];
        if let (Some(id), true) = (id, call.id.is_empty()) {
            id.clone_into(&mut call.id);
        }
        let function = &delta["function"];
        call.name.push_str(function["name"].as_str().unwrap_or_default());
        match &function["arguments"] {
            Value::String(piece) => call.args.push_str(piece),
            Value::Null => {}
            whole => call.args = whole.to_string(),
        }
    }
}

fn stop(reason: &str) -> Stop {
    match reason {
        "length" => Stop::Length,
        "tool_calls" | "function_call" => Stop::Tools,
        "content_filter" => Stop::Refused,
        _ => Stop::End,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::stream::decode_bytes;

    fn decode(lines: &[&str]) -> Result<Parts, ModelError> {
        let text: String = lines.iter().map(|line| format!("data: {line}\n\n")).collect();
        decode_bytes(Box::<OpenAiDecoder>::default(), text.as_bytes())
    }

    #[test]
    fn words_calls_and_usage_are_put_together() {
        let parts = decode(&[
            r#"{"model":"m-1","choices":[{"delta":{"content":"Hel"}}]}"#,
            r#"{"choices":[{"delta":{"content":"lo","tool_calls":[{"index":0,"id":"a","function":{"name":"look","arguments":"{\"x\""}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}},{"index":1,"id":"b","function":{"name":"put","arguments":""}}]}}]}"#,
            r#"{"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":8}}}"#,
            "[DONE]",
        ])
        .unwrap();
        let reply = parts.into_reply("p", "m", Usage::default());
        assert_eq!((reply.text.as_str(), reply.stop, reply.model.as_str()), ("Hello", Stop::Tools, "m-1"));
        assert_eq!(reply.calls[0].args, json!({"x": 1}));
        assert_eq!(reply.calls[1].args, json!({}));
        assert_eq!(reply.usage, Usage { input: 10, cached: 8, cache_written: 0, output: 3 });
    }

    #[test]
    fn calls_without_an_index_and_whole_arguments_are_read() {
        let parts = decode(&[
            r#"{"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"name":"x","arguments":{"n":1}}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"id":"b","function":{"name":"y","arguments":"{}"}}]},"finish_reason":"stop"}]}"#,
        ])
        .unwrap();
        let reply = parts.into_reply("p", "m", Usage::default());
        assert_eq!(reply.calls.len(), 2);
        assert_eq!(reply.stop, Stop::Tools, "calls count, whatever the reason says");
    }

    #[test]
    fn a_cut_off_call_is_dropped_and_a_broken_one_is_told() {
        let cut = decode(&[
            r#"{"choices":[{"delta":{"content":"so","tool_calls":[{"index":0,"id":"a","function":{"name":"x","arguments":"{\"n\":"}}]},"finish_reason":"length"}]}"#,
        ])
        .unwrap()
        .into_reply("p", "m", Usage::default());
        assert!(cut.calls.is_empty() && cut.stop == Stop::Length);
        let broken = decode(&[
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"x","arguments":"{n:1}"}}]},"finish_reason":"tool_calls"}]}"#,
        ])
        .unwrap()
        .into_reply("p", "m", Usage::default());
        assert_eq!(broken.calls[0].args, json!("{n:1}"));
    }

    #[test]
    fn a_stream_that_breaks_off_or_reports_an_error_is_no_answer() {
        assert_eq!(decode(&[r#"{"choices":[{"delta":{"content":"Hel"}}]}"#]), Err(broke_off()));
        let error = decode(&[r#"{"error":{"message":"overloaded"}}"#]).unwrap_err();
        assert_eq!(error, ModelError::Unavailable("overloaded".into()));
        assert!(decode(&["{"]).is_err());
    }
}
