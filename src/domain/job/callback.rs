//! Where the end of a job may be posted to: an address on the internet, unless the place allows others.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

use super::{
    entry::{Entry, Outcome},
    task::{Head, JobWrite, Task},
};
use crate::domain::{
    gateway::{address, hosts::Host},
    ids::ApprovalId,
};

/// Longest address, in bytes.
const LONGEST: usize = 2_000;

/// Why nothing can be posted there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCallback {
    /// It is no address of the web.
    #[error(
        "callbackUrl must be http:// or https:// and a host, at most {LONGEST} plain characters, no user name"
    )]
    Form,
    /// It is not on the internet.
    #[error(
        "callbackUrl leads to `{0}`, which is not on the internet; `jobs.private_callbacks` allows such addresses"
    )]
    Private(String),
}

/// Checks the address that a job's end is to be posted to, as far as its words tell. What its name resolves to is to be
/// checked when something is sent.
///
/// # Errors
/// [`BadCallback`].
pub fn check_callback(url: &str, private: bool) -> Result<(), BadCallback> {
    if url.len() > LONGEST
        || url.bytes().any(|byte| !byte.is_ascii_graphic() || b"\\<>\"`{}|^".contains(&byte))
    {
        return Err(BadCallback::Form);
    }
    let (scheme, rest) = url.split_once("://").ok_or(BadCallback::Form)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(BadCallback::Form);
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or(BadCallback::Form)?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0) && !port.starts_with('+');
    if host.is_empty() || !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port)) {
        return Err(BadCallback::Form);
    }
    let address = if authority.starts_with('[') {
        Some(IpAddr::V6(host.parse::<Ipv6Addr>().map_err(|_| BadCallback::Form)?))
    } else {
        host.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    if address.is_none() && !host.chars().all(plain) {
        return Err(BadCallback::Form);
    }
    let local = [".local", ".localhost", ".internal", ".lan", ".home.arpa"];
    let public = match address {
        Some(address) => address::refused(address).is_none(),
        None => Host::parse(host).is_ok_and(|name| !local.iter().any(|end| name.as_str().ends_with(end))),
    };
    if public || private { Ok(()) } else { Err(BadCallback::Private(host.to_owned())) }
}

/// What is posted to a task's address after a step: that it needs an answer, or is over. Nothing for other steps.
pub fn callbacks(task: &Task, step: &JobWrite) -> Vec<String> {
    let asked = step
        .asks
        .iter()
        .map(|question| ("task:approval_required", Some(&question.id), question.preview.as_str()));
    let ended = step.entries.iter().filter_map(|entry| match entry {
        Entry::Ended { closed } => {
            let good = matches!(closed.outcome, Outcome::Done | Outcome::Unchanged);
            Some((if good { "task:completed" } else { "task:failed" }, None, closed.text.as_str()))
        }
        _ => None,
    });
    let told = |(event, approval, text): (&str, Option<&ApprovalId>, &str)| {
        let mut told = facts(task, &step.head, approval, text);
        told["type"] = json!(event);
        told["timestamp"] = json!(step.now);
        told.to_string()
    };
    asked.chain(ended).map(told).collect()
}

/// What others are told of a job, as JSON.
pub(in crate::domain) fn facts(task: &Task, head: &Head, approval: Option<&ApprovalId>, text: &str) -> Value {
    let asked = &task.asked;
    json!({
        "jobId": asked.id, "projectId": asked.project, "title": asked.title, "status": head.state, "text": text,
        "approvalId": approval, "branch": head.branch,
        "commitSha": head.candidate.as_ref().map(|candidate| &candidate.commit), "prUrl": head.url,
        "output": head.claim, "costUsd": task.spent.amount.micros as f64 / 1e6,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_taken_unless_others_are_allowed() {
        for good in [
            "https://ci.example.org/hook?x=1",
            "http://1.1.1.1:8080",
            "HTTPS://[2606:4700::1]/",
            "https://x.io#a",
        ] {
            assert_eq!(check_callback(good, false), Ok(()), "{good}");
        }
        for private in [
            "http://127.0.0.1/x",
            "http://[::1]:80/",
            "http://[::ffff:10.0.0.1]/",
            "http://localhost:7700/",
            "http://10.1.2.3",
            "http://169.254.169.254/latest",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://127.1/",
            "http://printer.local",
            "http://metadata.google.internal./",
            "http://intranet/",
        ] {
            assert!(matches!(check_callback(private, false), Err(BadCallback::Private(_))), "{private}");
            assert_eq!(check_callback(private, true), Ok(()), "{private}");
        }
        for bad in [
            "",
            "example.org",
            "ftp://example.org",
            "javascript://example.org",
            "https://",
            "https:///x",
            "https://user:word@example.org",
            "https://example.org:0",
            "https://example.org:99999",
            "https://example.org:+80",
            "https://[::1",
            "https://[example.org]",
            "https://exa mple.org",
            "https://example.org\\@evil",
            "https://exämple.org",
            "https://example.org/\r\nx: y",
            &format!("https://example.org/{}", "x".repeat(2_000)),
        ] {
            assert_eq!(check_callback(bad, true), Err(BadCallback::Form), "{bad}");
        }
    }
}
