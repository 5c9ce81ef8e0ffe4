//! What all sessions share: the doors they knock at, and what bounds them.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    actors::{
        db::messages::*,
        event_hub::messages::Publish,
        kernel::Door,
        llm_pool::messages::Complete,
        outbox::messages::Fresh,
        skill_host::messages::{RunTool, Shelf},
    },
    domain::{
        budget::{Amount, Caps},
        journal::WhileBusy,
        price::Price,
        turn::{Env, Limits},
    },
    ports::{clock::Clock, metrics::Metrics, persona::Personas},
};

/// Whom a session talks to.
#[derive(Clone)]
pub struct SessionDoors {
    /// Rebuild from rows.
    pub load: Door<LoadConversation>,
    /// Take over open turns.
    pub take_over: Door<TakeOver>,
    /// Store a step.
    pub write: Door<WriteTurn>,
    /// Accept a message that waits.
    pub accept: Door<Accept>,
    /// Withdraw what waits.
    pub cancel_queued: Door<CancelQueued>,
    /// Begin anew.
    pub clear: Door<ClearConversation>,
    /// Close questions whose time is over.
    pub expire: Door<Expire>,
    /// Find memories for a message.
    pub search: Door<SearchMemories>,
    /// Pay for reading a conversation.
    pub prepay: Door<Prepay>,
    /// Keep the facts of one.
    pub keep_facts: Door<KeepFacts>,
    /// Ask a model.
    pub complete: Door<Complete>,
    /// Run a tool.
    pub tool: Door<RunTool>,
    /// Send what was stored.
    pub fresh: Door<Fresh>,
    /// Show what happens.
    pub publish: Door<Publish>,
}

/// What bounds a session.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// Bounds on a turn.
    pub limits: Limits,
    /// Most that one user may spend in a day.
    pub user_caps: Caps,
    /// Memories put before each message.
    pub retrieval_limit: usize,
    /// Facts are read from conversations.
    pub auto_extraction: bool,
    /// Most messages that wait.
    pub queue_limit: usize,
    /// Longest tool call, in milliseconds.
    pub tool_timeout_ms: u64,
    /// What a message does while a turn runs, by channel.
    pub while_busy: BTreeMap<String, WhileBusy>,
    /// The models that a user may choose from, by their own names and by those of their providers.
    pub models: Vec<String>,
    /// The highest prices of all models that may answer.
    pub worst_price: Price,
    /// The longest answer of all models that may answer, in tokens.
    pub max_output: u64,
    /// Longest time of one answer, in milliseconds.
    pub answer_ms: u64,
}

/// All that sessions share.
pub struct SessionKit {
    /// Whom they talk to.
    pub doors: SessionDoors,
    /// What bounds them.
    pub settings: SessionSettings,
    /// The tools there are.
    pub shelf: Shelf,
    /// Who they are.
    pub personas: Arc<dyn Personas>,
    /// Time and ids.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Metrics,
}

impl SessionKit {
    /// What a turn may look at.
    pub(super) fn env(&self) -> Env {
        Env { limits: self.settings.limits.clone(), tools: self.shelf.load_full() }
    }

    /// The most that asking a model can cost.
    pub(super) fn worst_case(&self, input_tokens: u64, max_tokens: Option<u32>) -> Amount {
        let output = max_tokens.map_or(self.settings.max_output, u64::from);
        Amount {
            tokens: input_tokens.saturating_add(output),
            micros: self.settings.worst_price.worst(input_tokens, output),
            tool_calls: 0,
            time_ms: self.settings.answer_ms,
        }
    }
}
