//! The ways of a job, one by one.

use super::*;
use crate::domain::{approval::Verdict, ids::ApprovalId};

pub(super) const LIMITS: Limits =
    Limits { restarts: 2, rounds: 1, needs_approval: true, pushes: true, requests: true };

pub(super) fn opening() -> Opening {
    Opening { instruction: "mend the test".into(), discovery: false }
}

pub(super) fn candidate(tree: &str) -> Candidate {
    Candidate {
        commit: format!("c-{tree}"),
        tree: tree.into(),
        stat: "1 file".into(),
        flags: vec![],
        asks: false,
    }
}

pub(super) fn run(exit: i64) -> VerifyRun {
    VerifyRun { command: "make test".into(), exit: Some(exit), tail: "1 failed".into() }
}

fn approved() -> Verdict {
    Verdict::Approved { by: "ann".into() }
}

/// A job and the effects of its last step.
struct World {
    job: Job,
    limits: Limits,
    journal: Vec<Entry>,
    last: Vec<Effect>,
}

impl World {
    fn new(limits: Limits) -> Self {
        Self { job: Job::new(opening()), limits, journal: vec![], last: vec![] }
    }

    fn hear(&mut self, event: Event) -> &mut Self {
        self.last = self.job.step(&self.limits, event);
        self.keep();
        self
    }

    fn keep(&mut self) {
        for effect in &self.last {
            if let Effect::Record(entries) = effect {
                self.journal.extend(entries.iter().cloned());
            }
        }
    }

    fn restart(&mut self) -> &mut Self {
        self.job = Job::rebuild(opening(), &self.journal).unwrap();
        self.last = self.job.resume(&self.limits);
        self.keep();
        self
    }

    fn prepared(&mut self) -> &mut Self {
        self.hear(Event::Prepared { base: "b".into(), branch: "atoll/1-mend".into() })
    }

    fn ended(&mut self) -> &mut Self {
        self.hear(Event::EngineEnded { claim: "mended".into() })
    }

    fn until_asked(&mut self, tree: &str) -> ApprovalId {
        let approval = ApprovalId::new(format!("a-{tree}"));
        self.hear(Event::Claimed).prepared().ended();
        self.hear(Event::Verified { runs: vec![run(0)] });
        self.hear(Event::Committed { candidate: candidate(tree) });
        self.hear(Event::Asked { approval: approval.clone() });
        approval
    }

    fn wants(&self, wanted: &Effect) -> bool {
        self.last.contains(wanted)
    }

    fn outcome(&self) -> Option<Outcome> {
        match self.job.phase() {
            Phase::Over(closed) => Some(closed.outcome),
            _ => None,
        }
    }
}

#[test]
fn the_plain_way_ends_with_exactly_the_approved_commit_pushed() {
    let mut world = World::new(LIMITS);
    let approval = world.until_asked("t1");
    assert_eq!(world.job.phase().as_str(), "awaiting_approval");
    world.hear(Event::Decided { approval, verdict: approved(), no_request: false });
    assert!(world.wants(&Effect::Push { commit: "c-t1".into() }));
    world.hear(Event::Pushed);
    assert!(world.wants(&Effect::OpenRequest));
    world.hear(Event::Requested { url: "https://forge/1".into() });
    assert_eq!((world.outcome(), world.job.url()), (Some(Outcome::Done), Some("https://forge/1")));
}

#[test]
fn nothing_is_pushed_without_an_approval_of_that_very_tree() {
    let mut world = World::new(LIMITS);
    let approval = world.until_asked("t1");
    world.hear(Event::Decided {
        approval: ApprovalId::new("another"),
        verdict: approved(),
        no_request: false,
    });
    assert!(world.last.is_empty(), "an answer to another question counts");
    let reason = Some("use tabs".to_owned());
    world.hear(Event::Decided {
        approval: approval.clone(),
        verdict: Verdict::Rejected { by: "ann".into(), reason },
        no_request: false,
    });
    assert_eq!(world.last.last(), Some(&Effect::Prepare));
    assert_eq!(world.job.candidate(), None, "what was rejected may still be pushed");
    world.prepared();
    let told = Effect::StartEngine { instruction: "use tabs".into(), session: None };
    assert!(world.wants(&told), "{:?}", world.last);
    world
        .ended()
        .hear(Event::Verified { runs: vec![] })
        .hear(Event::Committed { candidate: candidate("t2") });
    world.hear(Event::Decided { approval, verdict: approved(), no_request: false });
    assert!(world.last.is_empty(), "an old approval counts for new work");
}

#[test]
fn failing_checks_go_back_to_the_engine_as_often_as_is_allowed_and_are_then_shown() {
    let mut world = World::new(LIMITS);
    world.hear(Event::Claimed).prepared().hear(Event::Session { id: "s1".into() }).ended();
    world.hear(Event::Verified { runs: vec![run(0), run(2)] });
    let Some(Effect::StartEngine { instruction, session }) = world.last.last() else {
        panic!("{:?}", world.last)
    };
    assert!(instruction.contains("exit code 2") && instruction.contains("1 failed"));
    assert_eq!(session.as_deref(), Some("s1"));
    world.ended().hear(Event::Verified { runs: vec![run(2)] });
    assert!(world.wants(&Effect::Commit));
    assert!(!world.job.evidence()[0].passed());
}

#[test]
fn an_engine_that_fell_is_started_again_in_its_session_and_given_up_at_last() {
    let mut world = World::new(LIMITS);
    world.hear(Event::Claimed).prepared().hear(Event::Session { id: "s1".into() });
    for _ in 0..2 {
        world.hear(Event::EngineLost { why: "oom".into() });
        assert_eq!(world.last.last(), Some(&Effect::Prepare));
        world.prepared();
        let again = Effect::StartEngine { instruction: "mend the test".into(), session: Some("s1".into()) };
        assert!(world.wants(&again));
    }
    world.hear(Event::EngineLost { why: "oom".into() });
    assert_eq!(world.outcome(), Some(Outcome::Failed));
}

#[test]
fn after_a_restart_finished_work_is_checked_and_not_done_again() {
    let mut world = World::new(LIMITS);
    world.hear(Event::Claimed).prepared().ended().restart();
    assert_eq!(world.last.last(), Some(&Effect::Prepare));
    world.prepared();
    assert!(world.wants(&Effect::Verify), "{:?}", world.last);
}

#[test]
fn after_a_restart_a_push_is_repeated_under_the_same_commit_only() {
    let mut world = World::new(LIMITS);
    let approval = world.until_asked("t1");
    world.hear(Event::Decided { approval, verdict: approved(), no_request: true }).restart();
    assert!(world.wants(&Effect::Push { commit: "c-t1".into() }));
    world.hear(Event::Pushed);
    assert_eq!(world.outcome(), Some(Outcome::Done), "a pull request was asked for against the approval");
}

#[test]
fn without_need_of_approval_or_push_it_ends_where_the_project_wants() {
    let mut world = World::new(Limits { needs_approval: false, ..LIMITS });
    world.hear(Event::Claimed).prepared().ended().hear(Event::Verified { runs: vec![] });
    world.hear(Event::Committed { candidate: candidate("t1") });
    assert!(world.wants(&Effect::Push { commit: "c-t1".into() }));
    let mut world = World::new(Limits { pushes: false, ..LIMITS });
    let approval = world.until_asked("t1");
    world.hear(Event::Decided { approval, verdict: approved(), no_request: false });
    assert_eq!(world.outcome(), Some(Outcome::Done));
    assert!(!world.last.iter().any(|effect| matches!(effect, Effect::Push { .. })));
}

#[test]
fn an_unchanged_tree_is_said_to_be_so() {
    let mut world = World::new(LIMITS);
    world
        .hear(Event::Claimed)
        .prepared()
        .ended()
        .hear(Event::Verified { runs: vec![] })
        .hear(Event::Unchanged);
    assert_eq!(world.outcome(), Some(Outcome::Unchanged));
}

#[test]
fn a_budget_and_a_missing_isolation_park_it_and_it_goes_on() {
    let mut world = World::new(LIMITS);
    world.hear(Event::Claimed).hear(Event::NoIsolation { why: "install runsc".into() });
    assert_eq!(world.job.phase().as_str(), "parked");
    world.hear(Event::Retry).prepared();
    let raise = ApprovalId::new("raise");
    world.hear(Event::OverBudget { approval: raise.clone(), why: "3 dollars".into() });
    assert!(world.wants(&Effect::StopEngine) && world.wants(&Effect::EndSandbox));
    world.restart();
    assert!(matches!(world.last[..], [Effect::Park { .. }]));
    world.hear(Event::Decided { approval: raise, verdict: approved(), no_request: false }).prepared();
    assert_eq!(world.job.phase().as_str(), "running");
}

#[test]
fn cancelling_ends_everything_but_a_push_that_is_under_way() {
    let mut world = World::new(LIMITS);
    let approval = world.until_asked("t1");
    world.hear(Event::Cancel);
    assert_eq!(world.outcome(), Some(Outcome::Cancelled));
    assert!(world.wants(&Effect::Withdraw { approval }));
    let mut world = World::new(LIMITS);
    let approval = world.until_asked("t1");
    world.hear(Event::Decided { approval, verdict: approved(), no_request: false }).hear(Event::Cancel);
    assert_eq!(world.job.phase().as_str(), "pushing");
}

#[test]
fn a_finished_job_is_continued_on_its_branch_and_session() {
    let mut world = World::new(LIMITS);
    world.hear(Event::Claimed).prepared().hear(Event::Session { id: "s1".into() });
    world.hear(Event::EngineFailed { why: "no key".into() });
    world.hear(Event::Continue { instruction: "try again".into() }).hear(Event::Claimed).prepared();
    let again = Effect::StartEngine { instruction: "try again".into(), session: Some("s1".into()) };
    assert!(world.wants(&again), "{:?}", world.last);
    assert_eq!(world.job.branch(), Some("atoll/1-mend"));
}

#[test]
fn work_that_failed_its_checks_or_must_be_looked_at_is_never_pushed_unasked() {
    let free = Limits { needs_approval: false, rounds: 0, ..LIMITS };
    let mut world = World::new(free);
    world.hear(Event::Claimed).prepared().ended().hear(Event::Verified { runs: vec![run(1)] });
    world.hear(Event::Committed { candidate: candidate("t1") });
    assert!(world.wants(&Effect::Ask { candidate: candidate("t1") }), "{:?}", world.last);
    let mut world = World::new(free);
    world.hear(Event::Claimed).prepared().ended().hear(Event::Verified { runs: vec![run(0)] });
    let found = Candidate { asks: true, ..candidate("t1") };
    world.hear(Event::Committed { candidate: found.clone() });
    assert!(world.wants(&Effect::Ask { candidate: found }), "{:?}", world.last);
}

#[test]
fn what_is_asked_for_after_a_push_begins_in_a_fresh_workspace_and_only_then() {
    let mut world = World::new(Limits { requests: false, ..LIMITS });
    let approval = world.until_asked("t1");
    world.hear(Event::Decided { approval, verdict: approved(), no_request: false }).hear(Event::Pushed);
    assert_eq!(world.outcome(), Some(Outcome::Done));
    world.hear(Event::Continue { instruction: "more".into() }).hear(Event::Claimed);
    assert!(world.job.needs_fresh_workspace());
    world.prepared();
    assert!(!world.job.needs_fresh_workspace());
    world.hear(Event::EngineFailed { why: "no key".into() }).hear(Event::Retry).hear(Event::Claimed);
    assert!(!world.job.needs_fresh_workspace(), "work that was not pushed would be thrown away");
    assert_eq!(world.job.wanted(), "more");
}

#[test]
fn what_could_not_be_pushed_may_be_outdated_when_it_is_tried_again_and_is_never_thrown_away_unseen() {
    let mut world = World::new(LIMITS);
    let approval = world.until_asked("t1");
    world.hear(Event::Decided { approval, verdict: approved(), no_request: false });
    world.hear(Event::NotPushed { why: "it went on".into() });
    assert!(!world.job.may_be_outdated(), "nobody asked for anything yet");
    world.hear(Event::Retry).hear(Event::Claimed).restart();
    assert!(world.job.may_be_outdated() && !world.job.needs_fresh_workspace());
    world.prepared();
    assert!(!world.job.may_be_outdated());
}

#[test]
fn a_look_for_work_ends_with_its_engine_and_nothing_is_taken_out() {
    let opening = Opening { discovery: true, ..opening() };
    let mut job = Job::new(opening.clone());
    let mut entries = Vec::new();
    for event in [
        Event::Claimed,
        Event::Prepared { base: "b".into(), branch: "atoll/1-look".into() },
        Event::EngineEnded { claim: "I propose much".into() },
    ] {
        for effect in job.step(&LIMITS, event) {
            match effect {
                Effect::Record(more) => entries.extend(more),
                Effect::Verify | Effect::Commit | Effect::Ask { .. } | Effect::Push { .. } => {
                    panic!("{effect:?}")
                }
                _ => {}
            }
        }
    }
    assert_eq!(job.phase().as_str(), "done");
    assert_eq!((job.claim(), job.candidate()), ("I propose much", None));
    assert_eq!(Job::rebuild(opening, &entries), Ok(job));
}
