//! Tools: what they are called, what may be done twice, and who must be asked first.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{message::canonical_json, tokens};

/// What happens when a tool's call is cut off by a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectClass {
    /// It only reads: it is run again.
    Pure,
    /// It knows its key: it is run again under the same key.
    Idempotent,
    /// It acts on the world: it is never run again, and the model is told that the outcome is unknown.
    Once,
}

/// A tool as models see it, and as Atoll treats it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// Unique name.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// JSON Schema of the arguments.
    pub input_schema: Value,
    /// What a crash in the middle means.
    pub effect: EffectClass,
    /// A person must approve each call.
    pub approval: bool,
    /// The skill that must be activated first; `None` for a tool that is always there.
    pub skill: Option<String>,
}

impl ToolSpec {
    /// Upper estimate of the tokens that its description takes in a request.
    pub fn tokens(&self) -> u64 {
        let texts = [self.name.as_str(), &self.description, &self.input_schema.to_string()];
        8 + texts.into_iter().map(tokens::of_text).sum::<u64>()
    }
}

/// A skill as it is offered to a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkillInfo {
    /// Unique name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// How many tools it brings.
    pub tools: usize,
    /// False when the configuration switched it off or it cannot run here.
    pub active: bool,
    /// Why it is not active, when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// All tools there are, in a stable order, each with the estimate of its tokens.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ToolBook {
    tools: BTreeMap<String, (Arc<ToolSpec>, u64)>,
}

impl ToolBook {
    /// A book of these tools; of two with one name the later wins.
    pub fn new(tools: impl IntoIterator<Item = ToolSpec>) -> Self {
        let tools = tools.into_iter().map(|tool| {
            let tokens = tool.tokens();
            (tool.name.clone(), (Arc::new(tool), tokens))
        });
        Self { tools: tools.collect() }
    }

    /// The tool of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<ToolSpec>> {
        self.tools.get(name).map(|(tool, _)| tool)
    }

    /// All tools, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<ToolSpec>> {
        self.tools.values().map(|(tool, _)| tool)
    }

    /// The tools that a conversation with these skills activated may call, by name, each with the estimate of
    /// its tokens.
    pub fn available<'a>(
        &'a self,
        activated: &'a BTreeSet<String>,
    ) -> impl Iterator<Item = (&'a Arc<ToolSpec>, u64)> + 'a {
        self.tools
            .values()
            .filter(|(tool, _)| tool.skill.as_ref().is_none_or(|skill| activated.contains(skill)))
            .map(|(tool, tokens)| (tool, *tokens))
    }
}

/// The hash of exactly this action: what an approval is bound to.
pub fn action_hash(tool: &str, args: &Value) -> String {
    let mut hasher = Sha256::new();
    hasher.update((tool.len() as u64).to_be_bytes());
    hasher.update(tool);
    hasher.update(canonical_json(args));
    hex(&hasher.finalize())
}

/// Bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Patterns by which a tool says in words that it failed, though it returned normally.
pub fn sounds_failed(output: &str) -> bool {
    let text = output.trim();
    let first = text.lines().next().unwrap_or_default().to_ascii_lowercase();
    if first.starts_with("error:") || first.starts_with("error (exit ") {
        return true;
    }
    let last = text.lines().next_back().unwrap_or_default();
    last.strip_prefix("[exit code ")
        .and_then(|rest| rest.strip_suffix(']'))
        .and_then(|code| code.parse::<i64>().ok())
        .is_some_and(|code| code != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn soft_errors_are_failures_and_talk_about_errors_is_not() {
        for failed in ["Error: no such file", "error (exit 3): boom", "out\n[exit code 7]"] {
            assert!(sounds_failed(failed), "{failed}");
        }
        for fine in ["", "no errors found", "out\n[exit code 0]", "the log has\nError: x"] {
            assert!(!sounds_failed(fine), "{fine}");
        }
    }

    #[test]
    fn an_approval_hash_is_of_tool_and_arguments() {
        let hash = action_hash("a", &json!({"x": 1}));
        assert_ne!(hash, action_hash("a", &json!({"x": 2})));
        assert_ne!(hash, action_hash("b", &json!({"x": 1})));
        assert_eq!(hash, action_hash("a", &json!({"x": 1})));
    }

    #[test]
    fn a_tool_of_a_skill_is_there_once_the_skill_is_active() {
        let tool = |name: &str, skill: Option<&str>| ToolSpec {
            name: name.into(),
            description: String::new(),
            input_schema: json!({}),
            effect: EffectClass::Pure,
            approval: false,
            skill: skill.map(str::to_owned),
        };
        let book = ToolBook::new([tool("clock", None), tool("dig", Some("garden"))]);
        let names = |active: &[&str]| -> Vec<String> {
            let active = active.iter().map(|s| (*s).to_owned()).collect();
            book.available(&active).map(|(tool, _)| tool.name.clone()).collect()
        };
        assert_eq!(names(&[]), ["clock"]);
        assert_eq!(names(&["garden"]), ["clock", "dig"]);
    }
}
