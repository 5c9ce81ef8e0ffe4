//! Names of hosts, and lists of those that may be reached.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// The named presets: registries and the hosts that each needs.
const PRESETS: &str = include_str!("../../../assets/sandbox/registries.json");
/// Longest name and, below, longest part of it, in bytes (RFC 1035, 2.3.4).
const MOST: usize = 253;
const MOST_PART: usize = 63;

/// The name of a host: in lower case, without a dot at its end, of two parts at least, and no address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host(String);

/// A text that is no name of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a host is a name like example.org: letters, digits and hyphens between dots, and no address")]
pub struct BadHost;

impl Host {
    /// Reads a name.
    ///
    /// # Errors
    /// [`BadHost`].
    pub fn parse(text: &str) -> Result<Self, BadHost> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let is_part = |part: &str| {
            let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            let edge = part.starts_with('-') || part.ends_with('-');
            !part.is_empty() && part.len() <= MOST_PART && !edge && part.bytes().all(fine)
        };
        let parts: Vec<&str> = name.split('.').collect();
        // Whatever ends in a number would be read as an IPv4 address by somebody (WHATWG URL, 3.5).
        let last = parts.last().copied().unwrap_or_default();
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
        if name.len() > MOST || parts.len() < 2 || is_number || !parts.iter().all(|part| is_part(part)) {
            return Err(BadHost);
        }
        Ok(Self(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Host {
    type Error = BadHost;
    fn try_from(text: String) -> Result<Self, BadHost> {
        Self::parse(&text)
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.0
    }
}

/// One host, or all below a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Pattern {
    Exact(Host),
    Below(Host),
}

impl Pattern {
    fn covers(&self, host: &Host) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Below(name) => host.0.strip_suffix(&name.0).is_some_and(|front| front.ends_with('.')),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => write!(f, "{name}"),
            Self::Below(name) => write!(f, "*.{name}"),
        }
    }
}

/// An entry that is neither a host, nor `*.` and a name, nor the name of a preset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{entry}` is neither a host (example.org), nor all below a name (*.example.org), nor one of {known}"
)]
pub struct BadEntry {
    entry: String,
    known: String,
}

/// The hosts that may be reached. The empty list allows none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList {
    patterns: Vec<Pattern>,
}

impl AllowList {
    /// Reads entries: `example.org` is that host alone, `*.example.org` all below it and not itself, and a single word
    /// is a preset ([`presets`]).
    ///
    /// # Errors
    /// The first [`BadEntry`].
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, BadEntry> {
        let known = presets();
        let mut patterns = Vec::new();
        for entry in entries {
            if let Some(hosts) = known.get(entry) {
                patterns.extend(hosts.iter().cloned().map(Pattern::Exact));
                continue;
            }
            let (name, pattern): (_, fn(Host) -> Pattern) = match entry.strip_prefix("*.") {
                Some(name) => (name, Pattern::Below),
                None => (entry, Pattern::Exact),
            };
            let host = Host::parse(name).map_err(|_| BadEntry {
                entry: entry.chars().take(80).collect(),
                known: known.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
            })?;
            patterns.push(pattern(host));
        }
        patterns.sort();
        patterns.dedup();
        Ok(Self { patterns })
    }

    /// The host may be reached.
    pub fn allows(&self, host: &Host) -> bool {
        self.patterns.iter().any(|pattern| pattern.covers(host))
    }

    /// This list with one host more.
    #[must_use]
    pub fn with(mut self, host: Host) -> Self {
        self.patterns.push(Pattern::Exact(host));
        self.patterns.sort();
        self.patterns.dedup();
        self
    }

    /// The entries, presets spelled out, as [`AllowList::parse`] reads them.
    pub fn entries(&self) -> Vec<String> {
        self.patterns.iter().map(ToString::to_string).collect()
    }
}

/// The named presets and their hosts.
pub fn presets() -> BTreeMap<String, Vec<Host>> {
    // A test reads it: it is part of the program.
    serde_json::from_str(PRESETS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_presets_are_there_and_hold_no_wide_names() {
        let presets = presets();
        let names: Vec<&str> = presets.keys().map(String::as_str).collect();
        assert_eq!(names, ["crates", "debian", "github", "npm", "pypi"]);
        assert!(presets.values().all(|hosts| !hosts.is_empty()));
        let list = AllowList::parse(["npm", "pypi"]).unwrap();
        assert!(list.allows(&Host::parse("registry.npmjs.org").unwrap()));
        assert!(!list.allows(&Host::parse("github.com").unwrap()));
        assert_eq!(AllowList::parse(list.entries().iter().map(String::as_str)), Ok(list));
    }

    #[test]
    fn entries_that_say_nothing_or_everything_are_refused() {
        for bad in [
            "",
            "*",
            "*.",
            "*.com",
            "com",
            "nmp",
            "a.*.org",
            "*example.org",
            "1.2.3.4",
            "https://a.org",
            "a.org:443",
        ] {
            let error = AllowList::parse([bad]).unwrap_err().to_string();
            assert!(error.contains("pypi"), "{bad}: {error}");
        }
    }

    #[test]
    fn a_name_below_does_not_cover_the_name_itself() {
        let list = AllowList::parse(["*.example.org"]).unwrap();
        let allows = |name: &str| list.allows(&Host::parse(name).unwrap());
        assert!(allows("a.example.org") && allows("a.b.EXAMPLE.org."));
        assert!(!allows("example.org") && !allows("badexample.org") && !allows("example.org.evil.net"));
        assert!(list.with(Host::parse("example.org").unwrap()).allows(&Host::parse("example.org").unwrap()));
    }

    proptest! {
        #[test]
        fn whatever_is_read_as_a_host_is_plain(text in "\\PC{0,40}") {
            if let Ok(host) = Host::parse(&text) {
                prop_assert!(host.as_str().parse::<core::net::IpAddr>().is_err());
                prop_assert_eq!(Host::parse(host.as_str()), Ok(host.clone()));
                prop_assert!(host.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)));
            }
        }

        #[test]
        fn only_what_is_below_is_covered(front in "[a-z0-9]{1,5}(\\.[a-z0-9]{1,5}){0,2}", glue in "[.x-]") {
            let list = AllowList::parse(["*.example.org"]).unwrap();
            let Ok(host) = Host::parse(&format!("{front}{glue}example.org")) else { return Ok(()) };
            prop_assert_eq!(list.allows(&host), glue == ".");
        }
    }
}
