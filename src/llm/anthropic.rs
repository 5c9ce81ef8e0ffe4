//! Anthropic messages (<https://docs.anthropic.com/en/api/messages>).

use std::{borrow::Cow, sync::Arc};

use serde::{Serialize, Serializer as _, ser::SerializeMap};
use serde_json::{Value, json};

use crate::{
    domain::{
        message::Message,
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
    pub(super) max_tokens: u32,
    pub(super) temperature: Option<f64>,
    pub(super) tools: bool,
}

/// The body of a request, as bytes. Three marks let the prompt cache keep what does not change: after the
/// tools, after the system prompt, and after the newest message.
pub(super) fn request(request: &ModelRequest, options: &Options<'_>, media: &Media) -> Vec<u8> {
    let tools = options.tools && !request.tools.is_empty();
    let mut bytes = Vec::with_capacity(16 * 1024);
    let mut serializer = serde_json::Serializer::new(&mut bytes);
    let written = serializer.serialize_map(None).and_then(|mut body| {
        body.serialize_entry("model", options.model)?;
        body.serialize_entry("max_tokens", &request.max_tokens.unwrap_or(options.max_tokens))?;
        body.serialize_entry("stream", &true)?;
        body.serialize_entry("system", &[Block::text(&request.system, true)])?;
        body.serialize_entry("messages", &messages(&request.messages, media))?;
        if let Some(temperature) = options.temperature {
            body.serialize_entry("temperature", &temperature)?;
        }
        if tools {
            let last = request.tools.len() - 1;
            let tools = request.tools.iter().enumerate().map(|(at, tool)| ToolShape::of(tool, at == last));
            body.serialize_entry("tools", &tools.collect::<Vec<_>>())?;
        }
        body.end()
    });
    // Writing to memory cannot fail, and nothing in it has keys that are no text.
    debug_assert!(written.is_ok());
    bytes
}

#[derive(Serialize)]
struct Mark {
    r#type: &'static str,
}

const MARK: Mark = Mark { r#type: "ephemeral" };

#[derive(Serialize)]
struct ToolShape<'a> {
    name: &'a str,
    description: &'a str,
    input_schema: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<Mark>,
}

impl<'a> ToolShape<'a> {
    fn of(tool: &'a ToolSpec, marked: bool) -> Self {
        Self {
            name: &tool.name,
            description: &tool.description,
            input_schema: &tool.input_schema,
            cache_control: marked.then_some(MARK),
        }
    }
}

#[derive(Serialize)]
struct MessageShape<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

/// A content block.
#[derive(Serialize)]
struct Block<'a> {
    #[serde(flatten)]
    body: BlockBody<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<Mark>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum BlockBody<'a> {
    Text { text: Cow<'a, str> },
    Image { source: Source },
    Document { title: String, source: Source },
    ToolUse { id: &'a str, name: &'a str, input: Cow<'a, Value> },
    ToolResult { tool_use_id: &'a str, content: &'a str, is_error: bool },
}

#[derive(Serialize)]
struct Source {
    r#type: &'static str,
    media_type: String,
    data: String,
}

impl<'a> Block<'a> {
    fn of(body: BlockBody<'a>) -> Self {
        Self { body, cache_control: None }
    }

    /// Empty text is refused by the API.
    fn text(text: &'a str, marked: bool) -> Self {
        let text = if text.trim().is_empty() { "(nothing)" } else { text };
        let body = BlockBody::Text { text: Cow::Borrowed(text) };
        Self { body, cache_control: marked.then_some(MARK) }
    }
}

/// Messages take turns here: neighbours of one role become one message of several blocks.
fn messages<'a>(list: &'a [Arc<Message>], media: &Media) -> Vec<MessageShape<'a>> {
    let mut out: Vec<MessageShape<'a>> = Vec::with_capacity(list.len() + 1);
    for message in list {
        let (role, blocks) = blocks(message, media);
        match out.last_mut() {
            Some(last) if last.role == role => last.content.extend(blocks),
            _ => out.push(MessageShape { role, content: blocks }),
        }
    }
    if out.first().is_none_or(|first| first.role != "user") {
        let note = Block::text("[atoll: earlier conversation is left out]", false);
        out.insert(0, MessageShape { role: "user", content: vec![note] });
    }
    if let Some(last) = out.last_mut().and_then(|message| message.content.last_mut()) {
        last.cache_control = Some(MARK);
    }
    out
}

fn blocks<'a>(message: &'a Message, media: &Media) -> (&'static str, Vec<Block<'a>>) {
    match message {
        Message::User { text, attachments } => {
            let mut blocks: Vec<Block<'a>> =
                attachments.iter().map(|file| Block::of(part(media.part(file)))).collect();
            blocks.push(Block::text(text, false));
            ("user", blocks)
        }
        Message::Assistant { text, calls } => {
            let words = (!text.trim().is_empty()).then(|| Block::text(text, false));
            let uses = calls.iter().map(|call| {
                let input =
                    if call.args.is_object() { Cow::Borrowed(&call.args) } else { Cow::Owned(json!({})) };
                Block::of(BlockBody::ToolUse { id: &call.id, name: &call.name, input })
            });
            let mut blocks: Vec<Block<'a>> = words.into_iter().chain(uses).collect();
            if blocks.is_empty() {
                blocks.push(Block::text("", false));
            }
            ("assistant", blocks)
        }
        Message::Tool { results } => {
            let results = results.iter().map(|result| {
                Block::of(BlockBody::ToolResult {
                    tool_use_id: &result.id,
                    content: &result.output,
                    is_error: result.failed,
                })
            });
            ("user", results.collect())
        }
    }
}

fn part<'a>(part: Part) -> BlockBody<'a> {
    let source = |media_type, data| Source { r#type: "base64", media_type, data };
    match part {
        Part::Words(text) => BlockBody::Text { text: Cow::Owned(text) },
        Part::Image { media_type, data } => BlockBody::Image { source: source(media_type, data) },
        Part::Document { name, media_type, data } => {
            BlockBody::Document { title: name, source: source(media_type, data) }
        }
        Part::Audio { .. } | Part::Video { .. } => {
            let text = "[an attachment of a kind that this model does not take]";
            BlockBody::Text { text: Cow::Borrowed(text) }
        }
    }
}

/// Reads the events of a streamed message.
#[derive(Debug, Default)]
pub struct AnthropicDecoder {
    text: String,
    calls: Vec<RawCall>,
    /// Which call a content block is, by the block's index.
    blocks: std::collections::BTreeMap<u64, usize>,
    stop: Option<Stop>,
    usage: Usage,
    has_usage: bool,
    model: Option<String>,
    done: bool,
}

impl Decoder for AnthropicDecoder {
    fn event(&mut self, event: &SseEvent) -> Result<String, ModelError> {
        let data: Value = serde_json::from_str(event.data.trim()).map_err(|_| unreadable())?;
        match data["type"].as_str().unwrap_or_default() {
            "message_start" => {
                self.model = data["message"]["model"].as_str().map(str::to_owned);
                self.note_usage(&data["message"]["usage"]);
            }
            "content_block_start" => return Ok(self.block_start(&data)),
            "content_block_delta" => return Ok(self.block_delta(&data)),
            "message_delta" => {
                if let Some(reason) = data["delta"]["stop_reason"].as_str() {
                    self.stop = Some(stop(reason));
                }
                self.note_usage(&data["usage"]);
            }
            "message_stop" => self.done = true,
            "error" => return Err(error(&data["error"])),
            _ => {}
        }
        Ok(String::new())
    }

    fn whole(&mut self, body: &Value) -> Result<(), ModelError> {
        if body["type"] == "error" {
            return Err(error(&body["error"]));
        }
        let blocks = body["content"].as_array().ok_or_else(unreadable)?;
        for block in blocks {
            match block["type"].as_str().unwrap_or_default() {
                "text" => self.text.push_str(block["text"].as_str().unwrap_or_default()),
                "tool_use" => self.calls.push(RawCall {
                    id: block["id"].as_str().unwrap_or_default().to_owned(),
                    name: block["name"].as_str().unwrap_or_default().to_owned(),
                    args: block["input"].to_string(),
                }),
                _ => {}
            }
        }
        self.model = body["model"].as_str().map(str::to_owned);
        self.stop = Some(stop(body["stop_reason"].as_str().unwrap_or("end_turn")));
        self.note_usage(&body["usage"]);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Parts, ModelError> {
        let Some(stop) = self.stop.or(self.done.then_some(Stop::End)) else { return Err(broke_off()) };
        let usage = self.has_usage.then_some(self.usage);
        Ok(Parts { text: self.text, calls: self.calls, stop, usage, model: self.model })
    }
}

impl AnthropicDecoder {
    fn block_start(&mut self, data: &Value) -> String {
        let block = &data["content_block"];
        match block["type"].as_str().unwrap_or_default() {
            "tool_use" => {
                self.blocks.insert(count(&data["index"]), self.calls.len());
                let input = &block["input"];
                let empty = input.as_object().is_none_or(serde_json::Map::is_empty);
                self.calls.push(RawCall {
                    id: block["id"].as_str().unwrap_or_default().to_owned(),
                    name: block["name"].as_str().unwrap_or_default().to_owned(),
                    args: if empty { String::new() } else { input.to_string() },
                });
                String::new()
            }
            "text" => self.words(block["text"].as_str().unwrap_or_default()),
            _ => String::new(),
        }
    }

    fn block_delta(&mut self, data: &Value) -> String {
        let delta = &data["delta"];
        match delta["type"].as_str().unwrap_or_default() {
            "text_delta" => self.words(delta["text"].as_str().unwrap_or_default()),
            "input_json_delta" => {
                let call = self.blocks.get(&count(&data["index"])).and_then(|at| self.calls.get_mut(*at));
                if let Some(call) = call {
                    call.args.push_str(delta["partial_json"].as_str().unwrap_or_default());
                }
                String::new()
            }
            _ => String::new(),
        }
    }

    fn words(&mut self, words: &str) -> String {
        self.text.push_str(words);
        words.to_owned()
    }

    /// The first block of usage has the input, later ones the output so far; each replaces what it names.
    fn note_usage(&mut self, usage: &Value) {
        if usage["input_tokens"].is_u64() {
            // Without what was read, nothing was told: the estimate is better than a call that seems free.
            self.has_usage = true;
            let cached = count(&usage["cache_read_input_tokens"]);
            let written = count(&usage["cache_creation_input_tokens"]);
            self.usage.input = count(&usage["input_tokens"]) + cached + written;
            (self.usage.cached, self.usage.cache_written) = (cached, written);
        }
        if usage["output_tokens"].is_u64() {
            self.usage.output = count(&usage["output_tokens"]);
        }
    }
}

fn stop(reason: &str) -> Stop {
    match reason {
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "tool_use" => Stop::Tools,
        "refusal" => Stop::Refused,
        _ => Stop::End,
    }
}

fn error(error: &Value) -> ModelError {
    let message = error["message"].as_str().unwrap_or("an error in the stream").to_owned();
    match error["type"].as_str().unwrap_or_default() {
        "rate_limit_error" => ModelError::RateLimited { retry_after_ms: None },
        "authentication_error" | "permission_error" => ModelError::Auth(message),
        "invalid_request_error" => ModelError::BadRequest(message),
        _ => ModelError::Unavailable(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::stream::decode_bytes;

    fn decode(lines: &[&str]) -> Result<Parts, ModelError> {
        let text: String = lines.iter().map(|line| format!("event: x\ndata: {line}\n\n")).collect();
        decode_bytes(Box::<AnthropicDecoder>::default(), text.as_bytes())
    }

    #[test]
    fn blocks_become_words_and_calls() {
        let reply = decode(&[
            r#"{"type":"message_start","message":{"model":"claude-x","usage":{"input_tokens":5,"cache_read_input_tokens":90,"cache_creation_input_tokens":5,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Let me see"}}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t1","name":"look","input":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"x\":"}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"1}"}}"#,
            r#"{"type":"content_block_stop","index":1}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":20}}"#,
            r#"{"type":"message_stop"}"#,
        ])
        .unwrap()
        .into_reply("p", "m", Usage::default());
        assert_eq!((reply.text.as_str(), reply.stop), ("Let me see", Stop::Tools));
        assert_eq!(reply.calls[0].args, json!({"x": 1}));
        assert_eq!(reply.usage, Usage { input: 100, cached: 90, cache_written: 5, output: 20 });
    }

    #[test]
    fn errors_in_the_stream_are_told_apart() {
        let limited = decode(&[r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}"#]);
        assert_eq!(limited, Err(ModelError::RateLimited { retry_after_ms: None }));
        let overloaded =
            decode(&[r#"{"type":"error","error":{"type":"overloaded_error","message":"full"}}"#]);
        assert_eq!(overloaded, Err(ModelError::Unavailable("full".into())));
        assert_eq!(decode(&[r#"{"type":"ping"}"#]), Err(broke_off()));
    }

    #[test]
    fn neighbours_of_one_role_are_joined_and_the_first_is_the_users() {
        let list = [
            Message::assistant("hello"),
            Message::user("a"),
            Message::Tool { results: vec![] },
            Message::user(" "),
        ]
        .map(Arc::new);
        let media = Media::none();
        let out = serde_json::to_value(messages(&list, &media)).unwrap();
        let out = out.as_array().unwrap();
        let roles: Vec<&str> = out.iter().map(|message| message["role"].as_str().unwrap()).collect();
        assert_eq!(roles, ["user", "assistant", "user"]);
        assert_eq!(out[2]["content"][1]["text"], "(nothing)");
        assert_eq!(out[2]["content"][1]["cache_control"]["type"], "ephemeral");
    }
}
