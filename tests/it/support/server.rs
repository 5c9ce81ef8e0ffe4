//! The real binary, run as a user would, in a home of its own.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long anything of the real world may take before the test gives up on it. Never waited for in full.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A home and a configuration, from which the server is started again and again.
pub(crate) struct Site {
    folder: TempDir,
    env: Vec<(String, String)>,
}

impl Site {
    /// A fresh home with this configuration, put below a `server` part that takes a free port.
    pub(crate) fn new(config: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("atoll-test-").tempdir().unwrap();
        let site = Self { folder, env: Vec::new() };
        site.configure(config);
        site
    }

    /// Replaces the configuration; the next start reads it.
    pub(crate) fn configure(&self, config: &str) {
        let server = if config.contains("server:") { "" } else { "server: {port: 0}\n" };
        std::fs::write(self.config(), format!("{server}{config}\n")).unwrap();
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// A copy of this site as it is now, with a configuration of its own. No server may run.
    pub(crate) fn fork(&self, config: &str) -> Self {
        let mut fork = Self::new(config);
        fork.env.clone_from(&self.env);
        copy_folder(&self.home(), &fork.home());
        fork
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config.yaml")
    }

    /// A folder beside the home.
    pub(crate) fn beside(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atoll"));
        command
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .arg("--home")
            .arg(self.home())
            .arg("--config")
            .arg(self.config())
            .args(args);
        command
    }

    /// Runs a command of the command line to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command that must succeed, and gives what it printed.
    pub(crate) fn say(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "atoll {args:?} failed: {errors}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// An API key of this role.
    pub(crate) fn key(&self, name: &str, role: &str) -> String {
        self.say(&["keys", "create", "--name", name, "--role", role])
    }

    /// Starts the server and waits until it is ready.
    pub(crate) fn start(&self) -> Server {
        self.start_with(&[])
    }

    /// Starts the server with more of an environment.
    pub(crate) fn start_with(&self, env: &[(&str, &str)]) -> Server {
        self.try_start(env).unwrap_or_else(|log| panic!("the server did not come up:\n{log}"))
    }

    /// Starts the server; what it said when it does not come up.
    pub(crate) fn try_start(&self, env: &[(&str, &str)]) -> Result<Server, String> {
        let log = self.folder.path().join("server.log");
        let errors = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut child = self
            .command(&["start"])
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        loop {
            let mut line = String::new();
            if out.read_line(&mut line).unwrap() == 0 {
                let _ = child.wait();
                return Err(said + &std::fs::read_to_string(&log).unwrap_or_default());
            }
            if let Some(address) = line.strip_prefix("ready ") {
                return Ok(Server { child, base: address.trim().to_owned(), said, _out: out });
            }
            said.push_str(&line);
        }
    }

    /// What the servers of this site logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default()
    }

    /// The store, to look at the state of the world.
    pub(crate) fn store(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.home().join("atoll.db")).unwrap()
    }

    /// A number out of the store.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.store().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// A text out of the store.
    pub(crate) fn text(&self, sql: &str) -> String {
        self.store().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

impl Drop for Site {
    /// A server that was killed leaves its scripts behind; nobody starts it again to end them.
    fn drop(&mut self) {
        atoll::skills::end_strays(&self.home().join("run/processes"));
    }
}

/// A running server; killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub base: String,
    /// What it printed before it was ready.
    pub said: String,
    _out: BufReader<ChildStdout>,
}

impl Server {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// The end of the world, at once.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    /// True when it has died by itself.
    pub(crate) fn is_dead(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "the server did not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it as an operator does.
    pub(crate) fn stop(self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Looks again and again until something is so. A bounded poll of the real world, not a sleep.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !so().await {
        assert!(began.elapsed() < PATIENCE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
