//! The process dies at every commit of the store of jobs, before and after it: no job is lost, none runs twice at once,
//! nothing leaves without a person's word, nothing twice, and nothing is left behind.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::kit::*;
use crate::{crash::both, sandbox::docker_socket, support::*};

/// Where it dies, before and after each commit, in the order in which these come; the scene says in the middle of what.
const PLAIN: &[&str] = &[
    "commit:create_job",
    "commit:job_claimed",
    "commit:job_engine_starting",
    "commit:job_session",
    "commit:prepay_job",
    "commit:settle_job",
    "commit:job_engine_ended",
    "commit:job_engine_lost",
    "commit:job_verified",
    "commit:job_prepared",
    "commit:job_asked",
    "commit:job_decided",
    "commit:job_pushing",
    "commit:job_pushed",
    "commit:job_ended",
    "commit:job_continued",
];
/// Hosts, budgets, isolation, and questions that nobody answers.
const ASKING: &[&str] = &["commit:add_egress", "commit:job_noted", "commit:expire_jobs"];
const PARKED: &[&str] = &["commit:job_parked", "commit:decide", "commit:job_unparked"];
const SCHEDULED: &[&str] = &["commit:create_schedule", "commit:change_schedule", "commit:remove_schedule"];

const DUE: &[&str] = &["commit:schedule_ran"];
const MERGED: &[&str] = &["commit:note_request"];

/// All of them.
pub(crate) const KILLS: &[&[&str]] = &[PLAIN, ASKING, PARKED, SCHEDULED, DUE, MERGED];

/// What must be so in the store after any crash: each statement counts what is wrong.
const WRONG: &[&str] = &[
    // The journal has no gap.
    "SELECT count(*) FROM jobs WHERE (SELECT count(*) FROM job_journal WHERE job_id = id)
         <> (SELECT coalesce(max(idx) + 1, 0) FROM job_journal WHERE job_id = id)",
    // No commit was pushed but one that somebody approved.
    "SELECT count(*) FROM job_journal AS p WHERE p.kind = 'pushing' AND NOT EXISTS (SELECT 1 FROM approvals
         WHERE turn_id = p.job_id AND status IN ('approved', 'consumed')
             AND instr(subject, json_extract(p.body, '$.commit')) > 0)",
    // What is over waits for nothing.
    "SELECT count(*) FROM approvals JOIN jobs ON jobs.id = turn_id WHERE approvals.status = 'pending' AND jobs.over = 1",
    "SELECT count(*) FROM pragma_foreign_key_check",
];

/// A server that dies again and again, and somebody who asks until they are answered.
struct Lives {
    shop: Shop,
    /// Where the coming lives end.
    kills: std::vec::IntoIter<String>,
    now: Option<String>,
    deaths: Vec<String>,
}

impl Lives {
    fn new(site: Site, kills: &[&str]) -> Self {
        let kills: Vec<String> = kills.iter().flat_map(|kill| both(kill)).collect();
        let mut lives =
            Self { shop: Shop::shut(site), kills: kills.into_iter(), now: None, deaths: Vec::new() };
        lives.rise();
        lives
    }

    /// Begins the next life; one that is to end may end before it is ready.
    fn rise(&mut self) {
        loop {
            self.now = self.kills.next();
            let env: Vec<_> = self.now.iter().map(|kill| ("ATOLL_FAULT", kill.as_str())).collect();
            if self.shop.try_rise(&env) {
                return;
            }
            assert!(self.now.is_some(), "it did not come up: {}", self.shop.site.log());
            self.bury();
        }
    }

    fn bury(&mut self) {
        for wrong in WRONG {
            assert_eq!(self.shop.site.number(wrong), 0, "after {:?}: {wrong}", self.now);
        }
        self.deaths.extend(self.now.take());
    }

    /// Begins the next life if this one is over.
    fn watch(&mut self) {
        if self.shop.is_dead() {
            assert!(self.now.is_some(), "it died by itself: {}", self.shop.site.log());
            self.bury();
            self.rise();
        }
    }

    /// Asks until there is an answer; true when the server died over it.
    async fn ask(&mut self, method: &str, path: &str, body: &Value, key: &str) -> (StatusCode, Value, bool) {
        let mut died = false;
        loop {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let request = self.shop.owner().request(method, path).json(body);
            let request = if key.is_empty() { request } else { request.header("idempotency-key", key) };
            if let Ok(response) = request.send().await {
                let status = response.status();
                if status != 503 {
                    return (status, response.json().await.unwrap_or(Value::Null), died);
                }
            } else {
                until("it is dead", async || self.shop.is_dead()).await;
                died = true;
            }
            self.watch();
        }
    }

    /// Asks for something that may have been done by a life that could not say so any more: then it is a conflict.
    async fn sure(&mut self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer, died) = self.ask(method, path, &body, "").await;
        assert!(
            status.is_success() || died && [404, 409].contains(&status.as_u16()),
            "{path}: {status} {answer}"
        );
        answer
    }

    async fn task(&mut self, id: &str) -> Value {
        self.ask("GET", &format!("/api/v1/tasks/{id}"), &Value::Null, "").await.1
    }

    /// Waits until the task is so, whatever dies meanwhile.
    async fn wait(&mut self, id: &str, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        let began = std::time::Instant::now();
        loop {
            let task = self.task(id).await;
            if so(&task) {
                return task;
            }
            assert!(
                began.elapsed() < LONG * 2,
                "{what}, in vain; to die at {:?}: {task:#}\n{:?}\n{}",
                self.now,
                self.shop.entries(id),
                self.shop.site.log()
            );
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    async fn asked(&mut self, id: &str, but: &Value) -> Value {
        self.wait(id, "its question", |task| task["approvalId"].is_string() && task["approvalId"] != *but)
            .await
    }

    async fn ended(&mut self, id: &str, state: &str) -> Value {
        let task = self.wait(id, state, |task| !task["endedAt"].is_null() && ends(task)).await;
        assert_eq!(task["status"], state, "{task:#}\n{}", self.shop.site.log());
        task
    }

    /// All lives that were to end have ended, the last one does not.
    fn is_through(&mut self) {
        self.watch();
        assert_eq!((&self.now, self.kills.as_slice()), (&None, &[][..]), "it never came there");
        assert!(!self.shop.is_dead());
    }
}

fn ends(task: &Value) -> bool {
    ["done", "unchanged", "rejected", "failed", "cancelled"].contains(&task["status"].as_str().unwrap())
}

/// Looks at the container engine: no two sandboxes of one job lived at the same time.
struct Watch {
    child: Child,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Watch {
    fn start() -> Self {
        let mut child = Command::new("docker")
            .arg("-H")
            .arg(format!("unix://{}", docker_socket().display()))
            .args([
                "events",
                "--filter",
                "label=atoll.kind=job",
                "--filter",
                "event=start",
                "--filter",
                "event=die",
            ])
            .args(["--format", "{{.Action}} {{index .Actor.Attributes \"atoll.id\"}} {{.Actor.ID}}"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (out, seen) = (child.stdout.take().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let lines = Arc::clone(&seen);
        std::thread::spawn(move || {
            BufReader::new(out)
                .lines()
                .map_while(Result::ok)
                .for_each(|line| lines.lock().unwrap().push(line));
        });
        Self { child, seen }
    }

    /// How many sandboxes this job had, one after the other.
    fn of(&self, job: &str) -> usize {
        let (mut living, mut count) = (0, 0);
        let seen = self.seen.lock().unwrap().clone();
        for line in seen.iter().filter(|line| line.contains(job)) {
            match line.starts_with("start") {
                true => (living, count) = (living + 1, count + 1),
                false => living -= 1,
            }
            assert!((0..=1).contains(&living), "two sandboxes of one job at once: {seen:#?}");
        }
        assert_eq!(living, 0, "one is left: {seen:#?}");
        count
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A key of this test's own: ids of jobs are made of it.
fn once() -> String {
    format!("once-{}", std::process::id())
}

/// Nothing is left of jobs that are over but what is kept of them.
async fn is_clean(shop: &Shop) {
    until("no sandbox is left", async || shop.site.say(&["sandbox", "list"]).contains("no sandboxes")).await;
    for folder in ["jobs", "repos/jobs"] {
        for entry in std::fs::read_dir(shop.site.home().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let known = shop.site.number(&format!("SELECT count(*) FROM jobs WHERE id = '{name}'"));
            assert_eq!(known, 1, "{folder}/{name} is nobody's");
        }
    }
    assert_eq!(shop.owner().look("/api/v1/audit/verify").await["ok"], true);
}

#[tokio::test]
async fn a_job_survives_its_whole_life() {
    let forge = crate::forge::github_mock();
    let site = Site::new(&config("llm: {provider: rehearsal}", "jobs: {restarts: 100}"));
    let git_server = crate::git::GitServer::start(site.beside(), crate::forge::TOKEN, |_| None);
    let site = site.env("FORGE_TOKEN", crate::forge::TOKEN);
    let (watch, mut lives) = (Watch::start(), Lives::new(site, &[]));
    let remote = remote(lives.shop.site.beside(), "ann/app");
    sh("git --git-dir \"$1\" config http.receivepack true", &remote);
    let forge_body = json!({"kind": "github", "apiUrl": forge.http.url(), "tokenEnv": "FORGE_TOKEN"});
    let more = json!({"forge": forge_body, "verifyCommands": ["python3 test.py"]});
    lives.shop.project_at("app", &git_server.url("ann/app.git"), more).await;
    lives.shop.stop();
    lives.kills = PLAIN.iter().flat_map(|kill| both(kill)).collect::<Vec<_>>().into_iter();
    lives.rise();
    let body = json!({"projectId": "app", "instruction": MEND, "title": "Mend the sum"});
    let (status, answer, _) = lives.ask("POST", "/api/v1/tasks", &body, &once()).await;
    assert_eq!(status, 201, "{answer}");
    let id = answer["jobId"].as_str().unwrap().to_owned();
    let first = lives.asked(&id, &Value::Null).await;
    assert_eq!(branches(&remote), ["main"]);
    let reject = json!({"reason": format!("run `true`, write `b.txt` with `two`")});
    lives.sure("POST", &format!("/api/v1/tasks/{id}/reject"), reject).await;
    let second = lives.asked(&id, &first["approvalId"]).await;
    assert_eq!(branches(&remote), ["main"]);
    lives.sure("POST", &format!("/api/v1/tasks/{id}/approve"), json!({})).await;
    let done = lives.ended(&id, "done").await;
    let branch = done["branch"].as_str().unwrap().to_owned();
    assert_eq!(git(&remote, &format!("rev-list main..{branch}")), second["commitSha"].as_str().unwrap());
    assert_eq!(forge.state.lock().unwrap().posted.len(), 1, "exactly one pull request");
    assert_eq!(done["prUrl"], "https://github.com/ann/app/pull/7");
    let more = json!({"instruction": "write `c.txt` with `three`"});
    lives.sure("POST", &format!("/api/v1/tasks/{id}/follow-up"), more).await;
    lives.asked(&id, &second["approvalId"]).await;
    lives.is_through();
    lives.sure("POST", &format!("/api/v1/tasks/{id}/approve"), json!({})).await;
    lives.wait(&id, "the second end", |task| task["status"] == "done").await;
    assert_eq!(git(&remote, &format!("rev-list --count main..{branch}")), "2");
    assert_eq!(forge.state.lock().unwrap().posted.len(), 1, "still the same pull request");
    assert_eq!(lives.shop.site.number("SELECT count(*) FROM jobs"), 1);
    is_clean(&lives.shop).await;
    assert!(watch.of(&id) > 4);
    forge.is_content();
}

#[tokio::test]
async fn questions_survive_and_expire_once() {
    let site =
        Site::new(&config("llm: {provider: rehearsal}", "jobs: {restarts: 100, approval_hours: 0.004}"));
    let (watch, mut lives) = (Watch::start(), Lives::new(site, &[]));
    let remote = lives.shop.project(json!({})).await;
    lives.shop.stop();
    lives.kills = ASKING.iter().flat_map(|kill| both(kill)).collect::<Vec<_>>().into_iter();
    lives.rise();
    let ask = |number: usize| {
        let open = format!("import urllib.request as u; u.urlopen('https://host{number}.example')");
        format!("run `python3 -c \"{open}\"; echo {number} > a.txt`")
    };
    let body = json!({"projectId": "app", "instruction": ask(0)});
    let (_, answer, _) = lives.ask("POST", "/api/v1/tasks", &body, &once()).await;
    let id = answer["jobId"].as_str().unwrap().to_owned();
    let mut last = Value::Null;
    for number in 1..10 {
        last = lives.asked(&id, &last).await["approvalId"].clone();
        if lives.now.as_ref().is_none_or(|kill| kill.ends_with("expire_jobs")) {
            break;
        }
        lives.sure("POST", &format!("/api/v1/tasks/{id}/reject"), json!({"reason": ask(number)})).await;
    }
    let task = lives.ended(&id, "rejected").await;
    assert_eq!(task["text"], "nobody approved it in time");
    lives.is_through();
    assert_eq!(branches(&remote), ["main"]);
    is_clean(&lives.shop).await;
    assert!(watch.of(&id) > 2);
}

#[tokio::test]
async fn a_parked_job_survives_and_goes_on_when_it_may() {
    let model = MockModel::start(|request| match request.results().first() {
        Some(result) if result.contains("a.txt") => Reply::say("done"),
        _ => Reply::call("write", json!({"path": "a.txt", "content": "x"})),
    });
    let more = "jobs: {restarts: 100}\nbudgets: {job: {tokens: 100}}";
    let site = Site::new(&config(&with_model(&model, ""), more));
    let (watch, mut lives) = (Watch::start(), Lives::new(site, &[]));
    let remote = lives.shop.project(json!({})).await;
    lives.shop.stop();
    lives.kills = PARKED.iter().flat_map(|kill| both(kill)).collect::<Vec<_>>().into_iter();
    lives.rise();
    let body = json!({"projectId": "app", "instruction": "write it"});
    let (_, answer, _) = lives.ask("POST", "/api/v1/tasks", &body, &once()).await;
    let id = answer["jobId"].as_str().unwrap().to_owned();
    let mut last = Value::Null;
    let path = format!("/api/v1/tasks/{id}/approve");
    for _ in 0..20 {
        let task = lives.asked(&id, &last).await;
        if task["status"] != "parked" {
            break;
        }
        last = task["approvalId"].clone();
        lives.sure("POST", &path, json!({})).await;
    }
    lives.is_through();
    lives.sure("POST", &path, json!({})).await;
    let done = lives.ended(&id, "done").await;
    assert_eq!(git(&remote, &format!("show {}:a.txt", done["branch"].as_str().unwrap())), "x");
    is_clean(&lives.shop).await;
    watch.of(&id);
}

#[tokio::test]
async fn schedules_survive() {
    let site = Site::new(&config("llm: {provider: rehearsal}", ""));
    let mut lives = Lives::new(site, &[]);
    lives.shop.project(json!({})).await;
    lives.shop.stop();
    lives.kills = SCHEDULED.iter().flat_map(|kill| both(kill)).collect::<Vec<_>>().into_iter();
    lives.rise();
    let all = "/api/v1/scheduled-tasks";
    let body =
        json!({"projectId": "app", "instruction": "x", "cronExpression": "0 3 * * *", "enabled": false});
    lives.sure("POST", all, body).await;
    let found = lives.ask("GET", all, &Value::Null, "").await.1;
    let ids: Vec<_> =
        found["tasks"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    for id in ids {
        let path = format!("{all}/{id}");
        lives.sure("PATCH", &path, json!({"instruction": "y"})).await;
        assert_eq!(lives.ask("GET", &path, &Value::Null, "").await.1["instruction"], "y");
        lives.sure("DELETE", &path, json!({})).await;
    }
    lives.is_through();
    assert_eq!(lives.shop.site.number("SELECT count(*) FROM task_schedules"), 0);
}

#[tokio::test]
async fn a_time_that_was_due_gives_one_task_whatever_dies() {
    let site = Site::new(&config("llm: {provider: rehearsal}", "jobs: {restarts: 100}"));
    let mut lives = Lives::new(site, &[]);
    lives.shop.project(json!({})).await;
    let body = json!({"projectId": "app", "instruction": "run `true`", "cronExpression": "0 3 * * *"});
    lives.sure("POST", "/api/v1/scheduled-tasks", body).await;
    lives.shop.stop();
    // Its time came a moment ago.
    let due = "UPDATE task_schedules SET next_run_at = created_at";
    lives.shop.site.store().execute(due, []).unwrap();
    lives.kills = DUE.iter().flat_map(|kill| both(kill)).collect::<Vec<_>>().into_iter();
    lives.rise();
    until("it dies before it is noted", async || {
        lives.watch();
        lives.deaths.len() == 1
    })
    .await;
    until("it dies after it was noted", async || {
        lives.watch();
        lives.deaths.len() == 2
    })
    .await;
    lives.is_through();
    let ran =
        "SELECT count(*) FROM task_schedules WHERE last_run_at IS NOT NULL AND next_run_at > last_run_at";
    until("it is noted", async || lives.shop.site.number(ran) == 1).await;
    let tasks = lives.ask("GET", "/api/v1/tasks", &Value::Null, "").await.1;
    assert_eq!(tasks["total"], 1, "one time, one task: {tasks:#}");
    let id = tasks["tasks"][0]["id"].as_str().unwrap().to_owned();
    lives.ended(&id, "unchanged").await;
    is_clean(&lives.shop).await;
}

#[tokio::test]
async fn what_became_of_a_pull_request_is_noted_whatever_dies() {
    let forge = crate::forge::github_mock();
    let site = Site::new(&config("llm: {provider: rehearsal}", "jobs: {request_poll_minutes: 0.01}"));
    let server = crate::git::GitServer::start(site.beside(), crate::forge::TOKEN, |_| None);
    let mut lives = Lives::new(site.env("FORGE_TOKEN", crate::forge::TOKEN), &[]);
    let remote = remote(lives.shop.site.beside(), "ann/app");
    sh("git --git-dir \"$1\" config http.receivepack true", &remote);
    let body = json!({"kind": "github", "apiUrl": forge.http.url(), "tokenEnv": "FORGE_TOKEN"});
    lives.shop.project_at("app", &server.url("ann/app.git"), json!({"forge": body})).await;
    let id = lives.shop.give("write `a.txt` with `one`").await;
    lives.shop.approve(&id).await;
    lives.shop.stop();
    {
        let merged = &mut forge.state.lock().unwrap().requests[0];
        (merged["state"], merged["merged_at"]) = (json!("closed"), json!("2026-01-01T00:00:00Z"));
    }
    let noted = "SELECT count(*) FROM job_requests WHERE state = 'merged'";
    assert_eq!(lives.shop.site.number(noted), 0);
    lives.kills = vec!["before_commit:note_request".to_owned()].into_iter();
    lives.rise();
    until("it dies before", async || {
        lives.watch();
        lives.deaths.len() == 1
    })
    .await;
    until("it is noted by the next life", async || lives.shop.site.number(noted) == 1).await;
    // Once more, as if it had not been: it dies when it was noted, and that stays.
    lives.shop.stop();
    lives.shop.site.store().execute("UPDATE job_requests SET state = 'open'", []).unwrap();
    lives.kills = vec!["after_commit:note_request".to_owned()].into_iter();
    lives.rise();
    until("it dies after", async || {
        lives.watch();
        lives.deaths.len() == 2
    })
    .await;
    assert_eq!(lives.shop.site.number(noted), 1);
    lives.is_through();
    assert_eq!(forge.state.lock().unwrap().posted.len(), 1);
    is_clean(&lives.shop).await;
}
