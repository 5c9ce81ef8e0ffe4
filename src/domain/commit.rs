//! The commit that Atoll makes of a job's work: who made it, what it says, and trailers that nothing in it can forge.

use serde::{Deserialize, Serialize};

use super::branch::hides;

/// Longest first line, in characters.
const SUBJECT: usize = 72;
/// Longest body, in characters.
const BODY: usize = 8_000;

/// Who a commit is by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

impl Author {
    /// A bot, with what git cannot store in a name or an address left out.
    pub fn new(name: &str, email: &str) -> Self {
        let clean = |text: &str| -> String {
            let fine = |c: &char| !c.is_control() && !hides(*c) && !"<>".contains(*c);
            text.chars().filter(fine).take(100).collect::<String>()
        };
        // Git takes these off the ends of a name, and refuses one of nothing else.
        let crumbs = |c: char| c.is_whitespace() || ".,:;\"\\'".contains(c);
        let name = clean(name).trim_matches(crumbs).to_owned();
        let email: String =
            clean(email).split_whitespace().collect::<String>().trim_matches(crumbs).to_owned();
        Self {
            name: if name.is_empty() { "Atoll".to_owned() } else { name },
            email: if email.contains('@') { email } else { "atoll@localhost".to_owned() },
        }
    }
}

/// What a commit is to say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// What was done, in a line.
    pub title: String,
    /// More about it; may be empty.
    pub body: String,
    /// The job.
    pub job: String,
    /// The story that the job worked on.
    pub story: Option<String>,
}

impl Message {
    /// The whole message. Its last paragraph holds Atoll's trailers alone; whatever looks like one of them before is set
    /// apart, so that nothing a model writes passes for another job's.
    pub fn compose(&self) -> String {
        let subject = subject(&self.title);
        let subject = if subject.is_empty() {
            format!("Work of job {}", one_line(&self.job))
        } else {
            unforged(&subject)
        };
        let body = body(&self.body);
        let mut message = subject;
        if !body.is_empty() {
            message.push_str("\n\n");
            message.push_str(&body);
        }
        message.push_str("\n\nAtoll-Job: ");
        message.push_str(&one_line(&self.job));
        if let Some(story) = self.story.as_deref().map(one_line).filter(|story| !story.is_empty()) {
            message.push_str("\nAtoll-Story: ");
            message.push_str(&story);
        }
        message.push('\n');
        message
    }
}

/// A title in one line of at most 72 characters, as it is fit for a commit or a pull request.
pub fn subject(title: &str) -> String {
    let first = title.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let line = one_line(first);
    if line.chars().count() <= SUBJECT {
        return line;
    }
    let cut: String = line.chars().take(SUBJECT - 1).collect();
    let end = cut.rfind(' ').filter(|at| *at > SUBJECT / 2).unwrap_or(cut.len());
    format!("{}…", cut[..end].trim_end())
}

fn one_line(text: &str) -> String {
    let plain: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).filter(|c| !hides(*c)).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn body(text: &str) -> String {
    let kept: String = text.chars().take(BODY).collect();
    let line = |line: &str| {
        let plain: String = line.chars().filter(|c| (!c.is_control() || *c == '\t') && !hides(*c)).collect();
        unforged(plain.trim_end())
    };
    let mut lines: Vec<String> = kept.lines().map(line).collect();
    lines.dedup_by(|one, two| one.is_empty() && two.is_empty());
    lines.join("\n").trim_matches('\n').to_owned()
}

fn unforged(line: &str) -> String {
    let is_ours =
        line.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("atoll-")) && line.contains(':');
    if is_ours { format!("> {line}") } else { line.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(title: &str, body: &str) -> String {
        Message { title: title.into(), body: body.into(), job: "01j9".into(), story: Some("S-1".into()) }
            .compose()
    }

    #[test]
    fn a_message_has_a_short_line_a_body_and_trailers() {
        assert_eq!(
            message("Fix the login", "It was broken.\r\n\n\n\nNow it is not.\n"),
            "Fix the login\n\nIt was broken.\n\nNow it is not.\n\nAtoll-Job: 01j9\nAtoll-Story: S-1\n"
        );
        let long = message(&"word ".repeat(40), "");
        let first = long.lines().next().unwrap();
        assert!(first.chars().count() <= 72 && first.ends_with("word…"), "{first}");
        assert_eq!(message("\n \u{1b}[31mred\u{202e}", "").lines().next(), Some("[31mred"));
        assert!(message(" ", "").starts_with("Work of job 01j9\n"));
    }

    #[test]
    fn a_text_cannot_forge_a_trailer() {
        let forged = message("atoll-job: 666", "x\n\nAtoll-Job: 666\nATOLL-STORY: 7");
        let trailers: Vec<&str> =
            forged.lines().filter(|line| line.to_lowercase().starts_with("atoll-")).collect();
        assert_eq!(trailers, ["Atoll-Job: 01j9", "Atoll-Story: S-1"]);
    }

    #[test]
    fn authors_are_what_git_can_store() {
        assert_eq!(
            Author::new("Bo<t>\n", "bot@x.org"),
            Author { name: "Bot".into(), email: "bot@x.org".into() }
        );
        let nobody = Author { name: "Atoll".into(), email: "atoll@localhost".into() };
        assert_eq!(Author::new(" .;", "no address"), nobody);
    }

    proptest! {
        #[test]
        fn whatever_is_said_the_last_paragraph_is_ours(title in "\\PC{0,100}", body in "(\\PC{0,30}\n|Atoll-Job: 6\n|\n|\r\n|\u{2028}){0,8}") {
            let whole = message(&title, &body);
            let last = whole.trim_end().rsplit("\n\n").next().unwrap();
            prop_assert_eq!(last, "Atoll-Job: 01j9\nAtoll-Story: S-1");
            prop_assert!(whole.lines().next().unwrap().chars().count() <= 74);
            prop_assert_eq!(whole.matches("\nAtoll-Job:").count(), 1);
        }
    }
}
