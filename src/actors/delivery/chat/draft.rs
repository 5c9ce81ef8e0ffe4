//! One answer while it grows: a task of its own that listens, shows now and then what there is, and hands the message
//! over when the answer is there.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    actors::db::messages::{BeforePost, DropDraft, GetUser, RecordDraft, StaleDrafts},
    domain::{
        Millis,
        chat::{Content, Failure, Place, Post},
        draft::{Draft, Effect, Event, Look, Sent},
        identity::is_group,
        ids::{ConversationId, InboundId},
        job::Verbosity,
        markup::Part,
        outbound::Progress,
        posting,
    },
    ports::channel::Resend,
};

use super::courier::{self, Courier};

/// Pieces that wait while a platform answers. What is beyond is not shown, until the answer is.
const BEHIND: usize = 512;
/// How long the end of an answer waits for the platform to answer about its draft. What comes later changes nothing.
const PATIENCE: Duration = Duration::from_secs(45);
/// Before something is tried again that failed without saying when.
const AGAIN: i64 = 3_000;

/// Messages whose answers are over that are remembered: many more than can be answered while a piece is on its way.
const REMEMBERED: usize = 4_096;

/// Messages whose answers are over, the latest.
#[derive(Debug, Default)]
pub(super) struct Over {
    known: HashSet<InboundId>,
    order: VecDeque<InboundId>,
}

impl Over {
    pub(super) fn note(&mut self, inbound: &InboundId) {
        if !self.known.insert(inbound.clone()) {
            return;
        }
        self.order.push_back(inbound.clone());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    pub(super) fn has(&self, inbound: &InboundId) -> bool {
        self.known.contains(inbound)
    }
}

/// An answer that grows.
pub(super) struct Drafting {
    progress: mpsc::Sender<Progress>,
    shown: oneshot::Receiver<Option<String>>,
}

impl Drafting {
    /// Begins to show the answer to a message.
    pub(super) fn begin(courier: Arc<Courier>, inbound: InboundId, conversation: ConversationId) -> Self {
        let (progress, heard) = mpsc::channel(BEHIND);
        let (show, shown) = oneshot::channel();
        tokio::spawn(async move {
            let place = Place::of(&conversation);
            let task = Task { place, courier, inbound, conversation, message: None, asked: None };
            let _ = show.send(task.run(heard).await);
        });
        Self { progress, shown }
    }

    /// Hears what happens. Pieces that come faster than they can be shown are let go.
    pub(super) fn hear(&self, progress: Progress) {
        let _ = self.progress.try_send(progress);
    }

    /// The answer is there: gives the message that shows it, when there is one.
    pub(super) async fn finish(self) -> Option<String> {
        drop(self.progress);
        tokio::time::timeout(PATIENCE, self.shown).await.ok()?.ok()?
    }
}

struct Task {
    courier: Arc<Courier>,
    inbound: InboundId,
    conversation: ConversationId,
    place: Place,
    message: Option<String>,
    /// When it was posted for the first time, as far as is known.
    asked: Option<Millis>,
}

impl Task {
    async fn run(mut self, mut heard: mpsc::Receiver<Progress>) -> Option<String> {
        let mut draft = Draft::new(self.look().await);
        let mut open = true;
        while open {
            let now = self.courier.clock.now();
            let wait = draft.wakes_at().map(|at| Duration::from_millis((at - now).max(0).unsigned_abs()));
            let event = tokio::select! {
                progress = heard.recv() => match progress {
                    Some(progress) => Event::of(progress),
                    None => Event::Final,
                },
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => Event::Tick,
                () = self.courier.stop.cancelled() => Event::Final,
            };
            open = !matches!(event, Event::Final | Event::Withdrawn);
            let mut effects = draft.step(self.courier.clock.now(), event);
            while !effects.is_empty() {
                let effect = effects.remove(0);
                if let Some(sent) = self.perform(effect).await {
                    effects.extend(draft.step(self.courier.clock.now(), Event::Sent(sent)));
                }
            }
        }
        draft.is_shown().then_some(self.message).flatten()
    }

    /// How this person wants to see answers.
    async fn look(&self) -> Look {
        let user = self.conversation.user();
        let found = self.courier.doors.user.ask(GetUser { user: user.clone() }).await;
        let verbosity = found.ok().flatten().and_then(|user| user.verbosity).unwrap_or(Verbosity::Normal);
        Look { flavor: self.courier.flavor, is_group: is_group(&user), verbosity }
    }

    async fn perform(&mut self, effect: Effect) -> Option<Sent> {
        match effect {
            Effect::Typing => {
                self.typing().await;
                None
            }
            Effect::Show(part) => Some(self.show(part).await),
            Effect::Edit(part) => Some(self.edit(part).await),
            Effect::Remove => {
                self.remove().await;
                None
            }
        }
    }

    /// Shows that somebody writes, unless the platform has enough to do.
    async fn typing(&self) {
        if !self.courier.aside(&self.place) {
            return;
        }
        if let Err(failure) = self.courier.platform.typing(&self.place).await {
            tracing::debug!(%failure, "that somebody writes cannot be shown");
            if let Failure::Slow { after_ms, .. } = failure {
                self.courier.quiet(after_ms);
            }
        }
    }

    /// Shows it for the first time; in the message that an earlier run left, if there is one.
    async fn show(&mut self, part: Part) -> Sent {
        let ask = BeforePost { outbox: 0, answers: vec![self.inbound.clone()], approval: None };
        let before = self.courier.doors.before.ask(ask).await.unwrap_or_default();
        if before.draft.is_some() {
            self.message = before.draft;
            return self.edit(part).await;
        }
        if let Some(later) = self.not_now() {
            return later;
        }
        let post = Post {
            place: self.place.clone(),
            content: content(part),
            key: posting::draft_key(&self.inbound),
            answers: before.received,
            reply_to: before.asked.filter(|_| is_group(&self.conversation.user())),
            silent: false,
            draft: true,
        };
        let asked = *self.asked.get_or_insert(self.courier.clock.now());
        match self.courier.platform.post(post).await {
            Ok(message) => {
                let note = RecordDraft {
                    inbound: self.inbound.clone(),
                    conversation: self.conversation.clone(),
                    message: message.clone(),
                    now: self.courier.clock.now(),
                };
                if let Err(error) = self.courier.doors.record_draft.ask(note).await {
                    tracing::warn!(%error, "a draft cannot be noted; a crash would leave it behind");
                }
                self.message = Some(message);
                Sent::Done
            }
            Err(failure) => {
                let known_until = asked + courier::KNOWN;
                let is_known = self.courier.platform.abilities().resend == Resend::Safe
                    && self.courier.clock.now() < known_until;
                self.failed(failure, is_known)
            }
        }
    }

    async fn edit(&mut self, part: Part) -> Sent {
        let Some(message) = self.message.clone() else { return Sent::Lost };
        if let Some(later) = self.not_now() {
            return later;
        }
        match self.courier.platform.edit(&self.place, &message, content(part)).await {
            Ok(()) | Err(Failure::Unchanged) => Sent::Done,
            // What it looks like after the next edit is what counts.
            Err(failure) => self.failed(failure, true),
        }
    }

    /// What can wait does not push in before what cannot.
    fn not_now(&self) -> Option<Sent> {
        let after_ms = self.courier.spare(&self.place);
        (after_ms > 0).then_some(Sent::Later { after_ms })
    }

    /// `repeatable`: to do it twice comes to the same.
    fn failed(&self, failure: Failure, repeatable: bool) -> Sent {
        match failure {
            Failure::Slow { after_ms, chat_only } => {
                self.courier.hold(&self.place, after_ms, chat_only);
                Sent::Later { after_ms: i64::try_from(after_ms).unwrap_or(AGAIN) }
            }
            Failure::Later(_) | Failure::NoToken(_) => Sent::Later { after_ms: AGAIN },
            Failure::Unknown(_) if repeatable => Sent::Later { after_ms: AGAIN },
            failure => {
                tracing::debug!(%failure, "an answer cannot be shown while it grows");
                Sent::Lost
            }
        }
    }

    async fn remove(&self) {
        let forget = DropDraft { inbound: self.inbound.clone() };
        if let Some(message) = &self.message
            && self.courier.take_away(&self.place, message).await
            && let Err(error) = self.courier.doors.drop_draft.ask(forget).await
        {
            tracing::warn!(%error, "a draft cannot be forgotten");
        }
    }
}

fn content(part: Part) -> Content {
    Content { markup: part.markup, plain: part.plain, ..Content::default() }
}

/// Takes away what earlier runs showed of answers that will not come: their messages were withdrawn while nobody watched.
pub(super) async fn sweep(courier: &Courier) {
    let channel = courier.platform.name().to_owned();
    let stale = match courier.doors.stale_drafts.ask(StaleDrafts { channel }).await {
        Ok(stale) => stale,
        Err(error) => return tracing::warn!(%error, "drafts of earlier runs cannot be looked for"),
    };
    for (inbound, conversation, message) in stale {
        let place = Place::of(&conversation);
        if courier.take_away(&place, &message).await {
            let _ = courier.doors.drop_draft.ask(DropDraft { inbound }).await;
        }
    }
}
