//! Random events against the job: it never panics, never pushes what was not approved, always ends, and is rebuilt
//! from its journal as it was.

use proptest::prelude::*;

use super::{
    tests::{LIMITS, candidate, opening, run},
    *,
};
use crate::domain::{approval::Verdict, ids::ApprovalId};

fn event() -> impl Strategy<Value = Event> {
    let text = || Just("x".to_owned());
    let tree = || prop_oneof![Just("t1"), Just("t2")];
    let verdict = prop_oneof![
        3 => Just(Verdict::Approved { by: "ann".into() }),
        1 => Just(Verdict::Rejected { by: "ann".into(), reason: Some("no".into()) }),
        1 => Just(Verdict::Rejected { by: "ann".into(), reason: None }),
        1 => Just(Verdict::Expired),
    ];
    prop_oneof![
        4 => Just(Event::Claimed),
        6 => text().prop_map(|base| Event::Prepared { base, branch: "b".into() }),
        1 => text().prop_map(|why| Event::NotPrepared { why }),
        1 => text().prop_map(|why| Event::NoIsolation { why }),
        2 => text().prop_map(|id| Event::Session { id }),
        6 => text().prop_map(|claim| Event::EngineEnded { claim }),
        1 => text().prop_map(|why| Event::EngineFailed { why }),
        2 => text().prop_map(|why| Event::EngineLost { why }),
        6 => proptest::collection::vec((0i64..2).prop_map(run), 0..3).prop_map(|runs| Event::Verified { runs }),
        6 => tree().prop_map(|tree| Event::Committed { candidate: candidate(tree) }),
        1 => Just(Event::Unchanged),
        1 => text().prop_map(|why| Event::Refused { why }),
        6 => tree().prop_map(|tree| Event::Asked { approval: ApprovalId::new(tree) }),
        6 => (tree(), verdict, any::<bool>()).prop_map(|(tree, verdict, no_request)| Event::Decided {
            approval: ApprovalId::new(tree), verdict, no_request,
        }),
        4 => Just(Event::Pushed),
        1 => text().prop_map(|why| Event::NotPushed { why }),
        3 => text().prop_map(|url| Event::Requested { url }),
        1 => text().prop_map(|why| Event::NotRequested { why }),
        1 => tree().prop_map(|tree| Event::OverBudget { approval: ApprovalId::new(tree), why: "x".into() }),
        1 => Just(Event::Retry),
        1 => Just(Event::Cancel),
        2 => text().prop_map(|instruction| Event::Continue { instruction }),
    ]
}

/// The commit that may be pushed now: that of the last candidate, when a person approved since it came out.
fn approved(journal: &[Entry]) -> Option<String> {
    let mut commit = None;
    let mut approved = false;
    for entry in journal {
        match entry {
            Entry::Committed { candidate } => (commit, approved) = (Some(candidate.commit.clone()), false),
            Entry::Decided { verdict: Verdict::Approved { .. }, .. } => approved = true,
            Entry::Decided { .. } | Entry::Continued { .. } => approved = false,
            _ => {}
        }
    }
    commit.filter(|_| approved)
}

proptest! {
    #[test]
    fn whatever_happens_only_what_was_approved_is_pushed(
        events in proptest::collection::vec((event(), 0u8..10), 0..80),
    ) {
        let mut job = Job::new(opening());
        let mut journal: Vec<Entry> = Vec::new();
        for (event, dice) in events {
            let crashes = dice == 0;
            let effects = if crashes {
                job = Job::rebuild(opening(), &journal).unwrap();
                job.resume(&LIMITS)
            } else {
                job.step(&LIMITS, event)
            };
            for effect in effects {
                match effect {
                    Effect::Record(entries) => journal.extend(entries),
                    Effect::Push { commit } => prop_assert_eq!(Some(commit), approved(&journal)),
                    _ => {}
                }
            }
            let rebuilt = Job::rebuild(opening(), &journal).unwrap();
            prop_assert_eq!(&rebuilt, &job);
        }
        if !matches!(job.phase(), Phase::Over(_)) {
            job.step(&LIMITS, Event::Cancel);
            job.step(&LIMITS, Event::NotPushed { why: "x".into() });
            job.step(&LIMITS, Event::NotRequested { why: "x".into() });
        }
        prop_assert!(matches!(job.phase(), Phase::Over(_)));
    }
}
