//! What the adapter knows and keeps over restarts: who it is, where it was spoken to, what it still owes an answer.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::{Millis, secret::Secret};

/// Most channels whose last message is kept.
pub(super) const SEEN: usize = 200;
/// Most threads and roles of the bot that are kept.
const OWN: usize = 200;
/// Most answers that may be owed at a time.
const ANSWERS: usize = 64;
/// How long an interaction can be answered, in milliseconds; Discord says 15 minutes.
const ANSWERED_WITHIN: i64 = 14 * 60_000;

/// A session at the gateway that can be taken up again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Life {
    pub(super) id: String,
    /// The last event of it.
    pub(super) seq: u64,
    /// Where it is taken up.
    pub(super) url: Option<String>,
}

/// The last message of a channel that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) channel: u64,
    pub(super) message: u64,
    /// The channel is one of a guild.
    pub(super) group: bool,
}

/// An answer that was promised to Discord: it shows that the bot thinks until it is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Owed {
    interaction: u64,
    application: u64,
    token: String,
    channel: u64,
    until: Millis,
    /// Discord knows of the promise.
    promised: bool,
    /// The post that gives it.
    key: Option<String>,
}

impl Owed {
    fn webhook(&self) -> Webhook {
        Webhook { application: self.application, token: Secret::new(self.token.clone()) }
    }

    fn answer(&self, fresh: bool) -> Claim {
        Claim::Answer { interaction: self.interaction, webhook: self.webhook(), fresh }
    }
}

/// What a position says. Everything in it has a bound.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    #[serde(default)]
    session: Option<Life>,
    #[serde(default)]
    seen: Vec<Seen>,
    #[serde(default)]
    threads: Vec<u64>,
    #[serde(default)]
    roles: Vec<u64>,
    #[serde(default)]
    owed: Vec<Owed>,
}

/// Where an interaction is answered.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Webhook {
    pub(super) application: u64,
    pub(super) token: Secret,
}

/// How a post can be given as the answer to an interaction.
#[derive(Debug, PartialEq)]
pub(super) enum Claim {
    /// None is owed here.
    None,
    /// One is about to be promised: look again.
    Soon,
    /// As the answer to this interaction.
    Answer {
        interaction: u64,
        /// Where it is given.
        webhook: Webhook,
        /// The post was not known to be this answer before.
        fresh: bool,
    },
}

/// What the adapter knows.
#[derive(Debug, Default)]
pub struct Known {
    me: u64,
    roles: BTreeSet<u64>,
    /// The latest last.
    threads: Vec<u64>,
    /// The latest last.
    seen: Vec<Seen>,
    /// Channel and the bot's own last message there; the latest last.
    said: Vec<(u64, u64)>,
    owed: Vec<Owed>,
}

impl Known {
    /// Knows nothing but who the bot is.
    pub fn new(me: u64) -> Self {
        Self { me, ..Self::default() }
    }

    /// Reads a position. What cannot be read is not known.
    pub(super) fn read(&mut self, position: &str) -> Result<Option<Life>, serde_json::Error> {
        let stored: Stored = serde_json::from_str(position)?;
        self.seen = stored.seen;
        self.seen.truncate(SEEN);
        self.threads = stored.threads;
        self.threads.truncate(OWN);
        self.roles = stored.roles.into_iter().take(OWN).collect();
        self.owed = stored.owed;
        self.owed.truncate(ANSWERS);
        Ok(stored.session)
    }

    /// Writes a position.
    pub(super) fn position(&self, session: Option<Life>, now: Millis) -> String {
        let owed = self.owed.iter().filter(|owed| owed.promised && owed.until > now).cloned().collect();
        let stored = Stored {
            session,
            seen: self.seen.clone(),
            threads: self.threads.clone(),
            roles: self.roles.iter().copied().collect(),
            owed,
        };
        // Nothing in it can fail to be written.
        serde_json::to_string(&stored).unwrap_or_default()
    }

    pub(super) fn me(&self) -> u64 {
        self.me
    }

    pub(super) fn set_me(&mut self, me: u64) {
        self.me = me;
    }

    pub(super) fn is_own_role(&self, role: u64) -> bool {
        self.roles.contains(&role)
    }

    pub(super) fn is_own_thread(&self, channel: u64) -> bool {
        self.threads.contains(&channel)
    }

    pub(super) fn add_role(&mut self, role: u64) {
        if self.roles.len() < OWN {
            self.roles.insert(role);
        }
    }

    pub(super) fn add_thread(&mut self, channel: u64) {
        self.threads.retain(|known| *known != channel);
        self.threads.push(channel);
        if self.threads.len() > OWN {
            self.threads.remove(0);
        }
    }

    pub(super) fn drop_channel(&mut self, channel: u64) {
        self.threads.retain(|known| *known != channel);
        self.seen.retain(|seen| seen.channel != channel);
    }

    /// The bot's own last message in a channel.
    pub(super) fn said_last(&self, channel: u64) -> Option<u64> {
        self.said.iter().find(|(known, _)| *known == channel).map(|(_, message)| *message)
    }

    pub(super) fn said(&mut self, channel: u64, message: u64) {
        let last = self.said_last(channel).unwrap_or(0).max(message);
        self.said.retain(|(known, _)| *known != channel);
        self.said.push((channel, last));
        if self.said.len() > SEEN {
            self.said.remove(0);
        }
    }

    /// A message of this channel was taken. One that is nothing for the bot is noted only where the bot is spoken to
    /// otherwise: the list has a bound.
    pub(super) fn saw(&mut self, new: &Seen, matters: bool) {
        let known = self.seen.iter().position(|seen| seen.channel == new.channel);
        let last = known.map(|at| self.seen[at].message).unwrap_or(0);
        match (known, matters) {
            (None, false) => return,
            (Some(at), true) => drop(self.seen.remove(at)),
            (Some(at), false) => {
                self.seen[at].message = last.max(new.message);
                return;
            }
            (None, true) => {}
        }
        self.seen.push(Seen { message: last.max(new.message), ..new.clone() });
        if self.seen.len() > SEEN {
            self.seen.remove(0);
        }
    }

    /// The channels whose last message is known, the latest last.
    pub(super) fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// An interaction came that may get its answer later. False when its answer is owed already.
    pub(super) fn owe(&mut self, interaction: u64, webhook: &Webhook, channel: u64, now: Millis) -> bool {
        self.owed.retain(|owed| owed.until > now);
        if self.owed.iter().any(|owed| owed.interaction == interaction) {
            return false;
        }
        if self.owed.len() >= ANSWERS {
            self.owed.remove(0);
        }
        let (application, token) = (webhook.application, webhook.token.reveal().to_owned());
        let until = now + ANSWERED_WITHIN;
        let (promised, key) = (false, None);
        self.owed.push(Owed { interaction, application, token, channel, until, promised, key });
        true
    }

    /// Discord was promised the answer.
    pub(super) fn promised(&mut self, interaction: u64) {
        for owed in self.owed.iter_mut().filter(|owed| owed.interaction == interaction) {
            owed.promised = true;
        }
    }

    /// No answer is owed to this interaction (any more).
    pub(super) fn settle(&mut self, interaction: u64) {
        self.owed.retain(|owed| owed.interaction != interaction);
    }

    /// The interaction that a post in this channel is the answer to: the one that it was before, or the one that it
    /// answers.
    pub(super) fn claim(&mut self, channel: u64, key: &str, answers: Option<u64>, now: Millis) -> Claim {
        self.owed.retain(|owed| owed.until > now);
        let mine = |owed: &&mut Owed| owed.key.as_deref() == Some(key);
        if let Some(owed) = self.owed.iter_mut().find(mine) {
            return owed.answer(false);
        }
        let free = |owed: &&mut Owed| {
            owed.channel == channel && owed.key.is_none() && Some(owed.interaction) == answers
        };
        match self.owed.iter_mut().find(free) {
            None => Claim::None,
            Some(owed) if !owed.promised => Claim::Soon,
            Some(owed) => {
                owed.key = Some(key.to_owned());
                owed.answer(true)
            }
        }
    }

    /// Answers that were promised and that no post gives yet.
    pub(super) fn open_promises(&self) -> Vec<(u64, Webhook)> {
        let open = self.owed.iter().filter(|owed| owed.promised && owed.key.is_none());
        open.map(|owed| (owed.interaction, owed.webhook())).collect()
    }

    /// Gives up on the answer to an interaction; false when a post gives it, or none is owed.
    pub(super) fn give_up(&mut self, interaction: u64) -> bool {
        let before = self.owed.len();
        self.owed.retain(|owed| owed.interaction != interaction || owed.key.is_some());
        self.owed.len() < before
    }

    /// The post is not the answer after all.
    pub(super) fn disclaim(&mut self, interaction: u64) {
        for owed in self.owed.iter_mut().filter(|owed| owed.interaction == interaction) {
            owed.key = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook() -> Webhook {
        Webhook { application: 3, token: Secret::new("t1") }
    }

    fn seen(channel: u64, message: u64) -> Seen {
        Seen { channel, message, group: false }
    }

    #[test]
    fn what_is_known_is_bounded_and_comes_back() {
        let mut known = Known::new(7);
        for n in 1..=1_000 {
            known.saw(&seen(n, n * 10), true);
            known.add_thread(n);
            known.add_role(n);
            known.said(n, n);
            assert!(known.owe(n, &webhook(), n, 0));
            known.promised(n);
        }
        let position = known.position(Some(Life { id: "s".into(), seq: 4, url: None }), 0);
        assert!(position.len() < 40_000, "{}", position.len());
        let mut again = Known::new(7);
        let life = again.read(&position).unwrap();
        assert_eq!(life.unwrap().seq, 4);
        assert_eq!(again.seen(), known.seen());
        assert_eq!((again.seen().len(), again.seen()[0].channel), (SEEN, 801));
        assert!(again.is_own_thread(1_000) && !again.is_own_thread(1));
        assert_eq!(again.position(None, 0), known.position(None, 0));
        for odd in ["", "{", "7", "{\"seen\":3}"] {
            assert!(Known::new(7).read(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn chatter_moves_a_channel_on_but_brings_none_in() {
        let mut known = Known::new(7);
        known.saw(&seen(1, 10), false);
        assert_eq!(known.seen(), []);
        known.saw(&seen(1, 20), true);
        known.saw(&seen(2, 5), true);
        known.saw(&seen(1, 30), false);
        known.saw(&seen(1, 25), false);
        assert_eq!(known.seen(), [seen(1, 30), seen(2, 5)]);
    }

    #[test]
    fn one_post_answers_one_interaction_and_is_known_again() {
        let mut known = Known::new(7);
        assert_eq!(known.claim(5, "k1", Some(1), 0), Claim::None);
        assert!(known.owe(1, &webhook(), 5, 0));
        assert!(!known.owe(1, &webhook(), 5, 1), "the same interaction again");
        assert_eq!(known.claim(5, "k1", Some(1), 0), Claim::Soon);
        known.promised(1);
        assert_eq!(known.claim(6, "k1", Some(1), 0), Claim::None, "in another channel");
        assert_eq!(known.claim(5, "k0", None, 0), Claim::None, "it answers nothing");
        assert_eq!(known.claim(5, "k0", Some(2), 0), Claim::None, "it answers something else");
        let answer = |fresh| Claim::Answer { interaction: 1, webhook: webhook(), fresh };
        assert_eq!(known.claim(5, "k1", Some(1), 0), answer(true));
        assert!(known.open_promises().is_empty() && !known.give_up(1), "a post gives it");
        assert_eq!(known.claim(5, "k1", Some(1), 0), answer(false));
        assert_eq!(known.claim(5, "k2", Some(1), 0), Claim::None);
        let mut again = Known::new(7);
        again.read(&known.position(None, 0)).unwrap();
        assert_eq!(again.claim(5, "k1", Some(1), 0), answer(false), "after a restart");
        known.disclaim(1);
        assert_eq!(known.claim(5, "k2", Some(1), 0), answer(true));
        assert_eq!(known.claim(5, "k2", Some(1), ANSWERED_WITHIN), Claim::None, "too late");
        assert!(known.owe(2, &webhook(), 5, 0));
        assert_eq!(known.open_promises(), []);
        known.promised(2);
        assert_eq!(known.open_promises(), [(2, webhook())]);
        assert!(known.give_up(2) && !known.give_up(2));
    }
}
