//! What may leave a sandbox, and what it costs: the gateway's decisions.

pub mod address;
pub mod body;
pub mod hosts;
pub mod redact;
mod strict;
pub mod usage;

use super::Millis;
use hosts::{AllowList, Host};

/// What a sandbox may reach beside the model APIs. It can be changed while the sandbox runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    /// The hosts, on port 443.
    pub allow: AllowList,
    /// Tools that the provider runs, which reach the network from there (web search, remote MCP servers), and pictures
    /// and files that the provider is to fetch by their address.
    pub hosted_tools: bool,
}

/// How much of everything a sandbox may use of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EgressLimits {
    /// Tunnels that are open at a time.
    pub tunnels: usize,
    /// Bytes of one tunnel, both ways.
    pub tunnel_bytes: u64,
    /// Bytes of all tunnels together, both ways.
    pub all_bytes: u64,
    /// Longest life of a tunnel, in milliseconds.
    pub tunnel_ms: u64,
    /// Longest silence of a tunnel, in milliseconds.
    pub idle_ms: u64,
    /// Model requests that run at a time.
    pub model_calls: usize,
    /// Bytes of the body of a model request.
    pub body_bytes: usize,
    /// Bytes of the answer of a model.
    pub answer_bytes: u64,
    /// Longest wait for the next bytes of a model's answer, in milliseconds.
    pub answer_ms: u64,
    /// Refusals that are recorded; what is refused beyond that is refused without a record.
    pub refusals: u64,
}

impl Default for EgressLimits {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            tunnels: 32,
            tunnel_bytes: 1024 * MIB,
            all_bytes: 4096 * MIB,
            tunnel_ms: 30 * 60_000,
            idle_ms: 2 * 60_000,
            model_calls: 8,
            body_bytes: 32 * MIB as usize,
            answer_bytes: 64 * MIB,
            answer_ms: 10 * 60_000,
            refusals: 1_000,
        }
    }
}

/// What somebody in a sandbox asked of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EgressKind {
    /// A model's API.
    Model,
    /// A tunnel to a host.
    Tunnel,
    /// Something that the gateway does not do.
    Other,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was let out.
    Allowed,
    /// It was not, and why. `ask`: a person can allow this host.
    Refused {
        /// In words, as the sandbox was told.
        why: String,
        /// The host is well formed and only missing on the list.
        ask: bool,
    },
    /// It was let out and cut off at a limit.
    Cut(String),
    /// It was let out, and the other side failed.
    Failed(String),
}

/// One request: the row of its trail.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EgressRecord {
    /// When it began.
    pub at: Millis,
    /// What it was.
    pub kind: EgressKind,
    /// The host, or the provider's name; as it was sent where it could not be understood, shortened.
    pub host: String,
    /// What came of it.
    pub verdict: Verdict,
    /// Bytes that left the sandbox.
    pub sent: u64,
    /// Bytes that came back.
    pub received: u64,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

/// Why a tunnel is refused before anything is resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TunnelRefused {
    /// The target is no `host:443`.
    #[error(
        "a tunnel needs a host name and port 443, like example.org:443; addresses and other ports are not let out"
    )]
    Target,
    /// The host is not on the list.
    #[error("{0} is not on the list of hosts that this job may reach; a person can allow it")]
    NotAllowed(Host),
}

impl EgressPolicy {
    /// The host of the target of a CONNECT request, when it may be reached.
    ///
    /// # Errors
    /// [`TunnelRefused`].
    pub fn tunnel(&self, target: &str) -> Result<Host, TunnelRefused> {
        let (name, port) = target.rsplit_once(':').ok_or(TunnelRefused::Target)?;
        let host = Host::parse(name).map_err(|_| TunnelRefused::Target)?;
        if port != "443" {
            return Err(TunnelRefused::Target);
        }
        if self.allow.allows(&host) { Ok(host) } else { Err(TunnelRefused::NotAllowed(host)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_listed_name_on_port_443_is_let_out() {
        let allow = AllowList::parse(["example.org", "*.cdn.example.net"]).unwrap();
        let policy = EgressPolicy { allow, hosted_tools: false };
        for good in ["example.org:443", "EXAMPLE.org.:443", "a.b.cdn.example.net:443"] {
            assert!(policy.tunnel(good).is_ok(), "{good}");
        }
        for bad in [
            "example.org",
            "example.org:80",
            "example.org:0443",
            "example.org:443:443",
            "example.org:",
            ":443",
            "127.0.0.1:443",
            "[::1]:443",
            "user@example.org:443",
            "2130706433:443",
            "0x7f.1:443",
            "example.org/:443",
            "exämple.org:443",
            "example.org\0:443",
            "localhost:443",
            "example.org :443",
            "https://example.org:443",
        ] {
            assert_eq!(policy.tunnel(bad), Err(TunnelRefused::Target), "{bad}");
        }
        for other in
            ["evil.org:443", "cdn.example.net:443", "xcdn.example.net:443", "example.org.evil.org:443"]
        {
            assert!(matches!(policy.tunnel(other), Err(TunnelRefused::NotAllowed(_))), "{other}");
        }
        assert!(EgressPolicy::default().tunnel("example.org:443").is_err());
    }
}
