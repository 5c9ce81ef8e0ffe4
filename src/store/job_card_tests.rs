//! What moves with a job: the card of its story, the journal of its bot, messages and the audit log; and schedules.

use rusqlite::Connection;

use super::{job_tests::*, *};
use crate::domain::{
    approval::Verdict,
    board::{By, NewStory, Refusal, Story, StoryChange},
    bot::journal::EntryKind,
    ids::*,
    job::*,
    outbound::Body,
    task_schedule::{Schedule, ScheduleChange},
};

/// A job of the bot `x` on the story `s`, which it has claimed.
fn on_story(db: &Connection, id: &str) -> u64 {
    let story = StoryId::new("s");
    if stories::get(db, &story).unwrap().is_none() {
        let change = StoryChange { title: Some("a story".into()), ..Default::default() };
        let column = Some(ColumnId::new("p-1"));
        let new = NewStory { id: story.clone(), project: ProjectId::new("p"), column, change };
        stories::create(db, &new, &by(1)).unwrap();
    }
    let grant = claims::next(db, &BotId::new("x"), 100, &by(5)).unwrap().unwrap();
    let on = Some(ForStory { story, token: grant.token });
    create(db, &NewTask { bot: Some(BotId::new("x")), story: on, ..task(id, "bot:x") });
    write(db, id, 20, &prepared());
    grant.token
}

fn by(at: i64) -> By {
    By { actor: "key:me".into(), at }
}

fn story(db: &Connection) -> Story {
    stories::get(db, &StoryId::new("s")).unwrap().unwrap()
}

fn column(db: &Connection) -> String {
    story(db).column.to_string()
}

fn edit(db: &Connection, change: StoryChange) {
    stories::change(db, &StoryId::new("s"), &change, &by(3)).unwrap();
}

fn asked() -> Entry {
    Entry::Asked { approval: ApprovalId::new("q"), tree: "t1".into() }
}

fn rejected(reason: Option<&str>) -> Entry {
    let verdict = Verdict::Rejected { by: "ann".into(), reason: reason.map(str::to_owned) };
    Entry::Decided { approval: ApprovalId::new("q"), verdict, no_request: false }
}

#[test]
fn a_card_goes_to_review_when_the_checks_passed_and_to_and_fro_as_people_say() {
    let Store { db, .. } = store();
    let token = on_story(&db, "a");
    assert_eq!((story(&db).job, column(&db).as_str()), (Some(JobId::new("a")), "p-2"));
    write(&db, "a", 30, &worked(0));
    assert_eq!((column(&db).as_str(), story(&db).claim), ("p-3", None), "evidence");
    write(&db, "a", 40, &[asked()]);
    write(&db, "a", 50, &[rejected(Some("the door too"))]);
    assert_eq!(column(&db), "p-2");
    write(&db, "a", 60, &worked(0));
    write(&db, "a", 70, &[ended(Outcome::Done, "pushed")]);
    assert_eq!((column(&db).as_str(), story(&db).failures, story(&db).token), ("p-3", 0, token));
    let (history, _) = stories::history(&db, &StoryId::new("s"), 10, 0).unwrap();
    let told: Vec<_> = history.iter().rev().map(|row| (row.action.as_str(), row.actor.as_str())).collect();
    let job = |action| (action, "job:a");
    let before = [("created", "key:me"), ("claimed", "key:me"), ("changed", "key:me")];
    let after = [job("finished"), job("sent_back"), job("finished")];
    assert_eq!(told, [before, after].concat());
    write(&db, "a", 80, &[again()]);
    assert_eq!(column(&db), "p-2");
}

#[test]
fn failing_checks_leave_the_card_where_it_is_until_the_end() {
    let Store { db, .. } = store();
    on_story(&db, "a");
    write(&db, "a", 30, &worked(1));
    assert_eq!((column(&db).as_str(), story(&db).claim.is_some()), ("p-2", true));
    write(&db, "a", 40, &[ended(Outcome::Done, "pushed")]);
    assert_eq!((column(&db).as_str(), story(&db).claim), ("p-3", None), "a person took it all the same");
}

#[test]
fn of_all_rounds_of_checks_the_last_one_counts() {
    let Store { db, .. } = store();
    on_story(&db, "a");
    let mut first = worked(1);
    first.truncate(2);
    let runs = vec![VerifyRun { command: "make test".into(), exit: Some(1), tail: String::new() }];
    first.push(Entry::Verified { runs, accepted: false });
    write(&db, "a", 30, &first);
    write(&db, "a", 40, &worked(0));
    assert_eq!(column(&db), "p-3");
}

#[test]
fn failures_go_back_to_todo_and_are_blocked_at_last() {
    let Store { db, .. } = store();
    on_story(&db, "a");
    write(&db, "a", 30, &[ended(Outcome::Failed, "the tests fail")]);
    assert_eq!((column(&db).as_str(), story(&db).failures, story(&db).blocked), ("p-1", 1, None));
    assert_eq!(on_story(&db, "b"), 2);
    write(&db, "b", 30, &worked(0));
    write(&db, "b", 40, &[ended(Outcome::Unchanged, "nothing to do")]);
    let last = story(&db);
    assert_eq!(
        (last.column.as_str(), last.failures, last.claim),
        ("p-1", 2, None),
        "without a live claim too"
    );
    assert_eq!(last.blocked.as_deref(), Some("failed 2 times, at last: nothing to do"));
    write(&db, "a", 50, &[again()]);
    assert_eq!(
        (column(&db).as_str(), story(&db).failures),
        ("p-1", 2),
        "claimed again since: not the first job's"
    );
}

#[test]
fn what_a_person_stopped_does_not_start_itself_again() {
    for (entries, why) in [
        (vec![ended(Outcome::Cancelled, "cancelled by ann")], "cancelled by ann; unblock it to try again"),
        (
            [worked(0), vec![asked(), rejected(None), ended(Outcome::Rejected, "rejected by ann")]].concat(),
            "rejected by ann; unblock it to try again",
        ),
    ] {
        let Store { db, .. } = store();
        on_story(&db, "a");
        write(&db, "a", 30, &entries);
        let stopped = story(&db);
        assert_eq!((stopped.column.as_str(), stopped.failures, stopped.claim), ("p-1", 0, None));
        assert_eq!(stopped.blocked.as_deref(), Some(why));
        assert_eq!(claims::next(&db, &BotId::new("x"), 100, &by(40)).unwrap(), None);
        write(&db, "a", 50, &[again()]);
        assert_eq!((column(&db).as_str(), story(&db).blocked), ("p-2", None), "until somebody continues it");
    }
}

#[test]
fn a_story_that_is_not_the_jobs_any_more_is_left_alone_and_the_job_goes_on() {
    for at in ["p-0", "p-4"] {
        let Store { db, .. } = store();
        on_story(&db, "a");
        edit(&db, StoryChange { column: Some(ColumnId::new(at)), ..Default::default() });
        let before = story(&db);
        write(&db, "a", 30, &worked(0));
        write(&db, "a", 40, &[ended(Outcome::Failed, "x")]);
        assert_eq!(story(&db), before, "a person put it there");
    }
    let Store { db, .. } = store();
    on_story(&db, "a");
    edit(&db, StoryChange { column: Some(ColumnId::new("p-1")), ..Default::default() });
    stories::remove(&db, &StoryId::new("s"), None, act(1)).unwrap();
    write(&db, "a", 30, &worked(0));
    let over = write(&db, "a", 40, &[ended(Outcome::Done, "pushed")]).task;
    assert_eq!(over.asked.story.unwrap().story, StoryId::new("s"), "the row says what it was for");
    let held = ForStory { story: StoryId::new("s"), token: 1 };
    assert!(jobs::create(&db, &NewTask { story: Some(held), ..task("b", "ann") }, 1, act(1)).is_err());
}

#[test]
fn every_step_prolongs_the_claim_and_makes_no_version() {
    let Store { db, .. } = store();
    on_story(&db, "a");
    let until = || story(&db).claim.unwrap().until;
    let version = story(&db).version;
    assert_eq!(until(), 120);
    jobs::write(&db, 1, &JobWrite { lease_ms: 500, ..step(&db, "a", 30, &[]) }).unwrap();
    assert_eq!((until(), story(&db).version), (530, version));
    jobs::write(&db, 1, &JobWrite { lease_ms: 0, ..step(&db, "a", 90, &[]) }).unwrap();
    assert_eq!(until(), 530);
    edit(&db, StoryChange { column: Some(ColumnId::new("p-1")), ..Default::default() });
    write(&db, "a", 95, &[]);
    assert_eq!(story(&db).claim, None, "what was taken away is not taken back");
    let timed = "SELECT count(*) FROM stories WHERE claim_until IS NOT NULL";
    assert_eq!(count(&db, timed, []).unwrap(), 0, "nor half of it");
    let stale = ForStory { story: StoryId::new("s"), token: 1 };
    let refused = jobs::create(&db, &NewTask { story: Some(stale), ..task("b", "ann") }, 1, act(1));
    assert!(matches!(refused, Err(StoreError::Board(Refusal::Fenced(1)))), "{refused:?}");
}

#[test]
fn a_bots_journal_tells_of_its_jobs() {
    let Store { db, .. } = store();
    on_story(&db, "a");
    write(&db, "a", 30, &[Entry::EngineStarting { instruction: "x".into() }]);
    write(&db, "a", 31, &[Entry::EngineLost { why: "fell".into() }]);
    write(&db, "a", 32, &worked(0));
    write(&db, "a", 40, &[ended(Outcome::Done, "pushed")]);
    write(&db, "a", 50, &[vec![again()], prepared()].concat());
    write(&db, "a", 60, &worked(0)[..1]);
    write(&db, "a", 70, &[ended(Outcome::Failed, "no\u{7}way")]);
    write(&db, "a", 80, &[again(), ended(Outcome::Cancelled, "x")]);
    let entries = bot_journal::list(&db, &BotId::new("x"), None, None, None, 10).unwrap();
    let told: Vec<_> = entries.iter().rev().map(|one| (one.kind, one.details.as_str(), one.at)).collect();
    let expected = [
        (EntryKind::Started, "", 30),
        (EntryKind::Completed, "I mended it", 40),
        (EntryKind::Started, "", 60),
        (EntryKind::Failed, "no way", 70),
    ];
    assert_eq!(told, expected);
    assert!(entries.iter().all(|one| one.summary == "mend a" && one.job == Some(JobId::new("a"))));
    assert!(entries.iter().all(|one| one.story == Some(StoryId::new("s"))));
}

/// What somebody hears of a job that asks and ends.
fn heard(user: &str, verbosity: Verbosity) -> Vec<Body> {
    let Store { db, .. } = store();
    create(&db, &NewTask { verbosity, ..task("a", user) });
    let asks = vec![question("q", commit("a"))];
    let asked = jobs::write(&db, 1, &JobWrite { asks, ..step(&db, "a", 20, &prepared()) }).unwrap();
    let over = write(&db, "a", 30, &[ended(Outcome::Failed, "no room")]);
    let all = [asked.outbox, over.outbox].concat();
    assert!(all.iter().all(|row| row.message.conversation.as_str() == "api/ann/default"));
    let stored = outbox::replay(&db, &UserId::new(user), &["api"], 0, 100).unwrap().0;
    assert_eq!(stored, all);
    all.into_iter().map(|row| row.message.body).collect()
}

#[test]
fn people_hear_of_questions_and_of_the_end_and_bots_hear_nothing() {
    let all = heard("ann", Verbosity::Normal);
    assert!(matches!(&all[0], Body::Approval { preview, expires_at: 1_000, .. } if preview == "may I q?"));
    let Body::Notice { title, body, facts } = &all[1] else { panic!("{all:?}") };
    assert_eq!((title.as_str(), body.as_str(), all.len()), ("Task failed: mend a", "no room", 2));
    assert!(facts.contains(&("Project".into(), "p".into())), "{facts:?}");
    assert!(matches!(heard("ann", Verbosity::Quiet).as_slice(), [Body::Approval { .. }]));
    assert_eq!(heard("bot:x", Verbosity::Normal), []);
}

#[test]
fn pushes_and_ends_are_in_the_audit_log() {
    let Store { db, .. } = store();
    create(&db, &task("a", "ann"));
    write(&db, "a", 20, &[prepared(), worked(0)].concat());
    write(&db, "a", 30, &[Entry::Pushing { commit: "c1".into() }]);
    write(&db, "a", 40, &[Entry::Pushed, ended(Outcome::Done, "pushed")]);
    let rows = audit::list(&db, 0, 100).unwrap();
    let told: Vec<_> = rows.iter().map(|row| &row.act).filter(|act| act.actor == "job:a").collect();
    let told: Vec<_> = told.iter().map(|act| (act.action.as_str(), act.details.as_str(), act.at)).collect();
    assert_eq!(told, [("job.pushed", "c1 to atoll/1-mend", 40), ("job.ended", "done: pushed", 40)]);
    assert!(rows.iter().any(|row| row.act == act(10)), "that it was made");
    audit::verify(&db).unwrap();
}

fn schedule(id: &str, cron: &str, bot: Option<&str>) -> Schedule {
    let change = ScheduleChange {
        instruction: Some("mend it".into()),
        cron: Some(cron.into()),
        bot: Some(bot.map(BotId::new)),
        ..Default::default()
    };
    Schedule::fresh(ScheduleId::new(id), ProjectId::new("p"), UserId::new("ann"), &change, 0).unwrap()
}

#[test]
fn schedules_are_due_in_their_order_and_come_once() {
    const HOUR: i64 = 3_600_000;
    let Store { db, .. } = store();
    let add = |schedule: Schedule| task_schedules::create(&db, &schedule, act(1));
    let hourly = add(schedule("a", "0 * * * *", None)).unwrap();
    add(schedule("b", "30 0 * * *", Some("x"))).unwrap();
    let due = |now| {
        let found = task_schedules::due(&db, now, 10).unwrap();
        found.iter().map(|one| one.id.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!((due(HOUR / 2 - 1), due(HOUR / 2), due(HOUR)), (String::new(), "b".into(), "b a".into()));
    task_schedules::ran(&db, &hourly.id, HOUR, hourly.next_after(HOUR)).unwrap();
    assert_eq!((due(HOUR), due(2 * HOUR)), ("b".into(), "b a".into()));
    let change = ScheduleChange { cron: Some("15 * * * *".into()), ..Default::default() };
    let changed = task_schedules::change(&db, &hourly.id, &change, act(2 * HOUR)).unwrap();
    assert_eq!((changed.last_run_at, changed.next_run_at), (Some(HOUR), Some(2 * HOUR + HOUR / 4)));
    task_schedules::ran(&db, &hourly.id, 2 * HOUR, Some(3 * HOUR)).unwrap();
    let kept = task_schedules::get(&db, &hourly.id).unwrap().unwrap();
    assert_eq!(
        (kept.last_run_at, kept.next_run_at),
        (Some(2 * HOUR), changed.next_run_at),
        "changed meanwhile"
    );
    task_schedules::remove(&db, &hourly.id, act(1)).unwrap();
    task_schedules::ran(&db, &hourly.id, 9, None).expect("removed meanwhile");
    assert!(matches!(task_schedules::remove(&db, &hourly.id, act(1)), Err(StoreError::NotFound("schedule"))));
}

#[test]
fn a_schedule_stays_when_its_bot_goes_and_comes_no_more() {
    let Store { db, .. } = store();
    let stored = task_schedules::create(&db, &schedule("b", "30 0 * * *", Some("x")), act(1)).unwrap();
    assert_eq!(task_schedules::get(&db, &stored.id).unwrap(), Some(stored.clone()));
    let strange = Schedule { project: ProjectId::new("q"), ..schedule("c", "* * * * *", Some("x")) };
    assert!(task_schedules::create(&db, &strange, act(1)).unwrap_err().to_string().contains("botId"));
    bots::remove(&db, &BotId::new("x"), act(7)).unwrap();
    let left = task_schedules::get(&db, &stored.id).unwrap().unwrap();
    assert_eq!((left.bot, left.enabled, left.next_run_at, left.updated_at), (None, false, None, 7));
    let list = |member: &str| {
        task_schedules::list(&db, Some(&UserId::new(member)), None, Some(&ProjectId::new("p")), 10, 0)
            .unwrap()
            .1
    };
    assert_eq!(list("ann"), 0, "she is no member");
    assert_eq!(task_schedules::list(&db, None, None, None, 10, 0).unwrap().1, 1);
    projects::remove(&db, &ProjectId::new("p"), act(1)).unwrap();
    assert_eq!(task_schedules::list(&db, None, None, None, 10, 0).unwrap().1, 0);
}
