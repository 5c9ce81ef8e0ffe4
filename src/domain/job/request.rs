//! What a task may be asked for with, wherever it is asked for.

use crate::domain::board::{Refusal, check_text};

/// Longest instruction, in characters.
const INSTRUCTION: usize = 100_000;
/// Longest title, and longest that is made of an instruction, in characters.
const TITLE: usize = 200;
const MADE_TITLE: usize = 80;

/// Checks what is to be done.
///
/// # Errors
/// What is wrong with it.
pub fn check_instruction(text: &str) -> Result<(), Refusal> {
    check_text("instruction", text, 1, INSTRUCTION, true)
}

/// Checks a title, or the name of a model.
///
/// # Errors
/// What is wrong with it.
pub fn check_line(what: &'static str, text: &str) -> Result<(), Refusal> {
    check_text(what, text, 1, TITLE, false)
}

/// The beginning of an instruction, as a title.
pub fn title_of(instruction: &str) -> String {
    let line = instruction.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() <= MADE_TITLE {
        return line;
    }
    let cut: String = line.chars().take(MADE_TITLE - 1).collect();
    format!("{}…", cut.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_line_that_says_something() {
        assert_eq!(title_of("\n  mend the test\nand more"), "mend the test");
        assert_eq!(title_of(&"ä".repeat(200)).chars().count(), 80);
        assert_eq!(title_of("a\tb"), "a b");
    }
}
