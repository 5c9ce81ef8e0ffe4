//! Where a project's repository lives: addresses are read strictly, so that none can name a program or hold a secret.

use core::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// How a remote is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP over TLS.
    Https,
    /// HTTP in the clear: on this machine only.
    Http,
    /// SSH.
    Ssh,
    /// A repository on this machine's disk.
    File,
}

impl Scheme {
    /// The word that git has for it, as in `protocol.<name>.allow`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::Ssh => "ssh",
            Self::File => "file",
        }
    }
}

/// Why an address was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the address of the repository cannot be used: {0}")]
pub struct BadRemote(pub &'static str);

/// The address of a repository. It never holds a password or a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RemoteUrl {
    url: String,
    scheme: Scheme,
    user: Option<String>,
    /// Host and port, as they are written in the address; empty for a path.
    host: String,
    path: String,
}

const FORMS: &str = "write https://host/path, ssh://git@host/path, git@host:path or an absolute path";

impl RemoteUrl {
    /// Takes an address from outside: `https://`, `ssh://`, `user@host:path`, `file:///` or an absolute path, and `http://`
    /// for this machine only.
    ///
    /// # Errors
    /// [`BadRemote`] says what to write instead.
    pub fn parse(text: &str) -> Result<Self, BadRemote> {
        let text = text.trim();
        if text.len() > 1_000 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(BadRemote("it is too long or has white space in it"));
        }
        if let Some(path) = text.strip_prefix("file://").or(text.starts_with('/').then_some(text)) {
            return Self::local(path);
        }
        if text.contains("::") && !text.contains('[') {
            return Err(BadRemote("helpers such as `ext::` run programs and are not taken"));
        }
        let (scheme, rest) = match text.split_once("://") {
            Some(("https", rest)) => (Scheme::Https, rest.to_owned()),
            Some(("http", rest)) => (Scheme::Http, rest.to_owned()),
            Some(("ssh" | "git+ssh" | "ssh+git", rest)) => (Scheme::Ssh, rest.to_owned()),
            Some(_) => return Err(BadRemote(FORMS)),
            None => {
                let (host, path) = text.split_once(':').ok_or(BadRemote(FORMS))?;
                if host.contains(['/', '[']) || path.starts_with("//") {
                    return Err(BadRemote(FORMS));
                }
                // As it is: here a path without a slash begins at the home of the user, in the other form it cannot.
                let read =
                    Self::over_network(Scheme::Ssh, &format!("{host}/{}", path.trim_start_matches('/')))?;
                return Ok(Self { url: text.trim_end_matches('/').to_owned(), ..read });
            }
        };
        Self::over_network(scheme, &rest)
    }

    fn local(path: &str) -> Result<Self, BadRemote> {
        let steps_up = path.split('/').any(|part| part == "..");
        if !path.starts_with('/') || path.len() < 2 || steps_up {
            return Err(BadRemote("a path must be absolute and without `..`"));
        }
        let path = path.to_owned();
        Ok(Self { url: path.clone(), scheme: Scheme::File, user: None, host: String::new(), path })
    }

    fn over_network(scheme: Scheme, rest: &str) -> Result<Self, BadRemote> {
        let (authority, path) = rest.split_once('/').ok_or(BadRemote("it has no path after the host"))?;
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        if user.is_some() && scheme != Scheme::Ssh || user.is_some_and(|user| user.contains(':')) {
            return Err(BadRemote("it holds a name or a password: give the token apart from the address"));
        }
        let name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let plain = |text: &str| !text.is_empty() && !text.starts_with('-') && text.chars().all(name);
        if !user.is_none_or(plain) || !is_host(host) {
            return Err(BadRemote("its host or user has characters that those do not have"));
        }
        if path.contains(['?', '#', '\\', '\'', '"', '`', '$']) || path.split('/').any(|part| part == "..") {
            return Err(BadRemote(
                "its path has a question mark, hash, quote, dollar, backslash or `..` in it",
            ));
        }
        let path = path.trim_end_matches('/');
        if path.is_empty() || path.starts_with('-') {
            return Err(BadRemote("it has no path after the host"));
        }
        if scheme == Scheme::Http && !is_this_machine(host) {
            return Err(BadRemote("http sends the token in the clear: write https"));
        }
        let at = user.map(|user| format!("{user}@")).unwrap_or_default();
        let url = format!("{}://{at}{host}/{path}", scheme.as_str());
        Ok(Self { url, scheme, user: user.map(str::to_owned), host: host.to_owned(), path: path.to_owned() })
    }

    /// The address as git takes it.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// How it is reached.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Scheme, host and port, as git asks for a password with them; empty for a path.
    pub fn origin(&self) -> String {
        if self.host.is_empty() { String::new() } else { format!("{}://{}", self.scheme.as_str(), self.host) }
    }

    /// The host, without the port; empty for a path.
    pub fn host(&self) -> &str {
        let end = match self.host.rfind(']') {
            Some(at) => at + 1,
            None => self.host.find(':').unwrap_or(self.host.len()),
        };
        &self.host[..end]
    }

    /// The repository at a forge: `owner/name`, or deeper at GitLab. `None` for a path on disk.
    pub fn slug(&self) -> Option<String> {
        let path = self.path.strip_suffix(".git").unwrap_or(&self.path).trim_matches('/');
        (self.scheme != Scheme::File && path.contains('/')).then(|| path.to_owned())
    }
}

/// `host`, `host:port` or `[::1]:port`.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            if address.parse::<Ipv6Addr>().is_err() {
                return false;
            }
            ("six", rest.strip_prefix(':').or(rest.is_empty().then_some("0")).unwrap_or("bad"))
        }
        None => text.split_once(':').unwrap_or((text, "0")),
    };
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    !host.is_empty() && !host.starts_with(['-', '.']) && host.chars().all(fine) && port.parse::<u16>().is_ok()
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl TryFrom<String> for RemoteUrl {
    type Error = BadRemote;

    fn try_from(text: String) -> Result<Self, BadRemote> {
        Self::parse(&text)
    }
}

impl From<RemoteUrl> for String {
    fn from(remote: RemoteUrl) -> Self {
        remote.url
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_read_in_all_their_forms() {
        for (text, url, slug, origin) in [
            ("https://github.com/a/b.git", "https://github.com/a/b.git", Some("a/b"), "https://github.com"),
            (
                "https://git.example.org:8443/a/b/",
                "https://git.example.org:8443/a/b",
                Some("a/b"),
                "https://git.example.org:8443",
            ),
            ("git@github.com:a/b.git", "git@github.com:a/b.git", Some("a/b"), "ssh://github.com"),
            ("ssh://git@host:2222/g/s/p", "ssh://git@host:2222/g/s/p", Some("g/s/p"), "ssh://host:2222"),
            ("http://127.0.0.1:3000/a/b", "http://127.0.0.1:3000/a/b", Some("a/b"), "http://127.0.0.1:3000"),
            ("http://[::1]:3000/a/b", "http://[::1]:3000/a/b", Some("a/b"), "http://[::1]:3000"),
            ("/srv/git/x.git", "/srv/git/x.git", None, ""),
            ("file:///srv/git/x.git", "/srv/git/x.git", None, ""),
        ] {
            let remote = RemoteUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(
                (remote.as_str(), remote.slug().as_deref(), remote.origin().as_str()),
                (url, slug, origin)
            );
            assert_eq!(RemoteUrl::parse(url).unwrap(), remote, "{url} does not mean itself");
        }
        assert_eq!(RemoteUrl::parse("https://git.example.org:8443/a/b").unwrap().host(), "git.example.org");
    }

    #[test]
    fn addresses_that_hide_a_program_or_a_secret_are_refused() {
        for bad in [
            "",
            "x",
            "ext::sh -c touch% /tmp/x",
            "ext::sh",
            "-oProxyCommand=x:y",
            "ssh://-oProxyCommand=x/y",
            "ssh://git@-oProxyCommand=x/y",
            "ssh://-x@host/y",
            "https://user:token@github.com/a/b",
            "https://token@github.com/a/b",
            "http://github.com/a/b",
            "http://127.0.0.1.evil.org/a/b",
            "https://github.com",
            "https://github.com/",
            "https://github.com/a/../b",
            "https://github.com/a?b",
            "git://github.com/a/b",
            "ftp://x/y",
            "file://host/x",
            "/srv/../etc",
            "relative/path",
            "host:/",
            "https://ho st/x",
            "https://host:99999/x",
            "git@host:$(x)",
        ] {
            assert!(RemoteUrl::parse(bad).is_err(), "{bad} was taken");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_is_taken_again_and_starts_with_no_dash(text in "\\PC{0,60}|(https|ssh|http|file)://\\PC{0,40}|[a-z]{1,5}@\\PC{0,30}") {
            if let Ok(remote) = RemoteUrl::parse(&text) {
                prop_assert!(!remote.as_str().starts_with('-') && !remote.as_str().contains("::") || remote.as_str().contains('['));
                prop_assert_eq!(RemoteUrl::parse(remote.as_str()), Ok(remote));
            }
        }
    }
}
