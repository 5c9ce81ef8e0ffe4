//! What all forges share: a repository by its address, calls with a token, bounded answers, errors in plain words.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SecondsFormat};
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::Value;

use crate::{
    domain::{
        Millis,
        commit::subject,
        project::ForgeKind,
        remote::{RemoteUrl, Scheme},
        review::shown,
        secret::Secret,
    },
    net::Clients,
    ports::forge::{Comment, Forge, ForgeError},
};

use super::{gitea::Gitea, github::GitHub, gitlab::GitLab};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest answer that is read, in bytes.
const LARGEST: usize = 8 * 1024 * 1024;
/// Longest words of a forge that are passed on, in characters.
const LONGEST_WORDS: usize = 400;
/// Longest text that is sent, in characters. GitHub takes 65,536.
const LONGEST_TEXT: usize = 60_000;
/// Most pages of a list that are read.
const PAGES: usize = 20;

/// Where the API of a forge is on this host.
fn api_url_of(kind: ForgeKind, host: &str) -> String {
    match (kind, host) {
        (ForgeKind::Github, "github.com") => "https://api.github.com".to_owned(),
        (ForgeKind::Github, host) => format!("https://{host}/api/v3"),
        (ForgeKind::Gitea, host) => format!("https://{host}/api/v1"),
        (ForgeKind::Gitlab, host) => format!("https://{host}/api/v4"),
    }
}

/// One repository at a forge.
#[derive(Debug, Clone)]
pub struct ForgeConfig {
    /// Which forge.
    pub kind: ForgeKind,
    /// Where the repository is.
    pub remote: RemoteUrl,
    /// Where the API is, with its version: `https://git.example.org/api/v1`. By default what the forge has on the
    /// repository's host.
    pub api_url: Option<String>,
    /// The token. GitHub: pull requests read and write. Gitea: `write:repository` and `write:issue`. GitLab: `api`.
    pub token: Secret,
}

/// The forge of a project.
///
/// # Errors
/// [`ForgeError::Refused`] when the address names no repository, or there is no client for it.
pub fn forge(config: ForgeConfig, clients: &Clients) -> Result<Arc<dyn Forge>, ForgeError> {
    let refused = |words: String| ForgeError::Refused(words);
    let slug =
        config.remote.slug().filter(|slug| slug.split('/').all(|part| !part.is_empty() && part != "."));
    let slug = slug.ok_or_else(|| refused("the project's address names no repository of a forge".into()))?;
    let parts = slug.split('/').count();
    if parts < 2 || (parts > 2 && config.kind != ForgeKind::Gitlab) {
        return Err(refused(format!("`{}` is not owner and name of a repository", shown(&slug))));
    }
    if config.token.is_empty() || config.token.reveal().chars().any(|c| !c.is_ascii_graphic()) {
        return Err(refused("the forge wants a token without blanks: give the project one".into()));
    }
    let base = config.api_url.clone().unwrap_or_else(|| api_url_of(config.kind, config.remote.host()));
    let base = base.trim_end_matches('/').to_owned();
    // An address of an API is as one of a repository: no name or password in it, and http for this machine only.
    let safe = RemoteUrl::parse(&format!("{base}/api"))
        .is_ok_and(|url| matches!(url.scheme(), Scheme::Https | Scheme::Http));
    if !safe {
        return Err(refused("the API of the forge must be reached over https: set api_url".into()));
    }
    let client = clients.to(&base).map_err(|error| refused(error.to_string()))?;
    let api = Api { kind: config.kind, base, slug, token: config.token, client };
    Ok(match config.kind {
        ForgeKind::Github => Arc::new(GitHub(api)),
        ForgeKind::Gitea => Arc::new(Gitea(api)),
        ForgeKind::Gitlab => Arc::new(GitLab(api)),
    })
}

/// One repository's API.
#[derive(Clone)]
pub(super) struct Api {
    kind: ForgeKind,
    base: String,
    pub(super) slug: String,
    token: Secret,
    client: reqwest::Client,
}

/// An answer that was no success: its status, and what it says.
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) words: String,
    error: ForgeError,
}

impl From<Refusal> for ForgeError {
    fn from(refusal: Refusal) -> Self {
        refusal.error
    }
}

/// A success, or a refusal that may be known.
pub(super) type Answer = Result<Result<Value, Refusal>, ForgeError>;

impl Api {
    pub(super) async fn get(&self, path: &str) -> Result<Value, ForgeError> {
        Ok(self.ask(Method::GET, path, None).await??)
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// All pages of a list; `path` has a query already. `enough` ends it early.
    pub(super) async fn list(
        &self,
        path: &str,
        size: usize,
        enough: impl Fn(&Value) -> bool,
    ) -> Result<Vec<Value>, ForgeError> {
        let mut all = Vec::new();
        for page in 1..=PAGES {
            let answer = self.get(&format!("{path}&page={page}")).await?;
            let Value::Array(items) = answer else { return Err(self.odd("a list was expected")) };
            let last = items.len() < size || items.iter().any(&enough);
            all.extend(items);
            if last {
                break;
            }
        }
        Ok(all)
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = self.client.request(method, format!("{}{path}", self.base)).timeout(PATIENCE);
        let request = match self.kind {
            ForgeKind::Github => request
                .bearer_auth(self.token.reveal())
                .header("accept", "application/vnd.github+json")
                .header("x-github-api-version", "2022-11-28"),
            ForgeKind::Gitea => request
                .header("authorization", format!("token {}", self.token.reveal()))
                .header("accept", "application/json"),
            ForgeKind::Gitlab => {
                request.header("private-token", self.token.reveal()).header("accept", "application/json")
            }
        };
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let mut response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LARGEST {
                return Err(self.odd("its answer is too large"));
            }
        }
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if !status.is_success() {
            return Ok(Err(self.refusal(status, &headers, &value)));
        }
        if value.is_null() { Err(self.odd("its answer is no JSON")) } else { Ok(Ok(value)) }
    }

    /// The error behind an answer that is no success.
    fn refusal(&self, status: StatusCode, headers: &HeaderMap, body: &Value) -> Refusal {
        let words = self.words(body);
        let (name, slug) = (self.kind.as_str(), &self.slug);
        let text = |what: String| if words.is_empty() { what } else { format!("{what} ({words})") };
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let wait = header("retry-after").and_then(|value| value.parse::<u64>().ok());
        let spent = header("x-ratelimit-remaining") == Some("0");
        let error = match status.as_u16() {
            429 => ForgeError::Wait { after_ms: wait.unwrap_or(60).min(3_600) * 1_000 },
            403 if wait.is_some() || spent => {
                ForgeError::Wait { after_ms: wait.unwrap_or(600).min(3_600) * 1_000 }
            }
            401 => {
                ForgeError::Denied(text(format!("{name} does not take the token: make a new one for {slug}")))
            }
            403 => ForgeError::Denied(text(format!(
                "the token may not do this at {slug}: it needs to read and write pull requests there"
            ))),
            404 => ForgeError::NotThere(text(format!(
                "{name} shows no such thing at {slug}: check the project's address, the branches, and what the token may see"
            ))),
            301 | 302 | 307 | 308 => ForgeError::NotThere(format!(
                "{slug} has moved at {name}: set the project's new address, or another api_url"
            )),
            500.. => ForgeError::Unreachable(text(format!("{name} has a fault of its own: status {status}"))),
            _ => ForgeError::Refused(text(format!("{name} does not take this: status {status}"))),
        };
        Refusal { status, words, error }
    }

    /// What a forge says of an error: `message`, `error` and `errors`, as texts, lists or maps of them.
    fn words(&self, body: &Value) -> String {
        let mut all = Vec::new();
        for key in ["message", "error", "error_description", "errors"] {
            gather(&body[key], &mut all);
        }
        let words = self.token.cut_from(&all.join("; "));
        shown(&words.chars().take(LONGEST_WORDS).collect::<String>())
    }

    pub(super) fn odd(&self, what: &str) -> ForgeError {
        ForgeError::Odd(format!(
            "{} at {} answers in an odd way: {what}; is api_url right?",
            self.kind.as_str(),
            self.base
        ))
    }

    fn unreachable(&self, error: &reqwest::Error) -> ForgeError {
        let why = if error.is_timeout() {
            "it took too long"
        } else if error.is_connect() {
            "there is no connection"
        } else {
            "the connection broke"
        };
        ForgeError::Unreachable(format!("{} at {} cannot be reached: {why}", self.kind.as_str(), self.base))
    }

    /// A field that must be there.
    pub(super) fn text(&self, value: &Value, pointer: &str) -> Result<String, ForgeError> {
        let field = value.pointer(pointer).and_then(Value::as_str);
        field.map(str::to_owned).ok_or_else(|| self.odd(&format!("`{pointer}` is missing")))
    }

    /// A number that must be there.
    pub(super) fn number(&self, value: &Value, pointer: &str) -> Result<u64, ForgeError> {
        value
            .pointer(pointer)
            .and_then(Value::as_u64)
            .ok_or_else(|| self.odd(&format!("`{pointer}` is missing")))
    }
}

fn gather(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::String(text) => all.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| gather(item, all)),
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if key == "message" => all.push(text.clone()),
                    Value::String(text) => all.push(format!("{key} {text}")),
                    other => gather(other, all),
                }
            }
        }
        _ => {}
    }
}

/// Part of a path or a query.
pub(super) fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Moment of a text as in RFC 3339.
fn millis(text: &str) -> Option<Millis> {
    DateTime::parse_from_rfc3339(text).ok().map(|moment| moment.timestamp_millis())
}

/// A moment as in RFC 3339, in whole seconds.
pub(super) fn moment(at: Millis) -> String {
    let at = DateTime::from_timestamp_millis(at.max(0)).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A title with what marks a draft where there is no field for it.
pub(super) fn title(text: &str, mark: &str) -> String {
    let line = subject(text);
    let line = if line.is_empty() { "Work of a bot".to_owned() } else { line };
    format!("{mark}{line}")
}

/// A text that is not too long to be taken.
pub(super) fn body(text: &str) -> String {
    if text.chars().count() <= LONGEST_TEXT {
        return text.to_owned();
    }
    text.chars().take(LONGEST_TEXT).chain("\n\n…(cut)".chars()).collect()
}

/// It was written at the second of `since` or later.
pub(super) fn is_new(at: &Value, since: Millis) -> Option<Millis> {
    at.as_str().and_then(millis).filter(|at| at.div_euclid(1_000) >= since.div_euclid(1_000))
}

/// Reads a comment; `None` when it says nothing, or is of before. `at` and `author` are pointers to its fields.
pub(super) fn comment(
    value: &Value,
    (kind, at): (&str, &str),
    author: &str,
    since: Millis,
) -> Option<Comment> {
    let field = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    let body = field("/body").filter(|body| !body.trim().is_empty())?;
    Some(Comment {
        id: format!("{kind}/{}", value["id"].as_u64()?),
        author: field(author).unwrap_or_default().to_owned(),
        body: body.to_owned(),
        path: field("/path").map(str::to_owned),
        line: value["line"].as_u64(),
        at: is_new(value.pointer(at)?, since)?,
        url: field("/html_url").map(str::to_owned),
    })
}

/// The oldest first.
pub(super) fn in_order(mut comments: Vec<Comment>) -> Vec<Comment> {
    comments.sort_by(|one, two| (one.at, &one.id).cmp(&(two.at, &two.id)));
    comments
}
