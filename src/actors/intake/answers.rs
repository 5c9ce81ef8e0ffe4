//! An answer to a question, from wherever it comes: stored once, then told to whoever asked.

use crate::{
    actors::{
        db::messages::{DbError, Decide, FindProject, ProjectOf},
        jobs::messages::{JobOrder, TellJob},
        kernel::Door,
        router::messages::{Command, To},
        session::messages::Order,
    },
    domain::{access::Role, approval::Answer, journal::Decided},
};

/// Whom an answer goes to.
#[derive(Clone)]
pub struct Answers {
    /// Stores it.
    pub decide: Door<Decide>,
    /// The project of a job that asks.
    pub project: Door<FindProject>,
    /// To the session that asked.
    pub command: Door<Command>,
    /// To the job that asked.
    pub tell_job: Door<TellJob>,
}

impl Answers {
    /// Stores the answer of somebody whose key has this role, and tells it. What they may do in the project that a job
    /// works in is looked up here.
    ///
    /// # Errors
    /// What the store says against it; nothing was told then.
    pub async fn give(&self, answer: Answer, role: Role) -> Result<Decided, DbError> {
        let of = ProjectOf::Approval(answer.id.clone());
        let project = self.project.ask(FindProject { of }).await?;
        let here = project.and_then(|project| project.role_of(&answer.user, role));
        let answer = Answer { member: here.is_some_and(|here| here >= Role::Developer), ..answer };
        let decided = self.decide.ask(Decide { answer }).await?;
        let (approval, verdict) = (decided.approval.id.clone(), decided.verdict.clone());
        // Whoever is down finds the answer in the store when it is started again.
        match decided.approval.job() {
            Some(job) => {
                let choice = decided.approval.choice;
                let order = JobOrder::Decided { approval, verdict, choice };
                let _ = self.tell_job.send(TellJob { job, order }).await;
            }
            None => {
                let to = To::One(decided.approval.conversation.clone());
                let order = Order::Decided { approval, verdict };
                let _ = self.command.send(Command { to, order }).await;
            }
        }
        Ok(decided)
    }
}
