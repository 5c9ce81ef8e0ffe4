//! What a reception works with: whom it talks to, what bounds it, and what it remembers while it lives.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    sync::Arc,
};

use tokio_util::sync::CancellationToken;

use crate::{
    actors::{
        db::messages::*,
        intake::messages::{Answers, Offer},
        kernel::Door,
        outbox::messages::Fresh,
    },
    domain::{
        Millis,
        access::Role,
        chat::Media,
        command,
        gate::Rules,
        identity::{Identity, NewPairing},
        ids::UserId,
        rate::Buckets,
    },
    ports::{clock::Clock, files::Files, platform::Platform, transcriber::Transcriber},
};

/// Places and people that are remembered at most; beyond it all are forgotten, and nothing is lost but comfort.
const REMEMBERED: usize = 10_000;
/// How long somebody who writes too fast is told nothing more, in milliseconds.
const TOLD_MS: i64 = 60_000;

/// Whom a reception talks to.
#[derive(Clone)]
pub struct ReceptionDoors {
    /// The channel's intake.
    pub offer: Door<Offer>,
    /// Answers questions.
    pub answers: Answers,
    /// Who writes.
    pub recognise: Door<Recognise>,
    /// Notes that somebody wrote.
    pub see: Door<SeeIdentity>,
    /// Gives strangers codes.
    pub ask_to_pair: Door<AskToPair>,
    /// Lets them in.
    pub answer_pairing: Door<AnswerPairing>,
    /// Tells somebody that they may not write.
    pub refuse: Door<RefuseIdentity>,
    /// Joins accounts to users.
    pub redeem: Door<RedeemCode>,
    /// Stores messages of ours.
    pub post: Door<PostNotice>,
    /// Notes a stored file.
    pub put_file: Door<PutFile>,
    /// Where listening goes on from.
    pub position: Door<GetPosition>,
    /// Notes where it went on to.
    pub set_position: Door<SetPosition>,
    /// Sends what was stored.
    pub fresh: Door<Fresh>,
}

/// Which kinds of files are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds {
    /// Pictures.
    pub photo: bool,
    /// Sound, spoken or not.
    pub audio: bool,
    /// Films.
    pub video: bool,
    /// Anything else.
    pub document: bool,
}

impl Kinds {
    /// Whether this kind is taken, and what it is called.
    pub(super) fn takes(self, media: Media) -> (bool, &'static str) {
        match media {
            Media::Photo => (self.photo, "pictures"),
            Media::Voice | Media::Audio => (self.audio, "recordings"),
            Media::Video => (self.video, "videos"),
            Media::Document => (self.document, "documents"),
        }
    }
}

/// What bounds a reception.
#[derive(Debug, Clone)]
pub struct ReceptionSettings {
    /// Who may write.
    pub rules: Rules,
    /// Messages and commands a minute for each person; 0 for no limit.
    pub messages_per_minute: u32,
    /// Largest file that is taken, in bytes.
    pub max_file: u64,
    /// Which files are taken.
    pub kinds: Kinds,
    /// The platforms on which owners can be told of strangers.
    pub platforms: Vec<String>,
}

/// All that a reception is made of.
#[derive(Clone)]
pub struct ReceptionKit {
    /// The platform.
    pub platform: Arc<dyn Platform>,
    /// Whom it talks to.
    pub doors: ReceptionDoors,
    /// What bounds it.
    pub settings: ReceptionSettings,
    /// Where files go.
    pub files: Arc<dyn Files>,
    /// Who writes down what is said in recordings.
    pub transcriber: Option<Arc<dyn Transcriber>>,
    /// Time and ids.
    pub clock: Arc<dyn Clock>,
}

/// The last message of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) message: String,
    pub(super) sender: String,
    pub(super) text: String,
}

/// Somebody who was let in.
pub(super) struct Guest {
    pub(super) identity: Identity,
    pub(super) role: Role,
    /// What they are called before others.
    pub(super) label: String,
}

/// The kit, and what a reception remembers while it lives.
pub(super) struct Desk {
    pub(super) kit: ReceptionKit,
    pace: RefCell<Buckets>,
    told: RefCell<HashMap<UserId, Millis>>,
    last: RefCell<HashMap<String, Last>>,
    fetching: RefCell<HashMap<String, CancellationToken>>,
    pub(super) taken: Cell<u64>,
    pub(super) ending: Cell<bool>,
}

impl Desk {
    pub(super) fn new(kit: ReceptionKit) -> Self {
        let pace = RefCell::new(Buckets::new(kit.settings.messages_per_minute));
        Self {
            kit,
            pace,
            told: RefCell::default(),
            last: RefCell::default(),
            fetching: RefCell::default(),
            taken: Cell::new(0),
            ending: Cell::new(false),
        }
    }

    pub(super) fn channel(&self) -> &'static str {
        self.kit.platform.name()
    }

    /// Takes one from somebody's bucket, for something that they sent at `sent`: what was written slowly while the platform
    /// could not be reached comes all at once. Else the milliseconds to wait, and whether they are to be told.
    pub(super) fn paced(&self, user: &UserId, sent: Millis) -> Result<(), (u64, bool)> {
        let now = self.kit.clock.now();
        let Err(wait) = self.pace.borrow_mut().take(sent.min(now), user.as_str()) else { return Ok(()) };
        let mut told = self.told.borrow_mut();
        if told.len() >= REMEMBERED {
            told.retain(|_, until| *until > now);
        }
        let tell = told.get(user).is_none_or(|until| *until <= now);
        if tell {
            told.insert(user.clone(), now + TOLD_MS);
        }
        Err((wait, tell))
    }

    /// The last message of a place, when it is this one of this person with other words. What a command has begun no
    /// correction takes back, so it would be done twice.
    pub(super) fn corrects(&self, place: &str, last: &Last) -> bool {
        let known = self.last.borrow();
        known.get(place).is_some_and(|known| {
            known.message == last.message
                && known.sender == last.sender
                && known.text != last.text
                && command::parse(&known.text).is_none()
        })
    }

    pub(super) fn remember(&self, place: String, last: Last) {
        let mut known = self.last.borrow_mut();
        if known.len() >= REMEMBERED && !known.contains_key(&place) {
            known.clear();
        }
        known.insert(place, last);
    }

    /// Set when what is fetched for this place is not wanted any more.
    pub(super) fn fetches(&self, place: &str) -> CancellationToken {
        let token = CancellationToken::new();
        self.fetching.borrow_mut().insert(place.to_owned(), token.clone());
        token
    }

    pub(super) fn fetched(&self, place: &str) {
        self.fetching.borrow_mut().remove(place);
    }

    /// From now on nothing is fetched: it comes again at the next start.
    pub(super) fn end(&self) {
        self.ending.set(true);
        self.fetching.borrow().values().for_each(CancellationToken::cancel);
    }

    /// Gives up what is being fetched for this place.
    pub(super) fn give_up(&self, place: &str) {
        if let Some(token) = self.fetching.borrow().get(place) {
            token.cancel();
        }
    }

    /// A pairing of somebody who is not known.
    pub(super) fn pairing(&self, incoming: &crate::domain::chat::Incoming) -> Result<NewPairing, String> {
        let secret = self.kit.clock.secret().map_err(|error| error.to_string())?;
        Ok(NewPairing {
            id: crate::domain::ids::encode_short(self.kit.clock.fresh()),
            code: crate::domain::identity::code(&secret),
            channel: self.channel().to_owned(),
            external: incoming.sender.id.clone(),
            name: incoming.sender.name.clone(),
            place: incoming.place.clone(),
            now: self.kit.clock.now(),
        })
    }
}
