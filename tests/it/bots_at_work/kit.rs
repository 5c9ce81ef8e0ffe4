//! A place with Docker, a bare remote, the project `app` and a bot.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use super::*;

/// How long a bot may take to get somewhere: sandboxes start and end, and several tests share two processors.
const LONG: Duration = Duration::from_secs(180);

/// Words that make the scripted engine mend the sum.
pub(super) const MEND: &str = "In `calc.py` replace `a - b` with `a + b`. To check, run `python3 test.py`.";

pub(super) struct Place {
    pub(super) site: Site,
    key: String,
    server: RefCell<Option<Server>>,
    remote: PathBuf,
}

fn docker() -> PathBuf {
    let named = std::env::var_os("ATOLL_TEST_DOCKER").map(PathBuf::from);
    let usual = || Path::new(&std::env::var_os("HOME").unwrap()).join(".cache/atoll/docker.sock");
    let socket = named.unwrap_or_else(usual);
    assert!(socket.exists(), "no Docker at {}: run scripts/services", socket.display());
    socket
}

/// A configuration with sandboxes, and the models that are given.
pub(super) fn config(llm: &str) -> String {
    let docker = docker();
    format!(
        "{llm}\nsandbox: {{docker: '{}', memory_mib: 512, tmp_mib: 64, processes: 200, disk_mib: 400}}",
        docker.display()
    )
}

fn sh(folder: &Path, script: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Place {
    /// With the scripted engine.
    pub(super) async fn open() -> Self {
        Self::with(&config("llm: {provider: rehearsal}")).await
    }

    pub(super) async fn with(config: &str) -> Self {
        let site = Site::new(config);
        let key = site.key("me", "owner");
        sh(
            site.beside(),
            "git init -q --bare -b main app.git && git init -q -b main first && cd first && \
             printf 'def add(a, b):\\n    return a - b\\n' > calc.py && printf '__pycache__\\n' > .gitignore && \
             printf 'from calc import add\\nassert add(2, 3) == 5, add(2, 3)\\nprint(\"ok\")\\n' > test.py && \
             git add -A && git -c user.name=x -c user.email=x@x commit -qm first && git push -q ../app.git main",
        );
        let remote = site.beside().join("app.git");
        let place = Self { server: RefCell::new(Some(site.start())), site, key, remote };
        let body = json!({"id": "app", "name": "App", "repoUrl": place.remote,
            "limits": {"memoryMib": 512, "maxFailures": 2}});
        place.made("/api/v1/projects", body).await;
        place
    }

    pub(super) fn owner(&self) -> User {
        User::new(&self.server.borrow().as_ref().unwrap().base, &self.key)
    }

    pub(super) fn kill(&self) {
        self.server.borrow_mut().take().unwrap().kill();
    }

    pub(super) fn rise(&self) {
        *self.server.borrow_mut() = Some(self.site.start());
    }

    pub(super) async fn made(&self, path: &str, body: Value) -> Value {
        crate::board::made(&self.owner(), path, body).await
    }

    /// A bot that looks each second and was started.
    pub(super) async fn bot(&self, name: &str, more: Value) -> String {
        let mut body = json!({"projectId": "app", "name": name, "pollIntervalSeconds": 1});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        let bot = self.made("/api/v1/bots", body).await["id"].as_str().unwrap().to_owned();
        self.turn(&bot, "start").await;
        bot
    }

    pub(super) async fn turn(&self, bot: &str, action: &str) -> Value {
        let (status, now) =
            self.owner().post(&format!("/api/v1/bots/{bot}/loop"), json!({"action": action})).await;
        assert_eq!(status, 200, "{now}");
        now
    }

    /// A story that is ready.
    pub(super) async fn story(&self, title: &str, description: &str, priority: &str) -> String {
        let board = self.owner().look("/api/v1/projects/app/board").await;
        let columns = board["board"]["columns"].as_array().unwrap();
        let todo = columns.iter().find(|column| column["role"] == "todo").unwrap()["id"].clone();
        let body =
            json!({"title": title, "description": description, "priority": priority, "columnId": todo});
        self.made("/api/v1/projects/app/stories", body).await["id"].as_str().unwrap().to_owned()
    }

    pub(super) async fn look(&self, path: &str) -> Value {
        self.owner().look(path).await
    }

    /// The story as it is now, and the role of its column.
    pub(super) async fn card(&self, story: &str) -> (Value, String) {
        let story = self.look(&format!("/api/v1/stories/{story}")).await;
        let board = self.look("/api/v1/projects/app/board").await;
        let columns = board["board"]["columns"].as_array().unwrap();
        let column = columns.iter().find(|column| column["id"] == story["columnId"]).unwrap();
        (story, column["role"].as_str().unwrap().to_owned())
    }

    /// Waits until something is so.
    pub(super) async fn wait(&self, what: &str, mut so: impl AsyncFnMut() -> bool) {
        let began = Instant::now();
        while !so().await {
            if began.elapsed() > LONG {
                let tasks = self.look("/api/v1/tasks").await;
                panic!("in vain: {what}\n{tasks:#}\n{}", self.site.log());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the card of a story is in a column with this role.
    pub(super) async fn comes_to(&self, story: &str, role: &str) {
        self.wait(&format!("{story} in {role}"), async || self.card(story).await.1 == role).await;
    }

    /// The tasks for a story, the newest first.
    pub(super) async fn tasks(&self, story: &str) -> Vec<Value> {
        let found = self.look(&format!("/api/v1/tasks?storyId={story}")).await;
        found["tasks"].as_array().unwrap().clone()
    }

    /// Waits until the newest task for a story is in this state, and gives it.
    pub(super) async fn task(&self, story: &str, status: &str) -> Value {
        let stands = async || {
            let tasks = self.tasks(story).await;
            tasks.first().is_some_and(|task| task["status"] == status)
        };
        self.wait(&format!("a task for {story} that is {status}"), stands).await;
        self.tasks(story).await.remove(0)
    }

    /// What a bot's journal says, the oldest first: kind and summary.
    pub(super) async fn journal(&self, bot: &str) -> Vec<String> {
        let found = self.look(&format!("/api/v1/bots/{bot}/journal?limit=100")).await;
        let entries = found["entries"].as_array().unwrap().iter().rev();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        entries.map(|entry| format!("{}: {}", text(&entry["entryType"]), text(&entry["summary"]))).collect()
    }

    /// The commits of a branch of the remote, the newest first.
    pub(super) fn commits(&self, branch: &str) -> String {
        sh(&self.remote, &format!("git log --format=%s '{branch}'"))
    }

    /// The branches of the remote.
    pub(super) fn branches(&self) -> String {
        sh(&self.remote, "git branch --format='%(refname:short)' | sort | tr '\\n' ' '")
    }
}
