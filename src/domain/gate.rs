//! Who may write on a chat platform, and how what they write is handed on. Decisions only.

use super::{
    access::Role,
    chat::{Event, Quote, Sender},
    command::{self, Command},
    identity::{self, Identity, clean_name, fits_id},
};

/// Who may write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// Whom an owner has let in.
    #[default]
    Pairing,
    /// Whom the configuration lists, and whom an owner has let in.
    Allowlist,
    /// Everybody.
    Open,
}

impl Policy {
    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pairing => "pairing",
            Self::Allowlist => "allowlist",
            Self::Open => "open",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pairing, Self::Allowlist, Self::Open].into_iter().find(|one| one.as_str() == text)
    }
}

/// The rules of one channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Who may write.
    pub policy: Policy,
    /// Whom the configuration lists, by the platform's ids.
    pub allowed: Vec<String>,
    /// Groups whose members may write there, by the platform's ids.
    pub chats: Vec<String>,
    /// In groups only what is addressed to the bot is read.
    pub mention_only: bool,
}

/// Somebody who writes.
#[derive(Debug, Clone, Copy)]
pub struct Comer<'a> {
    /// Who, as the platform knows them.
    pub sender: &'a Sender,
    /// The platform's id of the chat.
    pub chat: &'a str,
    /// The chat under which we opened this one, a thread that is a chat of its own.
    pub parent: Option<&'a str>,
    /// More than one person can read along there.
    pub group: bool,
    /// It is for the bot.
    pub addressed: bool,
    /// Their account, when it is known.
    pub identity: Option<&'a Identity>,
}

/// What becomes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// They may write, with this role.
    LetIn(Role),
    /// Nothing: as if nobody were here.
    Ignore,
    /// They get a code to be let in with, unless they have one.
    AskToPair,
    /// They are told, once, that they may not write.
    Refuse,
}

/// Decides about somebody who writes.
pub fn decide(rules: &Rules, comer: Comer<'_>) -> Decision {
    if !fits_id(&comer.sender.id) || !fits_id(comer.chat) {
        return Decision::Ignore;
    }
    if comer.group && rules.mention_only && !comer.addressed {
        return Decision::Ignore;
    }
    let (known, role) = match comer.identity {
        Some(identity) if identity.blocked => return Decision::Ignore,
        Some(identity) => (identity.admitted, identity.role),
        None => (false, Role::Developer),
    };
    let is_listed = |chat: &str| rules.chats.iter().any(|listed| listed == chat);
    // Among the others there, and nowhere else.
    let is_here = comer.group && (is_listed(comer.chat) || comer.parent.is_some_and(is_listed));
    if known || is_here || rules.policy == Policy::Open || rules.allowed.contains(&comer.sender.id) {
        return Decision::LetIn(role);
    }
    match rules.policy {
        // A code would be read by everybody there.
        _ if comer.group => Decision::Ignore,
        Policy::Pairing => Decision::AskToPair,
        Policy::Allowlist | Policy::Open => Decision::Refuse,
    }
}

/// Milliseconds for which what ends work waits for what came before it. That is quick, unless it has something to fetch.
pub const SOON_MS: u64 = 500;

/// Whether something waits for what came before it in its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Haste {
    /// Until that is taken.
    None,
    /// It ends work: for [`SOON_MS`] at most.
    Ends,
    /// It answers a question: for nothing.
    Beside,
}

/// How much something hurries.
pub fn haste(event: &Event) -> Haste {
    let words = match event {
        Event::Tap { .. } => return Haste::Beside,
        Event::Message { text, .. } => text,
        Event::Command { line, .. } => line,
        Event::Edited { .. } => return Haste::None,
    };
    match command::parse(words) {
        Some(Ok(Command::Cancel(_) | Command::Stop)) => Haste::Ends,
        Some(Ok(Command::Approve(_) | Command::Reject(..))) => Haste::Beside,
        _ => Haste::None,
    }
}

/// What is handed on of a message: the words, after what they reply to, and in a group after who says them. A command
/// stays as it is. Lines after the first are set in, so that none of them can look like somebody else's.
pub fn words(text: &str, quote: Option<&Quote>, speaker: Option<&str>) -> String {
    if command::parse(text).is_some() {
        return text.to_owned();
    }
    let said = match speaker {
        Some(speaker) => format!("{speaker}: {}", one_break(text.trim()).replace('\n', "\n  ")),
        None => text.to_owned(),
    };
    match quote {
        Some(quote) => format!("{}\n\n{said}", quoted(quote)),
        None => said,
    }
}

/// Words of somebody else, marked as such in each line.
fn quoted(quote: &Quote) -> String {
    let text = one_break(quote.text.trim());
    let lines: Vec<String> = text.split('\n').map(|line| format!("> {line}")).collect();
    format!("> {} wrote:\n{}", clean_name(&quote.name), lines.join("\n"))
}

/// The text with one kind of line break.
fn one_break(text: &str) -> String {
    const BREAKS: [char; 6] = ['\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'];
    text.replace("\r\n", "\n").replace(BREAKS, "\n")
}

/// What somebody is told who may not write, in a title and a line.
pub const REFUSED: (&str, &str) =
    ("Sorry", "I only answer people whom my owner has listed, and you are not among them.");

/// A command that is about the account that sends it, and not about the conversation.
pub fn code_in(text: &str) -> Option<Result<String, &'static str>> {
    let mut words = text.split_whitespace();
    if !words.next()?.eq_ignore_ascii_case("/link") {
        return None;
    }
    let rest: String = words.collect();
    (!rest.is_empty()).then(|| {
        identity::read_code(&rest).ok_or("That is no code: codes look like ABCD-2345, and /link gives one.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::UserId;
    use proptest::prelude::*;

    fn sender() -> Sender {
        Sender { id: "42".into(), name: "Ann".into() }
    }

    fn known(role: Role, admitted: bool, blocked: bool) -> Identity {
        Identity {
            channel: "telegram".into(),
            external: "42".into(),
            user: UserId::new("telegram:42"),
            name: "Ann".into(),
            role,
            admitted,
            blocked,
            direct: None,
            created_at: 0,
            seen_at: 0,
        }
    }

    fn rules(policy: Policy, allowed: &[&str]) -> Rules {
        Rules {
            policy,
            allowed: allowed.iter().map(|id| (*id).to_owned()).collect(),
            chats: Vec::new(),
            mention_only: true,
        }
    }

    #[test]
    fn who_may_write_is_closed_by_default() {
        use Decision::*;
        use Policy::*;
        let sender = sender();
        let (paired, seen, blocked) = (
            known(Role::Owner, true, false),
            known(Role::Developer, false, false),
            known(Role::Owner, true, true),
        );
        assert_eq!(Rules::default().policy, Pairing);
        for (policy, allowed, identity, alone, in_group) in [
            (Pairing, &[][..], None, AskToPair, Ignore),
            (Pairing, &[], Some(&seen), AskToPair, Ignore),
            (Pairing, &[], Some(&paired), LetIn(Role::Owner), LetIn(Role::Owner)),
            (Pairing, &["42"], None, LetIn(Role::Developer), LetIn(Role::Developer)),
            (Pairing, &["42"], Some(&blocked), Ignore, Ignore),
            (Allowlist, &["7"], None, Refuse, Ignore),
            (Allowlist, &["7"], Some(&seen), Refuse, Ignore),
            (Allowlist, &["7", "42"], None, LetIn(Role::Developer), LetIn(Role::Developer)),
            (Allowlist, &["7"], Some(&paired), LetIn(Role::Owner), LetIn(Role::Owner)),
            (Open, &[], None, LetIn(Role::Developer), LetIn(Role::Developer)),
            (Open, &[], Some(&blocked), Ignore, Ignore),
        ] {
            let rules = rules(policy, allowed);
            for (group, expected) in [(false, alone), (true, in_group)] {
                let comer =
                    Comer { sender: &sender, chat: "-100", parent: None, group, addressed: true, identity };
                assert_eq!(decide(&rules, comer), expected, "{policy:?} {allowed:?} {identity:?} {group}");
            }
        }
    }

    #[test]
    fn a_group_is_heard_when_it_speaks_to_the_bot_or_when_all_of_it_is_wanted() {
        let sender = sender();
        let identity = known(Role::Developer, true, false);
        let comer = Comer {
            sender: &sender,
            chat: "-100",
            parent: None,
            group: true,
            addressed: false,
            identity: Some(&identity),
        };
        let mut rules = rules(Policy::Pairing, &[]);
        assert_eq!(decide(&rules, comer), Decision::Ignore);
        rules.mention_only = false;
        assert_eq!(decide(&rules, comer), Decision::LetIn(Role::Developer));
        let stranger = Comer { identity: None, ..comer };
        assert_eq!(decide(&rules, stranger), Decision::Ignore);
    }

    #[test]
    fn members_of_a_listed_group_may_write_there_and_nowhere_else() {
        use Decision::*;
        let sender = sender();
        let (seen, blocked) = (known(Role::Developer, false, false), known(Role::Owner, true, true));
        for policy in [Policy::Pairing, Policy::Allowlist] {
            let closed = if policy == Policy::Pairing { AskToPair } else { Refuse };
            for (chat, parent, group, addressed, identity, expected) in [
                ("-100", None, true, true, None, LetIn(Role::Developer)),
                ("-100", None, true, true, Some(&seen), LetIn(Role::Developer)),
                ("-100", None, true, true, Some(&blocked), Ignore),
                ("-100", None, true, false, None, Ignore),
                ("-200", None, true, true, Some(&seen), Ignore),
                ("-1000", None, true, true, None, Ignore),
                ("900", Some("-100"), true, true, None, LetIn(Role::Developer)),
                ("900", Some("-200"), true, true, None, Ignore),
                ("42", None, false, true, Some(&seen), closed),
                // A chat with one person is no group, whatever is listed.
                ("77", None, false, true, None, closed),
                ("42", Some("-100"), false, true, None, closed),
            ] {
                let mut rules = rules(policy, &[]);
                rules.chats = vec!["-100".into(), "77".into()];
                let comer = Comer { sender: &sender, chat, parent, group, addressed, identity };
                assert_eq!(decide(&rules, comer), expected, "{policy:?} {chat} {parent:?} {identity:?}");
            }
        }
    }

    #[test]
    fn ids_that_could_be_taken_for_others_are_nobody() {
        for (id, chat) in [("group:-100", "1"), ("1", "1:2"), ("", "1"), ("../x", "1"), ("1", "")] {
            let sender = Sender { id: id.into(), name: "x".into() };
            let comer =
                Comer { sender: &sender, chat, parent: None, group: false, addressed: true, identity: None };
            assert_eq!(decide(&rules(Policy::Open, &[]), comer), Decision::Ignore, "{id} {chat}");
        }
    }

    #[test]
    fn what_is_handed_on_says_who_speaks_and_what_is_quoted() {
        let quote = Quote { name: "Bob\n".into(), text: "one\ntwo".into() };
        for (text, quote, speaker, expected) in [
            ("hello", None, None, "hello"),
            ("hello", None, Some("Ann"), "Ann: hello"),
            ("a\nBob: b\r\nc\rd", None, Some("Ann"), "Ann: a\n  Bob: b\n  c\n  d"),
            ("why?", Some(&quote), None, "> Bob wrote:\n> one\n> two\n\nwhy?"),
            ("why?", Some(&quote), Some("Ann"), "> Bob wrote:\n> one\n> two\n\nAnn: why?"),
            ("/cancel", Some(&quote), Some("Ann"), "/cancel"),
            ("/etc/hosts is odd", None, Some("Ann"), "Ann: /etc/hosts is odd"),
        ] {
            assert_eq!(words(text, quote, speaker), expected);
        }
    }

    #[test]
    fn a_code_is_found_where_one_is_shown() {
        assert_eq!(code_in("/link abcd-2345"), Some(Ok("ABCD2345".into())));
        assert_eq!(code_in(" /LINK abcd 2345 "), Some(Ok("ABCD2345".into())));
        assert!(matches!(code_in("/link nonsense"), Some(Err(_))));
        assert_eq!(code_in("/link"), None);
        assert_eq!(code_in("hello /link abcd-2345"), None);
    }

    proptest! {
        #[test]
        fn the_closed_house_lets_nobody_in_who_was_not_let_in(
            group: bool, addressed: bool, mention_only: bool, seen: bool, id in "[0-9]{1,12}", allowlist: bool,
        ) {
            let sender = Sender { id, name: "x".into() };
            let identity = known(Role::Owner, false, false);
            let policy = if allowlist { Policy::Allowlist } else { Policy::Pairing };
            let rules = Rules { policy, allowed: vec!["x".into()], chats: vec!["-7".into()], mention_only };
            let identity = seen.then_some(&identity);
            let comer = Comer { sender: &sender, chat: "1", parent: None, group, addressed, identity };
            let decision = decide(&rules, comer);
            prop_assert!(!matches!(decision, Decision::LetIn(_)), "{:?}", decision);
            prop_assert!(!group || decision == Decision::Ignore);
        }

        #[test]
        fn no_line_of_a_message_in_a_group_looks_like_anothers(text in "[\\s\\S]{0,200}", quoted in "[\\s\\S]{0,100}") {
            prop_assume!(command::parse(&text).is_none());
            let quote = Quote { name: "Bob".into(), text: quoted };
            let words = words(&text, Some(&quote), Some("Ann"));
            let (before, said) = words.split_once("\n\nAnn: ").unwrap();
            let breaks = ['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'];
            prop_assert!(before.split(breaks).all(|line| line.starts_with("> ")));
            prop_assert!(said.split(breaks).skip(1).all(|line| line.starts_with("  ")));
        }
    }
}
