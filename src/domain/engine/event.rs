//! The one stream of events that every engine is translated into, and the orders that go the other way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::model::Usage;

/// Most bytes of words in one event; what is longer is cut in the middle.
pub const TEXT: usize = 64 * 1024;
/// Most bytes that are kept of an event that nobody understands.
pub const RAW: usize = 4 * 1024;

/// What an engine tells. The last event of a run is a [`EngineEvent::Result`], and there is only one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EngineEvent {
    /// The engine's own name for its session: what a later run resumes.
    Session {
        /// The name.
        id: String,
        /// The model, as the engine says it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
    },
    /// A model was asked once more.
    Turn {
        /// How many times now, from 1.
        number: u32,
    },
    /// A piece of words while they are written; only to show. The whole follows as `Text`.
    Delta {
        /// The piece.
        text: String,
    },
    /// The model's words.
    Text {
        /// All of them.
        text: String,
    },
    /// What the model shows of its thoughts.
    Thinking {
        /// The words.
        text: String,
    },
    /// A tool begins, or is asked for.
    ToolCall {
        /// The engine's id of the call.
        id: String,
        /// Name of the tool.
        name: String,
        /// Its arguments.
        input: Value,
    },
    /// A piece of a tool's output while it runs; only to show.
    Output {
        /// The call.
        id: String,
        /// The piece.
        text: String,
    },
    /// A tool has ended.
    ToolResult {
        /// The call.
        id: String,
        /// What it said.
        output: String,
        /// It failed.
        failed: bool,
    },
    /// The engine says that it changed a file. The tree is what counts.
    FileChange {
        /// Which, as the engine names it.
        path: String,
        /// How.
        change: Change,
    },
    /// What the engine believes that it used. The gateway's meter is what counts.
    Usage(Hint),
    /// Somebody has to decide before the engine goes on.
    Question(Question),
    /// A question is void: the engine no longer waits for its answer.
    Withdrawn {
        /// Which.
        question: String,
    },
    /// A call was not allowed.
    Denied {
        /// Name of the tool.
        tool: String,
        /// Why, as far as the engine says.
        why: String,
    },
    /// A message of [`Control::Steer`] was handed to the engine.
    Steered {
        /// The words.
        text: String,
    },
    /// The model could not be reached and is asked again.
    Retry(Retry),
    /// Something went wrong; whether the run goes on is seen by what follows.
    Error {
        /// What.
        message: String,
    },
    /// A line that nobody understands, kept as it came (its first [`RAW`] bytes).
    Raw {
        /// The line.
        line: String,
    },
    /// The end.
    Result(Ending),
}

impl EngineEvent {
    /// It shows that the engine works on: not a mere notice.
    pub fn is_work(&self) -> bool {
        matches!(
            self,
            Self::Turn { .. }
                | Self::Delta { .. }
                | Self::Text { .. }
                | Self::Thinking { .. }
                | Self::ToolCall { .. }
                | Self::Output { .. }
                | Self::ToolResult { .. }
                | Self::Question(_)
        )
    }

    /// Only for those who watch; never stored.
    pub fn is_live_only(&self) -> bool {
        matches!(self, Self::Delta { .. } | Self::Output { .. })
    }
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is new.
    Added,
    /// It has other content.
    Changed,
    /// It is gone.
    Deleted,
}

/// What an engine says that it used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Hint {
    /// Tokens.
    pub usage: Usage,
    /// US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// The numbers are of the whole session so far and replace earlier ones, rather than add to them.
    pub total: bool,
}

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionKind {
    /// May this command run?
    Command,
    /// May these files be changed?
    Edit,
    /// May this other tool be used?
    Tool,
    /// The model asks a person something; answered with [`Answer::Choose`].
    Ask,
}

/// A question for an approval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Its name, unique within the run.
    pub id: String,
    /// What it is about.
    pub kind: QuestionKind,
    /// Name of the tool.
    pub tool: String,
    /// What exactly is asked for.
    pub input: Value,
    /// The same in one line, for people.
    pub preview: String,
}

/// A call of the model is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Number of the attempt, from 1; 0 when it is not said.
    pub attempt: u32,
    /// Most attempts; 0 when it is not said.
    pub of: u32,
    /// Milliseconds until then; 0 when it is not said.
    pub after_ms: u64,
    /// HTTP status of the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why.
    pub why: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The engine says that it did its work. Whether it did is for [`super::Ledger::judge`] to say.
    pub ok: bool,
    /// Its last words, or what went wrong.
    pub text: String,
    /// Why it ended.
    pub end: End,
    /// Exit code of its process, where there is one and it was seen. Says nothing about success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i64>,
    /// The sandbox is gone: whatever comes next needs a new one.
    #[serde(default)]
    pub sandbox_gone: bool,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum End {
    /// It was done.
    Completed,
    /// It asked the model as often as it may.
    Turns,
    /// The money that the engine itself was allowed is spent.
    Budget,
    /// Its time is over.
    Time,
    /// It was interrupted.
    Interrupted,
    /// The model could not be asked, or refused.
    Api {
        /// HTTP status, where there was one. 400 is how the gateway says that the budget is spent.
        status: Option<u16>,
    },
    /// The session that was to be resumed does not exist.
    NoSession,
    /// It did the same in vain again and again.
    Stuck,
    /// It said nothing for too long.
    Hung,
    /// Its process ended without a result.
    Crashed,
    /// The sandbox died under it.
    SandboxDied,
    /// It failed in another way.
    Failed,
}

impl End {
    /// Starting the engine again on the same session may help.
    pub fn may_resume(self) -> bool {
        match self {
            Self::Hung | Self::Crashed | Self::SandboxDied => true,
            Self::Api { status } => status.is_none_or(|status| status == 429 || status >= 500),
            Self::Completed
            | Self::Turns
            | Self::Budget
            | Self::Time
            | Self::Interrupted
            | Self::NoSession
            | Self::Stuck
            | Self::Failed => false,
        }
    }
}

/// What an engine can be told while it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "control", rename_all = "snake_case")]
pub enum Control {
    /// The answer to a question. One for a question that is not open does nothing.
    Answer {
        /// Which question.
        question: String,
        /// The answer.
        answer: Answer,
    },
    /// A message into the running work.
    Steer {
        /// The words.
        text: String,
    },
    /// Stop what is under way, and end.
    Interrupt,
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Yes, this once.
    Allow,
    /// No.
    Deny {
        /// Why: the model reads it.
        message: String,
    },
    /// What was chosen, by question; for [`QuestionKind::Ask`].
    Choose {
        /// The text (or the id) of each question, and the answer.
        answers: BTreeMap<String, String>,
    },
}

/// Words of at most `most` bytes: of longer ones the beginning and the end, and how much is missing.
pub fn clip(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let head = text.floor_char_boundary(most / 3);
    let tail = text.ceil_char_boundary(text.len() - (most - most / 3));
    format!("{}\n[… {} bytes left out …]\n{}", &text[..head], tail - head, &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_may_end_otherwise_is_resumed() {
        for end in [End::Hung, End::Crashed, End::SandboxDied, End::Api { status: Some(529) }] {
            assert!(end.may_resume(), "{end:?}");
        }
        for end in [End::Completed, End::Api { status: Some(400) }, End::NoSession, End::Turns] {
            assert!(!end.may_resume(), "{end:?}");
        }
    }

    #[test]
    fn events_are_written_and_read_again() {
        let event = EngineEvent::Result(Ending {
            ok: false,
            text: "no".into(),
            end: End::Api { status: Some(401) },
            exit: Some(1),
            sandbox_gone: false,
        });
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<EngineEvent>(&text).unwrap(), event);
    }

    proptest! {
        #[test]
        fn clipped_words_keep_both_ends_and_a_bound(text in "\\PC{0,400}", most in 6usize..200) {
            let clipped = clip(&text, most);
            prop_assert!(clipped.len() <= most + 48);
            if text.len() <= most {
                prop_assert_eq!(&clipped, &text);
            } else {
                let (head, tail) = clipped.split_once("\n[… ").unwrap();
                prop_assert!(text.starts_with(head));
                prop_assert!(text.ends_with(tail.split_once("…]\n").unwrap().1));
            }
        }
    }
}
