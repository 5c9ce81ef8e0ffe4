//! When an engine must ask before it acts.

use serde::{Deserialize, Serialize};

/// When an engine must ask before it acts. Claude Code and Codex let some commands pass unasked that they take to be
/// harmless, such as `ls`; our own engine lets none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approvals {
    /// Before each command and each edit.
    Ask,
    /// Before each command.
    Edits,
    /// Never: the sandbox is the boundary. What an engine asks all the same is answered for it.
    #[default]
    Auto,
}

impl Approvals {
    /// The word that is typed and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Edits => "edits",
            Self::Auto => "auto",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ask, Self::Edits, Self::Auto].into_iter().find(|one| one.as_str() == text)
    }
}
