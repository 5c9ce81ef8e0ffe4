//! One turn in the hands of its session: what is to be done, what is under way, what is not yet stored.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use actix::SpawnHandle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{Span, field::Empty, info_span};

use crate::domain::{
    Millis,
    budget::Amount,
    ids::{ConversationId, UserId},
    inbound::{Accepted, Refused},
    journal::{Lease, ModelCall, OpenTurn, Source},
    turn::{CallKey, Effect, Entry, Phase, Turn},
};

/// Who waits to hear that a message was accepted.
pub(super) type Acceptance = oneshot::Sender<Result<Accepted, Refused>>;

/// A turn and its surroundings.
pub(super) struct Work {
    pub(super) turn: Turn,
    /// What every log line about the turn carries.
    pub(super) span: Span,
    pub(super) seq: i64,
    pub(super) lease: Lease,
    /// Effects that wait for those before them.
    pub(super) todo: VecDeque<Effect>,
    /// A write is under way: nothing that follows it is done before.
    pub(super) writing: bool,
    /// Entries that are not stored, and the journal index of the first.
    pub(super) entries: Vec<Entry>,
    pub(super) first: usize,
    pub(super) calls: Vec<ModelCall>,
    /// What the store knows to be spent.
    pub(super) settled: Amount,
    /// What calls that were abandoned, failed or stopped may have cost beside what the journal says.
    pub(super) lost: Amount,
    /// What the store holds reserved for this turn.
    pub(super) reserved: Amount,
    /// The model that its user chose.
    pub(super) model: Option<Arc<str>>,
    /// Set until the turn's first write is through.
    pub(super) opening: Option<(OpenTurn, Option<Acceptance>)>,
    /// The question to a model that is under way, what its input is estimated at, and since when.
    pub(super) asking: Option<(CancellationToken, Amount, Millis)>,
    /// The tools that run, and since when.
    pub(super) tools: BTreeMap<CallKey, (CancellationToken, Millis)>,
    pub(super) deadline: Option<SpawnHandle>,
    /// Ends the step when the working time that a budget granted for it is over.
    pub(super) time_limit: Option<SpawnHandle>,
}

impl Work {
    /// A turn that begins.
    pub(super) fn begun(
        turn: Turn,
        whose: (&ConversationId, &UserId),
        seq: i64,
        open: OpenTurn,
        acceptance: Option<Acceptance>,
    ) -> Self {
        let mut work = Self::resumed(turn, whose, seq, 0);
        if let Source::New(message) = &open.source {
            work.span.record("channel", &message.channel);
        }
        (work.first, work.opening) = (0, Some((open, acceptance)));
        work
    }

    /// A turn that was found in the store.
    pub(super) fn resumed(turn: Turn, whose: (&ConversationId, &UserId), seq: i64, lease: Lease) -> Self {
        let (conversation, user) = whose;
        let span = info_span!("turn", turn = %turn.id(), %conversation, %user, channel = Empty);
        let (settled, _) = turn.spent();
        Self {
            first: turn.next_entry(),
            turn,
            span,
            seq,
            lease,
            todo: VecDeque::new(),
            writing: false,
            entries: Vec::new(),
            calls: Vec::new(),
            settled,
            lost: Amount::ZERO,
            reserved: Amount::ZERO,
            model: None,
            opening: None,
            asking: None,
            tools: BTreeMap::new(),
            deadline: None,
            time_limit: None,
        }
    }

    /// What must stay reserved while what is under way goes on.
    pub(super) fn outstanding(&self) -> Amount {
        match (&self.asking, self.tools.len() as u64) {
            (Some(_), _) => self.reserved,
            (None, 0) => Amount::ZERO,
            (None, running) => Amount { tool_calls: running, time_ms: self.reserved.time_ms, ..Amount::ZERO },
        }
    }

    /// Hangs up on the model. What it read so far is taken as spent, and its time.
    pub(super) fn abandon_model(&mut self, now: Millis) {
        if let Some((cancel, input, since)) = self.asking.take() {
            cancel.cancel();
            self.lost += input;
            self.lose_time(since, now);
        }
    }

    /// Ends these tools and the processes behind them. Their time is spent; and when the turn is over, no entry
    /// will count the calls.
    pub(super) fn stop_tools(&mut self, keys: &[CallKey], now: Millis) {
        let over = matches!(self.turn.phase(), Phase::Over(_));
        for key in keys {
            if let Some((cancel, since)) = self.tools.remove(key) {
                cancel.cancel();
                self.lose_time(since, now);
                self.lost.tool_calls += u64::from(over);
            }
        }
    }

    /// Counts time for which no entry will stand.
    pub(super) fn lose_time(&mut self, since: Millis, now: Millis) {
        self.lost.time_ms += (now - since).max(0).unsigned_abs();
    }

    /// All that was spent so far, as far as is known.
    pub(super) fn spent(&self) -> Amount {
        self.turn.spent().0 + self.lost
    }
}

impl Drop for Work {
    /// A session that falls takes nothing that it started with it into the dark.
    fn drop(&mut self) {
        if let Some((cancel, ..)) = &self.asking {
            cancel.cancel();
        }
        self.tools.values().for_each(|(cancel, _)| cancel.cancel());
    }
}
