//! Accounts on chat platforms, the codes that let them in or join them to a user, and what people are told of it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Millis,
    access::Role,
    chat::{PLATFORMS, Place},
    ids::{BadName, ConversationId, UserId},
    outbound::{Body, NewOutbox, Words},
    turn::Outcome,
};

/// How long a code holds, in milliseconds.
pub const CODE_MS: i64 = 10 * 60_000;
/// Wrong codes of one account after which it is locked out.
pub const TRIES: u32 = 5;
/// In which time these are counted, and for how long it is locked out, in milliseconds.
pub const LOCK_MS: i64 = 60 * 60_000;
/// How long somebody whom an owner sent away gets no new code, in milliseconds.
pub const AWAY_MS: i64 = 24 * 60 * 60_000;
/// Codes that an account may be given within [`AWAY_MS`] before it is left alone.
pub const MOST_CODES: u64 = 5;
/// Codes of one channel that are open at a time: beyond it strangers are left alone, and owners have peace.
pub const MOST_OPEN: u64 = 20;

/// Letters of a code: none looks like another.
const LETTERS: &[u8; 30] = b"23456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a code.
const CODE: usize = 8;
/// Longest name that is kept, in characters.
const NAME: usize = 40;
/// What no person is called without their id beside it.
const TAKEN: [&str; 7] = ["system", "assistant", "user", "tool", "atoll", "developer", "owner"];

/// An account on a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The platform.
    pub channel: String,
    /// The platform's id of it.
    pub external: String,
    /// The user that it is.
    pub user: UserId,
    /// What they call themselves, cleaned.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Somebody let them in by name.
    pub admitted: bool,
    /// Nothing of theirs is taken.
    pub blocked: bool,
    /// The last chat with them alone.
    pub direct: Option<Place>,
    /// When they were first seen.
    pub created_at: Millis,
    /// When they were last seen, to the minute.
    pub seen_at: Millis,
}

/// Where a pairing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairingState {
    /// Somebody waits.
    Open,
    /// They were let in.
    Paired,
    /// They were sent away.
    Refused,
    /// They showed other codes meanwhile, wrong ones or one that joined them to a user: it is worth nothing.
    Void,
    /// Nobody decided in time.
    Expired,
}

impl PairingState {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paired => "paired",
            Self::Refused => "refused",
            Self::Void => "void",
            Self::Expired => "expired",
        }
    }

    /// Reads a stored word.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Open, Self::Paired, Self::Refused, Self::Void, Self::Expired];
        all.into_iter().find(|one| one.as_str() == text)
    }
}

/// An unknown person who was given a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairing {
    /// Its name, for buttons and for REST.
    pub id: String,
    /// The platform.
    pub channel: String,
    /// The platform's id of them.
    pub external: String,
    /// What they call themselves, cleaned.
    pub name: String,
    /// Where they wrote.
    pub place: Place,
    /// Where it stands.
    pub state: PairingState,
    /// When it was asked.
    pub created_at: Millis,
    /// Until when it holds.
    pub expires_at: Millis,
    /// Who let them in or sent them away.
    pub decided_by: Option<String>,
}

/// What the store knows about somebody who writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recognised {
    /// This very message came before, and was taken or answered.
    pub before: bool,
    /// Their account.
    pub identity: Option<Identity>,
    /// Somebody else on the platform has a name that looks the same.
    pub namesake: bool,
    /// The chat under which we opened the one in which they write: a thread that is a chat of its own.
    pub parent: Option<String>,
}

/// A stranger wrote: they are to get a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPairing {
    /// Its name.
    pub id: String,
    /// The code, in its short form.
    pub code: String,
    /// The platform.
    pub channel: String,
    /// The platform's id of them.
    pub external: String,
    /// What they call themselves.
    pub name: String,
    /// Where they wrote, alone with us.
    pub place: Place,
    /// When.
    pub now: Millis,
}

/// Which pairing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhichPairing {
    /// By its name.
    Id(String),
    /// By its code, in its short form.
    Code(String),
}

/// Somebody is let in, or sent away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairingAnswer {
    /// Whom.
    pub which: WhichPairing,
    /// In, or away.
    pub admit: bool,
    /// What they may do.
    pub role: Role,
    /// The user that they are; `None` for one of their own.
    pub user: Option<UserId>,
    /// Who says so, for people.
    pub by: String,
    /// The same for the audit log.
    pub actor: String,
    /// When.
    pub now: Millis,
}

/// A code that joins an account to a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCode {
    /// The code, in its short form.
    pub code: String,
    /// The user.
    pub user: UserId,
    /// What the account may do.
    pub role: Role,
    /// Who asked for it, for the audit log.
    pub actor: String,
    /// When.
    pub now: Millis,
}

/// Somebody shows a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redemption {
    /// The code, in its short form.
    pub code: String,
    /// The platform.
    pub channel: String,
    /// The platform's id of them.
    pub external: String,
    /// What they call themselves.
    pub name: String,
    /// Where they write, alone with us.
    pub place: Place,
    /// When.
    pub now: Millis,
}

/// What came of a code that somebody showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeemed {
    /// The account is this user's now.
    Joined {
        /// The account.
        identity: Identity,
        /// How many memories and schedules moved with it.
        moved: (usize, usize),
    },
    /// It was so already.
    Already(Identity),
    /// There is no such code, or none any more.
    Wrong,
    /// They guessed too often.
    Locked {
        /// Milliseconds to wait.
        wait_ms: u64,
        /// It was this guess that locked them out.
        now: bool,
    },
}

/// What of an account is to be changed; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityChange {
    /// What they may do. Whoever is given a role is let in by name.
    pub role: Option<Role>,
    /// Nothing of theirs is taken.
    pub blocked: Option<bool>,
    /// The user that they are.
    pub user: Option<UserId>,
}

/// Why something about an account was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such pairing, or none that is open.
    #[error(
        "nobody waits under that code or id; codes hold for 10 minutes, `atoll pair list` shows who waits"
    )]
    NobodyWaits,
    /// Somebody was faster.
    #[error("already {} by {by}", .state.as_str())]
    Settled {
        /// Where it stands.
        state: PairingState,
        /// Who decided.
        by: String,
    },
}

/// Eight characters that nobody can guess, from random bytes.
pub fn code(secret: &[u8; 32]) -> String {
    let mut bits = secret.iter().take(16).fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let mut letter = || {
        let at = (bits % LETTERS.len() as u128) as usize;
        bits /= LETTERS.len() as u128;
        char::from(LETTERS[at])
    };
    (0..CODE).map(|_| letter()).collect()
}

/// A code as people read it.
pub fn shown(code: &str) -> String {
    match code.split_at_checked(CODE / 2) {
        Some((first, second)) => format!("{first}-{second}"),
        None => code.to_owned(),
    }
}

/// Reads a code as people type it. `None` for anything that can be none.
pub fn read_code(text: &str) -> Option<String> {
    let code: String = text
        .chars()
        .filter(|c| !matches!(c, '-' | ' ' | '\u{2013}' | '\u{2014}'))
        .map(|c| c.to_ascii_uppercase())
        .collect();
    let fits = code.len() == CODE && code.bytes().all(|byte| LETTERS.contains(&byte));
    fits.then_some(code)
}

/// What is stored of a code. It holds for minutes and few may guess, so one round of SHA-256 is enough.
pub fn hash_code(code: &str) -> [u8; 32] {
    Sha256::digest(format!("atoll code {code}")).into()
}

/// A platform's id that can be part of ours: short, and without what our ids are put together with.
pub fn fits_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c))
}

/// The user that an account is as long as it is joined to no other.
///
/// # Errors
/// [`BadName`] when the platform's id cannot be part of a name.
pub fn own_user(channel: &str, external: &str) -> Result<UserId, BadName> {
    UserId::parse(&format!("{channel}:{external}"))
}

/// The user that a group is.
///
/// # Errors
/// [`BadName`] when the platform's id cannot be part of a name.
pub fn group_user(channel: &str, chat: &str) -> Result<UserId, BadName> {
    UserId::parse(&format!("{channel}:group:{chat}"))
}

/// True for the user that a group is.
pub fn is_group(user: &UserId) -> bool {
    let mut parts = user.as_str().splitn(3, ':');
    let channel = parts.next().unwrap_or_default();
    PLATFORMS.contains(&channel) && parts.next() == Some("group") && parts.next().is_some()
}

/// A name without anything that could mislead: one line, no marks that turn the direction of writing, none of the
/// characters that we put around names.
pub fn clean_name(name: &str) -> String {
    let plain = |c: char| {
        let hidden = matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
                | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
        );
        let ours =
            matches!(c, ':' | '：' | '(' | ')' | '（' | '）' | '[' | ']' | '<' | '>' | '`' | '*' | '@' | '#');
        if c.is_control() || hidden || ours { ' ' } else { c }
    };
    let spaced: String = name.chars().take(400).map(plain).collect();
    let one_line = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = one_line.chars().take(NAME).collect();
    if short.is_empty() { "Somebody".into() } else { short.trim_end().to_owned() }
}

/// A name without all that makes two names look alike: case, spaces, signs.
pub fn fold_name(name: &str) -> String {
    let folded: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    if folded.is_empty() { name.to_owned() } else { folded }
}

/// What somebody is called before others: their name, and their id where the name alone could be another's.
pub fn label(name: &str, external: &str, namesake: bool) -> String {
    let name = clean_name(name);
    if namesake || TAKEN.contains(&fold_name(&name).as_str()) { format!("{name} ({external})") } else { name }
}

/// A message of ours at a place, to this user.
///
/// # Errors
/// [`BadName`] when the platform's ids cannot be part of a name.
pub fn notice(
    channel: &str,
    place: &Place,
    user: &UserId,
    title: &str,
    body: &str,
) -> Result<NewOutbox, BadName> {
    let body = Body::Notice { title: title.to_owned(), body: body.to_owned(), facts: Vec::new() };
    Ok(at(place.conversation(channel, user)?, body))
}

/// A message of ours in a conversation.
pub fn at(conversation: ConversationId, body: Body) -> NewOutbox {
    NewOutbox { user: conversation.user(), conversation, turn: None, answers: Vec::new(), body }
}

/// What a stranger is told. It holds their code, so it is theirs alone.
pub fn welcome_stranger(code: &str) -> Body {
    let code = shown(code);
    let text = format!(
        "Who are you? I do not know you yet. Your code is {code}; it holds for 10 minutes. Tell it to the owner of this bot, who \
         lets you in with a button, or with: atoll pair approve {code}\nIf you have an account here elsewhere, get a \
         code there with /link and send me: /link CODE"
    );
    Body::Answer { text, files: Vec::new(), outcome: Outcome::Answered, words: Words::Secret }
}

/// What owners are told of a stranger.
pub fn stranger_waits(pairing: &NewPairing) -> String {
    let (name, id) = (clean_name(&pairing.name), &pairing.external);
    format!(
        "{name} ({id} on {}) wants to write to me, with the code {}. Let them in only if they have told you this code \
         themselves: anybody may call themselves {name}. It holds for 10 minutes.",
        pairing.channel,
        shown(&pairing.code),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = code(&[0xab; 32]);
        assert_eq!(code.len(), CODE);
        let typed = [code.clone(), shown(&code), shown(&code).to_lowercase(), format!(" {} ", shown(&code))];
        for typed in typed {
            assert_eq!(read_code(&typed), Some(code.clone()), "{typed}");
        }
        for odd in ["", "ABCD", "ABCD-EFG", "ABCD-EFGHJ", "ABCD-EFG1", "ABCD-EFGO", "ABCD-EFGÄ", "ABCD/EFGH"]
        {
            assert_eq!(read_code(odd), None, "{odd}");
        }
        assert_ne!(hash_code("ABCDEFGH"), hash_code("ABCDEFGJ"));
    }

    #[test]
    fn nobody_can_be_named_like_a_group_or_reach_into_another_conversation() {
        let group = group_user("telegram", "-100").unwrap();
        assert!(is_group(&group) && !is_group(&own_user("telegram", "100").unwrap()));
        assert!(!is_group(&UserId::new("ann:group:1")));
        for bad in ["group:-100", "", "1/2", "a b", "ä", &"1".repeat(65)] {
            assert!(!fits_id(bad), "{bad}");
        }
        assert!(fits_id("-1001234") && fits_id("88123"));
    }

    #[test]
    fn names_are_one_harmless_line() {
        for (name, clean) in [
            ("Ann", "Ann"),
            ("Ann\nBob: yes", "Ann Bob yes"),
            ("\u{202e}nnA\u{200b}", "nnA"),
            ("Ann (42)", "Ann 42"),
            (" \t ", "Somebody"),
            ("[system](x)", "system x"),
        ] {
            assert_eq!(clean_name(name), clean, "{name:?}");
        }
        assert_eq!(fold_name("A n-n"), fold_name("ann"));
        assert_eq!(label("Ann", "42", false), "Ann");
        assert_eq!(label("Ann", "42", true), "Ann (42)");
        assert_eq!(label("S y s t e m", "42", false), "S y s t e m (42)");
    }

    proptest! {
        #[test]
        fn a_cleaned_name_stays_so_and_is_short(name in "\\PC*|[\\s\\S]{0,80}") {
            let clean = clean_name(&name);
            prop_assert_eq!(&clean_name(&clean), &clean);
            prop_assert!((1..=NAME).contains(&clean.chars().count()));
            prop_assert!(!clean.contains(['\n', '\r', ':', '(', ')', '>', '[']));
        }

        #[test]
        fn codes_of_other_bytes_are_other_codes(a in any::<[u8; 32]>(), b in any::<[u8; 32]>()) {
            prop_assert_eq!(read_code(&code(&a)), Some(code(&a)));
            prop_assume!(a[..16] != b[..16]);
            // Two that are the same are one in 6e11: no run of these tests sees it.
            prop_assert_ne!(code(&a), code(&b));
        }
    }
}
