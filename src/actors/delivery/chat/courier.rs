//! Brings one stored message to a chat platform, however long that takes: paced, in parts, each of them once.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{
    actors::{
        db::messages::{
            BeforePost, DropDraft, GetUser, OpenTopic, RecordDraft, RecordPost, StaleDrafts, TopicOf,
        },
        kernel::{Door, fault},
    },
    domain::{
        Millis,
        chat::{Content, Failure, Place, Post},
        ids::ConversationId,
        markup::Flavor,
        outbound::{Before, Body, NewPost, OutboxRow, Sent},
        pace::Pace,
        posting::{self, Topic},
    },
    ports::{channel::Resend, clock::Clock, platform::Platform},
};

use super::health::Health;

/// Wait after the first attempt that failed; twice as long after each one more, up to [`LONGEST_PAUSE`].
const PAUSE: u64 = 1_000;
const LONGEST_PAUSE: u64 = 120_000;

/// Whom a courier talks to.
#[derive(Clone)]
pub struct ChatDoors {
    /// Notes parts.
    pub record_post: Door<RecordPost>,
    /// Notes answers that are shown while they grow.
    pub record_draft: Door<RecordDraft>,
    /// Forgets them.
    pub drop_draft: Door<DropDraft>,
    /// What earlier attempts left.
    pub before: Door<BeforePost>,
    /// Answers that are shown and over.
    pub stale_drafts: Door<StaleDrafts>,
    /// How a person wants to see answers.
    pub user: Door<GetUser>,
    /// Where tasks are told of.
    pub topic_of: Door<TopicOf>,
    /// Notes it.
    pub open_topic: Door<OpenTopic>,
}

/// What all couriers of a platform share.
pub(super) struct Courier {
    pub(super) platform: Arc<dyn Platform>,
    pub(super) doors: ChatDoors,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) flavor: Flavor,
    pub(super) pace: Mutex<Pace>,
    pub(super) health: Health,
    /// The process is on its way out.
    pub(super) stop: CancellationToken,
}

/// Why a message, or a part of it, is not posted. It is what the outbox is told.
pub(super) type NotPosted = Sent;

/// What is under way.
struct Errand<'a> {
    row: &'a OutboxRow,
    place: Place,
    before: Before,
    /// The part after those that were posted may have been posted by an earlier run.
    doubtful: bool,
    last: u32,
}

impl Errand<'_> {
    /// The conversation whose place is where this is posted: where it can be changed.
    fn at(&self) -> ConversationId {
        let conversation = &self.row.message.conversation;
        if self.place == Place::of(conversation) {
            return conversation.clone();
        }
        let there = self.place.conversation(conversation.channel(), &conversation.user());
        there.unwrap_or_else(|_| conversation.clone())
    }
}

impl Courier {
    /// Brings a message there, and says what came of it. `draft` is the message that shows it already.
    pub(super) async fn deliver(&self, row: &OutboxRow, cut_off: bool, draft: Option<String>) -> Sent {
        let work = async {
            let mut before = self.look_back(row, cut_off).await?;
            before.draft = draft.or(before.draft);
            if let Body::Decided { message, preview, status, by, reason, .. } = &row.message.body {
                let content =
                    posting::decided(preview, *status, by.as_deref(), reason.as_deref(), self.flavor);
                return self.change(&row.message.conversation, message, content).await.map(drop);
            }
            if let Body::Standing { task, title, state, facts } = &row.message.body {
                let topic = Topic { id: task.to_string(), title: title.clone() };
                return self.stand(row, topic, posting::standing(title, state, facts, self.flavor)).await;
            }
            let contents = posting::contents(&row.message.body, before.approval.as_ref(), self.flavor);
            let place = match posting::topic(&row.message, before.approval.as_ref()) {
                Some(topic) if self.platform.abilities().threads => self.thread(row, topic).await?,
                _ => Place::of(&row.message.conversation),
            };
            let errand = Errand {
                row,
                place,
                before,
                doubtful: cut_off,
                last: u32::try_from(contents.len()).unwrap_or(u32::MAX).saturating_sub(1),
            };
            self.post_all(errand, contents).await
        };
        work.await.err().unwrap_or(Sent::Done)
    }

    /// What earlier attempts left. A fresh message has no past, but a question may be closed by now,
    /// and a platform may wait for an answer to what came in.
    async fn look_back(&self, row: &OutboxRow, cut_off: bool) -> Result<Before, NotPosted> {
        let approval = match &row.message.body {
            Body::Approval { approval, .. } => Some(approval.clone()),
            _ => None,
        };
        if !cut_off && row.attempts == 0 && approval.is_none() && row.message.answers.is_empty() {
            return Ok(Before::default());
        }
        let mut tries = 0;
        loop {
            let (outbox, answers) = (row.id, row.message.answers.clone());
            match self.doors.before.ask(BeforePost { outbox, answers, approval: approval.clone() }).await {
                Ok(before) => return Ok(before),
                Err(error) => self.wait(&mut tries, error.to_string()).await?,
            }
        }
    }

    async fn post_all(&self, errand: Errand<'_>, contents: Vec<Content>) -> Result<(), NotPosted> {
        let mut unknown = None;
        for (part, content) in (0..).zip(contents) {
            if errand.before.parts.len() > part as usize {
                continue;
            }
            let posted = match (&errand.before.draft, part) {
                (Some(draft), 0) => self.finish_draft(&errand, draft.clone(), content).await,
                _ => self.post(&errand, part, content).await,
            };
            match posted {
                Ok(()) => {}
                Err(Sent::Unknown(why)) => unknown = Some(why),
                Err(other) => return Err(other),
            }
        }
        unknown.map_or(Ok(()), |why| Err(Sent::Unknown(why)))
    }

    /// The message that showed the answer while it grew becomes its first part.
    async fn finish_draft(
        &self,
        errand: &Errand<'_>,
        draft: String,
        content: Content,
    ) -> Result<(), NotPosted> {
        let conversation = &errand.row.message.conversation;
        if content.file.is_some() {
            self.take_away(&errand.place, &draft).await;
        } else if self.change(conversation, &draft, content.clone()).await? {
            return self.record(errand, 0, &draft).await;
        }
        self.post(errand, 0, content).await
    }

    /// Changes a message; false when it is not there any more.
    pub(super) async fn change(
        &self,
        conversation: &ConversationId,
        message: &str,
        mut content: Content,
    ) -> Result<bool, NotPosted> {
        let place = Place::of(conversation);
        let (mut tries, mut is_plain) = (0, false);
        loop {
            self.turn(&place).await?;
            match self.platform.edit(&place, message, content.clone()).await {
                Ok(()) | Err(Failure::Unchanged) => return Ok(true),
                Err(Failure::NoMessage(_)) => return Ok(false),
                Err(Failure::Markup(why)) if !is_plain => {
                    tracing::warn!(why, "a message goes out as plain text: its markup is refused");
                    is_plain = true;
                    content.markup.clear();
                }
                // What it looks like is what counts, however often it is asked for.
                Err(Failure::Unknown(why)) => self.wait(&mut tries, why).await?,
                Err(failure) => self.bear(&place, failure, &mut tries).await?,
            }
        }
    }

    async fn post(&self, errand: &Errand<'_>, part: u32, content: Content) -> Result<(), NotPosted> {
        let doubtful = errand.doubtful && errand.before.parts.len() == part as usize;
        let marks = self.platform.abilities().resend == Resend::Marked;
        let mut post = Post {
            place: errand.place.clone(),
            content,
            key: format!("{}-{part}", errand.row.id),
            answers: errand.before.received.clone().filter(|_| part == 0),
            reply_to: None,
            silent: false,
        };
        let mut repeated = false;
        if doubtful && marks {
            self.repeat(errand, part, &mut post).await?;
            repeated = true;
        }
        let (mut tries, mut is_plain) = (0, false);
        loop {
            self.turn(&post.place).await?;
            fault::point("before_send", self.platform.name());
            let posted = self.platform.post(post.clone()).await;
            fault::point("after_send", self.platform.name());
            match posted {
                Ok(message) => {
                    self.health.posted(self.clock.now());
                    return self.record(errand, part, &message).await;
                }
                Err(Failure::Markup(why)) if !is_plain => {
                    tracing::warn!(why, "a message goes out as plain text: its markup is refused");
                    is_plain = true;
                    post.content.markup.clear();
                }
                Err(Failure::TooLarge(why)) => {
                    let Some(file) = post.content.file.take() else { return Err(Sent::Refused(why)) };
                    post.content = posting::too_large(&file, self.flavor);
                }
                Err(Failure::Unknown(why)) if marks && repeated => return Err(Sent::Unknown(why)),
                Err(Failure::Unknown(why)) if marks => {
                    self.repeat(errand, part, &mut post).await?;
                    repeated = true;
                    self.wait(&mut tries, why).await?;
                }
                // The platform knows the key again.
                Err(Failure::Unknown(why)) => self.wait(&mut tries, why).await?,
                Err(failure) => self.bear(&post.place, failure, &mut tries).await?,
            }
        }
    }

    /// A part is posted a second time, marked; never a third time.
    async fn repeat(&self, errand: &Errand<'_>, part: u32, post: &mut Post) -> Result<(), NotPosted> {
        if !self.note(errand, part, None).await? {
            return Err(Sent::Unknown("it was sent twice, and it is not known whether it arrived".into()));
        }
        post.content = posting::marked(std::mem::take(&mut post.content));
        Ok(())
    }

    /// Notes a part that others follow, or that can be pressed at. The last one is noted with the message itself.
    async fn record(&self, errand: &Errand<'_>, part: u32, message: &str) -> Result<(), NotPosted> {
        if part == errand.last && errand.before.approval.is_none() {
            return Ok(());
        }
        self.note(errand, part, Some(message.to_owned())).await.map(drop)
    }

    async fn note(&self, errand: &Errand<'_>, part: u32, message: Option<String>) -> Result<bool, NotPosted> {
        let approval = errand.before.approval.as_ref().filter(|_| part == errand.last);
        let post = NewPost {
            outbox: errand.row.id,
            part,
            conversation: errand.at(),
            message,
            approval: approval.map(|approval| approval.id.clone()),
            at: self.clock.now(),
        };
        let mut tries = 0;
        loop {
            match self.doors.record_post.ask(RecordPost { post: post.clone() }).await {
                Ok(fresh) => return Ok(fresh),
                Err(error) => self.wait(&mut tries, error.to_string()).await?,
            }
        }
    }

    /// Waits until it is this chat's turn.
    pub(super) async fn turn(&self, place: &Place) -> Result<(), NotPosted> {
        let now = self.clock.now();
        let wait = self.pace.lock().map_or(0, |mut pace| pace.next(&place.chat, is_group(place), now));
        if wait > 0 {
            self.pause(wait).await?;
        }
        // Meanwhile the platform may have asked for more patience.
        loop {
            let now = self.clock.now();
            match self.pace.lock().map_or(0, |pace| pace.held(&place.chat, now)) {
                0 => return Ok(()),
                held => self.pause(held).await?,
            }
        }
    }

    /// Takes a slot when one is free now, and says else how long there is none.
    pub(super) fn spare(&self, place: &Place) -> Millis {
        let now = self.clock.now();
        let Ok(mut pace) = self.pace.lock() else { return 0 };
        match pace.wait(&place.chat, is_group(place), now) {
            0 => pace.next(&place.chat, is_group(place), now),
            wait => wait,
        }
    }

    /// Removes a message; false when it is not known whether it is gone.
    pub(super) async fn take_away(&self, place: &Place, message: &str) -> bool {
        if self.turn(place).await.is_err() {
            return false;
        }
        match self.platform.remove(place, message).await {
            Ok(()) | Err(Failure::NoMessage(_) | Failure::NoChat(_) | Failure::Refused(_)) => true,
            Err(failure) => {
                tracing::debug!(%failure, "a message cannot be taken away now");
                false
            }
        }
    }

    /// Bears a failure that may pass, by waiting; one that will not is what the outbox is told.
    pub(super) async fn bear(
        &self,
        place: &Place,
        failure: Failure,
        tries: &mut u32,
    ) -> Result<(), NotPosted> {
        self.health.failed(self.clock.now(), &failure);
        match failure {
            Failure::Slow { after_ms, chat_only } => {
                self.hold(place, after_ms, chat_only);
                Ok(())
            }
            Failure::NoChat(why) => Err(Sent::Parked(why)),
            // A person has to mend it, and the health says so: what waits goes out then.
            Failure::NoToken(why) | Failure::Later(why) => self.wait(tries, why).await,
            Failure::Unknown(why) => Err(Sent::Unknown(why)),
            Failure::Markup(why)
            | Failure::TooLarge(why)
            | Failure::NoMessage(why)
            | Failure::Refused(why) => Err(Sent::Refused(why)),
            Failure::Unchanged => Err(Sent::Refused("nothing to change".into())),
        }
    }

    pub(super) fn hold(&self, place: &Place, after_ms: u64, chat_only: bool) {
        let until = self.clock.now().saturating_add(i64::try_from(after_ms).unwrap_or(Millis::MAX));
        if let Ok(mut pace) = self.pace.lock() {
            pace.hold(chat_only.then_some(place.chat.as_str()), until);
        }
    }

    pub(super) async fn wait(&self, tries: &mut u32, why: String) -> Result<(), NotPosted> {
        let pause = PAUSE.saturating_mul(1 << (*tries).min(16)).min(LONGEST_PAUSE);
        *tries += 1;
        tracing::debug!(why, pause, "a message waits to be posted");
        // Up to half of it by chance, so that not all come back at once.
        let by_chance = self.clock.fresh() % u128::from(pause / 2 + 1);
        self.pause(i64::try_from(pause + by_chance as u64).unwrap_or(i64::MAX)).await
    }

    async fn pause(&self, ms: Millis) -> Result<(), NotPosted> {
        let left = || Sent::Later { after_ms: 0, why: "shutting down before it was sent".into() };
        tokio::select! {
            () = self.stop.cancelled() => Err(left()),
            () = tokio::time::sleep(Duration::from_millis(ms.unsigned_abs())) => Ok(()),
        }
    }
}

/// Telegram's ids of groups are negative; nobody else makes a difference.
fn is_group(place: &Place) -> bool {
    place.chat.starts_with('-')
}
