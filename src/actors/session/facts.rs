//! Reading the conversation for facts: in a quiet minute after its last turn, beside everything else. Nothing
//! waits for it, and a turn that begins meanwhile is not held up.

use std::sync::Arc;

use actix::prelude::*;
use tokio_util::sync::CancellationToken;

use crate::{
    actors::{
        db::messages::{KeepFacts, Prepay, SearchMemories},
        llm_pool::messages::Complete,
    },
    domain::{
        Millis,
        budget::Amount,
        ids::{MemoryId, encode_short},
        journal::{KeptFacts, ModelCall},
        memory::{
            NewMemory,
            extract::{self, Excerpt, Fact},
        },
        model::{Answer, ModelError},
        tokens,
    },
};

use super::{actor::Session, kit::SessionKit};

/// Known facts that are shown to the model.
const KNOWN: usize = 10;
/// Characters of the user's words that known facts are looked for by.
const QUERY: usize = 500;

/// How far a session has read its conversation for facts.
pub(super) struct Reading {
    /// The place of the last turn that was read.
    pub(super) through: i64,
    /// When the scheduler will wake this conversation for it, as far as is known.
    wake_at: Option<Millis>,
    /// When the last turn ended.
    quiet_since: Millis,
    running: bool,
}

impl Default for Reading {
    fn default() -> Self {
        Self { through: -1, wake_at: None, quiet_since: 0, running: false }
    }
}

impl Reading {
    /// Notes that a turn ends now; the moment to note in the store, unless one is noted already.
    pub(super) fn turn_ends(&mut self, now: Millis) -> Option<Millis> {
        self.quiet_since = now;
        if self.wake_at.is_some_and(|at| at > now) {
            return None;
        }
        self.wake_at = Some(now + extract::QUIET_MS);
        self.wake_at
    }
}

impl Session {
    /// Reads what was said since it last did, if the conversation is quiet.
    pub(super) fn read_when_quiet(&mut self, ctx: &mut Context<Self>) {
        let now = self.kit.clock.now();
        self.reading.wake_at = self.reading.wake_at.filter(|at| *at > now);
        let quiet_at = self.reading.quiet_since + extract::QUIET_MS;
        if self.is_busy() || now >= quiet_at {
            // A busy conversation is woken again after its turn.
            if !self.is_busy() {
                self.read_for_facts(ctx);
            }
            return;
        }
        let wait = std::time::Duration::from_millis((quiet_at - now).unsigned_abs());
        ctx.run_later(wait, Self::read_when_quiet);
    }

    /// Reads what was said since it last did.
    pub(super) fn read_for_facts(&mut self, ctx: &mut Context<Self>) {
        if !self.kit.settings.auto_extraction || self.reading.running || self.draining.is_some() {
            return;
        }
        let Some(excerpt) = extract::excerpt(&self.history, self.reading.through) else { return };
        if excerpt.text.is_empty() {
            self.reading.through = excerpt.through;
            return;
        }
        self.reading.running = true;
        let (kit, user, conversation) = (Arc::clone(&self.kit), self.user.clone(), self.id.clone());
        let through = excerpt.through;
        let read = async move {
            let reader = Reader { kit, user, conversation };
            reader.read(excerpt).await
        };
        ctx.spawn(read.into_actor(self).map(move |outcome, session, _| {
            session.reading.running = false;
            match outcome {
                Ok(()) => session.reading.through = session.reading.through.max(through),
                // It is read again after the next turn.
                Err(error) => tracing::warn!(conversation = %session.id, error, "facts could not be read"),
            }
        }));
    }
}

/// What reading takes.
struct Reader {
    kit: Arc<SessionKit>,
    user: crate::domain::ids::UserId,
    conversation: crate::domain::ids::ConversationId,
}

impl Reader {
    async fn read(&self, excerpt: Excerpt) -> Result<(), String> {
        let query = excerpt.query.chars().take(QUERY).collect();
        let search =
            SearchMemories { user: self.user.clone(), query, now: self.kit.clock.now(), limit: KNOWN };
        let known = self.kit.doors.search.ask(search).await.map_err(|error| error.to_string())?;
        let request = Arc::new(extract::request(&excerpt, &known));
        let tools: u64 = request.tools.iter().map(|tool| tool.tokens()).sum();
        let input = tokens::of_text(&request.system) + tokens::of_messages(&request.messages) + tools;
        let worst = self.kit.worst_case(input, request.max_tokens);
        let prepaid_at = self.kit.clock.now();
        let prepay =
            Prepay { user: self.user.clone(), caps: self.kit.settings.user_caps, worst, now: prepaid_at };
        let Some(prepaid) = self.kit.doors.prepay.ask(prepay).await.map_err(|error| error.to_string())?
        else {
            return Err("the day's budget is nearly spent".into());
        };
        let span = tracing::info_span!("facts", conversation = %self.conversation, user = %self.user);
        let progress = Arc::new(|_| {});
        let cancel = CancellationToken::new();
        let _hang_up = cancel.clone().drop_guard();
        let answer =
            self.kit.doors.complete.ask(Complete { request, only: None, progress, cancel, span }).await;
        let failed = answer.as_ref().err().map(ModelError::to_string);
        self.keep(&excerpt, answer.ok(), (prepaid, prepaid_at)).await?;
        failed.map_or(Ok(()), Err)
    }

    async fn keep(
        &self,
        excerpt: &Excerpt,
        answer: Option<Answer>,
        (prepaid, prepaid_at): (Amount, Millis),
    ) -> Result<(), String> {
        let now = self.kit.clock.now();
        let found = answer.as_ref().map(|answer| extract::facts(&answer.reply)).unwrap_or_default();
        let facts = found.into_iter().enumerate().map(|(at, fact)| self.memory(excerpt, at, fact, now));
        let kept = KeptFacts {
            user: self.user.clone(),
            conversation: self.conversation.clone(),
            facts: facts.collect(),
            through: if answer.is_some() { excerpt.through } else { -1 },
            call: answer.map(|answer| ModelCall {
                provider: answer.reply.provider.clone(),
                model: answer.reply.model.clone(),
                usage: answer.reply.usage,
                cost: answer.cost,
            }),
            prepaid,
            prepaid_at,
            now,
        };
        let fresh =
            self.kit.doors.keep_facts.ask(KeepFacts { kept }).await.map_err(|error| error.to_string())?;
        if fresh > 0 {
            tracing::info!(conversation = %self.conversation, fresh, "facts kept");
        }
        Ok(())
    }

    fn memory(&self, excerpt: &Excerpt, at: usize, fact: Fact, now: Millis) -> NewMemory {
        NewMemory {
            id: MemoryId::new(encode_short(self.kit.clock.fresh())),
            user: self.user.clone(),
            content: fact.content,
            category: fact.category,
            tags: fact.tags,
            importance: fact.importance,
            source: "conversation".into(),
            origin: Some(format!("{}#{}-{at}", self.conversation, excerpt.through)),
            now,
        }
    }
}
