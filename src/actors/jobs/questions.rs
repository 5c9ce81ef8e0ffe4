//! What a job asks people, and what it makes of the answers.

use actix::prelude::*;

use crate::domain::{
    approval::{Choice, Subject, Verdict},
    budget::Exceeded,
    engine::{Answer, Control},
    gateway::{EgressRecord, Verdict as Let},
    ids::{ApprovalId, encode_short},
    job::{Candidate, Event, Phase, Question, words},
    skill::action_hash,
};

use super::{
    job::{Done, JobActor},
    messages::JobRefused,
};

/// Most questions about hosts that one job has open.
const HOSTS: usize = 20;

impl JobActor {
    fn fresh_question(&self) -> ApprovalId {
        ApprovalId::new(encode_short(self.kit.clock.fresh()))
    }

    fn ask(&mut self, id: ApprovalId, subject: Subject, preview: String) {
        let expires_at = self.kit.clock.now().saturating_add(self.kit.settings.approval_ms);
        let Some(live) = &mut self.live else { return };
        live.questions.insert(id.clone(), subject.clone());
        live.pending.asks.push(Question { id, subject, preview, expires_at });
    }

    /// Asks whether exactly this may leave the machine. The question and the entry about it are stored together.
    pub(super) fn ask_for_commit(&mut self, candidate: &Candidate) {
        let id = self.fresh_question();
        let Some(live) = &self.live else { return };
        let branch = live.job.branch().unwrap_or_default();
        let (claim, runs) = (live.job.claim(), live.job.evidence());
        let preview = words::question(&live.task.asked, branch, candidate, claim, runs);
        let subject = Subject::Commit {
            job: self.id.clone(),
            commit: candidate.commit.clone(),
            tree: candidate.tree.clone(),
        };
        let limits = super::bounds::limits(&live.project, &self.kit);
        self.ask(id.clone(), subject, preview);
        let Some(live) = &mut self.live else { return };
        let effects = live.job.step(&limits, Event::Asked { approval: id });
        for effect in effects.into_iter().rev() {
            live.todo.push_front(effect);
        }
    }

    /// A budget has no room for what the engine wants next.
    pub(super) fn over_budget(&mut self, exceeded: Exceeded, ctx: &mut Context<Self>) {
        let Some(live) = &self.live else { return };
        if *live.job.phase() != Phase::Running {
            return;
        }
        let id = self.fresh_question();
        let preview = format!(
            "Raise the {} budget from {} by {}? {} are used, and the next call of a model may need {}.\n\nTask: {}",
            exceeded.scope.as_words(),
            exceeded.dimension.show(exceeded.cap),
            exceeded.dimension.show(exceeded.raise),
            exceeded.dimension.show(exceeded.used),
            exceeded.dimension.show(exceeded.asked),
            live.task.asked.title,
        );
        let why = format!(
            "the {} budget of {} is spent",
            exceeded.scope.as_words(),
            exceeded.dimension.show(exceeded.cap)
        );
        self.ask(id.clone(), Subject::Budget { exceeded }, preview);
        self.drop_work(ctx);
        self.hear(Event::OverBudget { approval: id, why }, ctx);
    }

    /// The sandbox asked for something outside. A host that is only missing on the list becomes a question, once.
    pub(super) fn outside(&mut self, record: &EgressRecord, ctx: &mut Context<Self>) {
        let Let::Refused { ask: true, .. } = &record.verdict else { return };
        let Some(live) = &mut self.live else { return };
        let host = record.host.rsplit_once(':').map_or(record.host.as_str(), |(host, _)| host).to_owned();
        let is_running = *live.job.phase() == Phase::Running;
        if !is_running || live.asked_hosts.len() >= HOSTS || !live.asked_hosts.insert(host.clone()) {
            return;
        }
        let preview = format!("Let this task reach {host} (port 443)?\n\nTask: {}", live.task.asked.title);
        let id = self.fresh_question();
        self.ask(id, Subject::Host { job: self.id.clone(), host }, preview);
        self.pump(ctx);
    }

    /// The engine asks before it acts.
    pub(super) fn engine_asks(&mut self, id: &str, tool: &str, input: &serde_json::Value, preview: &str) {
        let name = ApprovalId::new(format!("{}-{id}", self.id));
        let Some(live) = &self.live else { return };
        let subject = Subject::Tool { tool: tool.to_owned(), action: action_hash(tool, input) };
        let preview = format!("{preview}\n\nTask: {}", live.task.asked.title);
        self.ask(name, subject, preview);
    }

    /// The engine waits for that answer no more.
    pub(super) fn engine_asks_no_more(&mut self, id: &str, ctx: &mut Context<Self>) {
        let name = ApprovalId::new(format!("{}-{id}", self.id));
        let Some(live) = &mut self.live else { return };
        if live.questions.remove(&name).is_some() {
            live.pending.withdraws.push(name);
            self.pump(ctx);
        }
    }

    /// No engine waits for an answer about its tools any more.
    pub(super) fn withdraw_tools(&mut self) {
        let Some(live) = &mut self.live else { return };
        let is_tool = |subject: &Subject| matches!(subject, Subject::Tool { .. });
        let gone: Vec<_> =
            live.questions.extract_if(.., |_, subject| is_tool(subject)).map(|(id, _)| id).collect();
        live.pending.withdraws.extend(gone);
    }

    /// A person answered, or nobody did in time; the answer is stored.
    pub(super) fn decided(
        &mut self,
        approval: ApprovalId,
        verdict: Verdict,
        choice: Choice,
        done: Option<Done>,
        ctx: &mut Context<Self>,
    ) {
        let Some(live) = &mut self.live else { return };
        let Some(subject) = live.questions.remove(&approval) else {
            if let Some(done) = done {
                let _ = done.send(Err(JobRefused::NotNow("the question is not open any more".into())));
            }
            return self.pump(ctx);
        };
        live.pending.uses.push(approval.clone());
        live.pending.waiting.extend(done);
        match subject {
            Subject::Commit { .. } | Subject::Budget { .. } => {
                let no_request = choice == Choice::NoRequest;
                return self.hear(Event::Decided { approval, verdict, no_request }, ctx);
            }
            Subject::Host { host, .. } => self.host_decided(host, &verdict, choice),
            Subject::Tool { .. } => {
                let answer = match verdict {
                    Verdict::Approved { .. } => Answer::Allow,
                    Verdict::Rejected { reason, .. } => {
                        Answer::Deny { message: reason.unwrap_or_else(|| "a person refused it".into()) }
                    }
                    Verdict::Expired => Answer::Deny { message: "nobody answered in time".into() },
                };
                let own = format!("{}-", self.id);
                let question = approval.as_str().strip_prefix(&own).unwrap_or_default().to_owned();
                self.control(Control::Answer { question, answer });
            }
        }
        self.pump(ctx);
    }

    fn host_decided(&mut self, host: String, verdict: &Verdict, choice: Choice) {
        let Verdict::Approved { .. } = verdict else { return };
        let text = format!("{host} can be reached from now on; try again what failed for the lack of it.");
        let Some(live) = &mut self.live else { return };
        match choice {
            Choice::Job => _ = live.hosts.insert(host),
            Choice::Project => live.project.settings.allowed_hosts.push(host),
            Choice::Plain | Choice::NoRequest => _ = live.hosts_now.insert(host),
        }
        self.apply_policy();
        self.control(Control::Steer { text });
    }

    /// A word into the running work.
    pub(super) fn steer(&mut self, text: String, done: Option<Done>) {
        let running = self.live.as_ref().is_some_and(|live| *live.job.phase() == Phase::Running);
        let answer = match running && self.control(Control::Steer { text }) {
            true => Ok(()),
            false => {
                let why = "no engine is at work: continue the task when it is over, or reject its work with what is to be done";
                Err(JobRefused::NotNow(why.into()))
            }
        };
        if let Some(done) = done {
            let _ = done.send(answer);
        }
    }
}
