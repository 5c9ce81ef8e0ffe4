//! All commands, in one table: what is typed behind each, what is offered while it is typed. Help and the menus of
//! platforms are made of it.

use super::command::{FILTERS, LEVELS};
use OptionKind::{File, Offered, OneOf, Words};

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

impl CommandSpec {
    /// What may stand behind it, as help shows it: `<project> <instruction>`, `[category]`. Files are not typed.
    pub fn usage(&self) -> String {
        let typed = self.options.iter().filter(|option| option.kind != File);
        let shown = typed.map(|option| {
            let what = match option.kind {
                OneOf(words) => words.join("|"),
                Words | Offered | File => option.name.to_owned(),
            };
            if option.required { format!("<{what}>") } else { format!("[{what}]") }
        });
        shown.collect::<Vec<_>>().join(" ")
    }
}

const fn command(name: &'static str, purpose: &'static str, options: &'static [OptionSpec]) -> CommandSpec {
    CommandSpec { name, purpose, options }
}

const fn option(name: &'static str, purpose: &'static str, required: bool, kind: OptionKind) -> OptionSpec {
    OptionSpec { name, purpose, required, kind }
}

/// All commands.
pub const MENU: &[CommandSpec] = &[
    command("start", "begin here", &[]),
    command("help", "what can be said here", &[]),
    command("skills", "the skills there are", &[]),
    command("memory", "what I remember about you", &[option("category", "of one kind only", false, Offered)]),
    command(
        "tasks",
        "what is under way, or scheduled",
        &[option("filter", "in one state only", false, OneOf(FILTERS))],
    ),
    command(
        "cancel",
        "end what I am doing here and all that waits behind it, or a task",
        &[option("job", "a task of yours", false, Offered)],
    ),
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
    command("verbosity", "how much I say while I work", &[option("how", "how much", false, OneOf(LEVELS))]),
];

#[cfg(test)]
mod tests {
    use super::*;

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
            let words = |option: &OptionSpec| match option.kind {
                OneOf(words) => words.len(),
                _ => 0,
            };
            assert!(entry.options.iter().all(|option| words(option) <= 25), "/{}", entry.name);
        }
    }

    #[test]
    fn help_shows_what_may_stand_behind_a_command() {
        let usage = |name: &str| MENU.iter().find(|entry| entry.name == name).unwrap().usage();
        assert_eq!(usage("help"), "");
        assert_eq!(usage("memory"), "[category]");
        assert_eq!(usage("task"), "<project> <instruction>");
        assert_eq!(usage("verbosity"), "[quiet|normal|verbose]");
    }
}
