//! Which jobs may run: as many as there is room for, in all, in each project and for each bot; of those that wait,
//! what a person waits for goes first, then the oldest.

use std::collections::BTreeMap;

use super::task::Priority;
use crate::domain::{
    Millis,
    ids::{BotId, JobId, ProjectId},
};

/// A job that wants to run, and how many of its kind may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The job.
    pub job: JobId,
    /// Its project.
    pub project: ProjectId,
    /// Most jobs of the project at once.
    pub of_project: u32,
    /// Its bot, and most jobs of the bot at once.
    pub bot: Option<(BotId, u32)>,
    /// Who goes first.
    pub priority: Priority,
    /// Since when it is there.
    pub at: Millis,
}

/// Who runs and who waits.
#[derive(Debug, Clone)]
pub struct Slots {
    most: usize,
    running: BTreeMap<JobId, Wish>,
    waiting: BTreeMap<JobId, Wish>,
}

impl Slots {
    /// Room for so many jobs.
    pub fn new(most: usize) -> Self {
        Self { most, running: BTreeMap::new(), waiting: BTreeMap::new() }
    }

    /// A job wants to run. One that runs already goes on.
    pub fn want(&mut self, wish: Wish) {
        if !self.running.contains_key(&wish.job) {
            self.waiting.insert(wish.job.clone(), wish);
        }
    }

    /// A job runs no more, or does not want to.
    pub fn free(&mut self, job: &JobId) {
        self.running.remove(job);
        self.waiting.remove(job);
    }

    /// The next job that may run; it counts as running from now on.
    pub fn grant(&mut self) -> Option<JobId> {
        if self.running.len() >= self.most {
            return None;
        }
        let fits = |wish: &&Wish| {
            let of = |same: &dyn Fn(&Wish) -> bool| self.running.values().filter(|other| same(other)).count();
            let bot = wish.bot.as_ref().is_none_or(|(bot, most)| {
                of(&|other| other.bot.as_ref().is_some_and(|(own, _)| own == bot)) < *most as usize
            });
            bot && of(&|other| other.project == wish.project) < wish.of_project as usize
        };
        let next = self.waiting.values().filter(fits).min_by_key(|wish| (wish.priority, wish.at, &wish.job));
        let job = next.map(|wish| wish.job.clone())?;
        let wish = self.waiting.remove(&job)?;
        self.running.insert(job.clone(), wish);
        Some(job)
    }

    /// How many run, and how many wait.
    pub fn counts(&self) -> (usize, usize) {
        (self.running.len(), self.waiting.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wish(job: &str, project: &str, priority: Priority, at: Millis) -> Wish {
        Wish {
            job: JobId::new(job),
            project: ProjectId::new(project),
            of_project: 1,
            bot: None,
            priority,
            at,
        }
    }

    fn all(slots: &mut Slots) -> Vec<String> {
        std::iter::from_fn(|| slots.grant()).map(|job| job.to_string()).collect()
    }

    #[test]
    fn a_person_goes_first_then_the_oldest_and_a_project_has_its_own_limit() {
        let mut slots = Slots::new(3);
        slots.want(wish("a", "p", Priority::Proactive, 1));
        slots.want(wish("b", "p", Priority::Interactive, 9));
        slots.want(wish("c", "q", Priority::Scheduled, 2));
        slots.want(wish("d", "r", Priority::Proactive, 5));
        slots.want(wish("e", "s", Priority::Proactive, 3));
        assert_eq!(all(&mut slots), ["b", "e", "d"]);
        slots.free(&JobId::new("e"));
        assert_eq!(all(&mut slots), ["c"], "the project of `a` is at work");
        slots.free(&JobId::new("b"));
        assert_eq!(all(&mut slots), ["a"]);
        assert_eq!(slots.counts(), (3, 0));
    }

    #[test]
    fn a_bot_has_a_limit_over_its_project_s() {
        let mut slots = Slots::new(9);
        for job in ["a", "b", "c"] {
            let bot = Some((BotId::new("x"), 2));
            slots.want(Wish { of_project: 9, bot, ..wish(job, "p", Priority::Proactive, 1) });
        }
        assert_eq!(all(&mut slots), ["a", "b"]);
        slots.want(wish("a", "p", Priority::Proactive, 1));
        assert_eq!(slots.counts(), (2, 1), "one that runs waits as well");
    }

    proptest! {
        #[test]
        fn no_limit_is_passed_and_nobody_is_forgotten(steps in proptest::collection::vec((0u8..12, 0u8..3, any::<bool>()), 0..120)) {
            let mut slots = Slots::new(4);
            let mut granted: Vec<JobId> = Vec::new();
            for (job, project, frees) in steps {
                let (job, project) = (job.to_string(), (job % 3).max(project % 1).to_string());
                if frees {
                    granted.retain(|other| other.as_str() != job);
                    slots.free(&JobId::new(job));
                } else {
                    slots.want(Wish { of_project: 2, ..wish(&job, &project, Priority::Proactive, 0) });
                }
                while let Some(job) = slots.grant() {
                    prop_assert!(!granted.contains(&job));
                    granted.push(job);
                }
                let (running, waiting) = slots.counts();
                prop_assert!(running == granted.len() && running <= 4);
                prop_assert!(waiting == 0 || running > 0, "somebody waits for nothing");
            }
        }
    }
}
