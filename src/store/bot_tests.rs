//! What bots at work leave in the store: stories given back, proposals, what was seen of pull requests, schedules that wait.

use rusqlite::Connection;

use super::{job_tests::*, *};
use crate::domain::{
    board::{By, NewStory, Story, StoryChange, StoryFilter},
    bot::{
        BotChange, BotState,
        journal::EntryKind,
        requests::{Standing, Watch},
    },
    ids::*,
    job::*,
    task_schedule::{Schedule, ScheduleChange},
};

fn bot() -> BotId {
    BotId::new("x")
}

fn by(at: i64) -> By {
    By { actor: "bot:x".into(), at }
}

fn set(db: &Connection, state: BotState) {
    let change = BotChange { state: Some(state), ..Default::default() };
    bots::change(db, &bot(), &change, act(30)).unwrap();
}

/// The job `id` of the bot on the story `s`, with the engine at work.
fn at_work(db: &Connection, id: &str) -> u64 {
    if stories::get(db, &StoryId::new("s")).unwrap().is_none() {
        let change = StoryChange { title: Some("a story".into()), ..Default::default() };
        let column = Some(ColumnId::new("p-1"));
        let new = NewStory { id: StoryId::new("s"), project: ProjectId::new("p"), column, change };
        stories::create(db, &new, &by(1)).unwrap();
    }
    let grant = claims::next(db, &bot(), 100, &by(5)).unwrap().unwrap();
    let story = Some(ForStory { story: StoryId::new("s"), token: grant.token });
    create(db, &NewTask { bot: Some(bot()), story, ..task(id, "bot:x") });
    write(db, id, 20, &prepared());
    grant.token
}

fn story(db: &Connection) -> Story {
    stories::get(db, &StoryId::new("s")).unwrap().unwrap()
}

#[test]
fn a_bot_that_is_stopped_gives_back_what_it_holds_and_its_cancelled_job_blocks_nothing() {
    let Store { db, .. } = store();
    at_work(&db, "a");
    set(&db, BotState::Paused);
    assert_eq!((story(&db).column.as_str(), story(&db).claim.is_some()), ("p-2", true), "what runs goes on");
    set(&db, BotState::Running);
    set(&db, BotState::Stopped);
    let free = story(&db);
    assert_eq!((free.column.as_str(), &free.claim, free.failures), ("p-1", &None, 0));
    write(&db, "a", 40, &[ended(Outcome::Cancelled, "cancelled")]);
    assert_eq!(story(&db), free, "it is free, and stays so");
    let (changes, _) = stories::history(&db, &free.id, 1, 0).unwrap();
    assert_eq!((changes[0].action.as_str(), changes[0].actor.as_str()), ("returned", "key:me"));
    set(&db, BotState::Running);
    assert_eq!(at_work(&db, "b"), 2, "it can be taken again");
    write(&db, "b", 50, &[ended(Outcome::Cancelled, "cancelled")]);
    assert!(story(&db).blocked.is_some(), "what a person cancelled is not begun again");
}

#[test]
fn what_a_look_for_work_proposes_waits_in_the_backlog_for_nobody_in_particular() {
    let Store { db, .. } = store();
    let looks = NewTask { bot: Some(bot()), discovery: true, actor: "bot:x".into(), ..task("look", "bot:x") };
    let stored = create(&db, &looks);
    assert!(stored.asked.discovery && !create(&db, &task("other", "ann")).asked.discovery);
    let claim = "```stories\ntitle: Test the door\ndescription: none is there\ndone when: it is\ntitle: Paint it\n```";
    let entries = [
        prepared(),
        vec![
            Entry::EngineStarting { instruction: "look".into() },
            Entry::EngineEnded { claim: claim.into() },
            ended(Outcome::Done, "looked"),
        ],
    ]
    .concat();
    write(&db, "look", 60, &entries);
    let found = |label: &str| {
        let filter = StoryFilter { label: Some(label.into()), ..Default::default() };
        stories::list(&db, &ProjectId::new("p"), &filter, 10, 0).unwrap().0
    };
    let proposed = found("proposed");
    let titles: Vec<_> = proposed.iter().map(|story| story.title.as_str()).collect();
    assert_eq!(titles, ["Test the door", "Paint it"]);
    assert!(proposed.iter().all(|one| one.column.as_str() == "p-0" && one.assignee.is_none()));
    assert_eq!(proposed[0].acceptance_criteria, "it is");
    assert_eq!(proposals::waiting(&db, &bot()).unwrap(), 2);
    assert_eq!(proposals::waiting(&db, &BotId::new("y")).unwrap(), 0);
    let change = StoryChange { column: Some(ColumnId::new("p-1")), ..Default::default() };
    stories::change(&db, &proposed[0].id, &change, &by(70)).unwrap();
    let change = StoryChange { labels: Some(vec![]), ..Default::default() };
    stories::change(&db, &proposed[1].id, &change, &by(70)).unwrap();
    assert_eq!(proposals::waiting(&db, &bot()).unwrap(), 0, "people took them up");
    assert_eq!(jobs::get(&db, &JobId::new("look")).unwrap().unwrap().head.outcome, Some(Outcome::Done));
}

#[test]
fn a_full_backlog_takes_no_proposals_and_the_look_ends_all_the_same() {
    let Store { db, .. } = store();
    db.execute("UPDATE board_columns SET wip_limit = 1 WHERE id = 'p-0'", []).unwrap();
    create(&db, &NewTask { bot: Some(bot()), discovery: true, actor: "bot:x".into(), ..task("l", "bot:x") });
    let claim = "```stories\ntitle: A\ntitle: B\n```".to_owned();
    let starting = Entry::EngineStarting { instruction: "look".into() };
    let rest = vec![starting, Entry::EngineEnded { claim }, ended(Outcome::Done, "looked")];
    write(&db, "l", 60, &[prepared(), rest].concat());
    assert_eq!(proposals::waiting(&db, &bot()).unwrap(), 1);
}

/// A job whose pull request is open.
fn requested(db: &Connection, id: &str) {
    let mut entries = worked(0);
    let approval = ApprovalId::new(format!("q-{id}"));
    entries.push(Entry::Asked { approval: approval.clone(), tree: "t1".into() });
    let verdict = crate::domain::approval::Verdict::Approved { by: "ann".into() };
    entries.push(Entry::Decided { approval, verdict, no_request: false });
    entries.push(Entry::Pushing { commit: "c1".into() });
    entries.push(Entry::Pushed);
    entries.push(Entry::Requested { url: format!("https://h/o/r/pull/{id}") });
    entries.push(ended(Outcome::Done, "pushed"));
    write(db, id, 50, &entries);
}

#[test]
fn a_merge_takes_the_card_to_done_and_is_told_once() {
    let Store { db, .. } = store();
    at_work(&db, "7");
    requested(&db, "7");
    assert_eq!(story(&db).column.as_str(), "p-3");
    let watched = || requests::watched(&db, 10).unwrap();
    let (task, watch) = watched().remove(0);
    assert_eq!((task.asked.id.as_str(), watch.url.as_str()), ("7", "https://h/o/r/pull/7"));
    assert_eq!((watch.standing, watch.since), (Standing::Open, 10), "from when the job was asked for");
    let merged = Watch { standing: Standing::Merged, ..watch };
    for now in [90, 91] {
        requests::note(&db, &task.asked.id, &merged, now).unwrap();
    }
    assert!(watched().is_empty());
    assert_eq!(story(&db).column.as_str(), "p-4");
    let told = bot_journal::list(&db, &bot(), None, Some("merged"), None, 10).unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].kind, told[0].details.as_str()), (EntryKind::Completed, "https://h/o/r/pull/7"));
}

#[test]
fn a_request_that_is_closed_moves_no_card() {
    let Store { db, .. } = store();
    at_work(&db, "7");
    requested(&db, "7");
    let (task, watch) = requests::watched(&db, 10).unwrap().remove(0);
    requests::note(&db, &task.asked.id, &Watch { standing: Standing::Closed, ..watch }, 90).unwrap();
    assert_eq!(story(&db).column.as_str(), "p-3");
    let told = bot_journal::list(&db, &bot(), Some(EntryKind::Observation), None, None, 10).unwrap();
    assert!(told[0].summary.starts_with("closed without being merged"), "{told:?}");
}

#[test]
fn what_a_job_is_to_go_on_with_is_kept_until_it_did() {
    let Store { db, .. } = store();
    at_work(&db, "7");
    requested(&db, "7");
    let (task, mut watch) = requests::watched(&db, 10).unwrap().remove(0);
    watch.pending = Some("mend the check".into());
    watch.seen.commits.push("c1".into());
    watch.since = 77;
    requests::note(&db, &task.asked.id, &watch, 90).unwrap();
    assert_eq!(requests::watched(&db, 10).unwrap()[0].1, watch);
    write(&db, "7", 100, &[Entry::Continued { instruction: "mend the check".into() }]);
    assert!(requests::watched(&db, 10).unwrap().is_empty(), "it is at work");
    write(&db, "7", 110, &[ended(Outcome::Cancelled, "cancelled")]);
    db.execute("UPDATE jobs SET outcome = 'done'", []).unwrap();
    let kept = requests::watched(&db, 10).unwrap().remove(0).1;
    assert_eq!(kept, Watch { pending: None, ..watch }, "what was seen stays seen");
}

#[test]
fn requests_that_were_looked_at_come_behind_the_others() {
    let Store { db, .. } = store();
    for id in ["7", "8"] {
        create(&db, &task(id, "ann"));
        write(&db, id, 20, &prepared());
        requested(&db, id);
    }
    let order = || {
        let found = requests::watched(&db, 10).unwrap();
        found.into_iter().map(|(task, _)| task.asked.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(order(), ["7", "8"]);
    let (task, watch) = requests::watched(&db, 1).unwrap().remove(0);
    requests::note(&db, &task.asked.id, &watch, 90).unwrap();
    assert_eq!(order(), ["8", "7"]);
}

#[test]
fn schedules_of_a_stopped_bot_wait_until_it_is_started() {
    let Store { db, .. } = store();
    let change = ScheduleChange {
        instruction: Some("tidy up".into()),
        cron: Some("0 * * * *".into()),
        bot: Some(Some(bot())),
        ..Default::default()
    };
    let ann = UserId::new("ann");
    let schedule = Schedule::fresh(ScheduleId::new("n"), ProjectId::new("p"), ann, &change, 0).unwrap();
    task_schedules::create(&db, &schedule, act(1)).unwrap();
    let due = || task_schedules::due(&db, 3_600_000, 10).unwrap().len();
    for (state, count) in [(BotState::Running, 1), (BotState::Paused, 1), (BotState::Stopped, 0)] {
        set(&db, state);
        assert_eq!(due(), count, "{state:?}");
    }
    set(&db, BotState::Running);
    assert_eq!(due(), 1, "once, however long it was stopped");
}
