//! The commands as a platform's menu shows them: what is typed behind each, what is offered while it is typed.

/// A command of the menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandSpec {
    /// Its name, without the slash: small letters, at most 32.
    pub name: &'static str,
    /// What it does, in at most 100 characters.
    pub purpose: &'static str,
    /// What may stand behind it, in this order, what is required first.
    pub options: &'static [OptionSpec],
}

/// Something that may stand behind a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionSpec {
    /// Its name: small letters, at most 32.
    pub name: &'static str,
    /// What it is, in at most 100 characters.
    pub purpose: &'static str,
    /// The command means nothing without it.
    pub required: bool,
    /// What it is made of.
    pub kind: OptionKind,
}

/// What an option is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionKind {
    /// Any words.
    Words,
    /// One of these words; at most 25.
    OneOf(&'static [&'static str]),
    /// Words, of which fitting ones are offered while they are typed.
    Offered,
    /// A file.
    File,
}

const fn command(name: &'static str, purpose: &'static str, options: &'static [OptionSpec]) -> CommandSpec {
    CommandSpec { name, purpose, options }
}

const fn option(name: &'static str, purpose: &'static str, required: bool, kind: OptionKind) -> OptionSpec {
    OptionSpec { name, purpose, required, kind }
}

use OptionKind::{File, Offered, OneOf, Words};

/// All commands.
pub const MENU: &[CommandSpec] = &[
    command("start", "begin here", &[]),
    command("help", "what can be said here", &[]),
    command("skills", "the skills there are", &[]),
    command("memory", "what I remember about you", &[option("category", "of one kind only", false, Words)]),
    command(
        "tasks",
        "what is under way",
        &[option("filter", "in one state only", false, OneOf(&["running", "queued", "parked"]))],
    ),
    command("cancel", "end what I am doing, and all that waits behind it", &[]),
    command("stop", "end the running tool and let me go on", &[]),
    command("clear", "begin the conversation anew", &[]),
    command(
        "model",
        "the model that answers, or another one",
        &[option("name", "the model", false, Offered)],
    ),
    command("cost", "what was spent today", &[]),
    command("approve", "allow what I asked for", &[option("id", "the id of the question", true, Offered)]),
    command(
        "reject",
        "refuse what I asked for",
        &[
            option("id", "the id of the question", true, Offered),
            option("reason", "why, for me to read", false, Words),
        ],
    ),
    command("projects", "the projects that bots work on", &[]),
    command(
        "task",
        "give a bot something to do in a project",
        &[
            option("project", "the project", true, Offered),
            option("instruction", "what is to be done", true, Words),
            option("file", "a file that goes with it", false, File),
        ],
    ),
    command("status", "how a job goes, or all of them", &[option("job", "the job", false, Offered)]),
    command(
        "link",
        "be the same person here as on another channel",
        &[option("code", "the code that the other channel shows", false, Words)],
    ),
    command(
        "verbosity",
        "how much I say while I work",
        &[option("how", "how much", true, OneOf(&["quiet", "normal", "verbose"]))],
    ),
];

#[cfg(test)]
mod tests {
    use super::{super::command::COMMANDS, *};

    #[test]
    fn every_entry_is_one_that_platforms_take() {
        let fits =
            |name: &str| (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase());
        let said = |words: &str| (1..=100).contains(&words.chars().count());
        for (at, entry) in MENU.iter().enumerate() {
            assert!(fits(entry.name) && said(entry.purpose), "/{}", entry.name);
            assert!(
                MENU[..at].iter().all(|other| other.name != entry.name),
                "/{} is there twice",
                entry.name
            );
            for option in entry.options {
                assert!(fits(option.name) && said(option.purpose), "/{} {}", entry.name, option.name);
            }
            assert!(entry.options.is_sorted_by_key(|option| !option.required), "/{}", entry.name);
        }
    }

    #[test]
    fn every_command_of_the_conversation_is_in_the_menu() {
        for (name, _, _) in COMMANDS {
            assert!(MENU.iter().any(|entry| entry.name == *name), "/{name} is not in the menu");
        }
    }
}
