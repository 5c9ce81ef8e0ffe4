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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use actix::prelude::*;

    use super::*;
    use crate::{
        actors::{
            jobs::messages::JobRefused,
            kernel::{Mail, testing},
        },
        domain::{
            approval::{Approval, Choice, Refusal, Status, Subject, Verdict},
            ids::{ApprovalId, ConversationId, JobId, ProjectId, TurnId, UserId},
            project::{Project, ProjectChange},
        },
        ports::clock::Clock,
    };

    /// The store, the router and the jobs in one; what they were told.
    #[derive(Clone, Default)]
    struct Neighbour {
        /// The question's conversation; without one the store refuses.
        asked_in: Option<&'static str>,
        members: Vec<(&'static str, Role)>,
        told: Arc<Mutex<Vec<String>>>,
    }

    impl Actor for Neighbour {
        type Context = Context<Self>;
    }

    impl Handler<Mail<FindProject>> for Neighbour {
        type Result = Result<Option<Project>, DbError>;

        fn handle(&mut self, _: Mail<FindProject>, _: &mut Self::Context) -> Self::Result {
            if !self.asked_in.is_some_and(|place| place.starts_with("job/")) {
                return Ok(None);
            }
            let change = ProjectChange {
                name: Some("App".into()),
                repo_url: Some("/srv/app.git".into()),
                ..ProjectChange::default()
            };
            let mut project = Project::fresh(ProjectId::new("app"), &change, 0).unwrap();
            let members = self.members.iter().map(|(user, role)| (UserId::new(*user), *role));
            project.members = members.collect();
            Ok(Some(project))
        }
    }

    impl Handler<Mail<Decide>> for Neighbour {
        type Result = Result<Decided, DbError>;

        fn handle(&mut self, mail: Mail<Decide>, _: &mut Self::Context) -> Self::Result {
            let (Decide { answer }, _ticket) = mail.open();
            self.told.lock().unwrap().push(format!("store: member {}", answer.member));
            let Some(place) = self.asked_in else { return Err(Refusal::Unknown.into()) };
            let approval = Approval {
                id: answer.id,
                turn: TurnId::new("t"),
                conversation: ConversationId::new(place),
                user: UserId::new("ann"),
                subject: Subject::Commit { job: JobId::new("j1"), commit: "c".into(), tree: "t".into() },
                preview: String::new(),
                status: Status::Approved,
                asked_at: 0,
                expires_at: 1,
                decided_by: Some(answer.by.clone()),
                decided_at: Some(0),
                reason: None,
                choice: answer.choice,
            };
            Ok(Decided { approval, verdict: Verdict::Approved { by: answer.by } })
        }
    }

    impl Handler<Mail<Command>> for Neighbour {
        type Result = usize;

        fn handle(&mut self, mail: Mail<Command>, _: &mut Self::Context) -> usize {
            let (Command { to, order }, _ticket) = mail.open();
            self.told.lock().unwrap().push(format!("router: {to:?} {order:?}"));
            1
        }
    }

    impl Handler<Mail<TellJob>> for Neighbour {
        type Result = Result<(), JobRefused>;

        fn handle(&mut self, mail: Mail<TellJob>, _: &mut Self::Context) -> Self::Result {
            let (TellJob { job, order }, _ticket) = mail.open();
            self.told.lock().unwrap().push(format!("jobs: {job} {order:?}"));
            Ok(())
        }
    }

    /// What is told when `dora` answers with a key of this role.
    async fn told(clock: &Arc<dyn Clock>, neighbour: Neighbour, role: Role) -> (bool, Vec<String>) {
        let (_, vitals) = testing::orphan("neighbour", clock);
        let told = Arc::clone(&neighbour.told);
        let addr = neighbour.start();
        let answers = Answers {
            decide: Door::to("store", addr.clone().recipient(), Arc::clone(&vitals)),
            project: Door::to("store", addr.clone().recipient(), Arc::clone(&vitals)),
            command: Door::to("router", addr.clone().recipient(), Arc::clone(&vitals)),
            tell_job: Door::to("jobs", addr.recipient(), vitals),
        };
        let answer = Answer {
            id: ApprovalId::new("q1"),
            approve: true,
            reason: None,
            by: "dora".into(),
            actor: "key:dora".into(),
            user: UserId::new("dora"),
            owner: false,
            // Nobody may say so of themselves.
            member: true,
            choice: Choice::NoRequest,
            now: 0,
        };
        let given = answers.give(answer, role).await.is_ok();
        let told = told.lock().unwrap().clone();
        (given, told)
    }

    #[actix::test]
    async fn an_answer_goes_to_whoever_asked_and_to_nobody_else() {
        let clock = testing::TestClock::start();
        let job = Neighbour {
            asked_in: Some("job/ann/j1"),
            members: vec![("dora", Role::Developer)],
            ..Neighbour::default()
        };
        let (given, to) = told(&clock, job, Role::Developer).await;
        assert!(given && to.len() == 2, "{to:?}");
        assert_eq!(to[0], "store: member true");
        assert!(to[1].starts_with("jobs: j1 Decided") && to[1].contains("choice: NoRequest"), "{to:?}");
        let session = Neighbour { asked_in: Some("api/ann/default"), ..Neighbour::default() };
        let (given, to) = told(&clock, session, Role::Developer).await;
        assert!(given && to.len() == 2 && to[1].starts_with("router: "), "{to:?}");
        assert_eq!(to[0], "store: member false");
        let (given, to) = told(&clock, Neighbour::default(), Role::Developer).await;
        assert_eq!((given, to.len()), (false, 1), "what is not stored is told to nobody: {to:?}");
    }

    #[actix::test]
    async fn only_developers_of_the_project_answer_for_it() {
        let clock = testing::TestClock::start();
        for (members, role, member) in [
            (vec![("dora", Role::Viewer)], Role::Developer, false),
            (vec![("dora", Role::Owner)], Role::Developer, true),
            (vec![("dora", Role::Owner)], Role::Viewer, false),
            (vec![("eve", Role::Owner)], Role::Developer, false),
            (vec![], Role::Owner, true),
        ] {
            let job = Neighbour { asked_in: Some("job/ann/j1"), members, ..Neighbour::default() };
            let (_, to) = told(&clock, job, role).await;
            assert_eq!(to[0], format!("store: member {member}"));
        }
    }
}
