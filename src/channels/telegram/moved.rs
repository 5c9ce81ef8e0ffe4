//! Groups that became supergroups (<https://core.telegram.org/bots/api#message>, `migrate_to_chat_id`): such a group has
//! another id from then on, and other numbers for its messages. To everybody else it stays the place that it was.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::chat::{Event, Incoming};

/// What each was before, by its id of today.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Moved(BTreeMap<i64, i64>);

impl Moved {
    /// A group has another id. False when that is known.
    pub(super) fn note(&mut self, from: i64, to: i64) -> bool {
        if from == to {
            return false;
        }
        let first = self.0.remove(&from).unwrap_or(from);
        self.0.insert(to, first) != Some(first)
    }

    /// Takes along what an earlier run knew.
    pub(super) fn extend(&mut self, earlier: Self) {
        for (to, from) in earlier.0 {
            self.0.entry(to).or_insert(from);
        }
    }

    /// The id of a chat today.
    pub(super) fn now(&self, chat: i64) -> i64 {
        self.0.iter().find(|(_, from)| **from == chat).map_or(chat, |(to, _)| *to)
    }

    /// What happened in a group that moved happened where it was, to messages with names of their own.
    pub(super) fn bring_home(&self, incoming: &mut Incoming) {
        let Some((chat, home)) =
            incoming.place.chat.parse().ok().and_then(|chat| Some((chat, self.0.get(&chat)?)))
        else {
            return;
        };
        incoming.seen_as = Some(std::mem::replace(&mut incoming.place.chat, home.to_string()));
        if let Event::Message { message, .. } | Event::Edited { message, .. } | Event::Tap { message, .. } =
            &mut incoming.event
        {
            *message = named(message, chat);
        }
    }

    /// The name of a message of a chat with this id today. Numbers of the old group are others.
    pub(super) fn name(&self, chat: i64, number: i64) -> String {
        if self.0.contains_key(&chat) { named(&number.to_string(), chat) } else { number.to_string() }
    }

    /// The number of a message in a chat with this id today; nothing when it is none of this chat any more.
    pub(super) fn number(&self, chat: i64, name: &str) -> Option<i32> {
        match name.split_once('@') {
            Some((number, of)) => number.parse().ok().filter(|_| of.parse() == Ok(chat)),
            None => name.parse().ok().filter(|_| !self.0.contains_key(&chat)),
        }
    }
}

fn named(number: &str, chat: i64) -> String {
    format!("{number}@{chat}")
}

/// The number in a message's name.
pub(super) fn number(name: &str) -> Option<i64> {
    name.split('@').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_moved_stays_the_same_place_and_its_old_messages_are_out_of_reach() {
        let mut moved = Moved::default();
        assert_eq!((moved.now(-5), moved.number(-5, "7"), moved.name(-5, 7)), (-5, Some(7), "7".into()));
        assert!(moved.note(-5, -1005) && !moved.note(-5, -1005) && !moved.note(-9, -9));
        assert_eq!((moved.now(-5), moved.now(-1005), moved.now(-6)), (-1005, -1005, -6));
        let name = moved.name(-1005, 7);
        assert_eq!((moved.number(-1005, &name), number(&name)), (Some(7), Some(7)));
        assert_eq!(
            (moved.number(-1005, "7"), moved.number(-6, &name), moved.number(-6, "7")),
            (None, None, Some(7))
        );
        assert!(moved.note(-1005, -2005));
        assert_eq!((moved.now(-5), moved.number(-2005, &name)), (-2005, None));
        let written = serde_json::to_string(&moved).unwrap();
        let mut next = Moved::default();
        next.extend(serde_json::from_str(&written).unwrap());
        assert_eq!(next, moved);
    }
}
