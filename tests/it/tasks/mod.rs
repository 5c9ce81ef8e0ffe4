//! Coding tasks over REST and on the command line, with the real binary. Where jobs stand is written into the store, and
//! their logs into the home, as the jobs themselves do it.

mod callbacks;
mod cli;
mod commands;
mod logs;
mod rest;
mod schedules;

use std::sync::Arc;

use atoll::{
    domain::{
        approval::Subject,
        audit::Act,
        bot::Engine,
        ids::{ApprovalId, JobId, ProjectId, UserId},
        job::{
            Candidate, Closed, Entry, Head, Job, JobWrite, NewTask, Opening, Outcome, Priority, Question,
            Verbosity, VerifyRun,
        },
        message::FileRef,
    },
    home::HomeJobFiles,
    ports::job_files::{JobFiles, LogEvent},
    store::{jobs, schema},
};
use serde_json::{Value, json};

use crate::{board::begin, support::*};

/// Far enough ahead for a question to be open.
const LATER: i64 = 4_000_000_000_000;

/// A task of `ann` in the project `app`, as it is asked for.
pub(crate) fn task(id: &str) -> NewTask {
    NewTask {
        id: JobId::new(id),
        project: ProjectId::new("app"),
        user: UserId::new("ann"),
        actor: "key:ann".into(),
        title: "Mend it".into(),
        instruction: "mend the test".into(),
        system: String::new(),
        engine: Engine::Native,
        model: None,
        priority: Priority::Interactive,
        verbosity: Verbosity::Normal,
        callback_url: None,
        bot: None,
        story: None,
        attachments: Vec::<FileRef>::new(),
        discovery: false,
        conversation: None,
        at: 1_790_000_000_000,
    }
}

/// Stores a task.
pub(crate) fn put(site: &Site, task: NewTask) {
    let act = Act {
        at: task.at,
        actor: task.actor.clone(),
        action: "task.created".into(),
        subject: task.id.to_string(),
        details: String::new(),
    };
    let db = schema::open_writer(&site.home().join("atoll.db")).unwrap();
    jobs::create(&db, &task, 1_000, act).unwrap();
}

/// What a job does until it waits for an answer.
pub(crate) fn until_asked(approval: &str) -> Vec<Entry> {
    let run =
        |command: &str, exit, tail: &str| VerifyRun { command: command.into(), exit, tail: tail.into() };
    let runs = vec![run("npm test", Some(0), "3 passed"), run("npm run lint", Some(1), "\u{1b}[31mbad")];
    let candidate = Candidate {
        commit: "c0ffee".into(),
        tree: "7ree".into(),
        stat: "1 file changed, 2 insertions(+)".into(),
        asks: false,
        flags: vec!["changes .github/workflows/ci.yml".into()],
    };
    vec![
        Entry::Claimed,
        Entry::Prepared { base: "ba5e".into(), branch: "atoll/1-mend".into() },
        Entry::EngineStarting { instruction: "mend the test".into() },
        Entry::EngineEnded { claim: "it is mended".into() },
        Entry::Verified { runs, accepted: true },
        Entry::Committed { candidate },
        Entry::Asked { approval: ApprovalId::new(approval), tree: "7ree".into() },
    ]
}

pub(crate) fn over(outcome: Outcome, text: &str) -> Entry {
    Entry::Ended { closed: Closed { outcome, text: text.into() } }
}

/// Stores that a job went so far, with the question that it asks. What it tells is held by this run of the server.
pub(crate) fn goes(site: &Site, id: &str, before: &[Entry], entries: Vec<Entry>) {
    goes_in(site, 1, id, before, entries);
}

/// The same, held by this run: what an earlier one held is sent by the one that runs.
pub(crate) fn goes_in(site: &Site, boot: i64, id: &str, before: &[Entry], entries: Vec<Entry>) {
    let all = [before, &entries].concat();
    let opening = Opening { instruction: "mend the test".into(), discovery: false };
    let head = Head::of(&Job::rebuild(opening, &all).unwrap());
    let job = JobId::new(id);
    let asks = entries.iter().filter_map(|entry| match entry {
        Entry::Asked { approval, tree } => Some(Question {
            id: approval.clone(),
            subject: Subject::Commit { job: job.clone(), commit: "c0ffee".into(), tree: tree.clone() },
            preview: "push c0ffee".into(),
            expires_at: LATER,
        }),
        _ => None,
    });
    let step = JobWrite {
        job: job.clone(),
        first: before.len(),
        asks: asks.collect(),
        entries,
        head,
        withdraws: Vec::new(),
        uses: Vec::new(),
        now: 1_790_000_060_000,
        lease_ms: 1_000,
    };
    let db = schema::open_writer(&site.home().join("atoll.db")).unwrap();
    jobs::write(&db, boot, &step).unwrap();
}

/// The logs and artefacts of a home, as its jobs write them.
fn files(site: &Site) -> Arc<HomeJobFiles> {
    Arc::new(HomeJobFiles::start(site.home().join("jobs"), 1024 * 1024).unwrap())
}

fn state(word: &str) -> LogEvent {
    LogEvent::State { state: word.into(), text: String::new() }
}

fn note(text: impl Into<String>) -> LogEvent {
    LogEvent::Note { text: text.into() }
}

/// Adds lines to a log.
async fn tells(files: &HomeJobFiles, id: &str, events: Vec<LogEvent>) {
    for event in events {
        files.log(&JobId::new(id), 1_790_000_000_000, event);
    }
    files.settle().await;
}

/// A key's user who has this role in the project.
async fn member(site: &Site, owner: &User, name: &str, role: &str) -> User {
    let user = User::new(&owner.base, &site.key(name, "developer"));
    let path = format!("/api/v1/projects/app/members/{name}");
    assert_eq!(owner.patch(&path, json!({"role": role})).await.0, 200);
    user
}

#[tokio::test]
async fn the_log_of_a_task_is_as_long_as_it_may_be() {
    for (config, most) in [("", 16), ("jobs: {log_mib: 1}", 1)] {
        let env = |_: &str| None;
        let config = atoll::config::parse(config, "config.yaml", &env).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let files = HomeJobFiles::start(folder.path().join("jobs"), config.jobs.log_bytes).unwrap();
        let text = "x".repeat(32 * 1024);
        for _ in 0..(most + 1) * 32 {
            files.log(&JobId::new("j"), 0, note(text.clone()));
            files.settle().await;
        }
        let log = std::fs::read_dir(folder.path().join("jobs/j/log")).unwrap();
        let bytes: u64 = log.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        assert!(bytes <= most * 1024 * 1024 && bytes > (most * 1024 - 700) * 1024, "{bytes} of {most} MiB");
        let first = files.read(&JobId::new("j"), 0, 1).await.unwrap().lines.remove(0).seq;
        assert!(first > 0, "the oldest are let go");
    }
}
