//! How each entry of the journal changes a job: the same way when it is made and when it is read again.

use super::{
    entry::{Entry, Outcome, Wait},
    state::{Job, JournalFault, Opening, Phase},
};
use crate::domain::approval::Verdict;

impl Job {
    /// A job as its journal has it.
    ///
    /// # Errors
    /// [`JournalFault`] at the first entry that does not follow.
    pub fn rebuild(opening: Opening, entries: &[Entry]) -> Result<Self, JournalFault> {
        let mut job = Self::new(opening);
        entries.iter().try_for_each(|entry| job.apply(entry))?;
        Ok(job)
    }

    /// Applies an entry that this job made or that was stored.
    ///
    /// # Errors
    /// [`JournalFault`] when the entry cannot follow; the job is then unchanged.
    pub(super) fn apply(&mut self, entry: &Entry) -> Result<(), JournalFault> {
        let next = self.follows(entry).ok_or(JournalFault { at: self.entries, kind: entry.kind() })?;
        self.remember(entry);
        self.phase = next;
        self.entries += 1;
        Ok(())
    }

    /// Where the job stands after an entry; `None` when it cannot follow.
    fn follows(&self, entry: &Entry) -> Option<Phase> {
        let next = match (&self.phase, entry) {
            (Phase::Queued, Entry::Claimed) => Phase::Preparing,
            (Phase::Preparing, Entry::Prepared { .. }) if self.ended => Phase::Verifying,
            (Phase::Preparing, Entry::Prepared { .. }) => Phase::Preparing,
            (Phase::Preparing | Phase::Verifying, Entry::EngineStarting { .. }) => Phase::Running,
            (Phase::Running, Entry::Session { .. }) => Phase::Running,
            (Phase::Running | Phase::Verifying | Phase::Committing, Entry::EngineLost { .. }) => {
                Phase::Preparing
            }
            (Phase::Running, Entry::EngineEnded { .. }) => Phase::Verifying,
            (Phase::Verifying, Entry::Verified { accepted: true, .. }) => Phase::Committing,
            (Phase::Verifying, Entry::Verified { accepted: false, .. }) => Phase::Verifying,
            (Phase::Committing, Entry::Committed { .. }) => Phase::Awaiting { approval: None },
            (Phase::Awaiting { approval: None }, Entry::Asked { approval, tree })
                if self.candidate.as_ref().is_some_and(|candidate| candidate.tree == *tree) =>
            {
                Phase::Awaiting { approval: Some(approval.clone()) }
            }
            (Phase::Awaiting { approval: Some(asked) }, Entry::Decided { approval, verdict, .. })
                if asked == approval =>
            {
                match verdict {
                    Verdict::Approved { .. } => Phase::Pushing,
                    Verdict::Rejected { .. } | Verdict::Expired => Phase::Preparing,
                }
            }
            (Phase::Awaiting { approval: None } | Phase::Pushing, Entry::Pushing { commit })
                if self.candidate.as_ref().is_some_and(|candidate| candidate.commit == *commit) =>
            {
                Phase::Pushing
            }
            (Phase::Pushing, Entry::Pushed) => Phase::Requesting,
            (Phase::Requesting, Entry::Requested { .. }) => Phase::Requesting,
            (Phase::Preparing, Entry::Parked { wait: wait @ Wait::Isolation { .. } }) => {
                Phase::Parked(wait.clone())
            }
            (Phase::Running, Entry::Parked { wait: wait @ Wait::Budget { .. } }) => {
                Phase::Parked(wait.clone())
            }
            (Phase::Parked(_), Entry::Unparked) => Phase::Preparing,
            (Phase::Over(_), Entry::Continued { .. }) => Phase::Queued,
            (Phase::Over(_), Entry::Ended { .. }) => return None,
            (_, Entry::Ended { closed }) => Phase::Over(closed.clone()),
            _ => return None,
        };
        Some(next)
    }

    fn remember(&mut self, entry: &Entry) {
        match entry {
            Entry::Prepared { branch, .. } => {
                self.branch = Some(branch.clone());
                (self.prepared, self.stranded) = (true, false);
            }
            Entry::EngineStarting { instruction } => {
                // Checks that failed go back in a round of their own.
                self.rounds += u32::from(self.phase == Phase::Verifying);
                self.instruction.clone_from(instruction);
                self.ended = false;
            }
            Entry::Session { id } => self.session = Some(id.clone()),
            Entry::EngineLost { .. } => self.falls += 1,
            Entry::EngineEnded { claim } => {
                self.claim.clone_from(claim);
                (self.falls, self.ended) = (0, true);
            }
            Entry::Verified { runs, .. } => self.runs.clone_from(runs),
            Entry::Committed { candidate } => self.candidate = Some(candidate.clone()),
            Entry::Decided { verdict, no_request, .. } => {
                self.no_request = *no_request;
                if let Verdict::Rejected { reason: Some(reason), .. } = verdict {
                    self.begin_anew(reason);
                }
            }
            Entry::Pushed => self.pushed = true,
            Entry::Requested { url } => self.url = Some(url.clone()),
            Entry::Continued { instruction } => self.begin_anew(instruction),
            Entry::Claimed
            | Entry::Asked { .. }
            | Entry::Pushing { .. }
            | Entry::Parked { .. }
            | Entry::Unparked => {}
            Entry::Ended { closed } => {
                self.stranded |= self.phase == Phase::Pushing && closed.outcome == Outcome::Failed;
            }
        }
    }

    /// A person's new instruction: what was approved before is void.
    fn begin_anew(&mut self, instruction: &str) {
        self.instruction = instruction.to_owned();
        self.wanted.clone_from(&self.instruction);
        if self.pushed {
            (self.pushed_before, self.prepared) = (true, false);
        }
        if self.stranded {
            // What was not pushed is thrown away only where it can never be pushed.
            (self.pushed_before, self.prepared) = (false, false);
        }
        self.candidate = None;
        self.runs.clear();
        self.claim.clear();
        self.ended = false;
        (self.rounds, self.falls, self.pushed, self.no_request) = (0, 0, false, false);
    }
}
