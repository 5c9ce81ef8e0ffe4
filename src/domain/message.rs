//! What a conversation is made of. A call and its results stand next to each other by construction.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ids::FileId;

/// A stored file, as it is shown to people and to models: never a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRef {
    /// Name of the stored file.
    pub id: FileId,
    /// The name that its sender or its tool gave it.
    pub name: String,
    /// Media type, such as `image/png`.
    pub media_type: String,
    /// Size in bytes.
    pub size: u64,
}

/// A tool call as the model made it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The provider's own id of the call, sent back with the result.
    pub id: String,
    /// Name of the tool.
    pub name: String,
    /// Arguments, an object for a well-formed call.
    pub args: Value,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The provider's id of the call.
    pub id: String,
    /// Name of the tool.
    pub name: String,
    /// What the tool said; what the model reads.
    pub output: String,
    /// The tool failed, softly or hard.
    pub failed: bool,
    /// Files that the tool declared as its output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileRef>,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Message {
    /// What a person said (or a note of ours in their place).
    User {
        /// The words.
        text: String,
        /// Files that came with them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        attachments: Vec<FileRef>,
    },
    /// What the model said, and the tools that it called.
    Assistant {
        /// The words, may be empty beside calls.
        text: String,
        /// Calls, answered by the `Tool` message that follows.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        calls: Vec<ToolCall>,
    },
    /// The results of all calls of the message before, in call order.
    Tool {
        /// One result a call.
        results: Vec<ToolResult>,
    },
}

impl Message {
    /// A plain message of a person.
    pub fn user(text: impl Into<String>) -> Self {
        Self::User { text: text.into(), attachments: Vec::new() }
    }

    /// A plain message of the model.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::Assistant { text: text.into(), calls: Vec::new() }
    }

    /// True when a list of messages may be cut before this one without parting a call from its result.
    pub fn may_start(&self) -> bool {
        match self {
            Self::User { .. } | Self::Assistant { .. } => true,
            Self::Tool { .. } => false,
        }
    }
}

impl AsRef<Message> for Message {
    fn as_ref(&self) -> &Message {
        self
    }
}

/// True when every call is followed by exactly its results, and no result stands alone.
pub fn is_paired<M: AsRef<Message>>(messages: &[M]) -> bool {
    let mut at = 0;
    while at < messages.len() {
        match messages[at].as_ref() {
            Message::Tool { .. } => return false,
            Message::Assistant { calls, .. } if !calls.is_empty() => {
                let Some(Message::Tool { results }) = messages.get(at + 1).map(AsRef::as_ref) else {
                    return false;
                };
                if !calls.iter().map(|call| &call.id).eq(results.iter().map(|result| &result.id)) {
                    return false;
                }
                at += 2;
            }
            Message::User { .. } | Message::Assistant { .. } => at += 1,
        }
    }
    true
}

/// JSON with the keys of every object in order, so that equal values have equal text.
pub fn canonical_json(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            let fields: Vec<String> = keys
                .into_iter()
                .map(|key| format!("{}:{}", Value::String(key.clone()), canonical_json(&map[key])))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical_json).collect();
            format!("[{}]", items.join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equal_arguments_have_equal_text_whatever_their_order() {
        let one: Value = serde_json::from_str(r#"{"b":[1,{"y":2,"x":1}],"a":"q\"t"}"#).unwrap();
        let two: Value = serde_json::from_str(r#"{"a":"q\"t","b":[1,{"x":1,"y":2}]}"#).unwrap();
        assert_eq!(canonical_json(&one), canonical_json(&two));
        assert_ne!(canonical_json(&one), canonical_json(&json!({"a": "q\"t", "b": [1]})));
    }

    #[test]
    fn pairing_sees_orphans_on_both_sides() {
        let call = ToolCall { id: "1".into(), name: "t".into(), args: json!({}) };
        let result =
            ToolResult { id: "1".into(), name: "t".into(), output: "".into(), failed: false, files: vec![] };
        let asks = Message::Assistant { text: "".into(), calls: vec![call] };
        let tells = Message::Tool { results: vec![result] };
        assert!(is_paired(&[Message::user("hi"), asks.clone(), tells.clone()]));
        assert!(!is_paired(&[asks.clone(), Message::user("hi")]));
        assert!(!is_paired(&[asks]));
        assert!(!is_paired(&[tells]));
    }
}
