//! The one HTTP client: time-outs, no redirects, one TLS stack.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be built: {0}")]
pub struct BuildError(#[from] reqwest::Error);

/// Chooses the cryptography of the process. Call it once, before the first client.
pub fn install_tls() {
    // An error says that it was chosen before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client that follows no redirects and sends no cookies. Time-outs of whole requests are the caller's.
fn http_client() -> Result<reqwest::Client, BuildError> {
    Ok(builder().build()?)
}

/// A client of what is on this machine: whatever the environment says of proxies, it is not for them to see.
/// It follows no redirects, and time-outs of whole requests are the caller's.
///
/// # Errors
/// When the platform's certificates cannot be read.
pub fn local_client() -> Result<reqwest::Client, BuildError> {
    Ok(builder().no_proxy().build()?)
}

/// A client for addresses that strangers name. With `names`, hosts are found by it alone, and no proxy is asked, which
/// would find them itself. It follows no redirects, and time-outs of whole requests are the caller's.
///
/// # Errors
/// As [`local_client`].
pub fn guarded_client<R>(names: Option<Arc<R>>) -> Result<reqwest::Client, BuildError>
where
    R: reqwest::dns::Resolve + 'static,
{
    let builder = builder().no_proxy();
    Ok(match names {
        Some(names) => builder.dns_resolver(names).build()?,
        None => builder.build()?,
    })
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .pool_max_idle_per_host(64)
        .user_agent(concat!("atoll/", env!("CARGO_PKG_VERSION")))
}

/// Clients to anywhere, each built when it is first needed: it reads all certificates of the system.
#[derive(Debug, Default)]
pub struct Clients {
    outside: OnceLock<reqwest::Client>,
    here: OnceLock<reqwest::Client>,
}

impl Clients {
    /// The client for this address.
    ///
    /// # Errors
    /// As [`local_client`].
    pub fn to(&self, url: &str) -> Result<reqwest::Client, BuildError> {
        let (place, build): (_, fn() -> _) =
            if is_here(url) { (&self.here, local_client) } else { (&self.outside, http_client) };
        if let Some(client) = place.get() {
            return Ok(client.clone());
        }
        let client = build()?;
        Ok(place.get_or_init(|| client).clone())
    }
}

fn is_here(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_names() {
        for here in ["http://localhost:1/v1", "http://127.0.0.1", "https://[::1]:8/x", "http://127.9.9.9:1"] {
            assert!(is_here(here), "{here}");
        }
        for outside in ["http://localhost.evil.org", "https://10.0.0.1", "https://api.openai.com/v1", "x"] {
            assert!(!is_here(outside), "{outside}");
        }
    }
}
