//! Making a conversation fit: a window over the history that moves in strides, and plain cuts that never
//! part a call from its result.

use std::{collections::VecDeque, sync::Arc};

use crate::domain::{
    message::{Message, ToolResult},
    tokens,
};

/// A finished turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// Its number in the conversation. A parked turn may end after later ones, so this is not the order.
    pub seq: i64,
    /// Place of its first message, counted from the conversation's beginning: the order of the history.
    pub first: i64,
    /// Its messages. Shared: requests borrow the history instead of copying it.
    pub messages: Vec<Arc<Message>>,
    /// Estimate of their tokens.
    pub tokens: u64,
}

impl Past {
    /// A finished turn of these messages.
    pub fn new(seq: i64, first: i64, messages: Vec<Message>) -> Self {
        let tokens = tokens::of_messages(&messages);
        Self { seq, first, messages: messages.into_iter().map(Arc::new).collect(), tokens }
    }

    fn end(&self) -> i64 {
        self.first + self.messages.len() as i64
    }
}

/// What a conversation remembers word for word, and a summary of what came before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Summary, and the place of the last turn that it covers.
    pub summary: Option<(String, i64)>,
    /// Finished turns after that, oldest first.
    pub past: VecDeque<Arc<Past>>,
    /// Place of the next message.
    pub next: i64,
}

impl History {
    /// Takes in a finished turn and lets go of what no window of `limit` messages can reach.
    pub fn push(&mut self, past: Past, limit: usize) {
        self.next = past.end();
        self.past.push_back(Arc::new(past));
        let start = window_start(self.next, limit);
        while self.past.front().is_some_and(|past| past.end() <= start) {
            self.past.pop_front();
        }
    }

    /// Replaces the turns up to the place `through` by a summary.
    pub fn compact(&mut self, summary: String, through: i64) {
        while self.past.front().is_some_and(|past| past.first <= through) {
            self.past.pop_front();
        }
        self.summary = Some((summary, through));
    }

    /// The place of the last turn to summarise so that what stays word for word takes at most `keep` tokens.
    pub fn to_summarise(&self, keep: u64) -> Option<i64> {
        let mut kept = 0;
        for past in self.past.iter().rev() {
            kept += past.tokens;
            if kept > keep {
                return Some(past.first);
            }
        }
        None
    }

    /// This history up to the place `through`.
    pub fn until(&self, through: i64) -> Self {
        let past = self.past.iter().filter(|past| past.first <= through).cloned().collect();
        Self { summary: self.summary.clone(), past, next: self.next }
    }

    /// Forgets everything but the place of the next message.
    pub fn clear(&mut self) {
        *self = Self { next: self.next, ..Self::default() };
    }
}

/// Where a window of `limit` messages that ends at `end` begins. It moves in strides of half the limit,
/// so that most turns extend the same prefix and provider prompt caches hit.
fn window_start(end: i64, limit: usize) -> i64 {
    let limit = i64::try_from(limit.max(1)).unwrap_or(i64::MAX);
    let stride = (limit / 2).max(1);
    let over = end - limit;
    if over <= 0 { 0 } else { (over + stride - 1) / stride * stride }
}

/// The messages of the history that are sent along: the summary, then at most `limit` of the newest.
pub fn window(history: &History, limit: usize) -> Vec<Arc<Message>> {
    let start = window_start(history.next, limit);
    let mut messages = Vec::new();
    if let Some((summary, _)) = &history.summary {
        let text = format!("[atoll: summary of the conversation so far]\n{summary}");
        messages.push(Arc::new(Message::user(text)));
    }
    let begin = messages.len();
    for past in &history.past {
        let skip = usize::try_from(start - past.first).unwrap_or(0).min(past.messages.len());
        messages.extend(past.messages[skip..].iter().cloned());
    }
    while messages.get(begin).is_some_and(|message| !message.may_start()) {
        messages.remove(begin);
    }
    messages
}

/// Cuts `messages` plainly to at most `room` tokens: first whole groups of the first `history` messages,
/// oldest first; then long tool outputs; then the middle of the turn. The turn's first message and its last
/// group always stay, so the result may be larger than `room` when these alone are.
pub fn fit(mut messages: Vec<Arc<Message>>, history: usize, room: u64) -> Vec<Arc<Message>> {
    let mut total = tokens::of_messages(&messages);
    let mut drop = 0;
    while total > room && drop < history {
        total -= tokens::of_message(&messages[drop]);
        drop += 1;
        while drop < history && !messages[drop].may_start() {
            total -= tokens::of_message(&messages[drop]);
            drop += 1;
        }
    }
    messages.drain(..drop);
    let own = history - drop;
    for keep in [8_000, 2_000, 500] {
        if tokens::of_messages(&messages) <= room {
            return messages;
        }
        messages[own..].iter_mut().for_each(|message| shorten_outputs(message, keep));
    }
    while tokens::of_messages(&messages) > room && drop_middle(&mut messages, own) {}
    messages
}

fn shorten_outputs(message: &mut Arc<Message>, keep: usize) {
    if !matches!(message.as_ref(), Message::Tool { .. }) {
        return;
    }
    let Message::Tool { results } = Arc::make_mut(message) else { return };
    for ToolResult { output, .. } in results {
        let length = output.chars().count();
        if length > keep {
            let head: String = output.chars().take(keep * 3 / 4).collect();
            let tail: String = output.chars().skip(length - keep / 4).collect();
            *output = format!("{head}\n[… {} characters left out …]\n{tail}", length - keep);
        }
    }
}

/// Drops the oldest group between the turn's first message (at `own`) and its last group.
fn drop_middle(messages: &mut Vec<Arc<Message>>, own: usize) -> bool {
    let last_group = messages.iter().rposition(|message| message.may_start()).unwrap_or(0);
    let start = own + 1;
    if start >= last_group {
        return false;
    }
    let end = (start + 1..=last_group).find(|&at| messages[at].may_start()).unwrap_or(last_group);
    messages.drain(start..end);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::{ToolCall, is_paired};
    use proptest::prelude::*;
    use serde_json::json;

    fn group(kind: u8, size: usize) -> Vec<Message> {
        let text = "x".repeat(size);
        match kind % 3 {
            0 => vec![Message::user(text)],
            1 => vec![Message::assistant(text)],
            _ => {
                let call = ToolCall { id: "c".into(), name: "t".into(), args: json!({}) };
                let result = ToolResult {
                    id: "c".into(),
                    name: "t".into(),
                    output: text,
                    failed: false,
                    files: vec![],
                };
                vec![
                    Message::Assistant { text: String::new(), calls: vec![call] },
                    Message::Tool { results: vec![result] },
                ]
            }
        }
    }

    fn messages(kinds: &[(u8, usize)]) -> Vec<Message> {
        kinds.iter().flat_map(|&(kind, size)| group(kind, size)).collect()
    }

    proptest! {
        #[test]
        fn no_cut_parts_a_call_from_its_result(
            past in proptest::collection::vec((0u8..3, 0usize..3000), 0..20),
            own in proptest::collection::vec((0u8..3, 0usize..30_000), 0..20),
            room in 0u64..20_000,
            limit in 1usize..30,
        ) {
            let mut history = History::default();
            for (seq, kind) in past.iter().enumerate() {
                let first = history.next;
                history.push(Past::new(seq as i64, first, messages(&[*kind])), limit);
            }
            let sent = window(&history, limit);
            prop_assert!(sent.len() <= limit);
            prop_assert!(is_paired(&sent));
            let mut all = sent.clone();
            all.push(Arc::new(Message::user("now")));
            all.extend(messages(&own).into_iter().map(Arc::new));
            let cut = fit(all, sent.len(), room);
            prop_assert!(is_paired(&cut));
            prop_assert!(cut.iter().any(|message| **message == Message::user("now")));
        }
    }

    #[test]
    fn a_plain_cut_reaches_its_room_when_only_outputs_are_long() {
        let mut all = messages(&[(0, 10), (1, 10), (0, 5), (2, 90_000), (2, 90_000)]);
        all.push(Message::assistant("so far"));
        let cut = fit(all.into_iter().map(Arc::new).collect(), 2, 2_000);
        assert!(tokens::of_messages(&cut) <= 2_000, "{}", tokens::of_messages(&cut));
        assert!(is_paired(&cut));
    }

    #[test]
    fn the_window_moves_in_strides() {
        let mut history = History::default();
        let mut starts = Vec::new();
        for seq in 0..40 {
            let first = history.next;
            history.push(Past::new(seq, first, vec![Message::user(format!("{seq}"))]), 10);
            starts.push(window(&history, 10).first().cloned());
        }
        starts.dedup();
        assert!(starts.len() <= 8, "the prefix changed {} times in 40 turns", starts.len());
    }
}
