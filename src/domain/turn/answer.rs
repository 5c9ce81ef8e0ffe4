//! What goes out when a turn ends, and how its transcript is closed for the history.

use crate::domain::{
    budget::Exceeded,
    message::{Message, ToolResult},
    model::ModelError,
};

use super::{
    entry::{Closed, Outcome},
    state::{CallState, Turn},
};

/// What the model is told after a cut-off answer.
pub(super) const CONTINUE: &str = "[atoll: the answer was cut off at its length limit. Go on exactly where it \
     stopped, without repeating anything. If a tool call was cut off, make the whole call again.]";
/// The result of a call that was under way when the process died.
pub(super) const UNKNOWN_OUTCOME: &str = "Error: Atoll was restarted while this call ran. Whether it took \
     effect is unknown, and it was not repeated. Check before you call it again, or ask the user.";
/// The result of a call that was ended by `/stop`.
pub(super) const STOPPED: &str = "Error: stopped by the user before it finished.";
/// Under an answer that is longer than its continuations reach.
const CUT_OFF: &str = "[The answer is cut off here: it reached its length limit. Ask for the rest.]";
const NOT_RUN: &str = "Error: not run, the turn ended first.";

/// Why a turn ended without the model's own answer.
#[derive(Debug, Clone)]
pub(super) enum Why {
    Nothing,
    Steps(u32),
    Stuck { tool: String, times: u32, output: String },
    Model(ModelError),
    Budget(Exceeded, String),
    Time(u64),
    TimeBudget,
    Crashes(u32),
}

impl Turn {
    /// How this turn closes: the outcome, and an honest text for the person who asked.
    pub(super) fn closed(&self, outcome: Outcome, why: &Why) -> Closed {
        let text = match (outcome.is_silent(), why) {
            (true, _) => String::new(),
            (false, Why::Nothing) => self.last_words(),
            (false, why) => {
                let reason = explain(why);
                let said = self.parts();
                if said.is_empty() { reason } else { format!("{said}\n\n{reason}") }
            }
        };
        let files = if outcome.is_silent() { Vec::new() } else { self.files.clone() };
        Closed { outcome, text, files }
    }

    /// The parts of a cut-off answer, joined.
    fn parts(&self) -> String {
        self.parts_from.map(|from| join_parts(&self.transcript[from..])).unwrap_or_default()
    }

    /// Everything that the model said to the person: earlier answers, then the last one.
    fn last_words(&self) -> String {
        let last = match self.transcript.last() {
            _ if self.parts_from.is_some() => format!("{}\n\n{CUT_OFF}", self.parts().trim_end()),
            Some(Message::Assistant { text, .. }) => text.clone(),
            _ => String::new(),
        };
        let texts = self.said.iter().chain([&last]).filter(|text| !text.trim().is_empty());
        let words = texts.cloned().collect::<Vec<_>>().join("\n\n");
        if words.is_empty() {
            return "The model gave an empty answer. Please ask again, perhaps in other words.".into();
        }
        words
    }

    /// The messages of this turn as later turns see them: parts joined, every call with its result,
    /// the answer that went out at the end.
    pub fn closing_messages(&self, closed: &Closed) -> Vec<Message> {
        let mut messages = self.transcript.clone();
        if let Some(from) = self.parts_from {
            messages.truncate(from);
        }
        if !self.calls.is_empty() {
            let results = self
                .calls
                .iter()
                .map(|call| match &call.state {
                    CallState::Done(result) => result.clone(),
                    CallState::New | CallState::Held { .. } | CallState::Allowed | CallState::Started(_) => {
                        failed_result(&call.call.id, &call.call.name, NOT_RUN)
                    }
                })
                .collect();
            messages.push(Message::Tool { results });
        }
        if !self.unread.is_empty() {
            messages.push(Message::user(self.unread.join("\n\n")));
        }
        let last = match closed.outcome {
            Outcome::Cancelled => "[cancelled by the user]",
            Outcome::Interrupted => "[interrupted by a newer message of the user]",
            _ => &closed.text,
        };
        let answered = closed.outcome == Outcome::Answered
            && matches!(messages.last(), Some(Message::Assistant { text, .. }) if !text.trim().is_empty());
        if !answered {
            if let Some(Message::Assistant { text, calls }) = messages.last()
                && calls.is_empty()
                && text.trim().is_empty()
            {
                messages.pop();
            }
            messages.push(Message::assistant(last));
        }
        messages
    }
}

/// A result that says why a call came to nothing.
pub(super) fn failed_result(id: &str, tool: &str, output: impl Into<String>) -> ToolResult {
    ToolResult {
        id: id.to_owned(),
        name: tool.to_owned(),
        output: output.into(),
        failed: true,
        files: vec![],
    }
}

/// The words of the assistant's messages in a row of parts, without what we said in between.
pub(super) fn join_parts(parts: &[Message]) -> String {
    parts
        .iter()
        .filter_map(|message| match message {
            Message::Assistant { text, .. } => Some(text.as_str()),
            Message::User { .. } | Message::Tool { .. } => None,
        })
        .collect()
}

fn explain(why: &Why) -> String {
    match why {
        Why::Nothing => String::new(),
        Why::Steps(steps) => format!(
            "I stopped after {steps} steps without a final answer (the limit is `agent.max_iterations`). \
             What was done so far is kept; ask me to go on if you wish."
        ),
        Why::Stuck { tool, times, output } => format!(
            "I stopped: `{tool}` failed {times} times in a row with the same arguments. Its last words: {}",
            shorten(output, 500)
        ),
        Why::Model(error) => {
            format!("I could not answer: {error}. Nothing was lost; please try again later.")
        }
        Why::Budget(exceeded, reason) => format!(
            "I stopped: the {} budget of {} would be exceeded ({} used, the next step may need {}), and {reason}.",
            exceeded.scope.as_words(),
            exceeded.dimension.show(exceeded.cap),
            exceeded.dimension.show(exceeded.used),
            exceeded.dimension.show(exceeded.asked),
        ),
        Why::Time(ms) => format!(
            "I stopped: this took longer than {} s (the limit is `agent.turn_timeout_seconds`).",
            ms / 1000
        ),
        Why::TimeBudget => {
            "I stopped: the budget of working time (`budgets`) was used up in the middle of this step. \
             What was done so far is kept."
                .into()
        }
        Why::Crashes(times) => format!(
            "I gave up on this: Atoll was brought down {times} times while working on it. The log says more."
        ),
    }
}

/// The first `limit` characters, with a mark where it was cut.
fn shorten(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
