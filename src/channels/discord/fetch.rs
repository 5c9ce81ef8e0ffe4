//! Files that people sent: fetched from where Discord keeps them, and from nowhere else.

use std::{io, time::Duration};

use futures_util::StreamExt;
use reqwest::Url;

use super::shared::Shared;
use crate::{domain::chat::Failure, ports::platform::Download};

/// Largest file that people can send, in bytes.
pub(super) const LARGEST: u64 = 500 * 1024 * 1024;
/// Where Discord keeps files.
const HOSTS: [&str; 2] = ["cdn.discordapp.com", "media.discordapp.net"];
/// Longest time for a whole file.
const PATIENCE: Duration = Duration::from_secs(600);

/// Fetches a file. The token is not sent: the address is its own proof.
pub(super) async fn fetch(shared: &Shared, url: &str) -> Result<Download, Failure> {
    let own = shared.settings.api_url.as_ref().map(|_| shared.rest.base());
    if !is_kept_there(url, own) {
        return Err(Failure::Refused("files are fetched from Discord only".into()));
    }
    let lost = |error: reqwest::Error| {
        let why =
            if error.is_timeout() { "Discord took too long" } else { "the connection to Discord broke" };
        Failure::Later(format!("the file cannot be fetched: {why}"))
    };
    let response = shared.rest.client(url)?.get(url).timeout(PATIENCE).send().await.map_err(lost)?;
    match response.status().as_u16() {
        200 => {}
        429 => return Err(Failure::Slow { after_ms: 5_000, chat_only: false }),
        status @ (408 | 500..) => {
            return Err(Failure::Later(format!("Discord answers with status {status}")));
        }
        status => {
            return Err(Failure::Refused(format!(
                "the file is not there any more: Discord answers {status}"
            )));
        }
    }
    let bytes = response.bytes_stream();
    Ok(bytes.map(|chunk| chunk.map_err(|error| io::Error::other(error.without_url()))).boxed())
}

/// `own`: the interface that was set in Discord's place, whose host then keeps files too.
fn is_kept_there(url: &str, own: Option<&str>) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let has_name = !url.username().is_empty() || url.password().is_some();
    let of_discord = url.scheme() == "https"
        && url.port().is_none()
        && url.host_str().is_some_and(|host| HOSTS.contains(&host));
    let of_own = own
        .and_then(|own| Url::parse(own).ok())
        .is_some_and(|own| own.origin() == url.origin() && matches!(url.scheme(), "http" | "https"));
    !has_name && (of_discord || of_own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_from_discord_only() {
        for (url, with_own) in [
            ("https://cdn.discordapp.com/attachments/1/2/a.png?ex=1", (true, true)),
            ("https://media.discordapp.net/a", (true, true)),
            ("http://cdn.discordapp.com/a", (false, false)),
            ("https://cdn.discordapp.com:8443/a", (false, false)),
            ("https://cdn.discordapp.com.evil.org/a", (false, false)),
            ("https://me:pw@cdn.discordapp.com/a", (false, false)),
            ("https://169.254.169.254/latest", (false, false)),
            ("http://127.0.0.1:99/files/a", (false, true)),
            ("http://127.0.0.1:98/files/a", (false, false)),
            ("file:///etc/passwd", (false, false)),
            ("", (false, false)),
        ] {
            let own = Some("http://127.0.0.1:99/api/v10");
            assert_eq!((is_kept_there(url, None), is_kept_there(url, own)), with_own, "{url}");
        }
    }
}
