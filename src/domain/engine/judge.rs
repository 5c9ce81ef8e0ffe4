//! Whether an engine's work counts: judged by its events and by the tree, never by an exit code alone.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::event::{Ending, EngineEvent, Hint};

/// What is remembered of a run's events for the judgement: of bounded size, however long the run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    /// The engine's session, once it was named.
    pub session: Option<String>,
    /// The latest words about usage; hints that do not replace each other are added up.
    pub hint: Hint,
    /// Times that a model was asked.
    pub turns: u32,
    /// Calls that ended well.
    pub worked: u32,
    /// Calls that failed.
    pub failed: u32,
    /// Calls that were denied.
    pub denied: u32,
    /// Errors that were told.
    pub errors: u32,
    /// Files that the engine says it changed; at most [`FILES`].
    pub claimed: BTreeSet<String>,
    /// How it ended.
    pub ending: Option<Ending>,
}

/// Most claimed files that are remembered.
pub const FILES: usize = 1_000;

/// What is made of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It says that it is done, and the tree changed.
    Worked,
    /// It says that it is done, and the tree is as it was.
    NothingChanged,
    /// It did not do its work; the tree may have changed all the same.
    Failed,
}

/// A verdict with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in one sentence for people.
    pub why: String,
    /// What is odd about it, though it does not change the verdict.
    pub notes: Vec<String>,
}

impl Ledger {
    /// Takes note of an event.
    pub fn note(&mut self, event: &EngineEvent) {
        match event {
            EngineEvent::Session { id, .. } => self.session = Some(id.clone()),
            EngineEvent::Turn { number } => self.turns = self.turns.max(*number),
            EngineEvent::ToolResult { failed: true, .. } => self.failed += 1,
            EngineEvent::ToolResult { failed: false, .. } => self.worked += 1,
            EngineEvent::Denied { .. } => self.denied += 1,
            EngineEvent::Error { .. } => self.errors += 1,
            EngineEvent::FileChange { path, .. } if self.claimed.len() < FILES => {
                self.claimed.insert(path.clone());
            }
            EngineEvent::Usage(hint) if hint.total => self.hint = *hint,
            EngineEvent::Usage(hint) => self.hint = sum(self.hint, *hint),
            EngineEvent::Result(ending) => self.ending = Some(ending.clone()),
            _ => {}
        }
    }

    /// What to make of the run, when it is over. `tree_changed`: the work tree differs from what it was before.
    pub fn judge(&self, tree_changed: bool) -> Judgement {
        let failed =
            |why: String| Judgement { verdict: Verdict::Failed, why, notes: self.notes(tree_changed) };
        let Some(ending) = &self.ending else {
            return failed("the engine ended without a result".into());
        };
        if !ending.ok {
            let first = ending.text.lines().next().unwrap_or_default();
            return failed(format!("the engine did not finish ({:?}): {first}", ending.end));
        }
        if tree_changed {
            let why = "the engine finished and the tree changed".into();
            return Judgement { verdict: Verdict::Worked, why, notes: self.notes(true) };
        }
        let tried = self.failed.max(self.denied);
        if self.worked == 0 && tried > 0 {
            return failed(format!("nothing changed: all {tried} calls failed or were denied"));
        }
        let why = "the engine finished and changed nothing".into();
        Judgement { verdict: Verdict::NothingChanged, why, notes: self.notes(false) }
    }

    fn notes(&self, tree_changed: bool) -> Vec<String> {
        let mut notes = Vec::new();
        if self.denied > 0 {
            notes.push(format!("{} calls were denied", self.denied));
        }
        if !tree_changed && !self.claimed.is_empty() {
            notes.push(format!(
                "it claims to have changed {} files; the tree did not change",
                self.claimed.len()
            ));
        }
        let Some(ending) = &self.ending else { return notes };
        match ending.exit {
            Some(0) if !ending.ok => notes.push("its process ended with code 0 all the same".into()),
            Some(code) if code != 0 && ending.ok => {
                notes.push(format!("its process ended with code {code} all the same"));
            }
            _ => {}
        }
        if !ending.ok && tree_changed {
            notes.push("the tree changed before it failed".into());
        }
        notes
    }
}

fn sum(one: Hint, two: Hint) -> Hint {
    let mut usage = one.usage;
    usage.input = usage.input.saturating_add(two.usage.input);
    usage.cached = usage.cached.saturating_add(two.usage.cached);
    usage.cache_written = usage.cache_written.saturating_add(two.usage.cache_written);
    usage.output = usage.output.saturating_add(two.usage.output);
    let cost_usd = match (one.cost_usd, two.cost_usd) {
        (None, None) => None,
        (one, two) => Some(one.unwrap_or_default() + two.unwrap_or_default()),
    };
    Hint { usage, cost_usd, total: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::engine::{Change, End};
    use proptest::prelude::*;

    fn ending(ok: bool, end: End, exit: Option<i64>) -> EngineEvent {
        EngineEvent::Result(Ending { ok, text: "words".into(), end, exit, sandbox_gone: false })
    }

    fn called(failed: bool) -> EngineEvent {
        EngineEvent::ToolResult { id: "1".into(), output: String::new(), failed }
    }

    #[test]
    fn events_and_the_tree_decide() {
        let denied = || EngineEvent::Denied { tool: "Bash".into(), why: String::new() };
        let done = || ending(true, End::Completed, Some(0));
        let broken = || ending(false, End::Api { status: Some(401) }, Some(0));
        let cases: [(&str, Vec<EngineEvent>, bool, Verdict); 10] = [
            ("worked", vec![called(false), done()], true, Verdict::Worked),
            ("worked, odd exit", vec![ending(true, End::Completed, Some(137))], true, Verdict::Worked),
            ("only talked", vec![done()], false, Verdict::NothingChanged),
            ("looked only", vec![called(false), done()], false, Verdict::NothingChanged),
            ("all denied, exit 0", vec![called(true), denied(), done()], false, Verdict::Failed),
            ("all failed, exit 0", vec![called(true), called(true), done()], false, Verdict::Failed),
            ("some denied", vec![called(false), denied(), done()], true, Verdict::Worked),
            ("dead key, exit 0", vec![broken()], false, Verdict::Failed),
            ("broken after edits", vec![called(false), broken()], true, Verdict::Failed),
            ("no result, exit unknown", vec![called(false)], true, Verdict::Failed),
        ];
        for (name, events, changed, verdict) in cases {
            let mut ledger = Ledger::default();
            events.iter().for_each(|event| ledger.note(event));
            assert_eq!(ledger.judge(changed).verdict, verdict, "{name}");
        }
    }

    #[test]
    fn claims_that_the_tree_does_not_bear_out_are_noted() {
        let mut ledger = Ledger::default();
        ledger.note(&called(false));
        ledger.note(&EngineEvent::FileChange { path: "a".into(), change: Change::Added });
        ledger.note(&ending(true, End::Completed, Some(0)));
        assert!(ledger.judge(false).notes.iter().any(|note| note.contains("claims")));
        assert!(ledger.judge(true).notes.is_empty());
    }

    #[test]
    fn totals_replace_and_the_rest_adds_up() {
        let hint = |input, total| {
            let usage = crate::domain::model::Usage { input, ..Default::default() };
            EngineEvent::Usage(Hint { usage, cost_usd: Some(1.0), total })
        };
        let mut ledger = Ledger::default();
        for (event, input) in [(hint(5, false), 5), (hint(7, false), 12), (hint(9, true), 9)] {
            ledger.note(&event);
            assert_eq!(ledger.hint.usage.input, input);
        }
    }

    proptest! {
        #[test]
        fn an_exit_code_changes_no_verdict(
            ok: bool, changed: bool, exit in proptest::option::of(-1i64..256), calls in proptest::collection::vec(any::<bool>(), 0..6),
        ) {
            let verdict = |exit| {
                let mut ledger = Ledger::default();
                calls.iter().for_each(|failed| ledger.note(&called(*failed)));
                ledger.note(&ending(ok, if ok { End::Completed } else { End::Failed }, exit));
                ledger.judge(changed).verdict
            };
            prop_assert_eq!(verdict(exit), verdict(None));
            prop_assert!(ok || verdict(exit) == Verdict::Failed);
            prop_assert!(changed || verdict(exit) != Verdict::Worked);
        }
    }
}
