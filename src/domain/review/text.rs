//! Reading a unified diff: secrets and hidden characters in added lines, and the same diff with secrets masked.

use std::collections::BTreeSet;

use super::{
    Finding, Place, Rule, Severity, place_of,
    secrets::{key_line, masked, secrets_in},
    shown,
};

/// Most findings of one rule that are listed; the last says that there are more.
const MOST: usize = 50;

/// Looks at the added lines of a diff as `git diff-tree -p` writes it, with the prefixes `a/` and `b/`. Files in `binary`
/// are searched for known shapes alone.
pub fn scan_diff(diff: &str, binary: &BTreeSet<String>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |severity, rule, path: &str, line, words: String| {
        let so_far = found.iter().filter(|one: &&Finding| one.rule == rule).count();
        match so_far.cmp(&MOST) {
            std::cmp::Ordering::Less => {
                found.push(Finding { severity, rule, path: Some(shown(path)), line: Some(line), words });
            }
            std::cmp::Ordering::Equal => {
                let words = "there are more like this".to_owned();
                found.push(Finding { severity, rule, path: None, line: None, words });
            }
            std::cmp::Ordering::Greater => {}
        }
    };
    let mut place = Walk::default();
    for line in diff.split('\n') {
        let Some((number, text)) = place.added(line) else { continue };
        let path = place.path.as_str();
        let names = !binary.contains(path) && place_of(path) != Some(Place::Lock);
        for secret in secrets_in(text, names) {
            let words = format!("{}: {}", secret.kind, masked(&text[secret.start..secret.end]));
            add(Severity::Asks, Rule::Secret, path, number, words);
        }
        if !binary.contains(path) && text.chars().any(misleads) {
            let words = "characters that hide text or turn it around".to_owned();
            add(Severity::Flagged, Rule::HiddenText, path, number, words);
        }
    }
    found
}

/// A diff, or any text, with everything in it masked that looks like a secret.
pub fn mask_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_key = false;
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            out.push('\n');
        }
        if in_key {
            in_key =
                !line.contains("-----END ") && !line.starts_with("diff --git ") && !line.starts_with("@@ ");
            if in_key {
                out.push_str(if line.starts_with(['+', '-', ' ']) { &line[..1] } else { "" });
                out.push_str("(masked)");
                continue;
            }
        }
        let mut from = 0;
        for secret in secrets_in(line, true) {
            out.push_str(&line[from..secret.start]);
            out.push_str(&masked(&line[secret.start..secret.end]));
            from = secret.end;
        }
        out.push_str(&line[from..]);
        in_key |= key_line(line).is_some() && !line.contains("-----END ");
    }
    out
}

/// Characters that turn text around (the "Trojan Source" ones) or that carry words nobody sees.
fn misleads(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
}

/// Where in a diff a line is. Hunks say how long they are, so that a line of a file is never taken for a head.
#[derive(Default)]
struct Walk {
    path: String,
    line: u32,
    old_left: u32,
    new_left: u32,
}

impl Walk {
    /// The number and the text of an added line.
    fn added<'a>(&mut self, line: &'a str) -> Option<(u32, &'a str)> {
        if self.old_left == 0 && self.new_left == 0 {
            self.head(line);
            return None;
        }
        let number = self.line;
        match line.as_bytes().first() {
            Some(b'+') => {
                self.new_left = self.new_left.saturating_sub(1);
                self.line = self.line.saturating_add(1);
                return Some((number, &line[1..]));
            }
            Some(b'-') => self.old_left = self.old_left.saturating_sub(1),
            Some(b'\\') => {}
            _ => {
                self.new_left = self.new_left.saturating_sub(1);
                self.old_left = self.old_left.saturating_sub(1);
                self.line = self.line.saturating_add(1);
            }
        }
        None
    }

    fn head(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("+++ ") {
            let name = name.strip_suffix('\t').unwrap_or(name);
            let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
            name.strip_prefix("b/").unwrap_or(name).clone_into(&mut self.path);
        } else if let Some(numbers) = line.strip_prefix("@@ ") {
            let mut words = numbers.split(' ');
            let (_, old) = range(words.next().unwrap_or_default().trim_start_matches('-'));
            let (line, new) = range(words.next().unwrap_or_default().trim_start_matches('+'));
            (self.line, self.old_left, self.new_left) = (line, old, new);
        }
    }
}

/// `12,3` or `12`: first line and count.
fn range(text: &str) -> (u32, u32) {
    let (start, count) = text.split_once(',').unwrap_or((text, "1"));
    (start.parse().unwrap_or(0), count.parse().unwrap_or(0))
}
