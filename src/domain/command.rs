//! Slash commands: the same words on every channel, answered without a model.

/// A command, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
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
    /// End the turn and all that waits behind it.
    Cancel,
    /// End the running tool, go on with the turn.
    Stop,
    /// Begin the conversation anew.
    Clear,
    /// Allow what was asked.
    Approve(String),
    /// Refuse what was asked, with a reason.
    Reject(String, Option<String>),
}

/// What a command is called, what may follow it, and what it does.
pub const COMMANDS: &[(&str, &str, &str)] = &[
    ("help", "", "what can be said here"),
    ("skills", "", "the skills there are"),
    ("memory", "[category]", "what I remember about you"),
    ("tasks", "[running|queued|parked]", "what is under way"),
    ("cost", "", "what was spent today"),
    ("cancel", "", "end what I am doing, and all that waits behind it"),
    ("stop", "", "end the running tool and let me go on"),
    ("clear", "", "begin the conversation anew"),
    ("approve", "<id>", "allow what I asked for"),
    ("reject", "<id> [reason]", "refuse what I asked for"),
];

/// Why a message that begins with a slash is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCommand {
    /// There is no such command.
    #[error("there is no command /{0}; /help lists them")]
    Unknown(String),
    /// It lacks its argument.
    #[error("/{0} needs the id of an approval, as in: /{0} 01k…-1-0")]
    NeedsId(&'static str),
}

/// Reads a message as a command. `None` when it is none: no slash first, or a path such as `/etc/hosts`.
///
/// # Errors
/// [`BadCommand`] when it looks like one and cannot be one.
pub fn parse(text: &str) -> Option<Result<Command, BadCommand>> {
    let rest = text.trim().strip_prefix('/')?;
    let mut words = rest.split_whitespace();
    let name = words.next()?;
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return None;
    }
    let first = words.next().map(str::to_owned);
    let others = words.collect::<Vec<_>>().join(" ");
    let others = (!others.is_empty()).then_some(others);
    Some(match (name.to_ascii_lowercase().as_str(), first) {
        ("help" | "start", _) => Ok(Command::Help),
        ("skills", _) => Ok(Command::Skills),
        ("memory", category) => Ok(Command::Memory(category)),
        ("tasks", filter) => Ok(Command::Tasks(filter)),
        ("cost", _) => Ok(Command::Cost),
        ("cancel", _) => Ok(Command::Cancel),
        ("stop", _) => Ok(Command::Stop),
        ("clear", _) => Ok(Command::Clear),
        ("approve", Some(id)) => Ok(Command::Approve(id)),
        ("approve", None) => Err(BadCommand::NeedsId("approve")),
        ("reject", Some(id)) => Ok(Command::Reject(id, others)),
        ("reject", None) => Err(BadCommand::NeedsId("reject")),
        (unknown, _) => Err(BadCommand::Unknown(unknown.to_owned())),
    })
}

/// The answer to `/help`.
pub fn help() -> String {
    let lines: Vec<String> = COMMANDS
        .iter()
        .map(|(name, args, what)| {
            let space = if args.is_empty() { "" } else { " " };
            format!("/{name}{space}{args} — {what}")
        })
        .collect();
    format!("Write to me in plain words, or use a command:\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_and_other_text_is_left_alone() {
        let cases = [
            ("/help", Some(Ok(Command::Help))),
            (" /MEMORY work ", Some(Ok(Command::Memory(Some("work".into()))))),
            (
                "/reject a1 too risky now",
                Some(Ok(Command::Reject("a1".into(), Some("too risky now".into())))),
            ),
            ("/approve", Some(Err(BadCommand::NeedsId("approve")))),
            ("/dance", Some(Err(BadCommand::Unknown("dance".into())))),
            ("/etc/hosts is odd", None),
            ("hello /help", None),
            ("/", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn every_listed_command_parses() {
        for (name, args, _) in COMMANDS {
            let text = if args.starts_with('<') { format!("/{name} x") } else { format!("/{name}") };
            assert!(matches!(parse(&text), Some(Ok(_))), "{text}");
            assert!(help().contains(&format!("/{name}")));
        }
    }
}
