//! Random events against the turn: it never panics, never emits an effect twice, is never stuck, always ends,
//! and is rebuilt from its journal as it was.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::{
    tests::{env, opening, reply},
    *,
};
use crate::domain::{
    approval::Verdict,
    budget::{Dimension, Exceeded, Scope},
    ids::InboundId,
    message::{ToolResult, is_paired},
    model::{ModelError, Stop},
};

/// What may happen next; numbers pick among what is possible.
#[derive(Debug, Clone)]
enum Happening {
    Says(bool),
    Calls(Vec<u8>),
    Fails(bool),
    Full(bool),
    Returns(usize, bool),
    Stray(u32, usize),
    Steers,
    Decides(usize, u8),
    NoBudget(bool),
    Stops,
    Crashes,
    Ends(u8),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => any::<bool>().prop_map(Happening::Says),
        8 => proptest::collection::vec(0u8..8, 1..5).prop_map(Happening::Calls),
        1 => any::<bool>().prop_map(Happening::Fails),
        1 => any::<bool>().prop_map(Happening::Full),
        12 => (any::<usize>(), any::<bool>()).prop_map(|(at, failed)| Happening::Returns(at, failed)),
        2 => (0u32..6, 0usize..6).prop_map(|(answer, index)| Happening::Stray(answer, index)),
        2 => Just(Happening::Steers),
        5 => (any::<usize>(), 0u8..4).prop_map(|(at, verdict)| Happening::Decides(at, verdict)),
        1 => any::<bool>().prop_map(Happening::NoBudget),
        1 => Just(Happening::Stops),
        3 => Just(Happening::Crashes),
        1 => (0u8..4).prop_map(Happening::Ends),
    ]
}

const TOOLS: [&str; 8] = ["look", "put", "fire", "launch", "peek", "dig", "nope", "look"];

/// Plays the shell: keeps the journal, and what is under way.
struct Shell {
    turn: Turn,
    journal: Vec<Entry>,
    model: Option<u32>,
    tools: BTreeSet<CallKey>,
    /// Calls that were started since the last crash, or are `once` and were ever started.
    started: BTreeSet<CallKey>,
    once: BTreeSet<CallKey>,
    finished: bool,
    parked: bool,
}

impl Shell {
    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            assert!(!self.finished, "nothing follows the end: {effect:?}");
            match effect {
                Effect::AbandonModel => self.model = None,
                Effect::StopTools(keys) => keys.iter().for_each(|key| assert!(self.tools.remove(key))),
                Effect::Record(entries) => {
                    assert!(!entries.is_empty());
                    self.journal.extend(entries);
                }
                Effect::AskModel { ask, .. } => {
                    self.parked = false;
                    assert!(self.tools.is_empty(), "the model is asked when all tools are done");
                    assert!(self.model.replace(ask).is_none_or(|last| last < ask), "asked twice");
                }
                Effect::RunTools(runs) => {
                    self.parked = false;
                    for run in runs {
                        assert!(self.started.insert(run.key), "{:?} was started twice", run.key);
                        if run.class == crate::domain::skill::EffectClass::Once {
                            assert!(self.once.insert(run.key), "{:?} acts and was started twice", run.key);
                            assert!(self.tools.is_empty(), "what acts runs alone");
                        }
                        self.tools.insert(run.key);
                    }
                }
                Effect::Park => {
                    assert!(self.tools.is_empty());
                    self.model = None;
                    self.parked = true;
                }
                Effect::Finish => self.finished = true,
            }
        }
        if !self.finished {
            let alive = self.model.is_some() || !self.tools.is_empty() || self.parked;
            assert!(alive, "stuck in {:?}", self.turn.phase());
            assert!(!self.parked || !self.turn.open_approvals().is_empty(), "parked for nobody");
        }
    }

    fn event(&self, happening: &Happening, steers: usize) -> Option<Event> {
        let ask = self.model;
        Some(match happening {
            Happening::Says(cut) => {
                let stop = if *cut { Stop::Length } else { Stop::End };
                Event::ModelAnswered { ask: ask?, answer: reply("words", &[], stop) }
            }
            Happening::Calls(tools) => {
                let calls: Vec<_> =
                    tools.iter().map(|&tool| (TOOLS[tool as usize], json!({"n": tool}))).collect();
                Event::ModelAnswered { ask: ask?, answer: reply("", &calls, Stop::Tools) }
            }
            Happening::Fails(long) => {
                let error = if *long { ModelError::TooLong(String::new()) } else { ModelError::TimedOut };
                Event::ModelFailed { ask: ask?, error }
            }
            Happening::Full(history) => {
                ask.filter(|_| self.turn.phase() == &Phase::Asking(Purpose::Answer))?;
                Event::ContextFull { through: history.then_some(1) }
            }
            Happening::Returns(at, failed) => {
                let key = *self.tools.iter().nth(at % self.tools.len().max(1))?;
                returned(key, *failed)
            }
            Happening::Stray(answer, index) => {
                let key = CallKey { answer: *answer, index: *index };
                if self.tools.contains(&key) {
                    return None;
                }
                returned(key, false)
            }
            Happening::Steers => {
                Event::Steer { inbound: InboundId::new(format!("s{steers}")), text: "more".into() }
            }
            Happening::Decides(at, verdict) => {
                let open = self.turn.open_approvals();
                let approval = open.get(at % open.len().max(1))?.clone();
                let verdict = match verdict {
                    0 => Verdict::Expired,
                    1 => Verdict::Rejected { by: "b".into(), reason: None },
                    _ => Verdict::Approved { by: "b".into() },
                };
                Event::Decided { approval, verdict }
            }
            Happening::NoBudget(user) => {
                let scope = if *user { Scope::User } else { Scope::Turn };
                let dimension = Dimension::Tokens;
                Event::OverBudget(Exceeded { scope, dimension, cap: 1, used: 1, asked: 1, raise: 1 })
            }
            Happening::Stops => Event::StopTools,
            Happening::Crashes => return None,
            Happening::Ends(how) => Event::End(match how {
                0 => Outcome::Cancelled,
                1 => Outcome::Interrupted,
                2 => Outcome::TimedOut,
                _ => Outcome::Poisoned,
            }),
        })
    }

    fn crash(&mut self, env: &Env) {
        let lost = crate::domain::budget::Amount { tokens: 10, tool_calls: 1, ..Default::default() };
        self.journal.push(Entry::Resumed { lost });
        let rebuilt = Turn::rebuild(opening(), &self.journal).expect("a journal that follows");
        let (mut one, mut two) = (rebuilt.clone(), rebuilt);
        let (first, second) = (one.resume(9, env, 1), two.resume(9, env, 1));
        assert_eq!(first, second, "recovery is determined by the journal");
        self.turn = one;
        self.model = None;
        self.tools.clear();
        self.started.clear();
        self.perform(first);
    }
}

fn returned(key: CallKey, failed: bool) -> Event {
    let result = ToolResult {
        id: format!("c{}", key.index),
        name: "t".into(),
        output: "out".into(),
        failed,
        files: vec![],
    };
    Event::ToolReturned { key, result, activated: None, took_ms: 1 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn whatever_happens_the_turn_stays_sound(happenings in proptest::collection::vec(happening(), 0..60)) {
        let env = env();
        let (turn, effects) = Turn::begin(1, opening(), String::new());
        let mut shell = Shell {
            turn,
            journal: Vec::new(),
            model: None,
            tools: BTreeSet::new(),
            started: BTreeSet::new(),
            once: BTreeSet::new(),
            finished: false,
            parked: false,
        };
        shell.perform(effects);
        for (at, happening) in happenings.iter().enumerate() {
            if shell.finished {
                break;
            }
            if matches!(happening, Happening::Crashes) {
                shell.crash(&env);
                continue;
            }
            // A budget refuses only what was about to start: the model call, or calls not yet begun.
            if matches!(happening, Happening::NoBudget(_)) && shell.model.is_none() {
                continue;
            }
            let Some(event) = shell.event(happening, at) else { continue };
            match &event {
                Event::ModelAnswered { .. } | Event::ModelFailed { .. } => shell.model = None,
                Event::ContextFull { .. } | Event::OverBudget(_) => shell.model = None,
                Event::ToolReturned { key, .. } => drop(shell.tools.remove(key)),
                _ => {}
            }
            let kept_model = shell.model;
            let effects = shell.turn.step(2, &env, event);
            shell.model = kept_model;
            shell.perform(effects);
            let rebuilt = Turn::rebuild(opening(), &shell.journal).unwrap();
            prop_assert_eq!(&rebuilt.transcript, &shell.turn.transcript);
            prop_assert_eq!(rebuilt.spent(), shell.turn.spent());
        }
        if !shell.finished {
            let effects = shell.turn.step(3, &env, Event::End(Outcome::Cancelled));
            shell.perform(effects);
        }
        prop_assert!(shell.finished);
        let Phase::Over(closed) = shell.turn.phase().clone() else { panic!("not over") };
        prop_assert!(is_paired(&shell.turn.closing_messages(&closed)));
        prop_assert_eq!(closed.text.is_empty(), closed.outcome.is_silent());
        prop_assert!(shell.turn.step(4, &env, Event::StopTools).is_empty());
    }
}
