//! Slash commands: the same words on every channel, answered without a model. One table makes the parser's help, the
//! lists that platforms show, and their options.

use super::{access::Role, job::Verbosity};

pub use super::menu::{CommandSpec, MENU as COMMANDS, OptionKind, OptionSpec};

/// A command, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Somebody begins.
    Start,
    /// What can be said here.
    Help,
    /// The skills there are.
    Skills,
    /// What is remembered, perhaps of one category.
    Memory(Option<String>),
    /// What is under way, perhaps in one state.
    Tasks(Option<String>),
    /// What was spent today.
    Cost,
    /// End the turn and all that waits behind it; or a coding task.
    Cancel(Option<String>),
    /// End the running tool, go on with the turn.
    Stop,
    /// Begin the conversation anew.
    Clear,
    /// Which model answers, or that another is to.
    Model(Option<String>),
    /// Allow what was asked.
    Approve(String),
    /// Refuse what was asked, with a reason.
    Reject(String, Option<String>),
    /// The projects there are.
    Projects,
    /// Give a coding task.
    Task {
        /// In which project.
        project: String,
        /// What is to be done, as it was typed.
        instruction: String,
    },
    /// Where my tasks stand, or one of them.
    Status(Option<String>),
    /// A code for another account of mine, or one that was given there.
    Link(Option<String>),
    /// How much of the work is shown, or is to be.
    Verbosity(Option<Verbosity>),
}

/// Which tasks `/tasks` can show. `pending` is another word for `queued`; `scheduled` are those that come by the clock.
pub(super) const FILTERS: &[&str] =
    &["all", "running", "queued", "pending", "parked", "scheduled", "completed", "failed", "cancelled"];
/// How much can be shown.
pub(super) const LEVELS: &[&str] = &["quiet", "normal", "verbose"];

/// Why a message that begins with a slash is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCommand {
    /// There is no such command.
    #[error("there is no command /{0}; /help lists them")]
    Unknown(String),
    /// It lacks its argument.
    #[error("/{0} needs the id of an approval, as in: /{0} 01k…-1-0")]
    NeedsId(&'static str),
    /// It lacks the project, or the instruction.
    #[error(
        "/task needs a project and what is to be done, as in: /task app mend the failing test; /projects lists them"
    )]
    NeedsTask,
    /// It takes another word.
    #[error("/{name} takes {}", .words.join(", "))]
    Word {
        /// The command.
        name: &'static str,
        /// What it takes.
        words: &'static [&'static str],
    },
}

impl Command {
    /// The role that it takes to say so: who may only look gives no orders.
    pub fn needs(&self) -> Role {
        match self {
            Self::Start
            | Self::Help
            | Self::Skills
            | Self::Memory(_)
            | Self::Tasks(_)
            | Self::Cost
            | Self::Projects
            | Self::Status(_)
            | Self::Link(_)
            | Self::Verbosity(_) => Role::Viewer,
            Self::Cancel(_)
            | Self::Stop
            | Self::Clear
            | Self::Model(_)
            | Self::Approve(_)
            | Self::Reject(..)
            | Self::Task { .. } => Role::Developer,
        }
    }
}

/// Splits off the first word; the rest is as it was typed.
fn word(text: &str) -> (Option<String>, &str) {
    let text = text.trim();
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    ((!first.is_empty()).then(|| first.to_owned()), rest.trim())
}

/// Reads a message as a command. `None` when it is none: no slash first, or a path such as `/etc/hosts`.
///
/// # Errors
/// [`BadCommand`] when it looks like one and cannot be one.
pub fn parse(text: &str) -> Option<Result<Command, BadCommand>> {
    let (name, rest) = word(text.trim().strip_prefix('/')?);
    let name = name?;
    if text.trim().starts_with("/ ") || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    let (first, after) = word(rest);
    let others = (!after.is_empty()).then(|| after.to_owned());
    Some(match (name.to_ascii_lowercase().as_str(), first) {
        ("start", _) => Ok(Command::Start),
        ("help", _) => Ok(Command::Help),
        ("skills", _) => Ok(Command::Skills),
        ("memory", category) => Ok(Command::Memory(category)),
        ("tasks", filter) => one_of("tasks", FILTERS, filter).map(Command::Tasks),
        ("cost", _) => Ok(Command::Cost),
        ("cancel", job) => Ok(Command::Cancel(job)),
        ("stop", _) => Ok(Command::Stop),
        ("clear", _) => Ok(Command::Clear),
        ("model", name) => Ok(Command::Model(name)),
        ("approve", Some(id)) => Ok(Command::Approve(id)),
        ("approve", None) => Err(BadCommand::NeedsId("approve")),
        ("reject", Some(id)) => Ok(Command::Reject(id, others)),
        ("reject", None) => Err(BadCommand::NeedsId("reject")),
        ("projects", _) => Ok(Command::Projects),
        ("task", Some(project)) => match others {
            Some(instruction) => Ok(Command::Task { project, instruction }),
            None => Err(BadCommand::NeedsTask),
        },
        ("task", None) => Err(BadCommand::NeedsTask),
        ("status", job) => Ok(Command::Status(job)),
        ("link", None) => Ok(Command::Link(None)),
        ("link", Some(_)) => Ok(Command::Link(Some(rest.to_owned()))),
        ("verbosity", level) => one_of("verbosity", LEVELS, level)
            .map(|level| Command::Verbosity(level.as_deref().and_then(Verbosity::parse))),
        (unknown, _) => Err(BadCommand::Unknown(unknown.to_owned())),
    })
}

fn one_of(
    name: &'static str,
    words: &'static [&'static str],
    given: Option<String>,
) -> Result<Option<String>, BadCommand> {
    let given = given.map(|given| given.to_ascii_lowercase());
    match given {
        Some(given) if !words.contains(&given.as_str()) => Err(BadCommand::Word { name, words }),
        given => Ok(given),
    }
}

/// The answer to `/help`.
pub fn help() -> String {
    let lines: Vec<String> = COMMANDS
        .iter()
        .map(|command| {
            let usage = command.usage();
            let space = if usage.is_empty() { "" } else { " " };
            format!("/{}{space}{usage} — {}", command.name, command.purpose)
        })
        .collect();
    format!("Write to me in plain words, or use a command:\n{}", lines.join("\n"))
}

/// The answer to `/start`.
pub const WELCOME: &str = "Hello. I am Atoll: I answer in plain words, remember what matters to you, and work on code \
                           in your projects. Just write; /help shows what else there is.";

/// The one of `known` that is meant by `given`: the whole id, or a beginning of at least four characters that only one
/// of them has.
///
/// # Errors
/// Those that begin so, when it is not one.
pub fn meant<'k>(given: &str, known: impl IntoIterator<Item = &'k str>) -> Result<&'k str, Vec<&'k str>> {
    let given = given.trim().to_ascii_lowercase();
    let mut fits: Vec<&str> = known.into_iter().filter(|id| id.starts_with(&given)).collect();
    fits.sort_unstable();
    fits.dedup();
    if let Some(exact) = fits.iter().find(|id| **id == given) {
        return Ok(exact);
    }
    match fits.as_slice() {
        [one] if given.len() >= 4 => Ok(one),
        _ => Err(fits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_and_other_text_is_left_alone() {
        let task = |project: &str, instruction: &str| Command::Task {
            project: project.into(),
            instruction: instruction.into(),
        };
        let cases = [
            ("/help", Some(Ok(Command::Help))),
            ("/START now", Some(Ok(Command::Start))),
            ("/cancel", Some(Ok(Command::Cancel(None)))),
            ("/cancel 7x3k", Some(Ok(Command::Cancel(Some("7x3k".into()))))),
            (" /MEMORY work ", Some(Ok(Command::Memory(Some("work".into()))))),
            (
                "/reject a1 too  risky now",
                Some(Ok(Command::Reject("a1".into(), Some("too  risky now".into())))),
            ),
            ("/approve", Some(Err(BadCommand::NeedsId("approve")))),
            ("/task app mend it\n\n  as said", Some(Ok(task("app", "mend it\n\n  as said")))),
            ("/task app\nmend it", Some(Ok(task("app", "mend it")))),
            ("/task app", Some(Err(BadCommand::NeedsTask))),
            ("/task", Some(Err(BadCommand::NeedsTask))),
            ("/tasks FAILED", Some(Ok(Command::Tasks(Some("failed".into()))))),
            ("/tasks odd", Some(Err(BadCommand::Word { name: "tasks", words: FILTERS }))),
            ("/verbosity quiet", Some(Ok(Command::Verbosity(Some(Verbosity::Quiet))))),
            ("/verbosity", Some(Ok(Command::Verbosity(None)))),
            ("/verbosity loud", Some(Err(BadCommand::Word { name: "verbosity", words: LEVELS }))),
            ("/link ABCD 2345", Some(Ok(Command::Link(Some("ABCD 2345".into()))))),
            ("/dance", Some(Err(BadCommand::Unknown("dance".into())))),
            ("/etc/hosts is odd", None),
            ("hello /help", None),
            ("/ help", None),
            ("/", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn every_listed_command_parses_and_is_in_the_help() {
        for command in COMMANDS {
            let typed = |option: &OptionSpec| match option.kind {
                OptionKind::OneOf(words) => Some(words[0]),
                OptionKind::Words | OptionKind::Offered => Some("x"),
                OptionKind::File => None,
            };
            let args: Vec<&str> = command.options.iter().filter_map(typed).collect();
            let required = command.options.iter().filter(|option| option.required).count();
            for given in required..=args.len() {
                let text = format!("/{} {}", command.name, args[..given].join(" "));
                assert!(matches!(parse(&text), Some(Ok(_))), "{text}");
            }
            assert!(help().contains(&format!("/{}", command.name)));
        }
    }

    #[test]
    fn who_may_only_look_gives_no_orders() {
        for (text, needed) in [
            ("/help", Role::Viewer),
            ("/status", Role::Viewer),
            ("/task a b", Role::Developer),
            ("/approve x", Role::Developer),
            ("/cancel", Role::Developer),
        ] {
            assert_eq!(parse(text).unwrap().unwrap().needs(), needed, "{text}");
        }
    }

    #[test]
    fn a_short_id_is_taken_when_only_one_begins_so() {
        let known = ["01kabc-1-0", "01kabd-1-0", "7x3"];
        assert_eq!(meant("01KABC", known), Ok("01kabc-1-0"));
        assert_eq!(meant("7x3", known), Ok("7x3"), "a whole id may be short");
        assert_eq!(meant("01ka", known), Err(vec!["01kabc-1-0", "01kabd-1-0"]));
        assert_eq!(meant("7x", known), Err(vec!["7x3"]));
        assert_eq!(meant("zzzz", known), Err(vec![]));
    }
}
