//! Names of things: short strings with a type each, so that one is never passed for another.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The user of a key that has none of its own, and of the terminal.
pub const DEFAULT_USER: &str = "api-default";
/// The conversation that a message joins when it names none.
pub const DEFAULT_CONVERSATION: &str = "default";
/// Longest name of a user or a conversation, in bytes.
pub const MAX_NAME: usize = 128;

/// Why a name from outside was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be 1 to {MAX_NAME} letters, digits or any of . _ : @ + - and is not")]
pub struct BadName {
    what: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a string that is known to be such a name.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(/// A person, over all channels.
    UserId);
id!(/// One conversation: channel, user and a name of its own, joined by slashes.
    ConversationId);
id!(/// One agent turn.
    TurnId);
id!(/// One accepted message.
    InboundId);
id!(/// One question to a person.
    ApprovalId);
id!(/// One remembered fact.
    MemoryId);
id!(/// One stored file.
    FileId);
id!(/// One API key (not the key itself).
    KeyId);
id!(/// One project that bots work on: a short name that people type.
    ProjectId);
id!(/// One board.
    BoardId);
id!(/// One column of a board.
    ColumnId);
id!(/// One story on a board.
    StoryId);
id!(/// One coding bot.
    BotId);
id!(/// One entry of a bot's journal.
    EntryId);
id!(/// One coding job.
    JobId);
id!(/// One schedule of coding jobs.
    ScheduleId);

impl UserId {
    /// Reads a user's name from outside.
    ///
    /// # Errors
    /// [`BadName`] when it is empty, too long or has a character that a name may not have.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        check_name("userId", text)?;
        Ok(Self::new(text))
    }

    /// The user of keys without one of their own, and of the terminal.
    pub fn default_user() -> Self {
        Self::new(DEFAULT_USER)
    }
}

impl ConversationId {
    /// The conversation `name` of `user` on `channel`.
    ///
    /// # Errors
    /// [`BadName`] when `name` is empty, too long or has a character that a name may not have.
    pub fn of(channel: &str, user: &UserId, name: &str) -> Result<Self, BadName> {
        check_name("conversationId", name)?;
        Ok(Self::new(format!("{channel}/{user}/{name}")))
    }

    /// What all conversations of `user` on `channel` begin with.
    pub fn prefix(channel: &str, user: &UserId) -> String {
        format!("{channel}/{user}/")
    }

    /// The channel, the first part of the id.
    pub fn channel(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// The user, the second part of the id.
    pub fn user(&self) -> UserId {
        UserId::new(self.0.split('/').nth(1).unwrap_or_default())
    }

    /// The conversation's own name, the third part of the id.
    pub fn name(&self) -> &str {
        self.0.splitn(3, '/').nth(2).unwrap_or_default()
    }
}

fn check_name(what: &'static str, text: &str) -> Result<(), BadName> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._:@+-".contains(c);
    if text.is_empty() || text.len() > MAX_NAME || text == "." || text == ".." || !text.chars().all(fine) {
        return Err(BadName { what });
    }
    Ok(())
}

/// Writes 128 bits as 26 letters and digits that sort as the number does
/// (Crockford's base 32, <https://www.crockford.com/base32.html>, in lower case).
pub fn encode(bits: u128) -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    (0..26).rev().map(|place| LETTERS[((bits >> (place * 5)) & 31) as usize] as char).collect()
}

/// The lowest id that can have been made at this time: ids are UUIDs of version 7, which begin with 48 bits of
/// milliseconds.
pub fn lowest_at(at: super::Millis) -> String {
    encode(u128::from(at.max(0).unsigned_abs()) << 80)
}

/// An id of something that a step of a job made at this time: always the same for the same step, in the order of the
/// steps within a millisecond, and sorted by its time among all others.
pub fn of_step(at: super::Millis, job: &JobId, step: usize) -> String {
    let digest = Sha256::digest(format!("{job}/{step}"));
    let hash = digest.iter().take(8).fold(0, |bits, byte| bits << 8 | u128::from(*byte));
    let step = u128::from(u16::try_from(step).unwrap_or(u16::MAX));
    encode(u128::from(at.max(0).unsigned_abs()) << 80 | step << 64 | hash)
}

/// A short id that is always the same for the same words: what is asked for twice under it is one thing.
pub fn short_of(words: &str) -> String {
    let digest = Sha256::digest(words);
    encode_short(digest.iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte)))
}

/// The 12 last characters of an encoded id: short enough to type, 60 random bits.
pub fn encode_short(bits: u128) -> String {
    encode(bits)[14..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_ids_sort_as_their_numbers() {
        let numbers = [0, 1, 31, 32, u128::from(u64::MAX), u128::MAX];
        let texts: Vec<String> = numbers.iter().map(|&n| encode(n)).collect();
        assert!(texts.is_sorted(), "{texts:?}");
        assert!(texts.iter().all(|text| text.len() == 26));
    }

    #[test]
    fn ids_of_steps_are_their_own_and_sort_by_time_then_by_step() {
        let of = |at, job: &str, step| of_step(at, &JobId::new(job), step);
        assert_eq!(of(5, "a", 1), of(5, "a", 1));
        assert_ne!(of(5, "a", 1), of(5, "b", 1));
        assert!(of(5, "a", 1) < of(5, "b", 2) && of(5, "b", 2) < of(6, "a", 0));
        assert!(lowest_at(5) <= of(5, "a", 0) && of(5, "a", 70_000) < lowest_at(6));
        assert_eq!(of(5, "a", 1).len(), 26);
    }

    #[test]
    fn a_name_cannot_reach_into_another_conversation() {
        let user = UserId::parse("u1").unwrap();
        assert!(UserId::parse("u1/x").is_err());
        assert!(UserId::parse("..").is_err());
        assert!(ConversationId::of("api", &user, "../u2/default").is_err());
        let id = ConversationId::of("api", &user, "work").unwrap();
        assert_eq!((id.channel(), id.user().as_str(), id.name()), ("api", "u1", "work"));
    }
}
