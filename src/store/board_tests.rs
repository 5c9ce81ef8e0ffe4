//! Projects, boards, stories, bots and claims, on a real SQLite file.

use rusqlite::Connection;
use serde_json::json;

use super::*;
use crate::domain::{
    access::Role,
    audit::Act,
    board::*,
    bot::{
        Bot, BotChange, BotState,
        journal::{Entry, EntryKind},
    },
    ids::*,
    project::{Limits, Project, ProjectChange},
};

struct Store {
    db: Connection,
    _folder: tempfile::TempDir,
}

fn act() -> Act {
    let (action, subject, details) = ("x".into(), "y".into(), String::new());
    Act { at: 1, actor: "key:me".into(), action, subject, details }
}

fn by(at: i64) -> By {
    By { actor: "key:me".into(), at }
}

/// A store with the project `p` and columns `p-0` to `p-4`.
fn store() -> Store {
    let folder = tempfile::tempdir().unwrap();
    let db = schema::open_writer(&folder.path().join("atoll.db")).unwrap();
    project(&db, "p").unwrap();
    Store { db, _folder: folder }
}

fn project(db: &Connection, id: &str) -> Result<Project> {
    let change = ProjectChange {
        name: Some(id.into()),
        repo_url: Some("/srv/x.git".into()),
        limits: Some(Limits { max_failures: 2, ..Default::default() }),
        ..Default::default()
    };
    let project = Project::fresh(ProjectId::new(id), &change, 1).unwrap();
    let columns = [0, 1, 2, 3, 4].map(|at| ColumnId::new(format!("{id}-{at}")));
    projects::create(db, &project, &Board::fresh(BoardId::new(id), project.id.clone(), columns), act())
}

fn column(at: usize) -> Option<ColumnId> {
    Some(ColumnId::new(format!("p-{at}")))
}

fn add(db: &Connection, id: &str, at: usize, change: StoryChange) -> Result<Story> {
    let change = StoryChange { title: Some(id.into()), ..change };
    let new = NewStory { id: StoryId::new(id), project: ProjectId::new("p"), column: column(at), change };
    stories::create(db, &new, &by(1))
}

fn ready(db: &Connection, id: &str) -> Story {
    add(db, id, 1, StoryChange::default()).unwrap()
}

fn edit(db: &Connection, id: &str, change: StoryChange) -> Result<Story> {
    stories::change(db, &StoryId::new(id), &change, &by(2))
}

fn bot(db: &Connection, id: &str, most: u32) -> Bot {
    let change = BotChange {
        name: Some(id.into()),
        state: Some(BotState::Running),
        max_concurrent_stories: Some(most),
        ..Default::default()
    };
    let bot = Bot::fresh(BotId::new(id), ProjectId::new("p"), &change, 1).unwrap();
    bots::create(db, &bot, act()).unwrap()
}

fn claim(db: &Connection, id: &str, at: i64) -> Option<(String, u64)> {
    let grant = claims::next(db, &BotId::new(id), 100, &by(at)).unwrap()?;
    Some((grant.story.id.to_string(), grant.token))
}

fn refusal<T: std::fmt::Debug>(outcome: Result<T>) -> &'static str {
    match outcome.unwrap_err() {
        StoreError::Board(refusal) => refusal.code(),
        StoreError::NotFound(what) => what,
        other => panic!("{other}"),
    }
}

/// The column of a board, in order.
fn order(db: &Connection, at: usize) -> Vec<String> {
    let filter = StoryFilter { column: column(at), ..Default::default() };
    let (found, total) = stories::list(db, &ProjectId::new("p"), &filter, 1_000, 0).unwrap();
    assert_eq!(found.len() as u64, total);
    for (at, story) in found.iter().enumerate() {
        assert_eq!(story.position, at as u64);
        assert_eq!(stories::get(db, &story.id).unwrap().as_ref(), Some(story), "alone as in the list");
    }
    found.into_iter().map(|story| story.id.to_string()).collect()
}

#[test]
fn stories_are_put_where_they_are_wanted() {
    let Store { db, _folder } = store();
    for id in ["a", "b", "c"] {
        ready(&db, id);
    }
    add(&db, "d", 1, StoryChange { position: Some(1), ..Default::default() }).unwrap();
    assert_eq!(order(&db, 1), ["a", "d", "b", "c"]);
    let to = |at, position| StoryChange { column: column(at), position, ..Default::default() };
    for (id, change, expected) in [
        ("c", to(1, Some(0)), "c a d b"),
        ("c", to(1, Some(2)), "a d c b"),
        ("a", to(1, Some(99)), "d c b a"),
        ("b", to(1, None), "d c b a"),
    ] {
        edit(&db, id, change).unwrap();
        assert_eq!(order(&db, 1).join(" "), expected, "{id}");
    }
    let moved = edit(&db, "b", to(3, None)).unwrap();
    assert_eq!((moved.column, moved.position, moved.version), (ColumnId::new("p-3"), 0, 2));
    assert_eq!((order(&db, 1).join(" "), order(&db, 3).join(" ")), ("d c a".into(), "b".into()));
    assert_eq!(
        refusal(edit(&db, "b", StoryChange { column: Some(ColumnId::new("q")), ..Default::default() })),
        "bad_request"
    );
}

#[test]
fn every_change_is_a_version_and_a_row_of_history() {
    let Store { db, _folder } = store();
    let story = ready(&db, "a");
    assert_eq!(story.version, 1);
    let change =
        StoryChange { version: Some(1), points: Some(Some(5)), column: column(3), ..Default::default() };
    let next = edit(&db, "a", change.clone()).unwrap();
    assert_eq!((next.version, next.points), (2, Some(5)));
    assert_eq!(refusal(edit(&db, "a", change)), "stale");
    let same = StoryChange { points: Some(Some(5)), ..Default::default() };
    assert_eq!(edit(&db, "a", same).unwrap().version, 2, "what changes nothing makes no version");
    let (history, total) = stories::history(&db, &StoryId::new("a"), 10, 0).unwrap();
    assert_eq!(total, 2);
    let actions: Vec<(u64, &str)> = history.iter().map(|row| (row.version, row.action.as_str())).collect();
    assert_eq!(actions, [(2, "moved"), (1, "created")]);
    let fields: Vec<(&str, &serde_json::Value)> =
        history[0].changes.iter().map(|change| (change.field.as_str(), &change.to)).collect();
    assert_eq!(fields, [("columnId", &json!("p-3")), ("storyPoints", &json!(5))]);
    assert_eq!(refusal(stories::remove(&db, &StoryId::new("a"), Some(1), act())), "stale");
    stories::remove(&db, &StoryId::new("a"), Some(2), act()).unwrap();
    assert_eq!(refusal(edit(&db, "a", StoryChange::default())), "story");
    assert_eq!(count(&db, "SELECT count(*) FROM story_changes", []).unwrap(), 0);
}

#[test]
fn full_columns_strangers_and_circles_are_refused() {
    let Store { db, _folder } = store();
    let board = boards::of(&db, &ProjectId::new("p")).unwrap();
    let drafts = board.columns.iter().map(|column| ColumnDraft {
        id: column.id.clone(),
        is_new: false,
        name: column.name.clone(),
        role: column.role,
        wip_limit: (column.role == ColumnRole::InProgress).then_some(1),
    });
    let change = BoardChange { version: Some(1), columns: Some(drafts.collect()), ..Default::default() };
    boards::change(&db, &board.project, &change, act()).unwrap();
    assert_eq!(refusal(boards::change(&db, &board.project, &change, act())), "stale");
    add(&db, "a", 2, StoryChange::default()).unwrap();
    assert_eq!(refusal(add(&db, "b", 2, StoryChange::default())), "wip_limit");
    ready(&db, "b");
    assert_eq!(refusal(edit(&db, "b", StoryChange { column: column(2), ..Default::default() })), "wip_limit");
    edit(&db, "a", StoryChange { column: column(2), position: Some(0), ..Default::default() }).unwrap();
    let waits = |on: &str| StoryChange { depends_on: Some(vec![StoryId::new(on)]), ..Default::default() };
    edit(&db, "b", waits("a")).unwrap();
    assert_eq!(refusal(edit(&db, "a", waits("b"))), "dependency_cycle");
    assert_eq!(refusal(edit(&db, "a", waits("z"))), "bad_request");
    let give = |to| StoryChange { assignee: Some(Some(to)), ..Default::default() };
    assert_eq!(refusal(edit(&db, "a", give(Assignee::Bot(BotId::new("z"))))), "bad_request");
    assert_eq!(refusal(edit(&db, "a", give(Assignee::User(UserId::new("ann"))))), "bad_request");
    let id = ProjectId::new("p");
    projects::set_member(&db, &id, &UserId::new("ann"), Some(Role::Viewer), act()).unwrap();
    edit(&db, "a", give(Assignee::User(UserId::new("ann")))).unwrap();
    assert_eq!(refusal(project(&db, "p")), "taken");
    assert_eq!(order(&db, 2), ["a"], "what is refused leaves nothing behind");
}

#[test]
fn whoever_waited_for_a_story_that_goes_waits_no_longer() {
    let Store { db, _folder } = store();
    ready(&db, "a");
    ready(&db, "b");
    let waits = StoryChange { depends_on: Some(vec![StoryId::new("a")]), ..Default::default() };
    edit(&db, "b", waits).unwrap();
    stories::remove(&db, &StoryId::new("a"), None, act()).unwrap();
    let left = stories::get(&db, &StoryId::new("b")).unwrap().unwrap();
    assert_eq!((left.depends_on, left.version), (vec![], 3));
    let (history, _) = stories::history(&db, &StoryId::new("b"), 1, 0).unwrap();
    assert_eq!(history[0].changes[0].field, "dependsOn");
}

#[test]
fn filters_fit_and_pages_are_cut() {
    let Store { db, _folder } = store();
    let base = StoryChange::default;
    add(&db, "a", 1, StoryChange { labels: Some(vec!["ui".into()]), ..base() }).unwrap();
    add(&db, "b", 1, StoryChange { priority: Some(Priority::High), ..base() }).unwrap();
    add(&db, "c", 0, StoryChange { description: Some("The Café door".into()), ..base() }).unwrap();
    add(&db, "d", 4, StoryChange { blocked: Some(Some("key".into())), ..base() }).unwrap();
    let find = |filter: StoryFilter, limit, offset| {
        let (found, total) = stories::list(&db, &ProjectId::new("p"), &filter, limit, offset).unwrap();
        let ids: Vec<String> = found.into_iter().map(|story| story.id.to_string()).collect();
        (ids.join(" "), total)
    };
    let any = StoryFilter::default;
    for (filter, expected) in [
        (any(), "c a b d"),
        (StoryFilter { role: Some(ColumnRole::Todo), ..any() }, "a b"),
        (StoryFilter { label: Some("ui".into()), ..any() }, "a"),
        (StoryFilter { label: Some("u".into()), ..any() }, ""),
        (StoryFilter { priority: Some(Priority::High), ..any() }, "b"),
        (StoryFilter { blocked: Some(true), ..any() }, "d"),
        (StoryFilter { blocked: Some(false), ..any() }, "c a b"),
        (StoryFilter { words: Some("DOOR".into()), ..any() }, "c"),
        (StoryFilter { words: Some("%".into()), ..any() }, ""),
        (StoryFilter { per_column: Some(1), ..any() }, "c a d"),
    ] {
        let (found, total) = find(filter.clone(), 100, 0);
        assert_eq!(found, expected, "{filter:?}");
        assert_eq!(total as usize, expected.split_whitespace().count());
    }
    assert_eq!(find(any(), 2, 1), ("a b".into(), 4));
    assert_eq!(find(any(), 2, 9), (String::new(), 4));
}

#[test]
fn a_story_is_held_by_one_bot_under_one_token() {
    let Store { db, _folder } = store();
    bot(&db, "x", 1);
    bot(&db, "y", 2);
    for id in ["a", "b"] {
        ready(&db, id);
    }
    assert_eq!(claim(&db, "x", 10), Some(("a".into(), 1)));
    assert_eq!(claim(&db, "x", 11), None, "it has enough");
    assert_eq!(claim(&db, "y", 12), Some(("b".into(), 1)));
    assert_eq!(claim(&db, "y", 13), None, "nothing is left");
    let id = StoryId::new("a");
    let job = JobId::new("j1");
    let grant = claims::renew(&db, &id, 1, 100, Some(&job), &by(50)).unwrap();
    assert_eq!((grant.until, grant.story.job), (150, Some(job)));
    let version = grant.story.version;
    assert_eq!(claims::renew(&db, &id, 1, 100, None, &by(60)).unwrap().story.version, version);
    assert_eq!(refusal(claims::renew(&db, &id, 2, 100, None, &by(60))), "fenced");
    assert_eq!(refusal(claims::release(&db, &id, 0, &Outcome::Finished, &by(60))), "fenced");
    let done = claims::release(&db, &id, 1, &Outcome::Finished, &by(70)).unwrap();
    assert_eq!((done.column, done.claim), (ColumnId::new("p-3"), None));
    assert_eq!(refusal(claims::release(&db, &id, 1, &Outcome::Finished, &by(71))), "fenced", "once");
}

#[test]
fn a_claim_that_lapses_counts_as_a_failure_and_its_token_is_worth_nothing() {
    let Store { db, _folder } = store();
    bot(&db, "x", 1);
    bot(&db, "y", 1);
    ready(&db, "a");
    let id = StoryId::new("a");
    assert_eq!(claim(&db, "x", 0), Some(("a".into(), 1)));
    assert_eq!(claim(&db, "y", 99), None);
    assert_eq!(claim(&db, "y", 100), Some(("a".into(), 2)));
    assert_eq!(refusal(claims::release(&db, &id, 1, &Outcome::Finished, &by(101))), "fenced");
    assert_eq!(claim(&db, "x", 300), None, "it lapsed twice, and is blocked");
    let story = stories::get(&db, &id).unwrap().unwrap();
    assert_eq!((story.failures, story.column.as_str()), (2, "p-1"));
    assert!(story.blocked.unwrap().contains("failed 2 times"));
    edit(&db, "a", StoryChange { blocked: Some(None), ..Default::default() }).unwrap();
    assert_eq!(claim(&db, "x", 301), Some(("a".into(), 3)), "a person let it go on");
}

#[test]
fn people_and_states_come_before_bots() {
    let Store { db, _folder } = store();
    let x = bot(&db, "x", 5);
    ready(&db, "a");
    let state = |state| {
        let change = BotChange { state: Some(state), ..Default::default() };
        bots::change(&db, &x.id, &change, act()).unwrap()
    };
    state(BotState::Paused);
    assert_eq!(refusal(claims::next(&db, &x.id, 1, &by(1))), "not_running");
    state(BotState::Running);
    assert_eq!(claim(&db, "x", 1), Some(("a".into(), 1)));
    edit(&db, "a", StoryChange { title: Some("better".into()), ..Default::default() }).unwrap();
    claims::renew(&db, &StoryId::new("a"), 1, 100, None, &by(2)).expect("a better title takes nothing away");
    assert_eq!(refusal(stories::remove(&db, &StoryId::new("a"), None, act())), "busy");
    assert_eq!(refusal(projects::remove(&db, &x.project, act())), "busy");
    edit(&db, "a", StoryChange { column: column(0), ..Default::default() }).unwrap();
    assert_eq!(refusal(claims::renew(&db, &StoryId::new("a"), 1, 100, None, &by(3))), "fenced");
}

#[test]
fn what_a_bot_leaves_behind_when_it_goes() {
    let Store { db, _folder } = store();
    let x = bot(&db, "x", 5);
    ready(&db, "a");
    ready(&db, "b");
    let own = StoryChange { assignee: Some(Some(Assignee::Bot(x.id.clone()))), ..Default::default() };
    edit(&db, "b", own).unwrap();
    assert!(claim(&db, "x", 1).is_some());
    entry(&db, "x", 1, EntryKind::Learning, "bees sting");
    bots::remove(&db, &x.id, act()).unwrap();
    assert_eq!(order(&db, 1), ["a", "b"]);
    for id in ["a", "b"] {
        let story = stories::get(&db, &StoryId::new(id)).unwrap().unwrap();
        assert_eq!((story.claim, story.assignee, story.failures), (None, None, 0), "{id}");
    }
    for table in ["bots", "bot_journal", "bot_journal_words"] {
        assert_eq!(count(&db, &format!("SELECT count(*) FROM {table}"), []).unwrap(), 0, "{table}");
    }
    projects::remove(&db, &x.project, act()).unwrap();
    for table in ["projects", "boards", "board_columns", "stories", "story_dependencies", "story_changes"] {
        assert_eq!(count(&db, &format!("SELECT count(*) FROM {table}"), []).unwrap(), 0, "{table}");
    }
    audit::verify(&db).unwrap();
}

fn entry(db: &Connection, bot: &str, n: usize, kind: EntryKind, summary: &str) {
    let entry = Entry {
        id: EntryId::new(format!("{n:04}")),
        bot: BotId::new(bot),
        kind,
        summary: summary.into(),
        details: "in detail".into(),
        story: None,
        job: None,
        at: 1,
    };
    let stored = bot_journal::add(db, &entry).unwrap();
    assert_eq!(bot_journal::add(db, &entry).unwrap(), stored, "the same entry is stored once");
}

#[test]
fn a_journal_is_read_by_kind_by_words_and_by_pages() {
    let Store { db, _folder } = store();
    bot(&db, "x", 1);
    bot(&db, "y", 1);
    entry(&db, "x", 1, EntryKind::Learning, "the build needs node 22");
    entry(&db, "x", 2, EntryKind::Started, "builds are red");
    entry(&db, "x", 3, EntryKind::Decision, "Zürich stays in UTC");
    entry(&db, "y", 4, EntryKind::Learning, "the build is somebody else's");
    let find = |kind, query, before: Option<&str>, limit| {
        let before = before.map(EntryId::new);
        let found = bot_journal::list(&db, &BotId::new("x"), kind, query, before.as_ref(), limit).unwrap();
        found.iter().map(|entry| entry.id.to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(find(None, None, None, 10), "0003 0002 0001");
    assert_eq!(find(None, None, Some("0003"), 1), "0002");
    assert_eq!(find(Some(EntryKind::Learning), None, None, 10), "0001");
    assert_eq!(find(None, Some("building"), None, 10), "0002 0001", "in other forms");
    assert_eq!(find(None, Some("build node"), None, 10), "0001", "all words");
    assert_eq!(find(None, Some("zurich"), None, 10), "0003");
    assert_eq!(find(None, Some("detail"), None, 10), "0003 0002 0001", "in the details too");
    for odd in ["\"", "node OR", "NEAR(", "summary:node*", "'; DROP"] {
        find(None, Some(odd), None, 10);
    }
    assert_eq!(find(None, Some("?!"), None, 10), "");
    let recalled = bot_journal::recall(&db, &BotId::new("x"), 50).unwrap();
    let ids: Vec<&str> = recalled.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(ids, ["0002", "0003"], "in 50 tokens");
    let recalled = bot_journal::recall(&db, &BotId::new("x"), 100).unwrap();
    assert_eq!(recalled.len(), 3);
}
