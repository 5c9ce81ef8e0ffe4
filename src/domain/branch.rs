//! Names of branches: which one a job works on, what a name may be, what happens when it is taken.

use std::{collections::BTreeSet, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Longest name of a branch that is taken, in bytes. Git servers store a name as a path.
pub const LONGEST: usize = 200;
/// Longest slug, in characters.
const LONGEST_SLUG: usize = 40;
/// What all branches of jobs begin with.
const PREFIX: &str = "atoll";

/// Which branch a job of a project works on. Whatever it is, a person approves before anything is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// A branch of its own: `atoll/<job>-<slug>`.
    #[default]
    FeaturePerJob,
    /// One branch for all jobs of the project.
    Shared,
    /// The project's default branch.
    MainOnly,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::FeaturePerJob, Self::Shared, Self::MainOnly];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FeaturePerJob => "feature-per-job",
            Self::Shared => "shared",
            Self::MainOnly => "main-only",
        }
    }

    /// Reads the word for it.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strategy| strategy.as_str() == word)
    }

    /// True when a pull request makes sense: there is a branch beside the default one.
    pub fn has_request(self) -> bool {
        self != Self::MainOnly
    }
}

/// Why a name cannot be one of a branch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` cannot be the name of a branch: {why}")]
pub struct BadBranch {
    /// The name, made fit to show.
    pub name: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// The name of a branch, without `refs/heads/`. Stricter than `git check-ref-format`: nothing in it can be taken for an
/// option, a range, a revision or a file of git's own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BranchName(Arc<str>);

impl BranchName {
    /// Takes a name from outside.
    ///
    /// # Errors
    /// [`BadBranch`] says what is wrong with it.
    pub fn parse(name: &str) -> Result<Self, BadBranch> {
        match fault(name) {
            None => Ok(Self(name.into())),
            Some(why) => {
                Err(BadBranch { name: name.chars().take(80).flat_map(char::escape_debug).collect(), why })
            }
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The whole name of its ref.
    pub fn full(&self) -> String {
        format!("refs/heads/{}", self.0)
    }
}

impl fmt::Debug for BranchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for BranchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for BranchName {
    type Error = BadBranch;

    fn try_from(name: String) -> Result<Self, BadBranch> {
        Self::parse(&name)
    }
}

impl From<BranchName> for String {
    fn from(name: BranchName) -> Self {
        name.0.as_ref().to_owned()
    }
}

/// What is wrong with a name. The rules are those of git-check-ref-format(1), and a few more.
fn fault(name: &str) -> Option<&'static str> {
    let odd =
        |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\'\"`$;&|<>(){}!#".contains(c) || hides(c);
    let bad_part = |part: &str| {
        part.is_empty()
            || part.starts_with('.')
            || part.ends_with('.')
            || part.to_ascii_lowercase().ends_with(".lock")
    };
    if name.is_empty() {
        Some("it is empty")
    } else if name.len() > LONGEST {
        Some("it is longer than 200 bytes")
    } else if name.starts_with('-') {
        Some("it begins with a dash")
    } else if name.chars().any(odd) {
        Some("it has a character that branches may not have")
    } else if name.contains("..") || name.contains("@{") {
        Some("it has `..` or `@{` in it")
    } else if name.split('/').any(bad_part) {
        Some("a part of it is empty, begins or ends with a dot, or ends with `.lock`")
    } else if name == "@" || name.eq_ignore_ascii_case("HEAD") || name.starts_with("refs/") {
        Some("git means something else by it")
    } else if name.len() >= 40 && name.bytes().all(|b| b.is_ascii_hexdigit()) {
        Some("it looks like the id of a commit")
    } else {
        None
    }
}

/// Characters that change how the text around them is shown, or that cannot be seen.
pub fn hides(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{ad}')
}

/// A title in at most 40 lower-case letters, digits and single dashes; empty when nothing of it can be kept.
pub fn slug(title: &str) -> String {
    let mut slug = String::new();
    for c in title.chars() {
        let plain = plain(c);
        if plain.is_empty() {
            if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
        } else if plain != "'" {
            slug.push_str(plain.as_str());
        }
        if slug.len() > LONGEST_SLUG {
            break;
        }
    }
    if slug.len() > LONGEST_SLUG {
        slug.truncate(LONGEST_SLUG);
        // A word that was cut in two is left out, unless it is the only one.
        if let Some(at) = slug.rfind('-').filter(|at| *at > LONGEST_SLUG / 2) {
            slug.truncate(at);
        }
    }
    slug.trim_matches('-').to_owned()
}

/// A letter in ASCII; empty for what separates words, an apostrophe for what is left out between letters.
fn plain(c: char) -> String {
    let spelled = match c {
        'a'..='z' | '0'..='9' => return c.to_string(),
        'A'..='Z' => return c.to_ascii_lowercase().to_string(),
        'ä' | 'Ä' | 'æ' | 'Æ' => "ae",
        'ö' | 'Ö' | 'œ' | 'Œ' | 'ø' | 'Ø' => "oe",
        'ü' | 'Ü' => "ue",
        'ß' => "ss",
        'à'..='ã' | 'å' | 'À'..='Ã' | 'Å' | 'ą' | 'Ą' | 'ă' | 'Ă' => "a",
        'è'..='ë' | 'È'..='Ë' | 'ę' | 'Ę' | 'ě' | 'Ě' => "e",
        'ì'..='ï' | 'Ì'..='Ï' | 'ı' | 'İ' => "i",
        'ò'..='õ' | 'Ò'..='Õ' | 'ő' | 'Ő' => "o",
        'ù'..='û' | 'Ù'..='Û' | 'ů' | 'Ů' | 'ű' | 'Ű' => "u",
        'ç' | 'Ç' | 'ć' | 'Ć' | 'č' | 'Č' => "c",
        'ñ' | 'Ñ' | 'ń' | 'Ń' | 'ň' | 'Ň' => "n",
        'ś' | 'Ś' | 'š' | 'Š' | 'ş' | 'Ş' => "s",
        'ź' | 'Ź' | 'ż' | 'Ż' | 'ž' | 'Ž' => "z",
        'ý' | 'ÿ' | 'Ý' => "y",
        'ł' | 'Ł' => "l",
        'ř' | 'Ř' => "r",
        'ť' | 'Ť' => "t",
        'ď' | 'Ď' | 'ð' | 'Ð' => "d",
        'ğ' | 'Ğ' => "g",
        '\'' | '’' | '\u{300}'..='\u{36f}' => "'",
        _ => "",
    };
    spelled.to_owned()
}

/// The branch that a job works on.
///
/// # Errors
/// [`BadBranch`] when `job` is no name that Atoll gives: it becomes part of the branch.
pub fn branch_of(
    strategy: Strategy,
    job: &str,
    title: &str,
    main: &BranchName,
    shared: &BranchName,
) -> Result<BranchName, BadBranch> {
    match strategy {
        Strategy::Shared => Ok(shared.clone()),
        Strategy::MainOnly => Ok(main.clone()),
        Strategy::FeaturePerJob => {
            let slug = slug(title);
            let joined = if slug.is_empty() { job.to_owned() } else { format!("{job}-{slug}") };
            BranchName::parse(&format!("{PREFIX}/{joined}"))
        }
    }
}

/// A name like `wanted` that can be made beside the branches that are there. Names that differ only in case are one, as on
/// many servers' disks; and where `a` is a branch, `a/b` cannot be one.
///
/// # Errors
/// [`BadBranch`] when `wanted` leaves no room for a number.
pub fn free_name(wanted: &BranchName, taken: &BTreeSet<String>) -> Result<BranchName, BadBranch> {
    let taken: BTreeSet<String> = taken.iter().map(|name| name.to_lowercase()).collect();
    let above = |name: &str| name.match_indices('/').any(|(at, _)| taken.contains(&name[..at]));
    // When a branch stands where the folder would be, only a flat name is left.
    let flat = above(&wanted.as_str().to_lowercase());
    let wanted = if flat { wanted.as_str().replace('/', "-") } else { wanted.as_str().to_owned() };
    let is_free = |name: &str| {
        let name = name.to_lowercase();
        let below = format!("{name}/");
        !taken.contains(&name)
            && !taken.range(below.clone()..).next().is_some_and(|next| next.starts_with(&below))
    };
    let numbered = |number: usize| if number == 1 { wanted.clone() } else { format!("{wanted}-{number}") };
    let name = (1..=taken.len() + 2).map(numbered).find(|name| is_free(name)).unwrap_or(wanted.clone());
    BranchName::parse(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{prop_assert, proptest};

    fn name(text: &str) -> BranchName {
        BranchName::parse(text).unwrap()
    }

    #[test]
    fn slugs_are_short_plain_and_readable() {
        for (title, expected) in [
            ("Fix the login page", "fix-the-login-page"),
            ("  --Größe & Maß: ÄÖÜ!  ", "groesse-mass-aeoeue"),
            ("Don't crash", "dont-crash"),
            ("日本語", ""),
            ("", ""),
            ("../../etc/passwd", "etc-passwd"),
            ("Zażółć gęślą jaźń", "zazolc-gesla-jazn"),
            (
                "a very long title that goes on and on about everything",
                "a-very-long-title-that-goes-on-and-on",
            ),
            (&"x".repeat(100), &"x".repeat(40)),
        ] {
            assert_eq!(slug(title), expected, "{title}");
        }
    }

    #[test]
    fn names_that_git_or_a_shell_would_misread_are_refused() {
        for good in ["main", "atoll/01j-x", "release/1.2", "users/ann/x_y", "größe"] {
            assert!(BranchName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "-x",
            "--upload-pack=touch /tmp/x",
            "a..b",
            "a b",
            "a~1",
            "a^",
            "a:b",
            "a/",
            "/a",
            "a//b",
            ".a",
            "a/.b",
            "a.lock",
            "a.LOCK/b",
            "a.",
            "HEAD",
            "head",
            "@",
            "a@{1}",
            "refs/heads/x",
            "a\nb",
            "a\u{202e}b",
            "$(x)",
            "0123456789012345678901234567890123456789",
        ] {
            assert!(BranchName::parse(bad).is_err(), "{bad:?} was taken");
        }
        let long = "x".repeat(LONGEST + 1);
        assert!(BranchName::parse(&long).is_err());
        let fault = BranchName::parse("a\u{1b}[31m").unwrap_err().to_string();
        assert!(!fault.contains('\u{1b}'), "an escape is shown: {fault}");
    }

    #[test]
    fn each_strategy_has_its_branch() {
        let of = |strategy, title| {
            branch_of(strategy, "01j9", title, &name("main"), &name("atoll/shared")).unwrap()
        };
        assert_eq!(of(Strategy::FeaturePerJob, "Fix it").as_str(), "atoll/01j9-fix-it");
        assert_eq!(of(Strategy::FeaturePerJob, "修正").as_str(), "atoll/01j9");
        assert_eq!(of(Strategy::Shared, "Fix it").as_str(), "atoll/shared");
        assert_eq!(of(Strategy::MainOnly, "Fix it").as_str(), "main");
        assert!(branch_of(Strategy::FeaturePerJob, "a b", "x", &name("main"), &name("s")).is_err());
        for strategy in Strategy::ALL {
            assert_eq!(Strategy::parse(strategy.as_str()), Some(strategy));
        }
    }

    #[test]
    fn a_taken_name_gets_a_number_and_a_blocked_folder_a_flat_name() {
        let free = |wanted: &str, taken: &[&str]| {
            let taken = taken.iter().map(ToString::to_string).collect();
            free_name(&name(wanted), &taken).unwrap().as_str().to_owned()
        };
        assert_eq!(free("atoll/1-x", &["main"]), "atoll/1-x");
        assert_eq!(free("atoll/1-x", &["atoll/1-X", "atoll/1-x-2"]), "atoll/1-x-3");
        assert_eq!(free("atoll/1-x", &["Atoll"]), "atoll-1-x");
        assert_eq!(free("atoll/1-x", &["atoll/1-x/more"]), "atoll/1-x-2");
        assert_eq!(free("atoll/1-x", &["atoll", "atoll-1-x"]), "atoll-1-x-2");
    }

    proptest! {
        #[test]
        fn every_slug_makes_a_branch(title in "\\PC{0,120}", job in "[a-z0-9]{1,26}") {
            let slug = slug(&title);
            prop_assert!(slug.len() <= 40);
            prop_assert!(slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
            prop_assert!(!slug.contains("--") && !slug.starts_with('-') && !slug.ends_with('-'));
            let made = branch_of(Strategy::FeaturePerJob, &job, &title, &name("main"), &name("s"));
            let start = format!("atoll/{job}");
            prop_assert!(made.unwrap().as_str().starts_with(&start));
        }

        #[test]
        fn a_free_name_is_free_whatever_is_taken(
            taken in proptest::collection::btree_set("(atoll|atoll/1|atoll/1-x(-[2-5])?|atoll-1-x|ATOLL/1-X|atoll/1-x/y)", 0..8),
        ) {
            let free = free_name(&name("atoll/1-x"), &taken).unwrap();
            let lower = free.as_str().to_lowercase();
            for other in &taken {
                let other = other.to_lowercase();
                prop_assert!(other != lower);
                prop_assert!(!other.starts_with(&format!("{lower}/")), "{other} is below {lower}");
                prop_assert!(!lower.starts_with(&format!("{other}/")), "{lower} is below {other}");
            }
        }
    }
}
