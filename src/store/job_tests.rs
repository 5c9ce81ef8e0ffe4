//! Jobs: rows, journal, questions, budgets and what becomes of them, on a real SQLite file.

use std::thread;

use rusqlite::Connection;

use super::*;
use crate::domain::{
    access::Role,
    approval::{Answer, Choice, Refusal, Status, Subject, Verdict},
    audit::Act,
    board::Board,
    bot::{Bot, BotChange, BotState, Engine},
    budget::{Amount, Caps, Dimension, Exceeded, Scope},
    gateway::{EgressKind, EgressRecord, Verdict as Way},
    ids::*,
    job::*,
    journal::ModelCall,
    model::Usage,
    project::{Limits as ProjectLimits, Project, ProjectChange},
    records::CostsBy,
};

pub(super) struct Store {
    pub(super) db: Connection,
    folder: tempfile::TempDir,
}

pub(super) fn act(at: i64) -> Act {
    let (action, subject, details) = ("x".into(), "y".into(), String::new());
    Act { at, actor: "key:me".into(), action, subject, details }
}

/// A store with the project `p`, its columns `p-0` to `p-4`, and its bot `x`.
pub(super) fn store() -> Store {
    let folder = tempfile::tempdir().unwrap();
    let db = schema::open_writer(&folder.path().join("atoll.db")).unwrap();
    for id in ["p", "q"] {
        let change = ProjectChange {
            name: Some(id.into()),
            repo_url: Some("/srv/x.git".into()),
            limits: Some(ProjectLimits { max_failures: 2, ..Default::default() }),
            ..Default::default()
        };
        let project = Project::fresh(ProjectId::new(id), &change, 1).unwrap();
        let columns = [0, 1, 2, 3, 4].map(|at| ColumnId::new(format!("{id}-{at}")));
        let board = Board::fresh(BoardId::new(id), project.id.clone(), columns);
        projects::create(&db, &project, &board, act(1)).unwrap();
    }
    let change = BotChange {
        name: Some("x".into()),
        state: Some(BotState::Running),
        day_micros: Some(Some(1_000)),
        story_micros: Some(Some(400)),
        ..Default::default()
    };
    bots::create(&db, &Bot::fresh(BotId::new("x"), ProjectId::new("p"), &change, 1).unwrap(), act(1))
        .unwrap();
    Store { db, folder }
}

pub(super) fn task(id: &str, user: &str) -> NewTask {
    NewTask {
        id: JobId::new(id),
        project: ProjectId::new("p"),
        user: UserId::new(user),
        actor: "key:me".into(),
        title: format!("mend {id}"),
        instruction: "mend it".into(),
        system: String::new(),
        engine: Engine::Native,
        model: None,
        priority: Priority::Interactive,
        verbosity: Verbosity::Normal,
        callback_url: None,
        bot: None,
        story: None,
        attachments: vec![],
        discovery: false,
        conversation: None,
        at: 10,
    }
}

pub(super) fn create(db: &Connection, task: &NewTask) -> Task {
    jobs::create(db, task, 100, act(10)).unwrap()
}

/// A step that adds these entries to what is stored.
pub(super) fn step(db: &Connection, job: &str, now: i64, entries: &[Entry]) -> JobWrite {
    let row = jobs::load(db, &JobId::new(job)).unwrap();
    let opening = Opening { instruction: row.task.asked.instruction, discovery: row.task.asked.discovery };
    let all: Vec<Entry> = row.entries.iter().chain(entries).cloned().collect();
    JobWrite {
        job: JobId::new(job),
        first: row.entries.len(),
        entries: entries.to_vec(),
        head: Head::of(&Job::rebuild(opening, &all).unwrap()),
        asks: vec![],
        withdraws: vec![],
        uses: vec![],
        now,
        lease_ms: 100,
    }
}

pub(super) fn write(db: &Connection, job: &str, now: i64, entries: &[Entry]) -> JobWritten {
    jobs::write(db, 1, &step(db, job, now, entries)).unwrap()
}

/// The way to a commit, whose check came to `exit`.
pub(super) fn worked(exit: i64) -> Vec<Entry> {
    let run = VerifyRun { command: "make test".into(), exit: Some(exit), tail: String::new() };
    let candidate = Candidate {
        commit: "c1".into(),
        tree: "t1".into(),
        stat: "1 file".into(),
        flags: vec![],
        asks: false,
    };
    vec![
        Entry::EngineStarting { instruction: "mend it".into() },
        Entry::EngineEnded { claim: "I mended it".into() },
        Entry::Verified { runs: vec![run], accepted: true },
        Entry::Committed { candidate },
    ]
}

pub(super) fn prepared() -> Vec<Entry> {
    vec![Entry::Claimed, Entry::Prepared { base: "b".into(), branch: "atoll/1-mend".into() }]
}

pub(super) fn ended(outcome: Outcome, text: &str) -> Entry {
    Entry::Ended { closed: Closed { outcome, text: text.into() } }
}

pub(super) fn again() -> Entry {
    Entry::Continued { instruction: "also the door".into() }
}

pub(super) fn question(id: &str, subject: Subject) -> Question {
    Question { id: ApprovalId::new(id), subject, preview: format!("may I {id}?"), expires_at: 1_000 }
}

pub(super) fn commit(job: &str) -> Subject {
    Subject::Commit { job: JobId::new(job), commit: "c1".into(), tree: "t1".into() }
}

fn host(job: &str, host: &str) -> Subject {
    Subject::Host { job: JobId::new(job), host: host.into() }
}

fn budget(scope: Scope) -> Subject {
    let dimension = Dimension::Money;
    Subject::Budget { exceeded: Exceeded { scope, dimension, cap: 1, used: 1, asked: 1, raise: 50 } }
}

fn ask(db: &Connection, job: &str, questions: &[(&str, Subject)]) {
    let asks = questions.iter().map(|(id, subject)| question(id, subject.clone())).collect();
    jobs::write(db, 1, &JobWrite { asks, ..step(db, job, 20, &[]) }).unwrap();
}

fn answer(db: &Connection, id: &str, approve: bool, choice: Choice) -> Result<()> {
    let answer = Answer {
        id: ApprovalId::new(id),
        approve,
        reason: None,
        by: "ann".into(),
        actor: "key:ann".into(),
        user: UserId::new("ann"),
        owner: true,
        member: false,
        choice,
        now: 30,
    };
    let decided = approvals::decide(db, &answer)?;
    assert_eq!(decided.approval.choice, choice);
    Ok(())
}

fn uses(db: &Connection, job: &str, id: &str) -> Result<JobWritten> {
    jobs::write(db, 1, &JobWrite { uses: vec![ApprovalId::new(id)], ..step(db, job, 40, &[]) })
}

fn status(db: &Connection, id: &str) -> Status {
    approvals::find(db, &ApprovalId::new(id)).unwrap().unwrap().status
}

fn is_stale<T: std::fmt::Debug>(outcome: Result<T>) -> bool {
    matches!(outcome.unwrap_err(), StoreError::Stale(_))
}

fn micros(quantity: u64) -> Amount {
    Amount::only(Dimension::Money, quantity)
}

fn ids(tasks: &[Task]) -> String {
    tasks.iter().map(|task| task.asked.id.to_string()).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_job_is_read_as_it_was_asked_for_and_found_by_what_it_is_about() {
    let Store { db, folder: _folder } = store();
    let full = NewTask {
        system: "be kind".into(),
        engine: Engine::ClaudeCode,
        model: Some("m".into()),
        priority: Priority::Scheduled,
        verbosity: Verbosity::Verbose,
        callback_url: Some("https://x.example/".into()),
        bot: Some(BotId::new("x")),
        at: 11,
        ..task("b", "bot:x")
    };
    create(&db, &task("a", "ann"));
    let stored = create(&db, &full);
    assert_eq!((&stored.asked, stored.head.state.as_str(), stored.head.over), (&full, "queued", false));
    assert_eq!(jobs::get(&db, &full.id).unwrap(), Some(stored));
    create(&db, &NewTask { project: ProjectId::new("q"), at: 12, ..task("c", "ann") });
    write(&db, "a", 20, &[Entry::Claimed, ended(Outcome::Failed, "no")]);
    assert_eq!(ids(&jobs::open(&db).unwrap()), "b c", "the oldest first");
    projects::set_member(&db, &ProjectId::new("q"), &UserId::new("bob"), Some(Role::Viewer), act(1)).unwrap();
    let any = TaskFilter::default;
    for (filter, expected) in [
        (any(), "c b a"),
        (TaskFilter { member: Some(UserId::new("bob")), ..any() }, "c"),
        (TaskFilter { user: Some(UserId::new("eve")), ..any() }, ""),
        (TaskFilter { project: Some(ProjectId::new("p")), ..any() }, "b a"),
        (TaskFilter { bot: Some(BotId::new("x")), ..any() }, "b"),
        (TaskFilter { story: Some(StoryId::new("s")), ..any() }, ""),
        (TaskFilter { state: Some("failed".into()), ..any() }, "a"),
        (TaskFilter { over: Some(false), ..any() }, "c b"),
        (TaskFilter { over: Some(true), ..any() }, "a"),
    ] {
        let (found, total) = jobs::list(&db, &filter, 10, 0).unwrap();
        assert_eq!((ids(&found).as_str(), total), (expected, found.len() as u64), "{filter:?}");
    }
    let (page, total) = jobs::list(&db, &any(), 1, 1).unwrap();
    assert_eq!((ids(&page).as_str(), total), ("b", 3));
    let refused = |task: NewTask| jobs::create(&db, &task, 1, act(1)).unwrap_err().to_string();
    assert!(refused(task("a", "ann")).contains("already"));
    assert!(refused(NewTask { project: ProjectId::new("z"), ..task("d", "ann") }).contains("project"));
    let stranger = NewTask { project: ProjectId::new("q"), bot: Some(BotId::new("x")), ..task("d", "ann") };
    assert!(refused(stranger).contains("bot"), "a bot works in its own project");
}

#[test]
fn a_step_that_does_not_follow_is_refused_and_times_follow_the_entries() {
    let Store { db, folder: _folder } = store();
    create(&db, &task("a", "ann"));
    let first = step(&db, "a", 20, &prepared());
    let written = jobs::write(&db, 1, &first).unwrap();
    assert_eq!((written.task.started_at, written.task.updated_at), (Some(20), 20));
    assert_eq!(written.task.head, first.head);
    assert!(is_stale(jobs::write(&db, 1, &first)), "twice");
    let ahead = JobWrite { first: 3, ..step(&db, "a", 21, &[]) };
    assert!(is_stale(jobs::write(&db, 1, &ahead)), "a gap");
    write(&db, "a", 30, &worked(0));
    let over = write(&db, "a", 40, &[ended(Outcome::Cancelled, "cancelled")]).task;
    assert_eq!(
        (over.ended_at, over.head.outcome, over.head.over),
        (Some(40), Some(Outcome::Cancelled), true)
    );
    assert_eq!(over.head.candidate.as_ref().unwrap().commit, "c1");
    write(&db, "a", 50, &[again()]);
    let back = write(&db, "a", 60, &[Entry::Claimed]).task;
    assert_eq!((back.started_at, back.ended_at, back.head.over), (Some(20), None, false));
    let row = jobs::load(&db, &JobId::new("a")).unwrap();
    let all = [prepared(), worked(0), vec![ended(Outcome::Cancelled, "cancelled"), again(), Entry::Claimed]];
    assert_eq!(row.entries, all.concat());
    assert!(matches!(jobs::load(&db, &JobId::new("z")), Err(StoreError::NotFound("task"))));
}

#[test]
fn an_approval_is_used_once_and_by_the_job_that_asked() {
    let Store { db, folder: _folder } = store();
    create(&db, &task("a", "ann"));
    create(&db, &task("b", "ann"));
    ask(&db, "a", &[("q1", commit("a")), ("q2", commit("a")), ("q3", commit("a")), ("q4", commit("a"))]);
    assert!(is_stale(uses(&db, "a", "q1")), "nobody answered");
    answer(&db, "q1", true, Choice::NoRequest).unwrap();
    answer(&db, "q2", false, Choice::Plain).unwrap();
    let row = jobs::load(&db, &JobId::new("a")).unwrap();
    let got: Vec<_> = row.answered.iter().map(|one| (one.approval.as_str(), one.choice)).collect();
    assert_eq!(got, [("q1", Choice::NoRequest), ("q2", Choice::Plain)]);
    assert_eq!(row.answered[0].verdict, Verdict::Approved { by: "ann".into() });
    assert_eq!(row.pending.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["q3", "q4"]);
    let found = approvals::find(&db, &ApprovalId::new("q1")).unwrap().unwrap();
    assert_eq!((found.job(), found.conversation.as_str()), (Some(JobId::new("a")), "job/ann/a"));
    assert!(is_stale(uses(&db, "b", "q1")), "another job's");
    assert!(is_stale(uses(&db, "a", "none")));
    uses(&db, "a", "q1").unwrap();
    assert!(is_stale(uses(&db, "a", "q1")), "twice");
    uses(&db, "a", "q2").unwrap();
    assert_eq!((status(&db, "q1"), status(&db, "q2")), (Status::Consumed, Status::Rejected));
    let withdraws = ["q3", "q1"].map(ApprovalId::new).to_vec();
    jobs::write(&db, 1, &JobWrite { withdraws, ..step(&db, "a", 50, &[]) }).unwrap();
    assert_eq!((status(&db, "q3"), status(&db, "q1")), (Status::Void, Status::Consumed));
    let elsewhere = JobWrite { withdraws: vec![ApprovalId::new("q4")], ..step(&db, "b", 50, &[]) };
    jobs::write(&db, 1, &elsewhere).unwrap();
    assert_eq!(status(&db, "q4"), Status::Pending, "another job's question is not withdrawn");
}

#[test]
fn the_end_withdraws_what_is_open_but_what_it_uses() {
    let Store { db, folder: _folder } = store();
    create(&db, &task("a", "ann"));
    ask(&db, "a", &[("q1", commit("a")), ("q2", commit("a")), ("q3", commit("a"))]);
    answer(&db, "q1", true, Choice::Plain).unwrap();
    answer(&db, "q2", true, Choice::Plain).unwrap();
    let end = [Entry::Claimed, ended(Outcome::Done, "pushed")];
    let uses = vec![ApprovalId::new("q1")];
    jobs::write(&db, 1, &JobWrite { uses, ..step(&db, "a", 50, &end) }).unwrap();
    let all = ["q1", "q2", "q3"].map(|id| status(&db, id));
    assert_eq!(all, [Status::Consumed, Status::Void, Status::Void]);
    ask(&db, "a", &[("q4", commit("a"))]);
    write(&db, "a", 60, &[again()]);
    assert_eq!(status(&db, "q4"), Status::Void, "who goes on asks anew");
}

#[test]
fn answers_fit_their_questions() {
    let Store { db, folder: _folder } = store();
    create(&db, &task("a", "ann"));
    ask(&db, "a", &[("q1", commit("a")), ("q2", host("a", "h.example")), ("q3", budget(Scope::Job))]);
    for (id, choice) in [
        ("q1", Choice::Job),
        ("q1", Choice::Project),
        ("q2", Choice::NoRequest),
        ("q3", Choice::NoRequest),
        ("q3", Choice::Job),
    ] {
        let refused = answer(&db, id, true, choice).unwrap_err();
        assert!(matches!(refused, StoreError::Approval(Refusal::Choice(_))), "{id} {choice:?}: {refused}");
    }
    answer(&db, "q2", true, Choice::Project).unwrap();
    answer(&db, "q3", true, Choice::Plain).unwrap();
}

#[test]
fn what_people_allow_reaches_as_far_as_they_chose() {
    let Store { db, folder: _folder } = store();
    let id = ProjectId::new("p");
    let allowed = || projects::get(&db, &id).unwrap().unwrap().settings.allowed_hosts;
    create(&db, &task("a", "ann"));
    for (at, choice) in [Choice::Plain, Choice::Job, Choice::Project, Choice::Project].into_iter().enumerate()
    {
        let name = format!("q{at}");
        let to = format!("h{}.example", at.min(2));
        ask(&db, "a", &[(&name, host("a", &to))]);
        answer(&db, &name, true, choice).unwrap();
        uses(&db, "a", &name).unwrap();
    }
    assert_eq!(jobs::load(&db, &JobId::new("a")).unwrap().hosts, ["h1.example"]);
    assert_eq!(allowed(), ["h2.example"], "once");
    assert_eq!(projects::get(&db, &id).unwrap().unwrap().updated_at, 40);
    let changed: Vec<_> = audit::list(&db, 0, 100).unwrap().into_iter().map(|row| row.act).collect();
    let changed: Vec<_> = changed.iter().filter(|act| act.action == "project.changed").collect();
    assert_eq!(changed.len(), 1);
    assert_eq!((changed[0].actor.as_str(), changed[0].subject.as_str()), ("job:a", "p"));
    assert!(changed[0].details.contains("h2.example, allowed by ann"), "{}", changed[0].details);
    let full = Some((0..100).map(|n| format!("f{n}.example")).collect());
    projects::change(&db, &id, &ProjectChange { allowed_hosts: full, ..Default::default() }, act(1)).unwrap();
    ask(&db, "a", &[("q9", host("a", "h9.example"))]);
    answer(&db, "q9", true, Choice::Project).unwrap();
    uses(&db, "a", "q9").expect("a list that is full does not stop the job");
    assert_eq!(allowed().len(), 100);
}

fn prepay(db: &Connection, job: &str, worst: u64, caps: [Option<u64>; 2]) -> Result<Prepaid> {
    let [job_caps, user_caps] = caps.map(|micros| Caps { micros, time_ms: Some(1), ..Caps::default() });
    let worst = Amount { time_ms: 9_000, ..micros(worst) };
    job_costs::prepay(db, &Prepayment { job: JobId::new(job), worst, job_caps, user_caps, now: 50 })
}

fn scope(prepaid: Result<Prepaid>) -> Scope {
    prepaid.unwrap().unwrap_err().scope
}

/// What the job, the bot and the user have spent.
fn spent(db: &Connection, job: &str) -> [u64; 3] {
    let task = jobs::get(db, &JobId::new(job)).unwrap().unwrap();
    let bot = job_costs::bot_day(db, &BotId::new("x"), 0).unwrap().0;
    let user = costs::today(db, &task.asked.user, 50).unwrap().0;
    assert_eq!((bot.time_ms, user.time_ms), (0, 0), "time is no budget of jobs");
    [task.spent.amount.micros, bot.micros, user.micros]
}

#[test]
fn a_call_is_paid_by_job_bot_and_user_and_the_first_without_room_says_so() {
    let Store { db, folder: _folder } = store();
    create(&db, &NewTask { bot: Some(BotId::new("x")), ..task("a", "bot:x") });
    create(&db, &NewTask { bot: Some(BotId::new("x")), ..task("b", "bot:x") });
    create(&db, &task("c", "ann"));
    assert_eq!(prepay(&db, "a", 400, [Some(5_000), None]).unwrap(), Ok(micros(400)), "to the last unit");
    assert_eq!(
        scope(prepay(&db, "a", 1, [Some(5_000), None])),
        Scope::Job,
        "the bot's cap of a story is smaller"
    );
    assert_eq!(prepay(&db, "b", 301, [Some(300), None]).unwrap().unwrap_err().cap, 300, "the job's is");
    assert_eq!(prepay(&db, "b", 400, [None, None]).unwrap(), Ok(micros(400)));
    assert_eq!(spent(&db, "b"), [400, 800, 800]);
    create(&db, &NewTask { bot: Some(BotId::new("x")), ..task("d", "bot:x") });
    assert_eq!(scope(prepay(&db, "d", 201, [None, None])), Scope::Bot);
    assert_eq!(scope(prepay(&db, "d", 200, [None, Some(999)])), Scope::User);
    assert_eq!(spent(&db, "d"), [0, 800, 800], "what has no room charges nothing");
    assert_eq!(prepay(&db, "c", 7_000, [None, None]).unwrap(), Ok(micros(7_000)), "no bot, no bot's caps");
    assert_eq!(spent(&db, "c"), [7_000, 800, 7_000]);
    bots::remove(&db, &BotId::new("x"), act(1)).unwrap();
    assert!(
        prepay(&db, "d", 600, [None, None]).unwrap().is_ok(),
        "its job goes on under the configured caps"
    );
    write(&db, "c", 60, &[ended(Outcome::Cancelled, "x")]);
    assert!(is_stale(prepay(&db, "c", 1, [None, None])), "who is over pays nothing");
}

#[test]
fn budgets_are_raised_where_they_were_spent() {
    let Store { db, folder: _folder } = store();
    create(&db, &NewTask { bot: Some(BotId::new("x")), ..task("a", "ann") });
    ask(&db, "a", &[("q1", budget(Scope::Job)), ("q2", budget(Scope::Bot)), ("q3", budget(Scope::User))]);
    for id in ["q1", "q2", "q3"] {
        answer(&db, id, true, Choice::Plain).unwrap();
        uses(&db, "a", id).unwrap();
    }
    assert_eq!(jobs::get(&db, &JobId::new("a")).unwrap().unwrap().spent.raised, micros(50));
    assert_eq!(job_costs::bot_day(&db, &BotId::new("x"), 0).unwrap().1, micros(50));
    assert_eq!(costs::today(&db, &UserId::new("ann"), 50).unwrap().2, micros(50));
    assert_eq!(prepay(&db, "a", 450, [None, Some(400)]).unwrap(), Ok(micros(450)));
    assert_eq!(scope(prepay(&db, "a", 1, [None, None])), Scope::Job);
}

#[test]
fn what_a_call_came_to_stands_in_the_place_of_what_was_prepaid() {
    let Store { db, folder: _folder } = store();
    create(&db, &NewTask { bot: Some(BotId::new("x")), ..task("a", "ann") });
    let usage = Usage { input: 10, cached: 4, cache_written: 2, output: 3 };
    let settle = |prepaid: u64, cost: Option<u64>| {
        let call = cost.map(|cost| ModelCall {
            provider: "p".into(),
            model: "m".into(),
            usage,
            cost: Amount { time_ms: 70, ..micros(cost) },
        });
        let prepaid = Amount { time_ms: 9_000, ..micros(prepaid) };
        let call = Settlement { job: JobId::new("a"), prepaid, prepaid_at: 50, call, now: 60 };
        job_costs::settle(&db, &call).unwrap();
    };
    for _ in 0..3 {
        prepay(&db, "a", 100, [None, None]).unwrap().unwrap();
    }
    settle(100, Some(30));
    assert_eq!(spent(&db, "a"), [230; 3]);
    settle(100, None);
    assert_eq!(spent(&db, "a"), [130; 3], "never made");
    settle(100, Some(120));
    assert_eq!(spent(&db, "a"), [150; 3], "it came to more");
    let task = jobs::get(&db, &JobId::new("a")).unwrap().unwrap();
    assert_eq!((task.spent.usage.input, task.spent.usage.output, task.spent.amount.time_ms), (20, 6, 140));
    assert_eq!((task.spent.usage.cached, task.spent.usage.cache_written), (8, 4));
    let lines = costs::summary(&db, None, 0, 100, CostsBy::Conversation).unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!((lines[0].key.as_str(), lines[0].calls, lines[0].micro_usd), ("job/ann/a", 2, 150));
}

#[test]
fn two_that_race_to_the_last_cent_of_a_cap_never_pass_it() {
    let Store { db, folder } = store();
    create(&db, &task("a", "ann"));
    create(&db, &task("b", "ann"));
    let path = folder.path().join("atoll.db");
    let racers = ["a", "b"].map(|job| {
        let path = path.clone();
        thread::spawn(move || {
            let db = schema::open_writer(&path).unwrap();
            let mut paid = 0;
            for _ in 0..60 {
                db.execute_batch("BEGIN IMMEDIATE").unwrap();
                paid += u64::from(prepay(&db, job, 1, [None, Some(100)]).unwrap().is_ok());
                db.execute_batch("COMMIT").unwrap();
            }
            paid
        })
    });
    let paid: u64 = racers.into_iter().map(|racer| racer.join().unwrap()).sum();
    assert_eq!(paid, 100);
    assert_eq!(costs::today(&db, &UserId::new("ann"), 50).unwrap().0.micros, 100);
}

fn egress(at: i64) -> EgressRecord {
    let (kind, host, verdict) = (EgressKind::Tunnel, "h.example".into(), Way::Allowed);
    EgressRecord { at, kind, host, verdict, sent: 1, received: 2, ms: 3 }
}

#[test]
fn questions_of_jobs_expire_and_those_of_others_do_not() {
    let Store { db, folder: _folder } = store();
    create(&db, &task("a", "ann"));
    ask(&db, "a", &[("q1", commit("a")), ("q2", commit("a"))]);
    answer(&db, "q2", true, Choice::Plain).unwrap();
    let sql = "INSERT INTO approvals (id, turn_id, conversation_id, user_id, subject, preview, status, asked_at, expires_at)
               SELECT 'q3', 't', 'jobs/ann/x', user_id, subject, preview, 'pending', 1, 2 FROM approvals WHERE id = 'q1'";
    execute(&db, sql, []).unwrap();
    assert_eq!(jobs::expire(&db, 999).unwrap(), []);
    assert_eq!(jobs::expire(&db, 1_000).unwrap(), [(JobId::new("a"), ApprovalId::new("q1"))]);
    assert_eq!(jobs::expire(&db, 1_001).unwrap(), []);
    assert_eq!((status(&db, "q1"), status(&db, "q3")), (Status::Expired, Status::Pending));
    uses(&db, "a", "q1").expect("that nobody answered is recorded");
    let answered = jobs::load(&db, &JobId::new("a")).unwrap().answered;
    assert_eq!(answered[0].verdict, Verdict::Expired);
}

#[test]
fn a_project_with_open_jobs_stays_and_takes_the_others_with_it() {
    let Store { db, folder: _folder } = store();
    create(&db, &NewTask { bot: Some(BotId::new("x")), ..task("a", "bot:x") });
    jobs::add_egress(&db, &JobId::new("a"), &[egress(1), egress(2)]).unwrap();
    let (found, total) = jobs::list_egress(&db, &JobId::new("a"), 1, 0).unwrap();
    assert_eq!((found, total), (vec![egress(2)], 2), "newest first");
    assert!(jobs::add_egress(&db, &JobId::new("z"), &[]).is_err());
    let id = ProjectId::new("p");
    let refused = projects::remove(&db, &id, act(1)).unwrap_err().to_string();
    assert!(refused.contains("1 of its tasks are not over"), "{refused}");
    bots::remove(&db, &BotId::new("x"), act(1)).unwrap();
    write(&db, "a", 20, &prepared());
    let row = jobs::load(&db, &JobId::new("a")).unwrap();
    assert_eq!(row.task.asked.bot, Some(BotId::new("x")), "the job goes on without its bot");
    write(&db, "a", 20, &[ended(Outcome::Cancelled, "x")]);
    projects::remove(&db, &id, act(1)).unwrap();
    for table in ["jobs", "job_journal", "job_egress"] {
        assert_eq!(count(&db, &format!("SELECT count(*) FROM {table}"), []).unwrap(), 0, "{table}");
    }
}

#[test]
fn what_old_jobs_leave_is_let_go_and_their_rows_stay() {
    let Store { db, folder: _folder } = store();
    for (id, end) in [("old", Some(20)), ("new", Some(500)), ("open", None)] {
        create(&db, &task(id, "ann"));
        write(&db, id, 15, &prepared());
        jobs::add_egress(&db, &JobId::new(id), &[egress(1)]).unwrap();
        ask(&db, id, &[(&format!("q-{id}"), host(id, "h.example"))]);
        answer(&db, &format!("q-{id}"), true, Choice::Job).unwrap();
        uses(&db, id, &format!("q-{id}")).unwrap();
        if let Some(end) = end {
            write(&db, id, end, &[ended(Outcome::Done, "pushed")]);
        }
    }
    assert!(upkeep::prune(&db, 400, 100).unwrap() > 0);
    assert_eq!(upkeep::prune(&db, 400, 100).unwrap(), 0);
    let left = |id: &str| {
        let of =
            |table| count(&db, &format!("SELECT count(*) FROM {table} WHERE job_id = ?1"), [id]).unwrap();
        (of("job_journal"), of("job_egress"))
    };
    assert_eq!((left("old"), left("new"), left("open")), ((0, 0), (3, 1), (2, 1)));
    assert_eq!(jobs::list(&db, &TaskFilter::default(), 10, 0).unwrap().1, 3);
    assert_eq!(
        jobs::load(&db, &JobId::new("open")).unwrap().hosts,
        ["h.example"],
        "it goes on, allowed as before"
    );
    let gone = jobs::load(&db, &JobId::new("old")).unwrap_err().to_string();
    assert!(gone.contains("submit it as a new one"), "{gone}");
}
