//! Which calls of an answer may start now: batches in call order, one at a time for what acts on the world.

use crate::domain::{
    Millis,
    approval::Subject,
    ids::ApprovalId,
    skill::{EffectClass, ToolSpec, action_hash},
};

use super::{
    answer::failed_result,
    entry::{Entry, Held},
    event::{Env, ToolRun},
    state::{CallState, Turn},
};

/// Longest preview of an approval, in characters.
const PREVIEW: usize = 4_000;

/// What may happen next with the calls at hand.
pub(super) enum Plan {
    /// Wait for what runs.
    Wait,
    /// Start these.
    Start(Vec<ToolRun>),
    /// Only people can move it on.
    Hold,
    /// All calls are done.
    Done,
}

impl Turn {
    /// Settles all calls that need no running, asks for those that need a person, and says what may start.
    /// The entries it makes are applied as they are made.
    pub(super) fn plan(&mut self, now: Millis, env: &Env, entries: &mut Vec<Entry>) -> Plan {
        for index in 0..self.calls.len() {
            if self.calls.get(index).is_some_and(|call| call.state == CallState::New)
                && let Some(entry) = self.settle(index, now, env)
            {
                self.push(entry, entries);
            }
        }
        if self.calls.is_empty() {
            return Plan::Done;
        }
        if !self.running().is_empty() {
            return Plan::Wait;
        }
        let batch = self.batch(env);
        if batch.is_empty() {
            return Plan::Hold;
        }
        for run in &batch {
            self.push(Entry::Intent { index: run.key.index, class: run.class }, entries);
        }
        Plan::Start(batch)
    }

    /// The entry for a call that cannot run, or must be asked for; `None` for one that may run.
    fn settle(&self, index: usize, now: Millis, env: &Env) -> Option<Entry> {
        let call = &self.calls[index].call;
        let refuse = |output: String| {
            let result = failed_result(&call.id, &call.name, output);
            Some(Entry::Returned { index, result, activated: None, took_ms: 0 })
        };
        let Some(spec) = env.tools.get(&call.name) else {
            let names: Vec<&str> =
                env.tools.available(&self.activated).map(|(tool, _)| tool.name.as_str()).collect();
            return refuse(format!(
                "Error: there is no tool `{}`. There are: {}.",
                call.name,
                names.join(", ")
            ));
        };
        if let Some(skill) = spec.skill.as_ref().filter(|skill| !self.activated.contains(*skill)) {
            return refuse(format!("Error: activate the skill `{skill}` first, with `activate_skill`."));
        }
        if !call.args.is_object() {
            return refuse(format!("Error: the arguments of `{}` must be a JSON object.", call.name));
        }
        if spec.approval { Some(self.hold(index, now, env)) } else { None }
    }

    fn hold(&self, index: usize, now: Millis, env: &Env) -> Entry {
        let call = &self.calls[index].call;
        let preview = format!("{} {}", call.name, call.args);
        let held = Held {
            approval: ApprovalId::new(format!("{}-{}-{index}", self.id(), self.answers)),
            subject: Subject::Tool { tool: call.name.clone(), action: action_hash(&call.name, &call.args) },
            preview: preview.chars().take(PREVIEW).collect(),
            asked_at: now,
            expires_at: now.saturating_add(i64::try_from(env.limits.approval_ms).unwrap_or(i64::MAX)),
        };
        Entry::Held { index, held }
    }

    /// The calls that may run side by side now, while nothing else runs: all that only read or know their
    /// key up to the next one that acts; that one alone.
    fn batch(&self, env: &Env) -> Vec<ToolRun> {
        let mut batch: Vec<ToolRun> = Vec::new();
        for (index, call) in self.calls.iter().enumerate() {
            match &call.state {
                CallState::Done(_) | CallState::Started(_) => {}
                CallState::Held { .. } => {
                    // What acts on the world keeps its place, also while a person thinks about it.
                    if class_of(env.tools.get(&call.call.name).map(AsRef::as_ref)) == EffectClass::Once {
                        break;
                    }
                }
                CallState::New | CallState::Allowed => {
                    let class = class_of(env.tools.get(&call.call.name).map(AsRef::as_ref));
                    if class == EffectClass::Once && !batch.is_empty() {
                        break;
                    }
                    batch.push(ToolRun { key: self.key(index), call: call.call.clone(), class });
                    if class == EffectClass::Once {
                        break;
                    }
                }
            }
        }
        batch
    }
}

/// A tool that went away since the call was allowed is treated with the most care.
fn class_of(spec: Option<&ToolSpec>) -> EffectClass {
    spec.map_or(EffectClass::Once, |spec| spec.effect)
}
