//! What a person must know of a change before it leaves the machine: found in the change itself, never taken from
//! whoever made it.

mod links;
mod paths;
mod secrets;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use links::leaves_tree;
pub use paths::{Place, is_git_folder, place_of};
pub use secrets::{SecretFound, masked, secrets_in};
pub use text::{mask_text, scan_diff};

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Shown with the approval.
    Flagged,
    /// Nothing is pushed before a person has said that this very finding is fine.
    Asks,
    /// Cannot be approved.
    Refused,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A symlink leads out of the tree.
    SymlinkOut,
    /// A `.git` below the root, or a name that some file system takes for one.
    NestedGit,
    /// A submodule, or the list of them, was changed.
    Submodule,
    /// A name that cannot be shown or stored everywhere.
    OddName,
    /// More files than allowed.
    TooManyFiles,
    /// A file, or all together, is larger than allowed.
    TooLarge,
    /// More text than is scanned.
    NotScanned,
    /// An added line holds what looks like a secret.
    Secret,
    /// An added line holds characters that hide or turn around the text beside them.
    HiddenText,
    /// What continuous integration runs.
    Ci,
    /// What steers coding agents.
    AgentConfig,
    /// What git runs by itself on a developer's machine.
    Hooks,
    /// What tells git how to treat files.
    GitConfig,
    /// What is installed.
    LockFile,
    /// A large file that is no text.
    BigBinary,
}

/// One thing that a person should know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// What it is.
    pub rule: Rule,
    /// Where, when it is in one file; fit to show.
    pub path: Option<String>,
    /// The line, counted from one, when it is in one.
    pub line: Option<u32>,
    /// In words. Holds no secret.
    pub words: String,
}

/// Git's mode of an entry of a tree.
pub type Mode = u32;
/// A symlink.
pub const SYMLINK: Mode = 0o120_000;
/// A submodule.
pub const SUBMODULE: Mode = 0o160_000;

/// One changed file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// Its name: bytes that are no UTF-8 are replaced, and [`FileChange::odd_name`] says so.
    pub path: String,
    /// Its name is not UTF-8.
    pub odd_name: bool,
    /// Mode before; 0 when it is new.
    pub old_mode: Mode,
    /// Mode after; 0 when it is gone.
    pub new_mode: Mode,
    /// Size after, in bytes; 0 when it is gone.
    pub bytes: u64,
    /// Added and removed lines; `None` when it is no text.
    pub lines: Option<(u64, u64)>,
}

impl FileChange {
    /// It is there after the change.
    pub fn stays(&self) -> bool {
        self.new_mode != 0
    }
}

/// How much a change may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewLimits {
    /// Most changed files.
    pub files: usize,
    /// Largest changed file, in bytes.
    pub file_bytes: u64,
    /// All changed files together, in bytes.
    pub total_bytes: u64,
    /// A file that is no text is pointed out from this size on, in bytes.
    pub binary_bytes: u64,
    /// Submodules may be changed.
    pub submodules: bool,
}

impl Default for ReviewLimits {
    fn default() -> Self {
        let mib = 1024 * 1024;
        Self {
            files: 500,
            file_bytes: 10 * mib,
            total_bytes: 50 * mib,
            binary_bytes: mib / 2,
            submodules: false,
        }
    }
}

/// A change, as it was read from a repository that the agent could not touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// The changed files.
    pub files: Vec<FileChange>,
    /// All symlinks of the tree before, with their targets.
    pub links_before: BTreeMap<String, String>,
    /// All symlinks of the tree after, with their targets.
    pub links_after: BTreeMap<String, String>,
}

/// Everything about the files of a change, the worst first. What is in their lines is for [`scan_diff`].
pub fn review(change: &Change, limits: &ReviewLimits) -> Vec<Finding> {
    let mut found: Vec<Finding> = change.files.iter().flat_map(|file| review_file(file, limits)).collect();
    found.extend(escapes(change));
    let (count, total) =
        (change.files.len(), change.files.iter().map(|file| file.bytes).fold(0, u64::saturating_add));
    if count > limits.files {
        let words = format!("{count} files are changed, {} are allowed", limits.files);
        found.push(whole(Rule::TooManyFiles, words));
    }
    if total > limits.total_bytes {
        let words = format!("the changed files have {total} bytes, {} are allowed", limits.total_bytes);
        found.push(whole(Rule::TooLarge, words));
    }
    in_order(found)
}

/// The worst first, each once.
pub fn in_order(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by(|one, two| two.severity.cmp(&one.severity).then_with(|| one.cmp(two)));
    found.dedup();
    found
}

fn whole(rule: Rule, words: String) -> Finding {
    Finding { severity: Severity::Refused, rule, path: None, line: None, words }
}

/// A name as it may be shown: nothing in it moves a cursor or turns text around.
pub fn shown(path: &str) -> String {
    let fit = |c: char| {
        if c.is_control() || super::branch::hides(c) { c.escape_unicode().to_string() } else { c.into() }
    };
    path.chars().take(300).map(fit).collect()
}

fn review_file(file: &FileChange, limits: &ReviewLimits) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut say = |severity, rule, words: String| {
        found.push(Finding { severity, rule, path: Some(shown(&file.path)), line: None, words });
    };
    if is_git_folder(&file.path) {
        say(Severity::Refused, Rule::NestedGit, "a `.git` inside of the tree would be run by git".into());
    }
    let odd =
        file.odd_name || file.path.chars().any(|c| c.is_control() || c == '\\' || super::branch::hides(c));
    if odd && file.stays() {
        say(
            Severity::Refused,
            Rule::OddName,
            "the name has characters that cannot be shown or stored everywhere".into(),
        );
    }
    let is_list = file.path.eq_ignore_ascii_case(".gitmodules");
    if is_list || file.old_mode == SUBMODULE || file.new_mode == SUBMODULE {
        let severity = if limits.submodules { Severity::Flagged } else { Severity::Refused };
        say(severity, Rule::Submodule, "submodules were changed".into());
    }
    if file.bytes > limits.file_bytes {
        let words = format!("it has {} bytes, {} are allowed", file.bytes, limits.file_bytes);
        say(Severity::Refused, Rule::TooLarge, words);
    } else if file.lines.is_none() && file.bytes >= limits.binary_bytes {
        say(Severity::Flagged, Rule::BigBinary, format!("no text, {} bytes", file.bytes));
    }
    if let Some(place) = place_of(&file.path) {
        let (rule, words) = match place {
            Place::Ci => (Rule::Ci, "continuous integration runs what it says, with its secrets"),
            Place::Agent => (Rule::AgentConfig, "it steers coding agents"),
            Place::Hooks => (Rule::Hooks, "git runs it by itself on the machines of those who fetch it"),
            Place::Git => (Rule::GitConfig, "it tells git how to treat files"),
            Place::Lock => (Rule::LockFile, "it decides what is installed"),
        };
        let words = if file.stays() { words.to_owned() } else { format!("removed: {words}") };
        say(Severity::Flagged, rule, words);
    }
    found
}

/// Symlinks that lead out now and did not, with the same target, before.
fn escapes(change: &Change) -> Vec<Finding> {
    let before: BTreeSet<(&String, &String)> =
        change.links_before.iter().filter(|(path, _)| leaves_tree(path, &change.links_before)).collect();
    let now = change.links_after.iter().filter(|(path, _)| leaves_tree(path, &change.links_after));
    now.filter(|link| !before.contains(link))
        .map(|(path, target)| Finding {
            severity: Severity::Refused,
            rule: Rule::SymlinkOut,
            path: Some(shown(path)),
            line: None,
            words: format!("the symlink leads out of the tree, to {}", shown(target)),
        })
        .collect()
}

#[cfg(test)]
mod tests;
