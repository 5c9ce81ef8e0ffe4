//! When an engine hangs, has had its time or its turns: decided from what is seen and when, without a clock.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::event::{End, EngineEvent};
use crate::domain::Millis;

/// What a run may take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Most times that the model is asked.
    pub turns: u32,
    /// Longest time of all, in milliseconds. Waiting for a person does not count.
    pub total_ms: u64,
    /// Longest silence while no tool runs, in milliseconds.
    pub quiet_ms: u64,
    /// Longest silence while a tool runs, in milliseconds.
    pub tool_ms: u64,
    /// Longest time from an interrupt, or from the result, to the end of the process, in milliseconds.
    pub grace_ms: u64,
    /// Money that the engine itself is told it may spend, in US dollars; the gateway's budget is apart from it.
    pub cost_usd: Option<f64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            turns: 200,
            total_ms: 2 * 60 * 60 * 1_000,
            quiet_ms: 10 * 60 * 1_000,
            tool_ms: 30 * 60 * 1_000,
            grace_ms: 10_000,
            cost_usd: None,
        }
    }
}

/// What is to be done with the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Nothing.
    Wait,
    /// Ask it to stop, in its own protocol, and remember why.
    Interrupt(End),
    /// Kill it. It ended for this reason, unless it told its result before.
    Kill(End),
}

/// Open calls that are remembered, at most.
const CALLS: usize = 1_000;

/// Watches over one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Watch {
    limits: Limits,
    /// When something was last heard.
    heard: Millis,
    /// Calls without a result.
    calls: BTreeSet<String>,
    /// Questions without an answer, and since when one is open.
    questions: BTreeSet<String>,
    asked: Millis,
    /// Up to when it may run.
    until: Millis,
    /// It was asked to stop, then and therefore.
    interrupted: Option<(Millis, End)>,
    /// It told its result, then.
    result: Option<Millis>,
    killed: bool,
}

impl Watch {
    /// Begins to watch.
    pub fn new(limits: Limits, now: Millis) -> Self {
        Self {
            limits,
            heard: now,
            calls: BTreeSet::new(),
            questions: BTreeSet::new(),
            asked: now,
            until: later(now, limits.total_ms),
            interrupted: None,
            result: None,
            killed: false,
        }
    }

    /// Takes note of an event, or of nothing but the time, and says what is to be done.
    pub fn step(&mut self, now: Millis, event: Option<&EngineEvent>) -> Order {
        let mut turns_over = false;
        if let Some(event) = event {
            turns_over = self.hear(now, event);
        }
        if self.killed {
            return Order::Wait;
        }
        if let Some(at) = self.ends_by() {
            if now < at {
                return Order::Wait;
            }
            self.killed = true;
            return Order::Kill(self.interrupted.map_or(End::Hung, |(_, why)| why));
        }
        let why = if turns_over {
            End::Turns
        } else if !self.questions.is_empty() {
            return Order::Wait;
        } else if now >= self.until {
            End::Time
        } else if now >= self.silent_until() {
            End::Hung
        } else {
            return Order::Wait;
        };
        self.interrupted = Some((now, why));
        Order::Interrupt(why)
    }

    /// Somebody asks for the end. [`Order::Interrupt`] the first time.
    pub fn interrupt(&mut self, now: Millis) -> Order {
        if self.interrupted.is_some() || self.killed {
            return Order::Wait;
        }
        self.interrupted = Some((now, End::Interrupted));
        Order::Interrupt(End::Interrupted)
    }

    /// A question was answered: time counts again.
    pub fn answered(&mut self, now: Millis, question: &str) {
        if self.questions.remove(question) && self.questions.is_empty() {
            self.until = self.until.saturating_add(now.saturating_sub(self.asked).max(0));
            self.heard = now;
        }
    }

    /// When [`Watch::step`] is to be called again though nothing is heard; `None` while a person is waited for.
    pub fn next_at(&self) -> Option<Millis> {
        if self.killed {
            return None;
        }
        match self.ends_by() {
            Some(at) => Some(at),
            None if !self.questions.is_empty() => None,
            None => Some(self.until.min(self.silent_until())),
        }
    }

    /// Why it was asked to stop.
    pub fn reason(&self) -> Option<End> {
        self.interrupted.map(|(_, why)| why)
    }

    /// Takes note; true when the model was asked more often than it may be.
    fn hear(&mut self, now: Millis, event: &EngineEvent) -> bool {
        self.heard = now;
        if event.is_work() {
            // The engine took up work again, such as a message that came just before its result.
            self.result = None;
        }
        match event {
            EngineEvent::Turn { number } => return *number > self.limits.turns,
            EngineEvent::ToolCall { id, .. } if self.calls.len() < CALLS => {
                self.calls.insert(id.clone());
            }
            EngineEvent::ToolResult { id, .. } => {
                self.calls.remove(id);
            }
            EngineEvent::Question(question) => {
                if self.questions.is_empty() {
                    self.asked = now;
                }
                self.questions.insert(question.id.clone());
            }
            EngineEvent::Withdrawn { question } => self.answered(now, question),
            EngineEvent::Result(_) => {
                self.calls.clear();
                self.questions.clear();
                self.result = Some(now);
            }
            _ => {}
        }
        false
    }

    /// When the process must have ended, once its end is under way.
    fn ends_by(&self) -> Option<Millis> {
        let from = match (self.result, self.interrupted) {
            (Some(result), _) => result,
            (None, Some((at, _))) => at,
            (None, None) => return None,
        };
        Some(later(from, self.limits.grace_ms))
    }

    fn silent_until(&self) -> Millis {
        let silence = if self.calls.is_empty() { self.limits.quiet_ms } else { self.limits.tool_ms };
        later(self.heard, silence)
    }
}

fn later(from: Millis, by: u64) -> Millis {
    from.saturating_add(Millis::try_from(by).unwrap_or(Millis::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::engine::{Ending, Question, QuestionKind};
    use proptest::prelude::*;

    const LIMITS: Limits =
        Limits { turns: 3, total_ms: 1_000, quiet_ms: 100, tool_ms: 300, grace_ms: 10, cost_usd: None };

    fn call(id: &str) -> EngineEvent {
        EngineEvent::ToolCall { id: id.into(), name: "t".into(), input: serde_json::Value::Null }
    }

    fn done(id: &str) -> EngineEvent {
        EngineEvent::ToolResult { id: id.into(), output: String::new(), failed: false }
    }

    fn question(id: &str) -> EngineEvent {
        let kind = QuestionKind::Tool;
        let input = serde_json::Value::Null;
        EngineEvent::Question(Question { id: id.into(), kind, tool: "t".into(), input, preview: "".into() })
    }

    fn result() -> EngineEvent {
        let text = String::new();
        EngineEvent::Result(Ending { ok: true, text, end: End::Completed, exit: None, sandbox_gone: false })
    }

    #[test]
    fn silence_is_a_hang_sooner_without_a_tool() {
        let mut watch = Watch::new(LIMITS, 0);
        assert_eq!(watch.next_at(), Some(100));
        assert_eq!(watch.step(99, None), Order::Wait);
        assert_eq!(watch.step(99, Some(&call("1"))), Order::Wait);
        assert_eq!(watch.step(398, None), Order::Wait);
        assert_eq!(watch.step(398, Some(&done("1"))), Order::Wait);
        assert_eq!(watch.step(497, None), Order::Wait);
        assert_eq!(watch.step(498, None), Order::Interrupt(End::Hung));
        assert_eq!(watch.step(507, None), Order::Wait);
        assert_eq!(watch.step(508, None), Order::Kill(End::Hung));
        assert_eq!((watch.step(9_999, None), watch.next_at()), (Order::Wait, None));
    }

    #[test]
    fn a_persons_time_is_not_the_engines() {
        let mut watch = Watch::new(LIMITS, 0);
        watch.step(50, Some(&question("q")));
        assert_eq!((watch.step(900_000, None), watch.next_at()), (Order::Wait, None));
        watch.answered(900_050, "other");
        assert_eq!(watch.next_at(), None);
        watch.answered(900_050, "q");
        assert_eq!(watch.next_at(), Some(900_150));
        for at in (0..9).map(|step| 900_100 + step * 99) {
            assert_eq!(watch.step(at, Some(&EngineEvent::Delta { text: "x".into() })), Order::Wait, "{at}");
        }
        watch.step(900_990, Some(&done("x")));
        assert_eq!(watch.step(901_000, None), Order::Interrupt(End::Time));
    }

    #[test]
    fn turns_are_counted_and_one_too_many_ends_it_even_while_a_person_is_asked() {
        let mut watch = Watch::new(LIMITS, 0);
        watch.step(1, Some(&question("q")));
        assert_eq!(watch.step(1, Some(&EngineEvent::Turn { number: 3 })), Order::Wait);
        assert_eq!(watch.step(2, Some(&EngineEvent::Turn { number: 4 })), Order::Interrupt(End::Turns));
        assert_eq!(watch.step(3, Some(&EngineEvent::Turn { number: 5 })), Order::Wait);
        assert_eq!(watch.reason(), Some(End::Turns));
    }

    #[test]
    fn after_its_result_an_engine_has_little_time_to_leave_unless_it_works_on() {
        let mut watch = Watch::new(LIMITS, 0);
        watch.step(5, Some(&result()));
        watch.step(6, Some(&EngineEvent::Raw { line: "noise".into() }));
        assert_eq!(watch.next_at(), Some(15));
        watch.step(7, Some(&EngineEvent::Turn { number: 2 }));
        assert_eq!(watch.next_at(), Some(107));
        watch.step(20, Some(&result()));
        assert_eq!(watch.step(30, None), Order::Kill(End::Hung));
    }

    #[test]
    fn an_interrupt_is_asked_for_once_and_followed_by_a_kill() {
        let mut watch = Watch::new(LIMITS, 0);
        assert_eq!(watch.interrupt(5), Order::Interrupt(End::Interrupted));
        assert_eq!(watch.interrupt(6), Order::Wait);
        assert_eq!(watch.step(14, Some(&call("1"))), Order::Wait);
        assert_eq!(watch.step(15, None), Order::Kill(End::Interrupted));
    }

    proptest! {
        /// Whatever an engine does, unless it waits for a person, it is dead within its time and its grace.
        #[test]
        fn nothing_runs_for_ever(steps in proptest::collection::vec((0i64..60, 0u8..6), 1..200)) {
            let mut watch = Watch::new(LIMITS, 0);
            let (mut now, mut interrupted, mut killed) = (0, false, false);
            for (wait, kind) in steps {
                now += wait;
                let event = match kind {
                    0 => Some(call("1")),
                    1 => Some(done("1")),
                    2 => Some(EngineEvent::Delta { text: "x".into() }),
                    3 => Some(EngineEvent::Turn { number: 1 }),
                    _ => None,
                };
                match watch.step(now, event.as_ref()) {
                    Order::Wait => {}
                    Order::Interrupt(_) => {
                        prop_assert!(!interrupted && !killed);
                        interrupted = true;
                    }
                    Order::Kill(_) => {
                        prop_assert!(interrupted && !killed);
                        killed = true;
                    }
                }
                prop_assert!(killed || watch.next_at().is_some_and(|at| at <= 1_000 + 60 + 10));
            }
            watch.step(2_000, None);
            watch.step(3_000, None);
            prop_assert_eq!(watch.next_at(), None);
        }
    }
}
