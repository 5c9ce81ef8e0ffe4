//! What an answer cost, read from it as it passes.

use serde_json::Value;

use crate::domain::{model::Usage, tokens};

/// Which protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// Anthropic messages (<https://docs.anthropic.com/en/api/messages-streaming>).
    Anthropic,
    /// OpenAI responses and chat completions (<https://platform.openai.com/docs/api-reference>).
    OpenAi,
}

/// Reads the usage out of an answer.
#[derive(Debug, Clone)]
pub struct UsageReader {
    api: Api,
    usage: Usage,
    has_input: bool,
    /// The provider has said the final count.
    is_told: bool,
    /// Bytes of words and calls so far: the stand-in for what was not told.
    written: u64,
}

/// What an answer used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metered {
    /// Tokens.
    pub usage: Usage,
    /// The provider said so; otherwise, it is estimated from what passed.
    pub told: bool,
}

impl UsageReader {
    /// A reader for answers of this protocol.
    pub fn new(api: Api) -> Self {
        Self { api, usage: Usage::default(), has_input: false, is_told: false, written: 0 }
    }

    /// Takes the data of one event of a stream. What cannot be read is passed over.
    pub fn event(&mut self, data: &str) {
        let Ok(event) = serde_json::from_str::<Value>(data) else { return };
        match (self.api, event["type"].as_str().unwrap_or_default()) {
            (Api::Anthropic, "message_start") => self.anthropic(&event["message"]["usage"]),
            (Api::Anthropic, "message_delta") => {
                self.anthropic(&event["usage"]);
                self.is_told = event["usage"]["output_tokens"].is_u64();
            }
            (Api::OpenAi, "response.completed" | "response.incomplete" | "response.failed") => {
                self.openai(&event["response"]["usage"]);
            }
            // Only chat completions have choices.
            (Api::OpenAi, "") => {
                self.openai(&event["usage"]);
                let choices = event["choices"].as_array().into_iter().flatten();
                self.written += choices.map(|choice| letters(&choice["delta"])).sum::<u64>();
            }
            _ => self.written += letters(&event["delta"]),
        }
    }

    /// Takes an answer that came whole.
    pub fn whole(&mut self, body: &Value) {
        match self.api {
            Api::Anthropic => {
                self.anthropic(&body["usage"]);
                self.is_told = body["usage"]["output_tokens"].is_u64();
            }
            Api::OpenAi => self.openai(&body["usage"]),
        }
    }

    /// What it used; `input` stands in for what was read when nothing was told of it.
    pub fn finish(&self, input: u64) -> Metered {
        let mut usage = self.usage;
        if !self.has_input {
            usage.input = input;
        }
        if !self.is_told {
            usage.output = usage.output.max(tokens::of_bytes(self.written));
        }
        Metered { usage, told: self.is_told }
    }

    /// The first block of usage has the input, later ones the output so far; each replaces what it names.
    fn anthropic(&mut self, usage: &Value) {
        if usage["input_tokens"].is_u64() {
            let count = |name: &str| usage[name].as_u64().unwrap_or_default();
            let (cached, written) = (count("cache_read_input_tokens"), count("cache_creation_input_tokens"));
            self.usage.input = count("input_tokens").saturating_add(cached).saturating_add(written);
            (self.usage.cached, self.usage.cache_written) = (cached, written);
            self.has_input = true;
        }
        if let Some(output) = usage["output_tokens"].as_u64() {
            self.usage.output = output;
        }
    }

    /// Both of its protocols, which name the same things differently.
    fn openai(&mut self, usage: &Value) {
        let count = |names: [&str; 2]| names.iter().find_map(|name| usage[name].as_u64());
        let Some(input) = count(["input_tokens", "prompt_tokens"]) else { return };
        let details =
            ["input_tokens_details", "prompt_tokens_details"].map(|name| &usage[name]["cached_tokens"]);
        let cached = details.iter().find_map(|value| value.as_u64());
        let cached = cached.or_else(|| usage["prompt_cache_hit_tokens"].as_u64()).unwrap_or_default();
        let output = count(["output_tokens", "completion_tokens"]).unwrap_or_default();
        self.usage = Usage { input, cached, cache_written: 0, output };
        (self.has_input, self.is_told) = (true, true);
    }
}

/// Bytes of all texts in a value, beside the names of kinds.
fn letters(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(letters).sum(),
        Value::Object(entries) => {
            entries.iter().filter(|(key, _)| *key != "type").map(|(_, value)| letters(value)).sum()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(api: Api, events: &[&str]) -> Metered {
        let mut reader = UsageReader::new(api);
        events.iter().for_each(|event| reader.event(event));
        reader.finish(77)
    }

    const START: &str = r#"{"type":"message_start","message":{"usage":{"input_tokens":5,"cache_read_input_tokens":90,"cache_creation_input_tokens":5,"output_tokens":1}}}"#;
    const TEXT: &str =
        r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"twelve bytes"}}"#;

    #[test]
    fn what_each_protocol_tells_is_read() {
        let told = |input, cached, cache_written, output| Metered {
            usage: Usage { input, cached, cache_written, output },
            told: true,
        };
        let delta = r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":20}}"#;
        assert_eq!(read(Api::Anthropic, &[START, TEXT, delta]), told(100, 90, 5, 20));
        let done = r#"{"type":"response.completed","response":{"usage":{"input_tokens":50,"input_tokens_details":{"cached_tokens":20},"output_tokens":9}}}"#;
        assert_eq!(read(Api::OpenAi, &[r#"{"type":"response.created"}"#, done]), told(50, 20, 0, 9));
        let chunks = [
            r#"{"choices":[{"delta":{"content":"hi"}}],"usage":null}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":2}}}"#,
            "[DONE]",
        ];
        assert_eq!(read(Api::OpenAi, &chunks), told(7, 2, 0, 3));
        let mut whole = UsageReader::new(Api::Anthropic);
        whole.whole(&serde_json::json!({"usage": {"input_tokens": 3, "output_tokens": 4}}));
        assert_eq!(whole.finish(0), told(3, 0, 0, 4));
    }

    #[test]
    fn a_stream_that_broke_off_is_estimated_on_the_safe_side() {
        let broken = read(Api::Anthropic, &[START, TEXT]);
        assert_eq!((broken.told, broken.usage.input), (false, 100));
        assert!(broken.usage.output >= 4 && broken.usage.output < 30, "{broken:?}");
        let nothing = read(Api::OpenAi, &[r#"{"type":"response.output_text.delta","delta":"abc"}"#]);
        assert_eq!((nothing.told, nothing.usage.input, nothing.usage.output), (false, 77, 1));
    }

    proptest! {
        #[test]
        fn no_event_upsets_it(api in prop_oneof![Just(Api::Anthropic), Just(Api::OpenAi)], data in "\\PC{0,60}", output in any::<u64>()) {
            let huge = format!(r#"{{"type":"message_start","message":{{"usage":{{"input_tokens":{output},"cache_read_input_tokens":{output},"output_tokens":{output}}}}}}}"#);
            read(api, &[&data, &huge, &data]);
        }
    }
}
