//! Stories that a bot proposes: read out of what its engine said.

use crate::domain::board::fit_text;

/// The label of stories that a bot proposed.
pub const LABEL: &str = "proposed";
/// Most stories that one look proposes.
pub const MOST: usize = 3;

/// Longest title and longest description, in characters.
const TITLE: usize = 200;
const DESCRIPTION: usize = 4_000;

/// A proposed story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// What it is about.
    pub title: String,
    /// Why, and how.
    pub description: String,
    /// What must be so when it is done.
    pub acceptance_criteria: String,
}

/// The stories of the last block that is marked so, in the order in which they stand there: at most [`MOST`], none twice.
/// Each begins with a line `title:`; `description:` and `done when:` may follow it. Anything else is not read.
pub fn read(said: &str) -> Vec<Proposal> {
    let Some((_, block)) = said.rsplit_once("```stories") else { return Vec::new() };
    let block = block.split("```").next().unwrap_or_default();
    let mut found: Vec<Proposal> = Vec::new();
    for line in block.lines() {
        let Some((key, words)) = line.trim().trim_start_matches("- ").split_once(':') else { continue };
        let words = words.trim();
        if words.is_empty() {
            continue;
        }
        match (key.trim().to_ascii_lowercase().as_str(), found.last_mut()) {
            ("title", _) => found.push(Proposal {
                title: fit_text(words, TITLE, false),
                description: String::new(),
                acceptance_criteria: String::new(),
            }),
            ("description", Some(story)) => story.description = fit_text(words, DESCRIPTION, false),
            ("done when", Some(story)) => story.acceptance_criteria = fit_text(words, DESCRIPTION, false),
            _ => {}
        }
    }
    let mut titles: Vec<String> = Vec::new();
    found.retain(|story| {
        let title = story.title.to_lowercase();
        let fresh = !titles.contains(&title);
        titles.push(title);
        fresh
    });
    found.truncate(MOST);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stories_are_read_from_the_last_block_and_no_more_than_three() {
        let said = "I looked.\n```stories\ntitle: old\n```\nBetter:\n```stories\n- title: Test the parser\n\
                    description: it has none\ndone when: cargo test covers it\nnonsense\nTitle: test the PARSER\n\
                    title: B\ntitle: C\ntitle: D\nsecret: x\n```\nBye";
        let found = read(said);
        let titles: Vec<&str> = found.iter().map(|story| story.title.as_str()).collect();
        assert_eq!(titles, ["Test the parser", "B", "C"]);
        assert_eq!(found[0].description, "it has none");
        assert_eq!(found[0].acceptance_criteria, "cargo test covers it");
        assert_eq!(found[1].description, "");
    }

    #[test]
    fn what_is_no_story_is_none() {
        for said in ["", "title: x", "```stories", "```stories\ndescription: x\ntitle:\n```"] {
            assert_eq!(read(said), [], "{said}");
        }
        let long = format!("```stories\ntitle: {}\u{7}\n```", "x".repeat(900));
        assert!(read(&long)[0].title.chars().count() <= TITLE);
    }
}
