//! What git's complaints mean, and what to do about them.

use crate::{
    domain::remote::Scheme,
    ports::repo::{Auth, Remote, RepoError},
};

/// Longest words of git that are passed on, in characters.
const LONGEST: usize = 600;

/// Lines that say nothing to somebody who does not run git by hand.
const NOISE: &[&str] = &[
    "hint:",
    "Cloning into",
    "Please make sure you have the correct access rights",
    "and the repository exists.",
];

/// What a complaint means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    UnknownHost,
    Moved,
    Denied,
    NotThere,
    Broken,
    TooLarge,
    Unreachable,
}

/// Parts of complaints, the telling ones first: git often adds that it "could not read from remote repository".
const MEANINGS: &[(Meaning, &[&str])] = &[
    (
        Meaning::UnknownHost,
        &["Host key verification failed", "host key is known for", "REMOTE HOST IDENTIFICATION HAS CHANGED"],
    ),
    (
        Meaning::Moved,
        &["returned error: 301", "returned error: 302", "returned error: 307", "returned error: 308"],
    ),
    (
        Meaning::Denied,
        &[
            "Authentication failed",
            "could not read Username",
            "could not read Password",
            "Permission denied (",
            "returned error: 401",
            "returned error: 403",
            "Access denied",
            "Load key",
            "bad permissions",
        ],
    ),
    (
        Meaning::NotThere,
        &[
            "returned error: 404",
            "does not appear to be a git repository",
            "epository not found",
            "' not found",
            "does not exist",
            "No such file or directory",
            "no such repository",
        ],
    ),
    (
        Meaning::TooLarge,
        &[
            "maximum allowed size",
            "File size limit exceeded",
            "File too large",
            "out of memory",
            "Out of memory",
            "unable to create thread",
        ],
    ),
    (
        Meaning::Broken,
        &[
            "fsck error",
            "object corrupt",
            "did not receive expected object",
            "inflate returned",
            "pack has bad object",
            "unresolved delta",
            "pack signature mismatch",
            "pack is corrupted",
        ],
    ),
    (
        Meaning::Unreachable,
        &[
            "Could not resolve host",
            "ould not connect",
            "Failed to connect",
            "Connection refused",
            "Connection timed out",
            "Connection reset",
            "Connection closed",
            "unable to access",
            "early EOF",
            "hung up",
            "Could not read from remote",
            "returned error: 5",
            "RPC failed",
            "timed out",
            "unexpected disconnect",
        ],
    ),
];

/// The error behind git's words.
pub(super) fn explain(said: &str, remote: Option<&Remote>) -> RepoError {
    let at = remote.map_or_else(String::new, |remote| format!(" at {}", remote.url.as_str()));
    let words = words_of(said);
    // Without a remote nobody was asked who could deny, have moved or be gone.
    let applies =
        |meaning: Meaning| remote.is_some() || matches!(meaning, Meaning::TooLarge | Meaning::Broken);
    let known = MEANINGS
        .iter()
        .find(|(meaning, parts)| applies(*meaning) && parts.iter().any(|part| said.contains(part)));
    match known.map(|(meaning, _)| *meaning) {
        Some(Meaning::UnknownHost) => RepoError::Denied(format!(
            "the host{at} is not the one that is known: check its key with its operator and add it to the known_hosts file"
        )),
        Some(Meaning::Moved) => {
            RepoError::NotThere(format!("the repository{at} has moved: set the project's new address"))
        }
        Some(Meaning::Denied) => RepoError::Denied(denied(remote, &at, &words)),
        Some(Meaning::NotThere) => RepoError::NotThere(format!(
            "there is no repository{at}, or the credentials do not show it: check the address and what they may see"
        )),
        Some(Meaning::Broken) => RepoError::Broken(format!("git refuses an object: {words}")),
        Some(Meaning::TooLarge) => RepoError::TooLarge(format!("it is larger than allowed: {words}")),
        Some(Meaning::Unreachable) => {
            RepoError::Unreachable(format!("the repository{at} cannot be reached: {words}"))
        }
        None => RepoError::Failed(format!("git failed{at}: {words}")),
    }
}

fn denied(remote: Option<&Remote>, at: &str, words: &str) -> String {
    let advice = match remote.map(|remote| (&remote.auth, remote.url.scheme())) {
        Some((Auth::Token { .. }, Scheme::Https | Scheme::Http)) => {
            "the token is not taken: check that it is valid, has access to this repository, and may write its contents"
        }
        Some((_, Scheme::Https | Scheme::Http)) => "it wants credentials: give the project a token",
        Some((Auth::Key { .. }, Scheme::Ssh)) => {
            "the key is not taken: add its public half as a deploy key that may write, and let only its owner read the file"
        }
        Some((_, Scheme::Ssh)) => "it wants credentials: give the project a key",
        _ => "permission denied",
    };
    format!("no access to the repository{at}: {advice} ({words})")
}

/// What is worth reading of it, in one line.
pub(super) fn words_of(said: &str) -> String {
    let kept = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !NOISE.iter().any(|noise| line.starts_with(noise)));
    let all = kept
        .map(|line| line.trim_start_matches("fatal: ").trim_start_matches("error: "))
        .collect::<Vec<_>>()
        .join("; ");
    let count = all.chars().count();
    if count <= LONGEST {
        all
    } else {
        format!("…{}", all.chars().skip(count - LONGEST).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{remote::RemoteUrl, secret::Secret};

    #[test]
    fn complaints_become_what_to_do() {
        let remote = |url: &str, auth| Remote { url: RemoteUrl::parse(url).unwrap(), auth };
        let token = Auth::Token { user: "x".into(), token: Secret::new("t") };
        let key = Auth::Key { key: "/k".into(), known_hosts: "/h".into() };
        let https = remote("https://h.org/a/b", token);
        let ssh = remote("ssh://git@h.org/a/b", key);
        for (said, remote, expected) in [
            ("fatal: Authentication failed for 'https://h.org/a/b/'", &https, "the token is not taken"),
            (
                "fatal: unable to access 'https://h.org/a/b/': The requested URL returned error: 403",
                &https,
                "may write",
            ),
            (
                "git@h.org: Permission denied (publickey).\nfatal: Could not read from remote repository.",
                &ssh,
                "deploy key",
            ),
            (
                "Host key verification failed.\nfatal: Could not read from remote repository.",
                &ssh,
                "known_hosts",
            ),
            ("fatal: repository 'https://h.org/a/b/' not found", &https, "there is no repository"),
            ("fatal: unable to access 'x': The requested URL returned error: 301", &https, "has moved"),
            ("fatal: unable to access 'x': Could not resolve host: h.org", &https, "cannot be reached"),
            ("fatal: the remote end hung up unexpectedly", &ssh, "cannot be reached"),
            (
                "error: object 12: hasDotgit: contains '.git'\nfatal: fsck error in packed object",
                &https,
                "refuses an object",
            ),
            ("fatal: something new", &https, "git failed"),
        ] {
            let error = explain(said, Some(remote)).to_string();
            assert!(error.contains(expected), "{said} became: {error}");
        }
    }
}
