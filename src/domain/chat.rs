//! What comes in from a chat platform, and what goes out to it, in words that no platform has for itself.

use serde::{Deserialize, Serialize};

use super::{
    Millis,
    ids::{BadName, ConversationId, UserId},
    message::FileRef,
};

/// Chat platforms: channels on which people write in chats, and whose messages can be edited.
pub const TELEGRAM: &str = "telegram";
/// See [`TELEGRAM`].
pub const DISCORD: &str = "discord";
/// All of them.
pub const PLATFORMS: [&str; 2] = [TELEGRAM, DISCORD];

/// A chat, or a thread of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The platform's id of the chat.
    pub chat: String,
    /// The platform's id of the thread in it.
    pub thread: Option<String>,
}

impl Place {
    /// The name of the conversation that is held here: `chat` or `chat:thread`.
    pub fn name(&self) -> String {
        match &self.thread {
            Some(thread) => format!("{}:{thread}", self.chat),
            None => self.chat.clone(),
        }
    }

    /// The place that a conversation is held at.
    pub fn of(conversation: &ConversationId) -> Self {
        match conversation.name().split_once(':') {
            Some((chat, thread)) => Self { chat: chat.to_owned(), thread: Some(thread.to_owned()) },
            None => Self { chat: conversation.name().to_owned(), thread: None },
        }
    }

    /// The conversation of this user, or of a group's own user, at this place.
    ///
    /// # Errors
    /// [`BadName`] when the platform's ids cannot be part of a name.
    pub fn conversation(&self, channel: &str, user: &UserId) -> Result<ConversationId, BadName> {
        ConversationId::of(channel, user, &self.name())
    }
}

/// Who wrote, as the platform knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// The platform's id of them; the only thing that may be trusted.
    pub id: String,
    /// What they call themselves; anybody may call themselves anything.
    pub name: String,
}

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Media {
    /// A picture.
    Photo,
    /// Something said.
    Voice,
    /// Sound.
    Audio,
    /// A film.
    Video,
    /// Anything else.
    Document,
}

/// A file that still lies at the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteFile {
    /// What kind it is.
    pub media: Media,
    /// Its name; made up where the platform gives none.
    pub name: String,
    /// Its media type, such as `image/png`, in lower case.
    pub media_type: String,
    /// Its size in bytes, where the platform says so.
    pub size: Option<u64>,
    /// What the platform gives it out for: an id or an address.
    pub reference: String,
}

/// Something that happened at a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    /// The platform's own name of it, the same each time that it comes, no other's on this channel.
    pub id: String,
    /// Where.
    pub place: Place,
    /// The chat's id as people see it, where that is another one.
    pub seen_as: Option<String>,
    /// More than one person can read along there.
    pub group: bool,
    /// Who.
    pub sender: Sender,
    /// When it came.
    pub at: Millis,
    /// What.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Somebody wrote, or sent files. An album is one message.
    Message {
        /// The platform's id of the message; that of its first one for an album.
        message: String,
        /// The words, without the mention of the bot.
        text: String,
        /// The files.
        files: Vec<RemoteFile>,
        /// It is for the bot: it mentions the bot or replies to it, or nobody else is there.
        addressed: bool,
        /// What it replies to, when that is somebody's words other than the bot's last.
        quote: Option<Quote>,
    },
    /// Somebody corrected a message.
    Edited {
        /// The platform's id of the message.
        message: String,
        /// The words now.
        text: String,
        /// As in [`Event::Message`].
        addressed: bool,
    },
    /// A command with its arguments, given in the platform's own way; it is always for the bot.
    Command {
        /// As it would be typed: `/task app mend the test`.
        line: String,
        /// Files that go with it.
        files: Vec<RemoteFile>,
        /// What the platform wants to have answered.
        token: Option<String>,
    },
    /// Somebody pressed a button.
    Tap {
        /// The message that the button is at.
        message: String,
        /// What the button stands for, see [`Press`].
        data: String,
        /// What the platform wants to have answered.
        token: String,
    },
}

/// Words that a message replies to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// Whose.
    pub name: String,
    /// The words, cut short.
    pub text: String,
}

/// What a platform is told at once about something that came in. Everything else goes out as a stored message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// It was taken, and nothing needs to be said; a light acknowledgement may be shown.
    Taken,
    /// It came before.
    Known,
    /// It is nothing for us: not addressed to the bot, or from somebody who may not write. Nothing is shown, but
    /// where a platform wants an answer to everything, and then no more than that it is not taken.
    Ignored,
    /// Only whoever did it is told this, in the lightest way that the platform has.
    Said(String),
}

/// A button's meaning, short enough for every platform (64 bytes at Telegram).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Press {
    /// Answers a question.
    Decide {
        /// Which; the id of an approval.
        approval: String,
        /// How: see [`Press::data`].
        way: Way,
    },
    /// Lets somebody in who has shown this pairing code, or sends them away.
    Pair {
        /// The id of the pairing.
        pairing: String,
        /// In or away.
        admit: bool,
    },
}

/// How a question is answered with a button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Yes, as it was asked.
    Approve,
    /// No.
    Reject,
    /// A commit without a pull request.
    NoRequest,
    /// A host for all of the job.
    ForJob,
    /// A host for all jobs of the project.
    ForProject,
}

impl Way {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Approve, "y"),
        (Self::Reject, "n"),
        (Self::NoRequest, "q"),
        (Self::ForJob, "j"),
        (Self::ForProject, "p"),
    ];

    fn letter(self) -> &'static str {
        Self::ALL.iter().find(|(way, _)| *way == self).map_or("n", |(_, letter)| letter)
    }
}

impl Press {
    /// What is stored at the button.
    pub fn data(&self) -> String {
        match self {
            Self::Decide { approval, way } => format!("d:{}:{approval}", way.letter()),
            Self::Pair { pairing, admit } => format!("p:{}:{pairing}", if *admit { "y" } else { "n" }),
        }
    }

    /// Reads what was stored at a button. `None` for anything that no button of ours says.
    pub fn parse(data: &str) -> Option<Self> {
        let mut parts = data.splitn(3, ':');
        let (kind, letter, id) = (parts.next()?, parts.next()?, parts.next()?.to_owned());
        match kind {
            "d" => {
                let (way, _) = Way::ALL.iter().find(|(_, known)| *known == letter)?;
                Some(Self::Decide { approval: id, way: *way })
            }
            "p" if ["y", "n"].contains(&letter) => Some(Self::Pair { pairing: id, admit: letter == "y" }),
            _ => None,
        }
    }
}

/// A button under a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    /// What stands on it.
    pub label: String,
    /// What comes back when it is pressed: [`Press::data`].
    pub data: String,
    /// How it looks.
    pub tone: Tone,
}

/// How a button looks, where the platform has colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Go on.
    Good,
    /// Do not.
    Bad,
    /// Neither.
    Plain,
}

/// A short table of facts, for platforms that have cards; others are given them in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The headline.
    pub title: String,
    /// Names and values.
    pub fields: Vec<(String, String)>,
    /// How it looks.
    pub tone: Tone,
}

/// One message of a platform.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Content {
    /// The words in the platform's markup. When this is empty, `plain` goes out as it is: so words are sent whose markup the
    /// platform has refused. Only a file goes out when both are empty.
    pub markup: String,
    /// The same without markup, for when the platform refuses that, and for what counts words as people see them.
    pub plain: String,
    /// Rows of buttons.
    pub buttons: Vec<Vec<Button>>,
    /// A card; only for platforms that have such a thing.
    pub card: Option<Card>,
    /// A file.
    pub file: Option<FileRef>,
}

/// Something that is to be posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Where.
    pub place: Place,
    /// What.
    pub content: Content,
    /// The same each time that it is posted, at most 25 characters: a platform that knows keys posts it once. When other
    /// words come under a key that it knows, its message says those then, unless they are a draft.
    pub key: String,
    /// What came in and is answered by it, as [`Incoming::id`] names it: a platform may wait for this answer.
    pub answers: Option<String>,
    /// The message that it answers, where the platform shows that.
    pub reply_to: Option<String>,
    /// Nobody's device makes a sound.
    pub silent: bool,
    /// It is on its way to what it will be: whatever stands under its key already stays.
    pub draft: bool,
}

/// Why a platform did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Too much in a short time.
    #[error("too many requests; again in {after_ms} ms")]
    Slow {
        /// Milliseconds to wait.
        after_ms: u64,
        /// For this chat alone; else for all.
        chat_only: bool,
    },
    /// It does not take the markup.
    #[error("the markup is refused: {0}")]
    Markup(String),
    /// The message is as it should be already.
    #[error("nothing to change")]
    Unchanged,
    /// The message is not there any more (or cannot be changed any more).
    #[error("the message is gone: {0}")]
    NoMessage(String),
    /// The bot was blocked, or the chat is gone: nothing arrives there.
    #[error("the chat cannot be reached: {0}")]
    NoChat(String),
    /// The file is too large for the platform.
    #[error("the file is too large: {0}")]
    TooLarge(String),
    /// The bot may write there, and not send such a file.
    #[error("such a file may not be sent there: {0}")]
    NoFiles(String),
    /// The bot's token is not valid (any more).
    #[error("the token is refused: {0}")]
    NoToken(String),
    /// It will never be done.
    #[error("refused: {0}")]
    Refused(String),
    /// Certainly not done; another time perhaps.
    #[error("not now: {0}")]
    Later(String),
    /// It may have been done.
    #[error("it cannot be known whether it arrived: {0}")]
    Unknown(String),
}

/// How listening at a platform goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// It listens, as this account.
    Up {
        /// The bot's own name at the platform.
        account: String,
    },
    /// It does not, and tries again.
    Down {
        /// Why.
        why: String,
    },
    /// It does not, and a person has to do something.
    Refused {
        /// Why, and what to do.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_again_by_its_conversation() {
        for (chat, thread) in [("42", None), ("-1001234", Some("7")), ("88123", Some("99"))] {
            let place = Place { chat: chat.into(), thread: thread.map(str::to_owned) };
            let conversation = place.conversation(TELEGRAM, &UserId::new("ann")).unwrap();
            assert_eq!(Place::of(&conversation), place);
        }
    }

    #[test]
    fn a_button_says_what_it_stands_for_in_64_bytes() {
        let approval = format!("{}-123-4", super::super::ids::encode(u128::MAX));
        for (way, _) in Way::ALL {
            let press = Press::Decide { approval: approval.clone(), way };
            assert!(press.data().len() <= 64);
            assert_eq!(Press::parse(&press.data()), Some(press));
        }
        let press = Press::Pair { pairing: "x1".into(), admit: true };
        assert_eq!(Press::parse(&press.data()), Some(press));
        for odd in ["", "d", "d:y", "d:z:1", "p:q:1", "x:y:1", "approve_1"] {
            assert_eq!(Press::parse(odd), None, "{odd}");
        }
    }
}
