//! What becomes of pull requests.

use futures_util::future::BoxFuture;

use super::*;

/// A forge with one pull request.
struct Place {
    request: Result<Request, ForgeError>,
    comments: Vec<Comment>,
    checks: Vec<CheckRun>,
}

impl Forge for Place {
    fn find(
        &self,
        _: crate::domain::branch::BranchName,
        _: crate::domain::branch::BranchName,
    ) -> BoxFuture<'static, Result<Option<Request>, ForgeError>> {
        Box::pin(async { Ok(None) })
    }

    fn open(&self, _: NewRequest) -> BoxFuture<'static, Result<Opened, ForgeError>> {
        Box::pin(async { Err(ForgeError::Refused("not here".into())) })
    }

    fn state(&self, number: u64) -> BoxFuture<'static, Result<Request, ForgeError>> {
        let request = self.request.clone();
        Box::pin(async move { request.map(|request| Request { number, ..request }) })
    }

    fn checks(&self, _: String) -> BoxFuture<'static, Result<Vec<CheckRun>, ForgeError>> {
        let checks = self.checks.clone();
        Box::pin(async move { Ok(checks) })
    }

    fn comments(&self, _: u64, _: i64) -> BoxFuture<'static, Result<Vec<Comment>, ForgeError>> {
        let comments = self.comments.clone();
        Box::pin(async move { Ok(comments) })
    }

    fn comment(&self, _: u64, _: String) -> BoxFuture<'static, Result<(), ForgeError>> {
        Box::pin(async { Ok(()) })
    }
}

fn place(state: RequestState) -> Place {
    let request = Request {
        number: 7,
        url: "https://github.com/o/r/pull/7".into(),
        title: "t".into(),
        state,
        draft: false,
        head: "h".into(),
        commit: "c1".into(),
        base: "main".into(),
    };
    Place { request: Ok(request), comments: vec![], checks: vec![] }
}

fn check(name: &str, state: CheckState) -> CheckRun {
    CheckRun { name: name.into(), state, words: "2 tests failed".into(), url: None }
}

fn watched() -> World {
    let asked = NewTask { bot: Some(BotId::new("b")), ..test_task("j") };
    let watch = Watch { url: "https://github.com/o/r/pull/7".into(), ..Watch::default() };
    let mut world = with(bot(BotChange { state: Some(BotState::Paused), ..Default::default() }), &[]);
    world.watched = vec![(stored(asked, "done", true), watch)];
    world
}

#[actix::test]
async fn a_merge_is_noted_and_nobody_is_told_to_go_on() {
    use crate::domain::bot::requests::Standing;
    for (state, standing) in
        [(RequestState::Merged, Standing::Merged), (RequestState::Closed, Standing::Closed)]
    {
        let mut place = place(state);
        place.checks = vec![check("ci", CheckState::Failed)];
        let town = town_with(watched(), Some(Arc::new(place)));
        town.pass(31).await;
        let world = town.world.lock().unwrap();
        assert_eq!((world.noted[0].1.standing, world.noted.len()), (standing, 1));
        assert!(world.told.is_empty());
    }
}

#[actix::test]
async fn a_comment_that_calls_and_a_failing_check_let_the_job_go_on_once() {
    let mut place = place(RequestState::Open);
    place.comments = vec![Comment {
        id: "review/1".into(),
        author: "ann".into(),
        body: "@fixer use a lock".into(),
        path: Some("a.py".into()),
        line: Some(3),
        at: 5,
        url: None,
    }];
    place.checks = vec![check("ci", CheckState::Failed), check("lint", CheckState::Passed)];
    let town = town_with(watched(), Some(Arc::new(place)));
    town.pass(31).await;
    let world = town.world.lock().unwrap();
    let [(job, JobOrder::Continue { instruction })] = world.told.as_slice() else {
        panic!("{:?}", world.told)
    };
    assert_eq!(job.as_str(), "j");
    for part in ["ann wrote at a.py:3", "@fixer use a lock", "<check name=\"ci\">", "2 tests failed", "c1"] {
        assert!(instruction.contains(part), "{part}: {instruction}");
    }
    assert!(!instruction.contains("lint"));
    let noted = &world.noted[0].1;
    assert_eq!(noted.pending.as_ref(), Some(instruction), "it is stored before it is told");
    assert_eq!((noted.seen.comments.as_slice(), noted.since), (&["review/1".to_owned()][..], 5));
}

#[actix::test]
async fn checks_that_still_run_and_a_stopped_bot_are_waited_for() {
    let mut running = place(RequestState::Open);
    running.checks = vec![check("ci", CheckState::Failed), check("slow", CheckState::Pending)];
    let town = town_with(watched(), Some(Arc::new(running)));
    town.pass(31).await;
    assert!(town.world.lock().unwrap().told.is_empty());

    let mut failed = place(RequestState::Open);
    failed.checks = vec![check("ci", CheckState::Failed)];
    let mut stopped = watched();
    stopped.bots.get_mut("b").unwrap().state = BotState::Stopped;
    let town = town_with(stopped, Some(Arc::new(failed)));
    town.pass(31).await;
    let world = town.world.lock().unwrap();
    assert!(
        world.told.is_empty() && world.noted[0].1.seen.commits.is_empty(),
        "it is seen when it is started"
    );
}

#[actix::test]
async fn what_was_stored_and_not_told_is_told_first() {
    let mut world = watched();
    world.watched[0].1.pending = Some("go on".into());
    let town = town_with(world, Some(Arc::new(place(RequestState::Merged))));
    town.pass(31).await;
    let world = town.world.lock().unwrap();
    assert_eq!(world.told, [(JobId::new("j"), JobOrder::Continue { instruction: "go on".into() })]);
    assert!(world.noted.is_empty());
}

#[actix::test]
async fn a_forge_that_cannot_be_asked_puts_its_requests_behind_the_others() {
    for forge in [None, Some(ForgeError::NotThere("gone".into())), Some(ForgeError::Wait { after_ms: 9 })] {
        let forge =
            forge.map(|error| Arc::new(Place { request: Err(error), ..place(RequestState::Open) }) as _);
        let town = town_with(watched(), forge);
        town.pass(31).await;
        let world = town.world.lock().unwrap();
        assert_eq!(world.noted.len(), 1);
        assert_eq!(world.noted[0].1.pending, None);
    }
}
