//! A real smart-HTTP git server on loopback: `git http-backend` behind a small HTTP server that wants a password.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::support::http::{Asked, HttpServer, Told};

/// The name and the token that it takes.
pub(super) const USER: &str = "x-access-token";

/// A server of one folder with repositories.
pub(crate) struct GitServer {
    http: HttpServer,
    /// What was asked: method, path, and whether it had credentials.
    pub(crate) asked: Arc<Mutex<Vec<(String, String, bool)>>>,
}

impl GitServer {
    /// Serves the repositories below `root` to those who have the token; `also` may answer first.
    pub(crate) fn start(
        root: &Path,
        token: &str,
        also: impl Fn(&Asked) -> Option<Told> + Send + Sync + 'static,
    ) -> Self {
        Self::start_for(USER, root, token, also)
    }

    /// The same for those who also say this name.
    pub(crate) fn start_for(
        user: &str,
        root: &Path,
        token: &str,
        also: impl Fn(&Asked) -> Option<Told> + Send + Sync + 'static,
    ) -> Self {
        let asked: Arc<Mutex<Vec<(String, String, bool)>>> = Arc::default();
        let (seen, root) = (Arc::clone(&asked), root.to_owned());
        let right = format!("Basic {}", STANDARD.encode(format!("{user}:{token}")));
        let http = HttpServer::start(move |request| {
            let credentials = request.header("authorization").to_owned();
            seen.lock().unwrap().push((
                request.method.clone(),
                request.path.clone(),
                !credentials.is_empty(),
            ));
            if let Some(told) = also(&request) {
                return told;
            }
            if credentials != right {
                let realm = ("www-authenticate".to_owned(), "Basic realm=\"git\"".to_owned());
                return Told::Say(401, vec![realm], b"who are you?".to_vec());
            }
            backend(&root, &request)
        });
        Self { http, asked }
    }

    pub(crate) fn url(&self, repo: &str) -> String {
        format!("{}/{repo}", self.http.url())
    }
}

fn backend(root: &PathBuf, request: &Asked) -> Told {
    let mut child = Command::new("git")
        .arg("http-backend")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", "/nonexistent")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", "someone")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", &request.query)
        .env("CONTENT_TYPE", request.header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", request.header("content-encoding"))
        .env("GIT_PROTOCOL", request.header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut stdin, body) = (child.stdin.take().unwrap(), request.body.clone());
    std::thread::spawn(move || stdin.write_all(&body));
    let out = child.wait_with_output().unwrap().stdout;
    let end = out.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(out.len());
    let head = String::from_utf8_lossy(&out[..end]).into_owned();
    let mut status = 200;
    let mut headers = Vec::new();
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        if name == "Status" {
            status = value[..3].parse().unwrap();
        } else {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    Told::Say(status, headers, out.get(end + 4..).unwrap_or_default().to_vec())
}
