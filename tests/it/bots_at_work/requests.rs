//! What becomes of tasks whose pull requests are open: a forge of our own speaks as GitHub does.

use std::sync::{Arc, Mutex};

use atoll::{
    domain::{
        approval::Verdict,
        audit::Act,
        bot::Engine,
        ids::{ApprovalId, BotId, JobId, ProjectId, StoryId, UserId},
        job::{
            Candidate, Closed, Entry, ForStory, Head, Job, JobWrite, NewTask, Opening, Outcome, Priority,
            Verbosity,
        },
    },
    store::{jobs, schema},
};

use super::*;
use crate::support::http::{Asked, HttpServer, Told};

const TOKEN: &str = "APP_FORGE_TOKEN";
const AT: i64 = 1_790_000_000_000;

/// What the forge has.
#[derive(Default)]
struct Repo {
    merged: bool,
    comments: Vec<Value>,
    /// Commits whose checks were asked for.
    asked: usize,
}

/// A forge with the pull request 7 of `ann/app`.
fn forge(repo: &Arc<Mutex<Repo>>) -> HttpServer {
    let repo = Arc::clone(repo);
    HttpServer::start(move |asked: Asked| {
        assert_eq!(asked.header("authorization"), "Bearer s3cret");
        let mut repo = repo.lock().unwrap();
        let merged_at = repo.merged.then_some("2027-01-01T00:00:00Z");
        let body = match asked.path.trim_start_matches("/repos/ann/app/") {
            "pulls/7" => json!({
                "number": 7, "html_url": "https://github.com/ann/app/pull/7", "title": "Mend it", "draft": false,
                "state": if repo.merged { "closed" } else { "open" }, "merged_at": merged_at,
                "head": {"ref": "atoll/j-mend", "sha": "a".repeat(40)}, "base": {"ref": "main", "sha": "b".repeat(40)},
            }),
            "issues/7/comments" => Value::Array(repo.comments.clone()),
            "pulls/7/comments" | "pulls/7/reviews" => json!([]),
            path if path.ends_with("/check-runs") => {
                repo.asked += 1;
                json!({"total_count": 1, "check_runs": [{"name": "unit", "status": "completed",
                       "conclusion": "failure", "html_url": null, "output": {"title": "2 tests failed"}}]})
            }
            path if path.ends_with("/status") => json!({"state": "success", "statuses": []}),
            other => panic!("no forge has {other}"),
        };
        let kind = ("content-type".to_owned(), "application/json".to_owned());
        Told::Say(200, vec![kind], body.to_string().into_bytes())
    })
}

/// A site whose project is at this forge, with a bot whose story is in review: its job is done and its pull request open.
async fn site(forge: &HttpServer, watch: bool) -> (Site, String, String, String) {
    let config = "llm: {provider: rehearsal}\nsandbox: {docker: /nowhere/docker.sock}\n\
                  jobs: {bots: false, request_poll_minutes: 0.01}";
    let site = Site::new(config).env(TOKEN, "s3cret");
    let key = site.key("me", "owner");
    let server = site.start();
    let owner = User::new(&server.base, &key);
    let made = async |path: &str, body: Value| {
        crate::board::made(&owner, path, body).await["id"].as_str().unwrap().to_owned()
    };
    let forge = json!({"kind": "github", "apiUrl": format!("http://{}", forge.address), "tokenEnv": TOKEN});
    let project = json!({"id": "app", "name": "App", "repoUrl": "https://git.invalid/ann/app.git", "forge": forge,
                         "watchRequests": watch});
    made("/api/v1/projects", project).await;
    let bot = made("/api/v1/bots", json!({"projectId": "app", "name": "fixer"})).await;
    owner.post(&format!("/api/v1/bots/{bot}/loop"), json!({"action": "start"})).await;
    let board = owner.look("/api/v1/projects/app/board").await;
    let columns = board["board"]["columns"].as_array().unwrap();
    let todo = columns.iter().find(|column| column["role"] == "todo").unwrap()["id"].clone();
    let story = made("/api/v1/projects/app/stories", json!({"title": "Mend it", "columnId": todo})).await;
    let (status, claim) = owner.post(&format!("/api/v1/bots/{bot}/claim"), json!({})).await;
    assert_eq!((status.as_u16(), &claim["claim"]["token"]), (200, &json!(1)));
    server.kill();
    done(&site, &bot, &story);
    (site, key, bot, story)
}

/// Stores the job of the story, done with its pull request open.
fn done(site: &Site, bot: &str, story: &str) {
    let task = NewTask {
        id: JobId::new("j"),
        project: ProjectId::new("app"),
        user: UserId::new(format!("bot:{bot}")),
        actor: format!("bot:{bot}"),
        title: "Mend it".into(),
        instruction: "mend it".into(),
        system: String::new(),
        engine: Engine::Native,
        model: None,
        priority: Priority::Proactive,
        verbosity: Verbosity::Normal,
        callback_url: None,
        bot: Some(BotId::new(bot)),
        story: Some(ForStory { story: StoryId::new(story), token: 1 }),
        attachments: Vec::new(),
        discovery: false,
        conversation: None,
        at: AT,
    };
    let (approval, commit) = (ApprovalId::new("q"), "a".repeat(40));
    let candidate = Candidate {
        commit: commit.clone(),
        tree: "t".into(),
        stat: "1 file".into(),
        flags: vec![],
        asks: false,
    };
    let url = "https://github.com/ann/app/pull/7".to_owned();
    let entries = vec![
        Entry::Claimed,
        Entry::Prepared { base: "b".into(), branch: "atoll/j-mend".into() },
        Entry::EngineStarting { instruction: "mend it".into() },
        Entry::EngineEnded { claim: "mended".into() },
        Entry::Verified { runs: vec![], accepted: true },
        Entry::Committed { candidate },
        Entry::Asked { approval: approval.clone(), tree: "t".into() },
        Entry::Decided { approval, verdict: Verdict::Approved { by: "me".into() }, no_request: false },
        Entry::Pushing { commit },
        Entry::Pushed,
        Entry::Requested { url },
        Entry::Ended { closed: Closed { outcome: Outcome::Done, text: "pushed".into() } },
    ];
    let opening = Opening { instruction: "mend it".into(), discovery: false };
    let head = Head::of(&Job::rebuild(opening, &entries).unwrap());
    let db = schema::open_writer(&site.home().join("atoll.db")).unwrap();
    let (actor, action, subject) = (task.actor.clone(), "task.created".into(), "j".into());
    let act = Act { at: AT, actor, action, subject, details: String::new() };
    jobs::create(&db, &task, 600_000, act).unwrap();
    let step = JobWrite {
        job: JobId::new("j"),
        first: 0,
        entries,
        head,
        asks: vec![],
        withdraws: vec![],
        uses: vec![],
        now: AT,
        lease_ms: 600_000,
    };
    jobs::write(&db, 1, &step).unwrap();
}

fn role(site: &Site) -> String {
    site.text("SELECT c.role FROM stories AS s JOIN board_columns AS c ON c.id = s.column_id")
}

#[tokio::test]
async fn a_merge_takes_the_card_to_done_as_soon_as_the_configuration_lets_it_be_seen() {
    let repo = Arc::new(Mutex::new(Repo::default()));
    let forge = forge(&repo);
    let (site, key, bot, _) = site(&forge, false).await;
    let server = site.start();
    let owner = User::new(&server.base, &key);
    let looked = "SELECT count(*) FROM job_requests WHERE state = 'open'";
    until("a look", async || site.number(looked) == 1).await;
    assert_eq!(role(&site), "review");
    repo.lock().unwrap().merged = true;
    until("the card to be done", async || role(&site) == "done").await;
    let journal = owner.look(&format!("/api/v1/bots/{bot}/journal?q=merged")).await;
    assert_eq!(journal["entries"][0]["entryType"], "completed", "{journal}");
    assert_eq!(journal["entries"].as_array().unwrap().len(), 1);
    assert_eq!(repo.lock().unwrap().asked, 0, "nobody asked for news");
    assert_eq!(site.number("SELECT count(*) FROM job_journal WHERE kind = 'continued'"), 0);
}

#[tokio::test]
async fn news_lets_a_task_go_on_once_and_a_restart_repeats_nothing() {
    let repo = Arc::new(Mutex::new(Repo::default()));
    let says = |id: u64, body: &str| {
        json!({"id": id, "user": {"login": "eve"}, "body": body, "created_at": "2027-01-01T00:00:00Z",
               "updated_at": "2027-01-01T00:00:00Z", "html_url": null})
    };
    repo.lock().unwrap().comments = vec![says(1, "looks fine"), says(2, "@fixer please add a test")];
    let forge = forge(&repo);
    let (site, key, _, _) = site(&forge, true).await;
    let server = site.start();
    let owner = User::new(&server.base, &key);
    let continued = "SELECT count(*) FROM job_journal WHERE kind = 'continued'";
    until("the task to go on", async || site.number(continued) == 1).await;
    let told = site.text("SELECT body FROM job_journal WHERE kind = 'continued'");
    for part in ["eve wrote", "@fixer please add a test", "unit", "2 tests failed"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("looks fine"));
    assert_eq!(role(&site), "in_progress");
    // It is over again: what was seen is not told again, by this run or the next.
    let (status, answer) = owner.post("/api/v1/tasks/j/cancel", json!({})).await;
    assert!(status.is_success(), "{answer}");
    server.kill();
    site.store().execute("UPDATE jobs SET outcome = 'done', state = 'done' WHERE id = 'j'", []).unwrap();
    let asked = repo.lock().unwrap().asked;
    let _server = site.start();
    until("two more looks", async || repo.lock().unwrap().asked >= asked + 2).await;
    assert_eq!(site.number(continued), 1);
}

#[tokio::test]
async fn running_bots_leave_stories_to_others_when_the_configuration_says_so() {
    for (config, claims) in [("\njobs: {bots: false}", 0), ("", 1)] {
        let site = Site::new(&format!(
            "llm: {{provider: rehearsal}}\nsandbox: {{docker: /nowhere/docker.sock}}{config}"
        ));
        let key = site.key("me", "owner");
        let server = site.start();
        let owner = User::new(&server.base, &key);
        let made = async |path: &str, body: Value| crate::board::made(&owner, path, body).await;
        made("/api/v1/projects", json!({"id": "app", "name": "App", "repoUrl": "/nowhere/app.git"})).await;
        let board = owner.look("/api/v1/projects/app/board").await;
        let todo = board["board"]["columns"][1]["id"].clone();
        made("/api/v1/projects/app/stories", json!({"title": "Mend it", "columnId": todo})).await;
        let body = json!({"projectId": "app", "name": "fixer", "pollIntervalSeconds": 1});
        let bot = made("/api/v1/bots", body).await["id"].as_str().unwrap().to_owned();
        owner.post(&format!("/api/v1/bots/{bot}/loop"), json!({"action": "start"})).await;
        // What is due is seen to every few seconds: by then a bot that looks each second has looked.
        let schedule = json!({"projectId": "app", "instruction": "tidy", "cronExpression": "0 4 * * *"});
        made("/api/v1/scheduled-tasks", schedule).await;
        site.store().execute("UPDATE task_schedules SET next_run_at = 1", []).unwrap();
        let ran = "SELECT count(*) FROM jobs WHERE priority = 'scheduled'";
        until("the schedule", async || site.number(ran) == 1).await;
        let claimed = "SELECT count(*) FROM story_changes WHERE action = 'claimed'";
        assert!((site.number(claimed) > 0) == (claims > 0), "{config}");
    }
}
