//! The one HTTP client: time-outs, no redirects, one TLS stack.

use std::time::Duration;

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
///
/// # Errors
/// When the platform's certificates cannot be read.
pub fn http_client() -> Result<reqwest::Client, BuildError> {
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .pool_max_idle_per_host(64)
        .user_agent(concat!("atoll/", env!("CARGO_PKG_VERSION")))
        .build()?;
    Ok(client)
}
