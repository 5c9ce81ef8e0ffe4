//! Remotes over the network: https with a token, ssh with a key, and what may go wrong there.

use std::{
    fs,
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use atoll::{
    domain::{remote::RemoteUrl, secret::Secret},
    forge::{GitRepos, RepoLimits},
    ports::repo::{Auth, Project, Pushed, Remote, RepoError, Repos},
};

use super::{
    pushes::someone_names,
    server::{GitServer, USER},
    world::{World, files_below},
};
use crate::support::{http::Told, until};

const TOKEN: &str = "tok-3f9a1c77e2";

fn with_token(url: &str, token: &str) -> Remote {
    let auth = Auth::Token { user: USER.into(), token: Secret::new(token) };
    Remote { url: RemoteUrl::parse(url).unwrap(), auth }
}

fn world_with_http() -> World {
    let world = World::new();
    world.remote_git("config http.receivepack true");
    world
}

/// The same world, its project behind this remote.
async fn job_over(world: &World, remote: &Remote) -> Result<Pushed, RepoError> {
    let project = Project { id: "p1".into(), remote: remote.clone() };
    world.repos.update(project).await?;
    let workspace = world.repos.prepare(world.asks("j1")).await?;
    world.agent(&workspace, "echo over the wire > README.md");
    let imported = world.import("j1", &workspace).await?;
    let sealed = world.repos.seal(world.seal("j1", &imported)).await?;
    let atoll::ports::repo::Sealed::Commit(commit) = sealed else { panic!() };
    let mut push = world.push_of("j1", &workspace, &commit).await;
    push.remote = remote.clone();
    world.repos.push(push).await
}

#[tokio::test]
async fn a_job_over_http_with_a_token_that_is_nowhere_to_be_found() {
    let world = world_with_http();
    let named = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&named);
    let server = GitServer::start(&world.path(""), TOKEN, move |_| {
        seen.fetch_or(someone_names(TOKEN), Ordering::SeqCst);
        None
    });
    let remote = with_token(&server.url("remote.git"), TOKEN);
    assert_eq!(job_over(&world, &remote).await.unwrap(), Pushed::Now);
    assert_eq!(world.remote_git("show atoll/j1:README.md"), "over the wire");
    assert!(
        server.asked.lock().unwrap().iter().any(|(method, path, known)| {
            method == "POST" && path.ends_with("git-receive-pack") && *known
        })
    );
    assert!(!named.load(Ordering::SeqCst), "the token was in the arguments of a process");
    for file in files_below(&world.path("atoll")) {
        let text = fs::read(&file).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&text).contains(TOKEN), "the token is in {}", file.display());
    }
}

#[tokio::test]
async fn a_wrong_token_and_none_at_all_are_told_with_what_to_do() {
    let world = world_with_http();
    let server = GitServer::start(&world.path(""), TOKEN, |_| None);
    let url = server.url("remote.git");
    let wrong = "tok-wrong-0192";
    let error = job_over(&world, &with_token(&url, wrong)).await.unwrap_err();
    assert!(matches!(&error, RepoError::Denied(words) if words.contains("token is not taken")), "{error}");
    assert!(!error.to_string().contains(wrong), "{error}");
    let nobody = Remote { auth: Auth::None, ..with_token(&url, TOKEN) };
    let error = job_over(&world, &nobody).await.unwrap_err();
    assert!(
        matches!(&error, RepoError::Denied(words) if words.contains("give the project a token")),
        "{error}"
    );
    let elsewhere = with_token(&server.url("nowhere.git"), TOKEN);
    let error = job_over(&world, &elsewhere).await.unwrap_err();
    assert!(matches!(error, RepoError::NotThere(_)), "{error}");
    let key = Auth::Key { key: "/x".into(), known_hosts: "/y".into() };
    let error = job_over(&world, &Remote { auth: key, ..with_token(&url, TOKEN) }).await.unwrap_err();
    assert!(matches!(error, RepoError::Denied(_)), "{error}");
    let error = job_over(&world, &with_token(&url, "two\nlines")).await.unwrap_err();
    assert!(matches!(error, RepoError::Denied(_)), "{error}");
}

#[tokio::test]
async fn a_token_follows_no_redirect_and_answers_no_other_host() {
    let world = world_with_http();
    let thief = GitServer::start(&world.path(""), TOKEN, |_| None);
    let target = thief.url("remote.git");
    let server = GitServer::start(&world.path(""), TOKEN, move |asked| {
        let to = format!("{target}{}", asked.path.trim_start_matches("/remote.git"));
        Some(Told::Say(302, vec![("location".into(), format!("{to}?{}", asked.query))], Vec::new()))
    });
    let error = job_over(&world, &with_token(&server.url("remote.git"), TOKEN)).await.unwrap_err();
    assert!(error.to_string().contains("new address"), "{error}");
    assert_eq!(thief.asked.lock().unwrap().len(), 0, "the redirect was followed");
    // The program that answers git's question looks at who asks.
    let ask = |question: &str| {
        let output = Command::new(world.root().join("askpass"))
            .arg(question)
            .env("ATOLL_GIT_ORIGIN", "https://good.org")
            .env("ATOLL_GIT_ASKED", "https://me@good.org")
            .env("ATOLL_GIT_USER", "me")
            .env("ATOLL_GIT_TOKEN", TOKEN)
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    assert_eq!(ask("Password for 'https://me@good.org': "), (true, TOKEN.into()));
    assert_eq!(ask("Username for 'https://good.org': "), (true, "me".into()));
    for question in [
        "Password for 'https://me@evil.org': ",
        "Password for 'https://me@good.org.evil.org': ",
        "Enter passphrase: ",
    ] {
        assert_eq!(ask(question), (false, String::new()), "{question}");
    }
}

#[tokio::test]
async fn a_server_that_breaks_off_is_told_as_something_that_may_pass() {
    let world = world_with_http();
    let server = GitServer::start(&world.path(""), TOKEN, |asked| {
        asked.path.ends_with("git-receive-pack").then_some(Told::HangUp)
    });
    let remote = with_token(&server.url("remote.git"), TOKEN);
    let error = job_over(&world, &remote).await.unwrap_err();
    assert!(error.may_pass(), "{error:?}");
    assert_eq!(world.remote_tip("atoll/j1"), "");
    let gone = with_token("http://127.0.0.1:1/remote.git", TOKEN);
    let error = world.repos.branches(gone).await.unwrap_err();
    assert!(error.may_pass(), "{error:?}");
}

#[tokio::test]
async fn a_remote_that_never_answers_is_given_up_and_no_process_stays() {
    let world = world_with_http();
    let limits = RepoLimits { remote_time: Duration::from_millis(700), ..RepoLimits::default() };
    let hasty = GitRepos::open(&world.root(), limits).unwrap();
    // Connections are taken by the kernel; nobody reads from them.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/remote.git", deaf.local_addr().unwrap());
    let error = hasty.branches(with_token(&url, TOKEN)).await.unwrap_err();
    assert!(error.may_pass(), "{error:?}");
    until("all processes are gone", async || !someone_names(&url)).await;
    let dropped = tokio::spawn(world.repos.branches(with_token(&url, TOKEN)));
    until("git runs", async || someone_names(&url)).await;
    dropped.abort();
    until("all processes are gone again", async || !someone_names(&url)).await;
}

/// A real sshd for whoever runs the tests, on a port of this machine.
pub(crate) struct Sshd {
    child: Child,
    pub port: u16,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn start_sshd(world: &World) -> Sshd {
    for key in ["host_key", "bot_key", "other_key"] {
        world.sh(world.path(""), &format!("ssh-keygen -q -t ed25519 -N '' -f {key}"));
    }
    fs::copy(world.path("bot_key.pub"), world.path("authorized")).unwrap();
    let _ = fs::create_dir_all("/run/sshd");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let option = |name: &str, value: String| format!("-o{name}={value}");
    let child = Command::new("/usr/sbin/sshd")
        .args(["-D", "-e", "-f", "/dev/null"])
        .args([
            option("ListenAddress", "127.0.0.1".into()),
            option("Port", port.to_string()),
            option("HostKey", world.path("host_key").display().to_string()),
            option("AuthorizedKeysFile", world.path("authorized").display().to_string()),
            option("StrictModes", "no".into()),
            option("UsePAM", "no".into()),
            option("PidFile", "none".into()),
            option("PermitRootLogin", "prohibit-password".into()),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::from(fs::File::create(world.path("sshd.log")).unwrap()))
        .spawn()
        .unwrap_or_else(|error| panic!("sshd is needed, install openssh-server: {error}"));
    let host_key = fs::read_to_string(world.path("host_key.pub")).unwrap();
    fs::write(world.path("known hosts"), format!("[127.0.0.1]:{port} {host_key}")).unwrap();
    Sshd { child, port }
}

#[tokio::test]
async fn a_job_over_ssh_with_a_deploy_key_and_a_known_host() {
    let world = World::new();
    let sshd = start_sshd(&world);
    until("sshd listens", async || std::net::TcpStream::connect(("127.0.0.1", sshd.port)).is_ok()).await;
    let user = world.sh(world.path(""), "id -un");
    let url = format!("ssh://{user}@127.0.0.1:{}{}", sshd.port, world.path("remote.git").display());
    let remote = |key: &str, hosts: &str| Remote {
        url: RemoteUrl::parse(&url).unwrap(),
        auth: Auth::Key { key: world.path(key), known_hosts: world.path(hosts) },
    };
    let error = job_over(&world, &remote("bot_key", "unknown")).await.unwrap_err();
    assert!(matches!(&error, RepoError::Denied(words) if words.contains("known_hosts")), "{error}");
    let error = job_over(&world, &remote("other_key", "known hosts")).await.unwrap_err();
    assert!(matches!(&error, RepoError::Denied(words) if words.contains("deploy key")), "{error}");
    let no_key = Remote { auth: Auth::None, ..remote("bot_key", "known hosts") };
    assert!(matches!(job_over(&world, &no_key).await, Err(RepoError::Denied(_))));
    let pushed = job_over(&world, &remote("bot_key", "known hosts")).await;
    assert_eq!(pushed, Ok(Pushed::Now), "{}", fs::read_to_string(world.path("sshd.log")).unwrap_or_default());
    assert_eq!(world.remote_git("show atoll/j1:README.md"), "over the wire");
}
