//! Requests of model APIs: which are let through, what they may cost, and what is taken out of them.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Value, json, value::RawValue};

use super::{strict::Strict, usage::Api};
use crate::domain::tokens;

/// Longest answer that is reckoned with when a request names none, in tokens.
const DEFAULT_OUTPUT: u64 = 32_000;
/// What a picture or a file in a request is taken to cost, in tokens.
const PER_FILE: u64 = 1_600;
/// Kinds of tools that run in the sandbox, by the beginnings of their names. All others run at the provider.
const LOCAL_ANTHROPIC: &[&str] =
    &["custom", "bash_", "text_editor_", "computer_", "memory_", "tool_search_tool_"];
const LOCAL_OPENAI: &[&str] = &["function", "custom", "local_shell", "apply_patch", "tool_search"];
/// Fields that make the provider reach the network.
const HOSTED_FIELDS: &[&str] = &["mcp_servers", "web_search_options", "plugins"];

/// A way into a model's API that is let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// Anthropic: an answer.
    Messages,
    /// Anthropic: how long a request would be.
    CountTokens,
    /// OpenAI: an answer.
    Responses,
    /// OpenAI: an answer, in the older protocol.
    Chat,
    /// The list of models.
    Models,
}

impl Endpoint {
    /// The one of this method and path, where the path begins with `/v1`.
    pub fn find(api: Api, method: &str, path: &str) -> Option<Self> {
        Some(match (api, method, path) {
            (Api::Anthropic, "POST", "/v1/messages") => Self::Messages,
            (Api::Anthropic, "POST", "/v1/messages/count_tokens") => Self::CountTokens,
            (Api::OpenAi, "POST", "/v1/responses") => Self::Responses,
            (Api::OpenAi, "POST", "/v1/chat/completions") => Self::Chat,
            (_, "GET", "/v1/models") => Self::Models,
            _ => return None,
        })
    }

    /// It costs tokens.
    pub fn is_paid(self) -> bool {
        matches!(self, Self::Messages | Self::Responses | Self::Chat)
    }
}

/// A request that may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screened {
    /// The body as it is to be sent. What was not taken out is as it came, to the byte.
    pub body: Vec<u8>,
    /// The model that is asked.
    pub model: String,
    /// Tokens that it reads, at most as far as can be said.
    pub input: u64,
    /// Tokens that it may write.
    pub output: u64,
    /// What was taken out, in words.
    pub dropped: Vec<String>,
}

/// Why a request does not go on. The texts are for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    /// It is no JSON object, or has a key twice.
    #[error("the body is not one JSON object with each key once: {0}")]
    Json(String),
    /// It names no model.
    #[error("the body names no model")]
    Model,
    /// It asks for work whose cost would not be seen.
    #[error("`{0}` is not let through: what it costs would not be seen here")]
    Unmetered(&'static str),
    /// It makes the provider fetch something.
    #[error(
        "the provider would fetch {0} from the network, which this job may not; send the content itself instead"
    )]
    Fetch(String),
}

/// Looks at a request. `hosted`: tools that the provider runs and addresses that it fetches are let through.
///
/// # Errors
/// [`BadBody`].
pub fn screen(endpoint: Endpoint, body: &[u8], hosted: bool) -> Result<Screened, BadBody> {
    let bad = |error: serde_json::Error| BadBody::Json(error.to_string());
    let Strict(value) = serde_json::from_slice(body).map_err(bad)?;
    let Top(mut fields) = serde_json::from_slice(body).map_err(bad)?;
    let model = value["model"].as_str().filter(|name| !name.is_empty()).ok_or(BadBody::Model)?.to_owned();
    for name in ["background"] {
        if value[name] == true {
            return Err(BadBody::Unmetered(name));
        }
    }
    let mut dropped = Vec::new();
    if !hosted {
        if model.ends_with(":online") {
            return Err(BadBody::Fetch("pages for a model that searches".into()));
        }
        if let Some(what) = ["messages", "input", "system"].iter().find_map(|name| fetched(&value[name])) {
            return Err(BadBody::Fetch(what));
        }
        fields.retain(|(name, _)| {
            let stays = !HOSTED_FIELDS.contains(&name.as_str());
            if !stays {
                dropped.push(name.clone());
            }
            stays
        });
        for (name, raw) in fields.iter_mut().filter(|(name, _)| name == "tools") {
            let tools: Vec<Box<RawValue>> = serde_json::from_str(raw.get()).map_err(bad)?;
            let kinds = value[name.as_str()].as_array().into_iter().flatten();
            let (kept, out): (Vec<_>, Vec<_>) =
                tools.iter().zip(kinds).partition(|(_, kind)| is_local(endpoint, kind));
            if !out.is_empty() {
                dropped.extend(out.iter().map(|(_, tool)| format!("tool {}", kind_of(tool))));
                let kept: Vec<&str> = kept.iter().map(|(tool, _)| tool.get()).collect();
                *raw = RawValue::from_string(format!("[{}]", kept.join(","))).map_err(bad)?;
            }
        }
    }
    if endpoint == Endpoint::Chat && value["stream"] == true {
        let mut options = value["stream_options"].as_object().cloned().unwrap_or_default();
        options.insert("include_usage".into(), json!(true));
        fields.retain(|(name, _)| name != "stream_options");
        fields.push(("stream_options".into(), serde_json::value::to_raw_value(&options).map_err(bad)?));
    }
    let (input, output) = (estimate(&value), most_output(&value));
    Ok(Screened { body: write(&fields), model, input, output, dropped })
}

/// The most that may be written: what the request says, times the answers that it wants.
fn most_output(value: &Value) -> u64 {
    let names = ["max_tokens", "max_output_tokens", "max_completion_tokens"];
    let most = names.iter().filter_map(|name| value[name].as_u64()).max().unwrap_or(DEFAULT_OUTPUT);
    most.saturating_mul(value["n"].as_u64().unwrap_or(1).max(1))
}

fn kind_of(tool: &Value) -> &str {
    tool["type"].as_str().unwrap_or("unknown")
}

/// A tool that whoever asks runs itself.
fn is_local(endpoint: Endpoint, tool: &Value) -> bool {
    let is_anthropic = matches!(endpoint, Endpoint::Messages | Endpoint::CountTokens);
    match tool["type"].as_str() {
        None => is_anthropic && tool["type"].is_null(),
        Some(kind) if is_anthropic => LOCAL_ANTHROPIC
            .iter()
            .any(|local| if local.ends_with('_') { kind.starts_with(local) } else { kind == *local }),
        Some("namespace") => {
            tool["tools"].as_array().is_some_and(|tools| tools.iter().all(|tool| is_local(endpoint, tool)))
        }
        Some("shell") => tool["environment"]["type"] == "local",
        Some(kind) => LOCAL_OPENAI.contains(&kind),
    }
}

/// What of the conversation the provider would fetch. Arguments of calls are only words, whatever they look like.
fn fetched(value: &Value) -> Option<String> {
    match value {
        Value::Array(items) => items.iter().find_map(fetched),
        Value::Object(fields) => {
            let kind = value["type"].as_str().unwrap_or_default();
            let is_call =
                matches!(kind, "tool_use" | "server_tool_use" | "function_call" | "custom_tool_call");
            if is_call {
                return None;
            }
            let is_remote = |value: &Value| value.as_str().is_some_and(|text| !text.starts_with("data:"));
            let remote = value["source"]["type"] == "url"
                || is_remote(&value["image_url"])
                || is_remote(&value["image_url"]["url"])
                || is_remote(&value["file_url"]);
            if remote {
                return Some(format!("a part of type `{kind}`"));
            }
            fields.values().find_map(fetched)
        }
        _ => None,
    }
}

/// Tokens of a request: its texts, and a flat price for what comes as base64.
fn estimate(value: &Value) -> u64 {
    match value {
        Value::String(text) => tokens::of_text(text),
        Value::Array(items) => items.iter().map(estimate).sum(),
        Value::Object(fields) => {
            let of = |(name, value): (&String, &Value)| {
                let text = value.as_str().unwrap_or_default();
                let is_file =
                    text.starts_with("data:") || (name == "data" && fields.contains_key("media_type"));
                let own = if is_file { PER_FILE } else { estimate(value) };
                own + tokens::of_text(name)
            };
            fields.iter().map(of).sum()
        }
        _ => 1,
    }
}

/// The fields of an object in their order, values as they came.
struct Top(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Top {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Top;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Top, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    fields.push(entry);
                }
                Ok(Top(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

fn write(fields: &[(String, Box<RawValue>)]) -> Vec<u8> {
    let one = |(name, raw): &(String, Box<RawValue>)| format!("{}:{}", Value::from(name.as_str()), raw.get());
    format!("{{{}}}", fields.iter().map(one).collect::<Vec<_>>().join(",")).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn passed(endpoint: Endpoint, body: &str) -> (String, Vec<String>) {
        let screened = screen(endpoint, body.as_bytes(), false).unwrap();
        (String::from_utf8(screened.body).unwrap(), screened.dropped)
    }

    #[test]
    fn only_known_ways_in_are_let_through() {
        let find = Endpoint::find;
        assert_eq!(find(Api::Anthropic, "POST", "/v1/messages"), Some(Endpoint::Messages));
        assert_eq!(find(Api::OpenAi, "POST", "/v1/responses"), Some(Endpoint::Responses));
        assert_eq!(find(Api::OpenAi, "GET", "/v1/models"), Some(Endpoint::Models));
        for (api, method, path) in [
            (Api::Anthropic, "GET", "/v1/messages"),
            (Api::Anthropic, "POST", "/v1/messages/batches"),
            (Api::Anthropic, "POST", "/v1/files"),
            (Api::Anthropic, "POST", "/v1/messages/../files"),
            (Api::Anthropic, "POST", "/v1/responses"),
            (Api::OpenAi, "POST", "/v1/messages"),
            (Api::OpenAi, "POST", "/v1/embeddings"),
            (Api::OpenAi, "DELETE", "/v1/models"),
            (Api::OpenAi, "GET", "/v1/organization/api_keys"),
        ] {
            assert_eq!(find(api, method, path), None, "{method} {path}");
        }
    }

    #[test]
    fn what_needs_no_change_is_passed_as_it_came() {
        let body = r#"{"model":"m", "zeta": 1.50,"alpha":{"b":1,"a":2},"messages":[ ],"max_tokens":9,"tools":[{"name":"x","input_schema":{"z":1,"a":2}}]}"#;
        let (sent, dropped) = passed(Endpoint::Messages, body);
        assert!(sent.contains(r#""alpha":{"b":1,"a":2},"messages":[ ]"#) && sent.contains("1.50"), "{sent}");
        assert!(sent.contains(r#""tools":[{"name":"x","input_schema":{"z":1,"a":2}}]"#), "{sent}");
        assert_eq!(dropped, Vec::<String>::new());
    }

    #[test]
    fn tools_that_the_provider_would_run_are_taken_out() {
        let body = r#"{"model":"m","messages":[],"mcp_servers":[{"url":"https://evil.org"}],"tools":[{"name":"Bash","input_schema":{}},{"type":"web_fetch_20250910","name":"web_fetch"},{"type":"bash_20250124","name":"bash"},{"type":"web_search_20250305"},{"type":"mcp_toolset"},{"type":"brand_new"}]}"#;
        let (sent, dropped) = passed(Endpoint::Messages, body);
        assert_eq!(
            sent,
            r#"{"model":"m","messages":[],"tools":[{"name":"Bash","input_schema":{}},{"type":"bash_20250124","name":"bash"}]}"#
        );
        assert_eq!(dropped.len(), 5, "{dropped:?}");
        let body = r#"{"model":"m","input":[],"tools":[{"type":"function","name":"a"},{"type":"web_search"},{"type":"mcp","server_url":"https://evil.org"},{"type":"code_interpreter"},{"type":"namespace","tools":[{"type":"function"}]},{"type":"namespace","tools":[{"type":"mcp"}]},{"type":"shell"}]}"#;
        let (sent, _) = passed(Endpoint::Responses, body);
        assert!(!sent.contains("mcp") && !sent.contains("web_search") && !sent.contains("shell"), "{sent}");
        assert!(sent.contains(
            r#"[{"type":"function","name":"a"},{"type":"namespace","tools":[{"type":"function"}]}]"#
        ));
        let kept = screen(Endpoint::Responses, body.as_bytes(), true).unwrap();
        assert_eq!((kept.body.as_slice(), kept.dropped.len()), (body.as_bytes(), 0));
    }

    #[test]
    fn what_the_provider_would_fetch_is_refused_and_what_only_looks_so_is_not() {
        let image =
            |part: &str| format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{part}]}}]}}"#);
        for part in [
            r#"{"type":"image","source":{"type":"url","url":"https://evil.org/?secret"}}"#,
            r#"{"type":"tool_result","content":[{"type":"document","source":{"type":"url","url":"https://evil.org"}}]}"#,
            r#"{"type":"image_url","image_url":{"url":"https://evil.org"}}"#,
            r#"{"type":"input_image","image_url":"https://evil.org"}"#,
            r#"{"type":"input_file","file_url":"https://evil.org"}"#,
        ] {
            let found = screen(Endpoint::Messages, image(part).as_bytes(), false);
            assert!(matches!(found, Err(BadBody::Fetch(_))), "{part}");
            assert!(screen(Endpoint::Messages, image(part).as_bytes(), true).is_ok());
        }
        for part in [
            r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aaaa"}}"#,
            r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,aaaa"}}"#,
            r#"{"type":"tool_use","input":{"source":{"type":"url"},"file_url":"https://example.org"}}"#,
            r#"{"type":"text","text":"https://example.org"}"#,
        ] {
            assert!(screen(Endpoint::Messages, image(part).as_bytes(), false).is_ok(), "{part}");
        }
        assert!(screen(Endpoint::Chat, br#"{"model":"openai/x:online"}"#, false).is_err());
    }

    #[test]
    fn what_can_be_read_in_two_ways_or_costs_unseen_is_refused() {
        for body in [
            r#"{"model":"m","model":"n"}"#,
            r#"{"model":"m","messages":[{"type":"text","type":"image"}]}"#,
            r#"{"model":"m"} {}"#,
            r#"["model"]"#,
            "",
            "{",
        ] {
            assert!(
                matches!(screen(Endpoint::Messages, body.as_bytes(), true), Err(BadBody::Json(_))),
                "{body}"
            );
        }
        let deep = format!(r#"{{"model":"m","x":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
        assert!(screen(Endpoint::Messages, deep.as_bytes(), false).is_err());
        assert_eq!(screen(Endpoint::Messages, b"{}", false), Err(BadBody::Model));
        let background = screen(Endpoint::Responses, br#"{"model":"m","background":true}"#, true);
        assert_eq!(background, Err(BadBody::Unmetered("background")));
    }

    #[test]
    fn streamed_chat_always_tells_its_usage() {
        for (body, expected) in [
            (r#"{"model":"m","stream":true}"#, r#"{"include_usage":true}"#),
            (
                r#"{"model":"m","stream_options":{"include_usage":false,"x":1},"stream":true}"#,
                r#"{"include_usage":true,"x":1}"#,
            ),
        ] {
            let (sent, _) = passed(Endpoint::Chat, body);
            let sent: Value = serde_json::from_str(&sent).unwrap();
            assert_eq!(sent["stream_options"].to_string(), expected);
        }
        assert_eq!(passed(Endpoint::Chat, r#"{"model":"m"}"#).0, r#"{"model":"m"}"#);
    }

    #[test]
    fn the_estimate_counts_words_and_not_the_bytes_of_pictures() {
        let of = |body: Value| {
            let screened = screen(Endpoint::Messages, body.to_string().as_bytes(), false).unwrap();
            (screened.input, screened.output)
        };
        let (input, output) =
            of(json!({"model": "m", "max_tokens": 100, "messages": [{"content": "x".repeat(3000)}]}));
        assert!((1000..1100).contains(&input) && output == 100, "{input}");
        let picture = json!({"type": "base64", "media_type": "image/png", "data": "a".repeat(3_000_000)});
        let (input, output) =
            of(json!({"model": "m", "n": 3, "messages": [{"content": [{"source": picture}]}]}));
        assert!(input < 2000 && output == 3 * DEFAULT_OUTPUT, "{input}");
    }

    proptest! {
        #[test]
        fn whatever_passes_is_the_same_json(names in proptest::collection::btree_map("[a-z\"\\\\é]{1,6}", "\\PC{0,10}", 0..6)) {
            let mut body = json!(names);
            body["model"] = json!("m");
            let screened = screen(Endpoint::Messages, body.to_string().as_bytes(), true).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Value>(&screened.body).unwrap(), body);
        }
    }
}
