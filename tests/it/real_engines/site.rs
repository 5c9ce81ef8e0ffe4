//! A server with both model providers, a project with a bare remote, and tasks in it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    board::made,
    engines::models::{Models, Step},
    sandbox::bench::socket,
    support::*,
};

/// What engines are called, and the keys of their providers.
pub(super) const CLAUDE: (&str, &str) = ("claude-code", "sk-ant-canary-6f1d0c93ab27");
pub(super) const CODEX: (&str, &str) = ("codex", "sk-proj-canary-24be77d9105c");
/// The image with both in it.
const IMAGE: &str = "atoll-sandbox:engines";
/// A task of a real CLI goes through a sandbox of its own, on a machine that may be busy.
const LONG: Duration = Duration::from_secs(180);
/// Where a task does not go on by itself.
const STOPPED: [&str; 7] =
    ["parked", "awaiting_approval", "done", "unchanged", "rejected", "failed", "cancelled"];

/// All of it.
pub(super) struct Shop {
    pub(super) site: Site,
    pub(super) models: Models,
    pub(super) owner: User,
    server: Option<Server>,
}

impl Drop for Shop {
    /// It ends as an operator ends it, so that its sandboxes go with it.
    fn drop(&mut self) {
        if let Some(server) = self.server.take().filter(|_| !std::thread::panicking()) {
            server.stop();
        }
    }
}

impl Shop {
    /// With more of a configuration.
    pub(super) async fn open(more: &str) -> Self {
        let models = Models::start(Vec::new());
        let site = Site::new(&format!(
            "llm:\n  - {{provider: anthropic, base_url: '{base}', api_key: {claude}}}\n  \
             - {{provider: openai, base_url: '{base}/v1', api_key: {codex}}}\n\
             sandbox: {{docker: '{socket}', image: '{IMAGE}'}}\n\
             prices: {{mock-model: {{input: 1000, output: 5000}}}}\n{more}",
            base = models.base(),
            claude = CLAUDE.1,
            codex = CODEX.1,
            socket = socket().display(),
        ));
        shown(&site);
        let repo = repository(site.beside());
        let server = site.start();
        let owner = User::new(&server.base, &site.key("me", "owner"));
        let project = json!({
            "name": "App", "repoUrl": repo.display().to_string(), "verifyCommands": ["python3 test.py"],
        });
        made(&owner, "/api/v1/projects", project).await;
        Self { site, models, owner, server: Some(server) }
    }

    /// Gives a task, and gives its id.
    pub(super) async fn task(&self, engine: &str, instruction: &str) -> String {
        let body = json!({
            "projectId": "app", "instruction": instruction, "engineType": engine, "model": "mock-model",
        });
        made(&self.owner, "/api/v1/tasks", body).await["jobId"].as_str().unwrap().to_owned()
    }

    /// The task when it stands so; anything else that it stops at is a fault.
    pub(super) async fn stands(&self, id: &str, state: &str) -> Value {
        let began = Instant::now();
        loop {
            let task = self.owner.look(&format!("/api/v1/tasks/{id}")).await;
            let now = task["status"].as_str().unwrap();
            if now == state {
                return task;
            }
            if STOPPED.contains(&now) || began.elapsed() > LONG {
                panic!("it is {now}, not {state}: {task:#}\n{:#?}\n{}", self.log(id).await, self.site.log());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Approves what a task asks, and waits until it has heard of it.
    pub(super) async fn approve(&self, id: &str) {
        let path = format!("/api/v1/tasks/{id}");
        let asked = self.owner.look(&path).await["approvalId"].clone();
        let (status, told) = self.owner.post(&format!("{path}/approve"), json!({})).await;
        assert_eq!(status, 200, "{told}");
        until("the task goes on", async || self.owner.look(&path).await["approvalId"] != asked).await;
    }

    /// Everything that the log of a task tells.
    pub(super) async fn log(&self, id: &str) -> Vec<Value> {
        let page = self.owner.look(&format!("/api/v1/tasks/{id}/logs?verbosity=verbose&limit=500")).await;
        page["lines"].as_array().unwrap().iter().map(|line| line["event"].clone()).collect()
    }

    /// The sessions that the engine told of, without repetition.
    pub(super) async fn sessions(&self, id: &str) -> Vec<String> {
        let log = self.log(id).await;
        let told = log.iter().filter(|event| event["event"] == "session");
        let mut ids: Vec<String> = told.map(|event| event["id"].as_str().unwrap().to_owned()).collect();
        ids.dedup();
        ids
    }

    /// What git says of the remote.
    pub(super) fn remote(&self, args: &[&str]) -> String {
        git(&self.site.beside().join("app.git"), args)
    }

    /// The folder of a task in the home.
    pub(super) fn folder(&self, id: &str) -> PathBuf {
        self.site.home().join("jobs").join(id)
    }
}

/// What the model does: it reads the broken file, mends it with the engine's own tools, and says so.
pub(super) fn mending(said: &str) -> Vec<Step> {
    let file = "/workspace/calc.py".to_owned();
    vec![
        Step::Read(file.clone()),
        Step::Edit(file, "    return a - b".into(), "    return a + b".into()),
        Step::Say(said.into()),
    ]
}

/// The isolation is shown once for all of these tests: it is about the machine, not about a home. What was shown for
/// another image, or is too old, is shown again by itself.
fn shown(site: &Site) {
    let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("engines-evidence.json");
    let own = site.home().join("sandbox/evidence.json");
    if shared.exists() {
        std::fs::create_dir_all(own.parent().unwrap()).unwrap();
        std::fs::copy(&shared, &own).unwrap();
        return;
    }
    site.say(&["sandbox", "test"]);
    let fresh = shared.with_extension(std::process::id().to_string());
    std::fs::copy(&own, &fresh).unwrap();
    std::fs::rename(fresh, shared).unwrap();
}

/// A bare remote with a file that is wrong, and a check that says so.
fn repository(beside: &Path) -> PathBuf {
    let (bare, work) = (beside.join("app.git"), beside.join("first"));
    std::fs::create_dir_all(&work).unwrap();
    std::fs::write(work.join("calc.py"), "def add(a, b):\n    return a - b\n").unwrap();
    std::fs::write(work.join("test.py"), "from calc import add\nassert add(2, 3) == 5\n").unwrap();
    git(beside, &["init", "-q", "--bare", "-b", "main", "app.git"]);
    git(&work, &["init", "-q", "-b", "main"]);
    git(&work, &["add", "-A"]);
    git(&work, &["-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "-qm", "first"]);
    git(&work, &["push", "-q", &bare.display().to_string(), "main"]);
    bare
}

fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git").current_dir(folder).args(args).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
