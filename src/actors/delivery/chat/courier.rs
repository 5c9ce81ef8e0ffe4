//! Brings one stored message to a chat platform, however long that takes: paced, in parts, each of them once.

use std::sync::{Arc, Mutex};

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
        file_link::FileLinks,
        identity::PairingState,
        ids::ConversationId,
        markup::Flavor,
        outbound::{Before, Body, NewPost, OutboxRow, Sent},
        pace::Pace,
        posting::{self, LeftOut, Stranger, Topic},
    },
    ports::{channel::Resend, clock::Clock, platform::Platform},
};

use super::{health::Health, waits::Tries};

/// How long a platform is trusted to know a key again, in milliseconds. Discord says "the past few minutes"
/// (<https://docs.discord.com/developers/resources/message#create-message>).
pub(super) const KNOWN: Millis = 120_000;

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
    pub(super) links: Option<FileLinks>,
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
    /// An earlier run may have posted one part more than it noted.
    cut_off: bool,
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

    /// The pairing that this asks owners about.
    fn pairing(&self) -> Option<&str> {
        let pairing = self.before.pairing.as_ref()?;
        (pairing.state == PairingState::Open).then_some(pairing.id.as_str())
    }

    /// The first part that is not noted is the one at which an earlier run was cut off.
    fn is_doubtful(&self, part: u32) -> bool {
        self.cut_off && (0..part).all(|earlier| self.before.parts.contains_key(&earlier))
    }
}

impl Courier {
    /// Brings a message there, and says what came of it. `draft` is the message that shows it already.
    pub(super) async fn deliver(&self, row: &OutboxRow, cut_off: bool, draft: Option<String>) -> Sent {
        let work = async {
            let mut before = self.look_back(row).await?;
            before.draft = draft.or(before.draft);
            if let Body::Decided { message, preview, status, by, reason, .. } = &row.message.body {
                let content =
                    posting::decided(preview, *status, by.as_deref(), reason.as_deref(), self.flavor);
                return self.change(&row.message.conversation, message, content).await.map(drop);
            }
            if let Body::PairingOver { message, name, external, channel, state, by } = &row.message.body {
                let stranger = Stranger { name, external, channel };
                let content = posting::pairing_over(&stranger, *state, by.as_deref(), self.flavor);
                return self.change(&row.message.conversation, message, content).await.map(drop);
            }
            if let Body::Standing { task, title, state, facts } = &row.message.body {
                let topic = Topic { id: task.to_string(), title: title.clone() };
                return self.stand(row, topic, posting::standing(title, state, facts, self.flavor)).await;
            }
            let contents = posting::contents(&row.message.body, &before, self.flavor);
            let place = match posting::topic(&row.message, before.approval.as_ref()) {
                Some(topic) if self.platform.abilities().threads => self.thread(row, topic).await?,
                _ => Place::of(&row.message.conversation),
            };
            let errand = Errand {
                row,
                place,
                before,
                cut_off,
                last: u32::try_from(contents.len()).unwrap_or(u32::MAX).saturating_sub(1),
            };
            self.post_all(errand, contents).await
        };
        work.await.err().unwrap_or(Sent::Done)
    }

    /// What earlier attempts left, of this run or another one; an answer may be shown already, a question may be closed, and
    /// a reply needs what it answers.
    async fn look_back(&self, row: &OutboxRow) -> Result<Before, NotPosted> {
        let approval = match &row.message.body {
            Body::Approval { approval, .. } => Some(approval.clone()),
            _ => None,
        };
        let mut tries = Tries::default();
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
            let known = errand.before.parts.get(&part);
            let posted = match (known, &errand.before.draft) {
                (Some(Some(_)), _) => Ok(()),
                (None, Some(draft)) if part == 0 => self.finish_draft(&errand, draft.clone(), content).await,
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
        let (mut tries, mut is_plain) = (Tries::default(), false);
        loop {
            self.turn(&place).await?;
            fault::point("before_edit", self.platform.name());
            let changed = self.platform.edit(&place, message, content.clone()).await;
            fault::point("after_edit", self.platform.name());
            match changed {
                Ok(()) | Err(Failure::Unchanged) => {
                    self.health.posted(self.clock.now());
                    return Ok(true);
                }
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
        let begun_again = errand.before.parts.contains_key(&part);
        if begun_again && errand.cut_off {
            return Err(Sent::Unknown("it was sent twice, and it is not known whether it arrived".into()));
        }
        let doubtful = begun_again || errand.is_doubtful(part);
        let own_key = format!("{}-{part}", errand.row.id);
        let mut post = Post {
            place: errand.place.clone(),
            key: self.draft_key(errand, part, &content).unwrap_or_else(|| own_key.clone()),
            content,
            answers: errand.before.received.clone().filter(|_| part == 0),
            reply_to: errand
                .before
                .asked
                .clone()
                .filter(|_| part == 0 && posting::replies(&errand.row.message)),
            silent: false,
            draft: false,
        };
        let mut repeated = false;
        // When it may have been posted for the first time.
        let since = if errand.cut_off { errand.row.created_at } else { self.clock.now() };
        if doubtful && self.marks(since) {
            self.repeat(errand, part, &mut post).await?;
            repeated = true;
        }
        let (mut tries, mut is_plain) = (Tries::default(), false);
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
                // The platform knows the draft's key, and the draft is gone.
                Err(Failure::NoMessage(_)) if post.key != own_key => post.key.clone_from(&own_key),
                Err(Failure::TooLarge(why)) => self.leave_out(&mut post, LeftOut::TooLarge, why)?,
                Err(Failure::NoFiles(why)) => self.leave_out(&mut post, LeftOut::NotAllowed, why)?,
                Err(Failure::Unknown(why)) if repeated => return Err(Sent::Unknown(why)),
                Err(Failure::Unknown(why)) if self.marks(since) => {
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

    /// The key under which a draft may stand of which nobody knows: its answer is posted under the same one, and takes its
    /// place.
    fn draft_key(&self, errand: &Errand<'_>, part: u32, content: &Content) -> Option<String> {
        let Before { parts, draft, .. } = &errand.before;
        let is_first = part == 0 && parts.is_empty() && draft.is_none() && content.file.is_none();
        let is_answer = matches!(errand.row.message.body, Body::Answer { .. });
        let is_known_again = self.platform.abilities().resend == Resend::Safe;
        let first = errand.row.message.answers.first();
        first.filter(|_| is_first && is_answer && is_known_again).map(posting::draft_key)
    }

    /// Words take the place of a file, with a link to it.
    fn leave_out(&self, post: &mut Post, left_out: LeftOut, why: String) -> Result<(), NotPosted> {
        let Some(file) = post.content.file.take() else { return Err(Sent::Refused(why)) };
        tracing::warn!(why, "a link goes out in the place of a file");
        let link = self.links.as_ref().map(|links| links.to(&file.id, self.clock.now()));
        post.content = posting::in_place_of(&file, left_out, link.as_deref(), self.flavor);
        Ok(())
    }

    /// Whether something that is posted again may be there twice: the platform knows no keys, or may have forgotten this one.
    fn marks(&self, since: Millis) -> bool {
        let is_old = self.clock.now() - since > KNOWN;
        self.platform.abilities().resend == Resend::Marked || is_old
    }

    /// A part is posted a second time, marked; never a third time.
    async fn repeat(&self, errand: &Errand<'_>, part: u32, post: &mut Post) -> Result<(), NotPosted> {
        self.note(errand, part, None).await?;
        post.content = posting::marked(std::mem::take(&mut post.content));
        Ok(())
    }

    /// Notes a part that others follow, or that can be pressed at. The last one is noted with the message itself.
    async fn record(&self, errand: &Errand<'_>, part: u32, message: &str) -> Result<(), NotPosted> {
        if part == errand.last && errand.before.approval.is_none() && errand.pairing().is_none() {
            return Ok(());
        }
        self.note(errand, part, Some(message.to_owned())).await
    }

    async fn note(&self, errand: &Errand<'_>, part: u32, message: Option<String>) -> Result<(), NotPosted> {
        let approval = errand.before.approval.as_ref().filter(|_| part == errand.last);
        let post = NewPost {
            outbox: errand.row.id,
            part,
            conversation: errand.at(),
            message,
            approval: approval.map(|approval| approval.id.clone()),
            pairing: errand.pairing().filter(|_| part == errand.last).map(str::to_owned),
            at: self.clock.now(),
        };
        let mut tries = Tries::default();
        loop {
            match self.doors.record_post.ask(RecordPost { post: post.clone() }).await {
                Ok(()) => return Ok(()),
                Err(error) => self.wait(&mut tries, error.to_string()).await?,
            }
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
        tries: &mut Tries,
    ) -> Result<(), NotPosted> {
        self.health.failed(self.clock.now(), &failure);
        match failure {
            Failure::Slow { after_ms, chat_only } => {
                self.hold(place, after_ms, chat_only);
                Ok(())
            }
            Failure::NoChat(why) => Err(Sent::Parked(why)),
            Failure::Later(why) if Self::is_hopeless(tries) => {
                Err(Sent::Refused(format!("it fails at this one, and takes others: {why}")))
            }
            // A person has to mend it, and the health says so: what waits goes out then.
            Failure::NoToken(why) | Failure::Later(why) => self.wait(tries, why).await,
            Failure::Unknown(why) => Err(Sent::Unknown(why)),
            Failure::Markup(why)
            | Failure::TooLarge(why)
            | Failure::NoFiles(why)
            | Failure::NoMessage(why)
            | Failure::Refused(why) => Err(Sent::Refused(why)),
            Failure::Unchanged => Err(Sent::Refused("nothing to change".into())),
        }
    }
}
