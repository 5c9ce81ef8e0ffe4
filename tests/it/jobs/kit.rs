//! What the tests of coding jobs share: the real binary with Docker, a bare remote, a project and its tasks.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{board::made, sandbox::docker_socket, support::*};

/// How long a job may take to get somewhere. Sandboxes start and end, and several tests share two processors.
pub(super) const LONG: Duration = Duration::from_secs(150);
/// What every job of these tests may use.
const LIMITS: &str = "memory_mib: 512, tmp_mib: 64, processes: 200, disk_mib: 400";

/// A place where coding jobs are done, and who asks for them.
pub(super) struct Shop {
    pub site: Site,
    key: String,
    server: RefCell<Option<Server>>,
}

impl Shop {
    /// With the scripted engine.
    pub(super) async fn open() -> Self {
        Self::with("").await
    }

    /// With more of a configuration.
    pub(super) async fn with(more: &str) -> Self {
        Self::at(Site::new(&config("llm: {provider: rehearsal}", more))).await
    }

    /// With a model of one's own.
    pub(super) async fn modelled(model: &MockModel, more: &str) -> Self {
        Self::at(Site::new(&config(&with_model(model, ""), more))).await
    }

    /// In this site.
    pub(super) async fn at(site: Site) -> Self {
        let shop = Self::shut(site);
        shop.rise(&[]);
        shop
    }

    /// In this site, with no server yet.
    pub(super) fn shut(site: Site) -> Self {
        let key = site.key("me", "owner");
        take_evidence(&site);
        Self { site, key, server: RefCell::default() }
    }

    /// Begins a life of the server.
    pub(super) fn rise(&self, env: &[(&str, &str)]) {
        *self.server.borrow_mut() = Some(self.site.start_with(env));
    }

    /// As [`Shop::rise`]; false when it died before it was ready.
    pub(super) fn try_rise(&self, env: &[(&str, &str)]) -> bool {
        let server = self.site.try_start(env);
        let up = server.is_ok();
        *self.server.borrow_mut() = server.ok();
        up
    }

    /// Kills the server as a power failure does.
    pub(super) fn kill(&self) {
        self.server.borrow_mut().take().unwrap().kill();
    }

    /// Ends the server as an operator does.
    pub(super) fn stop(&self) {
        assert!(self.server.borrow_mut().take().unwrap().stop().success(), "{}", self.site.log());
    }

    /// True when there is no living server.
    pub(super) fn is_dead(&self) -> bool {
        self.server.borrow_mut().as_mut().is_none_or(Server::is_dead)
    }

    /// The owner of the place.
    pub(super) fn owner(&self) -> User {
        User::new(&self.server.borrow().as_ref().unwrap().base, &self.key)
    }

    /// A bare repository beside the home, with a first commit on `main`.
    pub(super) fn remote(&self, name: &str) -> PathBuf {
        remote(self.site.beside(), name)
    }

    /// The project `app` with a remote of its own; gives the remote.
    pub(super) async fn project(&self, more: Value) -> PathBuf {
        let remote = self.remote("app");
        self.project_at("app", remote.to_str().unwrap(), more).await;
        remote
    }

    /// A project with this repository.
    pub(super) async fn project_at(&self, id: &str, url: &str, more: Value) {
        let mut body = json!({"id": id, "name": id, "repoUrl": url, "limits": {"memoryMib": 512}});
        add(&mut body, more);
        made(&self.owner(), "/api/v1/projects", body).await;
    }

    /// Gives a task to the project `app`.
    pub(super) async fn give(&self, instruction: &str) -> String {
        self.give_with(instruction, json!({})).await
    }

    /// Gives a task with more to it.
    pub(super) async fn give_with(&self, instruction: &str, more: Value) -> String {
        let mut body = json!({"projectId": "app", "instruction": instruction});
        add(&mut body, more);
        let made = made(&self.owner(), "/api/v1/tasks", body).await;
        made["jobId"].as_str().unwrap().to_owned()
    }

    /// The task as it is now.
    pub(super) async fn look(&self, id: &str) -> Value {
        self.owner().look(&format!("/api/v1/tasks/{id}")).await
    }

    /// Waits until a task is in one of these states, and gives it. One that ends otherwise fails the test.
    pub(super) async fn wait(&self, id: &str, states: &[&str]) -> Value {
        let began = Instant::now();
        loop {
            let task = self.look(id).await;
            let state = task["status"].as_str().unwrap().to_owned();
            if states.contains(&state.as_str()) {
                return task;
            }
            let over = ["done", "unchanged", "rejected", "failed", "cancelled"].contains(&state.as_str());
            assert!(!over, "{id} is {state}, not {states:?}: {task:#}\n{}", self.log(id).await);
            assert!(began.elapsed() < LONG, "{id} stays {state}: {task:#}\n{}", self.site.log());
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Waits for the question about its commit.
    pub(super) async fn asked(&self, id: &str) -> Value {
        let task = self.wait(id, &["awaiting_approval"]).await;
        // The state is stored with the commit, the question a moment later.
        if task["approvalId"].is_string() {
            return task;
        }
        until("the question", async || self.look(id).await["approvalId"].is_string()).await;
        self.look(id).await
    }

    /// Tells a task something that it must take.
    pub(super) async fn tell(&self, id: &str, order: &str, body: Value) -> Value {
        let (status, answer) = self.owner().post(&format!("/api/v1/tasks/{id}/{order}"), body).await;
        assert_eq!(status, 200, "{order}: {answer}");
        answer
    }

    /// Says yes, and waits for the end.
    pub(super) async fn approve(&self, id: &str) -> Value {
        self.asked(id).await;
        self.tell(id, "approve", json!({})).await;
        self.wait(id, &["done"]).await
    }

    /// The whole log of a task, as text.
    pub(super) async fn log(&self, id: &str) -> String {
        let path = format!("/api/v1/tasks/{id}/logs?verbosity=verbose&limit=500");
        self.owner().look(&path).await["lines"].to_string()
    }

    /// The workspace of a task, on the host.
    pub(super) fn workspace(&self, id: &str) -> PathBuf {
        let job = self.site.home().join("repos/jobs").join(id);
        let found = std::fs::read_dir(&job).unwrap_or_else(|error| panic!("{}: {error}", job.display()));
        let folders = found.map(|entry| entry.unwrap().path());
        folders.filter(|path| path.join(".git").exists()).last().unwrap_or(job.join("work"))
    }

    /// The kinds of the entries in a task's journal.
    pub(super) fn entries(&self, id: &str) -> Vec<String> {
        let db = self.site.store();
        let mut found = db.prepare("SELECT kind FROM job_journal WHERE job_id = ?1 ORDER BY idx").unwrap();
        found.query_map([id], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}

impl Drop for Shop {
    /// What is left of its sandboxes is ended with it.
    fn drop(&mut self) {
        drop(self.server.borrow_mut().take());
        let _ = self.site.run(&["sandbox", "clean"]);
    }
}

/// A configuration with Docker.
pub(super) fn config(llm: &str, more: &str) -> String {
    let docker = docker_socket();
    format!("sandbox: {{docker: '{}', {LIMITS}}}\n{llm}\n{more}", docker.display())
}

fn add(body: &mut Value, more: Value) {
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
}

/// What the self-test showed is about this machine, not about a home: it is shown once for all of these tests.
fn take_evidence(site: &Site) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("jobs");
    std::fs::create_dir_all(&folder).unwrap();
    let shared = folder.join("evidence.json");
    let lock = std::fs::File::create(folder.join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let young = |file: &Path| {
        let written = file.metadata().and_then(|data| data.modified()).ok();
        written.and_then(|at| at.elapsed().ok()).is_some_and(|age| age < Duration::from_secs(3_600))
    };
    let own = site.home().join("sandbox/evidence.json");
    if young(&shared) {
        std::fs::create_dir_all(own.parent().unwrap()).unwrap();
        std::fs::copy(&shared, &own).unwrap();
    } else {
        site.say(&["sandbox", "test"]);
        std::fs::copy(&own, &shared).unwrap();
    }
}

/// Makes a bare repository with a first commit on `main`: a sum that is wrong, and its test.
pub(super) fn remote(folder: &Path, name: &str) -> PathBuf {
    let bare = folder.join(format!("{name}.git"));
    let script = "git init -q --bare -b main \"$1\" && git init -q -b main \"$1.first\" && cd \"$1.first\" && \
        printf 'def add(a, b):\\n    return a - b\\n' > calc.py && \
        printf '__pycache__\\n' > .gitignore && \
        printf 'from calc import add\\nassert add(2, 3) == 5\\nprint(\"ok\")\\n' > test.py && git add -A && \
        git -c user.name=x -c user.email=x@x commit -qm first && git push -q \"$1\" main && cd / && rm -r \"$1.first\"";
    sh(script, &bare);
    bare
}

/// Runs a script with one argument; it must succeed.
pub(super) fn sh(script: &str, argument: &Path) -> String {
    let output = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(argument)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// What git says of a repository.
pub(super) fn git(repo: &Path, args: &str) -> String {
    sh(&format!("git --git-dir \"$1\" {args}"), repo)
}

/// The branches of a repository.
pub(super) fn branches(repo: &Path) -> Vec<String> {
    let said = git(repo, "for-each-ref --format='%(refname:short)' refs/heads");
    said.lines().map(str::to_owned).collect()
}

/// A commit of somebody else on a branch.
pub(super) fn somebody_pushes(repo: &Path, branch: &str) {
    let script = format!(
        "cd \"$1\" && tree=$(git rev-parse main^{{tree}}) && parent=$(git rev-parse -q --verify {branch} || git rev-parse main) && new=$(echo else | git -c user.name=x -c user.email=x@x commit-tree $tree -p $parent) && git update-ref \
         refs/heads/{branch} $new"
    );
    sh(&script, repo);
}

/// What mends the sum.
pub(super) const MEND: &str = "in `calc.py` replace `a - b` with `a + b`";
