//! Taking a turn up again from its journal: nothing that is stored is done a second time.

use crate::domain::Millis;

use super::{
    answer::{UNKNOWN_OUTCOME, Why, failed_result},
    entry::{Entry, Outcome},
    event::{Effect, Env, ToolRun},
    state::{CallState, JournalFault, Opening, Phase, Turn},
    step::record,
};
use crate::domain::skill::EffectClass;

impl Turn {
    /// Rebuilds a turn from its journal without going on with it.
    ///
    /// # Errors
    /// [`JournalFault`] when the entries do not follow from each other.
    pub fn rebuild(opening: Opening, entries: &[Entry]) -> Result<Self, JournalFault> {
        let mut turn = Self::empty(opening);
        for entry in entries {
            turn.apply(entry)?;
        }
        Ok(turn)
    }

    /// Goes on with a rebuilt turn after a crash or a restart. `resumes` counts how often that was done,
    /// this time included: a turn that brings the process down again and again is ended.
    ///
    /// A question to the model that has no stored answer is asked again; a call without a stored result is
    /// run again when its class allows it or it never ran, and is else answered with "outcome unknown".
    pub fn resume(&mut self, now: Millis, env: &Env, resumes: u32) -> Vec<Effect> {
        if resumes > env.limits.resumes && !matches!(self.phase, Phase::Over(_)) {
            return self.end(Outcome::Poisoned, &Why::Crashes(resumes), Vec::new());
        }
        let mut entries = Vec::new();
        let mut again = Vec::new();
        for key in self.running() {
            let call = &self.calls[key.index];
            let (id, name) = (call.call.id.clone(), call.call.name.clone());
            match call.state {
                CallState::Started(class @ (EffectClass::Pure | EffectClass::Idempotent)) => {
                    again.push(ToolRun { key, call: call.call.clone(), class });
                }
                CallState::Started(class @ EffectClass::Once) if self.cut_off == Some(false) => {
                    again.push(ToolRun { key, call: call.call.clone(), class });
                }
                CallState::Started(EffectClass::Once) => {
                    let result = failed_result(&id, &name, UNKNOWN_OUTCOME);
                    let entry = Entry::Returned { index: key.index, result, activated: None, took_ms: 0 };
                    self.push(entry, &mut entries);
                }
                CallState::New | CallState::Held { .. } | CallState::Allowed | CallState::Done(_) => {}
            }
        }
        if !again.is_empty() {
            return record(entries, Some(Effect::RunTools(again)));
        }
        self.go_on(now, env, entries)
    }
}
