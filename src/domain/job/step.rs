//! The decisions of a job. What is recorded is stored before what follows it is done.

use super::{
    entry::{Candidate, Closed, Entry, Outcome, VerifyRun, Wait},
    event::{Effect, Event, Limits},
    state::{Job, Phase},
};
use crate::domain::approval::Verdict;

/// Characters of a failed check that go back to the engine.
const TAIL: usize = 4_000;

impl Job {
    /// Takes in an event and says what is to be done. An event that does not fit where the job stands changes
    /// nothing: it came too late.
    pub fn step(&mut self, limits: &Limits, event: Event) -> Vec<Effect> {
        match (self.phase.clone(), event) {
            (Phase::Over(_), Event::Continue { instruction }) => {
                self.record(vec![Entry::Continued { instruction }], vec![])
            }
            (Phase::Over(_), Event::Retry) => {
                let instruction = self.wanted.clone();
                self.record(vec![Entry::Continued { instruction }], vec![])
            }
            (Phase::Over(_), _) | (Phase::Pushing | Phase::Requesting, Event::Cancel) => Vec::new(),
            (_, Event::Cancel) => self.cancelled(),
            (Phase::Queued, Event::Claimed) => self.record(vec![Entry::Claimed], vec![Effect::Prepare]),
            (Phase::Preparing, Event::Prepared { base, branch }) => self.prepared(base, branch),
            (Phase::Preparing, Event::NotPrepared { why }) => self.end(Outcome::Failed, why),
            (Phase::Preparing, Event::NoIsolation { why }) => self.park(Wait::Isolation { why }),
            (Phase::Running, Event::Session { id }) => self.record(vec![Entry::Session { id }], vec![]),
            (Phase::Running, Event::EngineEnded { claim }) if self.discovery => {
                let mut effects = self.record(vec![Entry::EngineEnded { claim }], vec![]);
                effects.extend(self.end(Outcome::Done, "it looked around, and changed nothing".into()));
                effects
            }
            (Phase::Running, Event::EngineEnded { claim }) => {
                self.record(vec![Entry::EngineEnded { claim }], vec![Effect::Verify])
            }
            (Phase::Running, Event::EngineFailed { why }) => self.end(Outcome::Failed, why),
            (Phase::Running, Event::OverBudget { approval, why }) => {
                self.park(Wait::Budget { approval, why })
            }
            (Phase::Running | Phase::Verifying | Phase::Committing, Event::EngineLost { why }) => {
                self.lost(limits, why)
            }
            (Phase::Verifying, Event::Verified { runs }) => self.verified(limits, runs),
            (Phase::Committing, Event::Committed { candidate }) => self.committed(limits, candidate),
            (Phase::Committing, Event::Unchanged) => {
                let text = "the engine changed nothing; there is nothing to commit".to_owned();
                self.end(Outcome::Unchanged, text)
            }
            (Phase::Committing, Event::Refused { why }) => self.end(Outcome::Failed, why),
            (Phase::Awaiting { approval: None }, Event::Asked { approval }) => {
                let tree =
                    self.candidate.as_ref().map(|candidate| candidate.tree.clone()).unwrap_or_default();
                self.record(vec![Entry::Asked { approval, tree }], vec![])
            }
            (_, event @ Event::Decided { .. }) => self.decided(limits, event),
            (Phase::Parked(Wait::Isolation { .. }), Event::Retry) => {
                self.record(vec![Entry::Unparked], vec![Effect::Prepare])
            }
            (Phase::Pushing, Event::Pushed) => self.pushed(limits),
            (Phase::Pushing, Event::NotPushed { why }) => self.end(Outcome::Failed, why),
            (Phase::Requesting, Event::Requested { url }) => {
                let text = format!("pushed, and asked to be merged: {url}");
                self.end_after(vec![Entry::Requested { url }], Outcome::Done, text)
            }
            (Phase::Requesting, Event::NotRequested { why }) => {
                self.end(Outcome::Done, format!("pushed, but no pull request could be opened: {why}"))
            }
            _ => Vec::new(),
        }
    }

    /// What is to be done after a restart. Nothing is known of what was under way but what the journal says: an
    /// engine is taken as fallen, and a push is looked for on the remote before it is made again.
    pub fn resume(&mut self, limits: &Limits) -> Vec<Effect> {
        match self.phase.clone() {
            Phase::Queued | Phase::Over(_) | Phase::Awaiting { approval: Some(_) } => Vec::new(),
            Phase::Preparing => vec![Effect::Prepare],
            Phase::Running | Phase::Verifying | Phase::Committing => {
                self.lost(limits, "atoll was restarted while it ran".into())
            }
            Phase::Awaiting { approval: None } => self.ask_or_push(limits),
            Phase::Pushing => self.push(limits),
            Phase::Requesting => vec![Effect::OpenRequest],
            Phase::Parked(wait) => vec![Effect::Park { wait }],
        }
    }

    fn record(&mut self, entries: Vec<Entry>, then: Vec<Effect>) -> Vec<Effect> {
        for entry in &entries {
            let applied = self.apply(entry);
            debug_assert!(applied.is_ok(), "{applied:?} in {:?}", self.phase);
        }
        std::iter::once(Effect::Record(entries)).chain(then).collect()
    }

    fn prepared(&mut self, base: String, branch: String) -> Vec<Effect> {
        let entry = Entry::Prepared { base, branch };
        if self.ended {
            return self.record(vec![entry], vec![Effect::Verify]);
        }
        let instruction = self.instruction.clone();
        let entries = vec![entry, Entry::EngineStarting { instruction: instruction.clone() }];
        let session = self.session.clone();
        self.record(entries, vec![Effect::StartEngine { instruction, session }])
    }

    /// The sandbox is made anew: what the engine wrote lies in the workspace, not in it.
    fn lost(&mut self, limits: &Limits, why: String) -> Vec<Effect> {
        if self.falls >= limits.restarts {
            let text = format!("the engine fell {} times; at last: {why}", self.falls + 1);
            return self.end(Outcome::Failed, text);
        }
        self.record(vec![Entry::EngineLost { why }], vec![Effect::EndSandbox, Effect::Prepare])
    }

    fn verified(&mut self, limits: &Limits, runs: Vec<VerifyRun>) -> Vec<Effect> {
        let failed: Vec<&VerifyRun> = runs.iter().filter(|run| !run.passed()).collect();
        if failed.is_empty() || self.rounds >= limits.rounds {
            return self.record(vec![Entry::Verified { runs, accepted: true }], vec![Effect::Commit]);
        }
        let instruction = failures(&failed);
        let entries = vec![
            Entry::Verified { runs, accepted: false },
            Entry::EngineStarting { instruction: instruction.clone() },
        ];
        let session = self.session.clone();
        self.record(entries, vec![Effect::StartEngine { instruction, session }])
    }

    /// The question is stored with the commit that it is about, so that nobody sees the one without the other. What
    /// leaves unasked does so when the sandbox is gone.
    fn committed(&mut self, limits: &Limits, candidate: Candidate) -> Vec<Effect> {
        let mut effects = self.record(vec![Entry::Committed { candidate }], vec![]);
        let next = self.ask_or_push(limits);
        let asks = matches!(next.first(), Some(Effect::Ask { .. }));
        let place = effects.len() + usize::from(asks);
        effects.extend(next);
        effects.insert(place, Effect::EndSandbox);
        effects
    }

    fn ask_or_push(&mut self, limits: &Limits) -> Vec<Effect> {
        let Some(candidate) = self.candidate.clone() else { return Vec::new() };
        // Work that failed its checks, or has findings that weigh, leaves with a person's word only.
        let doubtful = candidate.asks || self.runs.iter().any(|run| !run.passed());
        if limits.needs_approval || doubtful {
            return vec![Effect::Ask { candidate }];
        }
        self.push(limits)
    }

    /// Pushes what was approved, or leaves it where it is when the project does not push.
    fn push(&mut self, limits: &Limits) -> Vec<Effect> {
        let Some(candidate) = self.candidate.clone() else { return Vec::new() };
        if !limits.pushes {
            let text =
                format!("the commit {} is on its branch here; the project does not push", candidate.commit);
            return self.end(Outcome::Done, text);
        }
        let commit = candidate.commit;
        self.record(vec![Entry::Pushing { commit: commit.clone() }], vec![Effect::Push { commit }])
    }

    fn decided(&mut self, limits: &Limits, event: Event) -> Vec<Effect> {
        let Event::Decided { approval, verdict, no_request } = event else { return Vec::new() };
        if self.open_approval() != Some(&approval) {
            return Vec::new();
        }
        if let Phase::Parked(_) = self.phase {
            return match verdict {
                Verdict::Approved { .. } => self.record(vec![Entry::Unparked], vec![Effect::Prepare]),
                Verdict::Rejected { .. } => self.end(Outcome::Failed, "its budget was not raised".into()),
                Verdict::Expired => self.end(Outcome::Failed, "nobody raised its budget in time".into()),
            };
        }
        let decided = Entry::Decided { approval, verdict: verdict.clone(), no_request };
        match verdict {
            Verdict::Approved { .. } => {
                let mut effects = self.record(vec![decided], vec![]);
                effects.extend(self.push(limits));
                effects
            }
            Verdict::Rejected { reason: Some(_), .. } => self.record(vec![decided], vec![Effect::Prepare]),
            Verdict::Rejected { by, reason: None } => {
                self.end_after(vec![decided], Outcome::Rejected, format!("rejected by {by}"))
            }
            Verdict::Expired => {
                self.end_after(vec![decided], Outcome::Rejected, "nobody approved it in time".into())
            }
        }
    }

    fn pushed(&mut self, limits: &Limits) -> Vec<Effect> {
        if limits.requests && !self.no_request {
            return self.record(vec![Entry::Pushed], vec![Effect::OpenRequest]);
        }
        self.end_after(vec![Entry::Pushed], Outcome::Done, "pushed".into())
    }

    fn park(&mut self, wait: Wait) -> Vec<Effect> {
        let stop = matches!(self.phase, Phase::Running).then_some(Effect::StopEngine);
        let then = [Effect::EndSandbox, Effect::Park { wait: wait.clone() }];
        self.record(vec![Entry::Parked { wait }], stop.into_iter().chain(then).collect())
    }

    fn cancelled(&mut self) -> Vec<Effect> {
        let withdraw = self.open_approval().cloned().map(|approval| Effect::Withdraw { approval });
        let mut effects = self.end(Outcome::Cancelled, "cancelled".into());
        effects.extend(withdraw);
        effects
    }

    fn end(&mut self, outcome: Outcome, text: String) -> Vec<Effect> {
        self.end_after(Vec::new(), outcome, text)
    }

    fn end_after(&mut self, mut entries: Vec<Entry>, outcome: Outcome, text: String) -> Vec<Effect> {
        let closed = Closed { outcome, text };
        entries.push(Entry::Ended { closed: closed.clone() });
        let stop = matches!(self.phase, Phase::Running).then_some(Effect::StopEngine);
        let then = stop.into_iter().chain([Effect::EndSandbox, Effect::Finish { closed }]).collect();
        self.record(entries, then)
    }
}

/// What the engine is told about checks that failed.
fn failures(failed: &[&VerifyRun]) -> String {
    let mut text = "These checks of the project failed on your work. Mend the cause, then end.".to_owned();
    for run in failed {
        let how = run.exit.map_or_else(|| "ended by its time".to_owned(), |exit| format!("exit code {exit}"));
        let skip = run.tail.chars().count().saturating_sub(TAIL);
        let tail: String = run.tail.chars().skip(skip).collect();
        text.push_str(&format!("\n\n$ {}\n{how}\n{tail}", run.command));
    }
    text
}
