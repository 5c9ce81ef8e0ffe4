//! The skill host: checks arguments, starts each call in a task of its own, ends it in time.

use std::{collections::HashMap, rc::Rc, sync::Arc, time::Duration};

use actix::prelude::*;
use jsonschema::Validator;
use tracing::Instrument as _;

use crate::{
    actors::{
        db::messages::*,
        kernel::{Door, Life, Mail, caught, messages::*},
    },
    domain::{ids::UserId, message::ToolCall},
    ports::{
        clock::Clock,
        metrics::Metrics,
        tool::{SharedSkills, ToolContext, ToolOutput},
    },
};

use super::{
    builtin, memory_tools,
    messages::{ListSkills, RunTool, Shelf},
};

/// Calls are taken at once and run in their own tasks.
const MAILBOX: usize = 1_024;
/// How long a tool that was told to end may take to be gone.
const GRACE: Duration = Duration::from_secs(5);

/// The doors that tools need.
#[derive(Clone)]
pub struct ToolDoors {
    /// Store a fact.
    pub store: Door<StoreMemory>,
    /// Change one.
    pub update: Door<UpdateMemory>,
    /// Forget one.
    pub delete: Door<DeleteMemory>,
    /// Count the use of some.
    pub used: Door<UsedMemories>,
    /// Find some.
    pub search: Door<SearchMemories>,
    /// List them.
    pub list: Door<ListMemories>,
    /// Note a file that a tool declared.
    pub put_file: Door<PutFile>,
}

/// What a running call needs; shared by all calls.
pub(super) struct Kit {
    pub(super) doors: ToolDoors,
    pub(super) skills: SharedSkills,
    pub(super) clock: Arc<dyn Clock>,
    metrics: Metrics,
    validators: HashMap<String, Validator>,
}

/// The actor.
pub struct SkillHost {
    life: Life,
    shelf: Shelf,
    kit: Rc<Kit>,
    started: u64,
}

impl SkillHost {
    /// A host for the built-in tools and these skills; puts their descriptions on the shelf.
    pub fn new(
        life: Life,
        shelf: Shelf,
        doors: ToolDoors,
        skills: SharedSkills,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        let book = builtin::book(skills.tools());
        let validators = book
            .all()
            .filter_map(|tool| match jsonschema::validator_for(&tool.input_schema) {
                Ok(validator) => Some((tool.name.clone(), validator)),
                Err(error) => {
                    tracing::warn!(tool = tool.name, %error, "tool has a broken schema: arguments go unchecked");
                    None
                }
            })
            .collect();
        shelf.store(Arc::new(book));
        Self { life, shelf, kit: Rc::new(Kit { doors, skills, clock, metrics, validators }), started: 0 }
    }
}

impl Kit {
    /// Why the arguments do not fit the tool's schema, if they do not.
    fn faults(&self, call: &ToolCall) -> Option<String> {
        const MOST: usize = 5;
        let validator = self.validators.get(&call.name)?;
        let faults: Vec<String> = validator
            .iter_errors(&call.args)
            .take(MOST)
            .map(|error| {
                let place = error.instance_path().to_string();
                let place = if place.is_empty() { "the arguments".to_owned() } else { place };
                format!("{place}: {error}")
            })
            .collect();
        (!faults.is_empty()).then(|| faults.join("; "))
    }

    async fn run(&self, call: ToolCall, context: ToolContext) -> ToolOutput {
        if let Some(faults) = self.faults(&call) {
            return ToolOutput::failed(format!(
                "Error: these arguments do not fit `{}`: {faults}",
                call.name
            ));
        }
        match call.name.as_str() {
            name if memory_tools::NAMES.contains(&name) => memory_tools::run(self, &call, &context).await,
            builtin::CLOCK => builtin::clock(self.clock.now(), &call),
            builtin::ACTIVATE => builtin::activate(&self.skills, &call),
            _ => {
                let user = context.user.clone();
                self.keep_files(user, self.skills.run(call, context).await).await
            }
        }
    }

    /// Notes the files of a tool's output under its user; one that cannot be noted is not attached.
    async fn keep_files(&self, user: UserId, mut output: ToolOutput) -> ToolOutput {
        for file in std::mem::take(&mut output.files) {
            let put = PutFile { user: user.clone(), file: file.clone(), now: self.clock.now() };
            match self.doors.put_file.ask(put).await {
                Ok(()) => output.files.push(file),
                Err(error) => output.text.push_str(&format!("\n[file not kept: {}: {error}]", file.name)),
            }
        }
        output
    }
}

/// Runs a call within its time. When the time is over, or somebody cancels, the tool is told so and has a
/// short while to end its process.
async fn run_in_time(kit: Rc<Kit>, call: ToolCall, context: ToolContext) -> ToolOutput {
    let (name, cancel) = (call.name.clone(), context.cancel.clone());
    let limit = Duration::from_millis(context.timeout_ms);
    let running = kit.run(call, context);
    tokio::pin!(running);
    let stopped = tokio::select! {
        output = &mut running => return output,
        () = tokio::time::sleep(limit) => format!("Error: `{name}` took longer than {} s and was ended.", limit.as_secs()),
        () = cancel.cancelled() => format!("Error: `{name}` was ended."),
    };
    cancel.cancel();
    if tokio::time::timeout(GRACE, running).await.is_err() {
        tracing::warn!(tool = name, "tool did not end in time; its task is dropped");
    }
    ToolOutput::failed(stopped)
}

impl Actor for SkillHost {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, MAILBOX);
    }
}

impl Handler<Mail<RunTool>> for SkillHost {
    type Result = ResponseFuture<ToolOutput>;

    fn handle(&mut self, mail: Mail<RunTool>, _: &mut Self::Context) -> Self::Result {
        let (RunTool { call, context, span }, _ticket) = mail.open();
        self.started += 1;
        let (kit, vitals) = (Rc::clone(&self.kit), Arc::clone(self.life.vitals()));
        let known = self.shelf.load().get(&call.name).is_some();
        let running = async move {
            let name = if known { call.name.clone() } else { "unknown".to_owned() };
            let output = caught(&vitals, run_in_time(Rc::clone(&kit), call, context)).await;
            let output =
                output.unwrap_or_else(|error| ToolOutput::failed(format!("Error: `{name}`: {error}.")));
            let outcome = if output.failed { "failed" } else { "ok" };
            kit.metrics.tool_calls.with_label_values(&[name.as_str(), outcome]).inc();
            output
        };
        Box::pin(running.instrument(span))
    }
}

impl Handler<Mail<ListSkills>> for SkillHost {
    type Result = MessageResult<Mail<ListSkills>>;

    fn handle(&mut self, mail: Mail<ListSkills>, _: &mut Self::Context) -> Self::Result {
        let (_, _ticket) = mail.open();
        MessageResult(self.kit.skills.list())
    }
}

impl Handler<Mail<Observe>> for SkillHost {
    type Result = Snapshot;

    fn handle(&mut self, mail: Mail<Observe>, _: &mut Self::Context) -> Snapshot {
        let (_, _ticket) = mail.open();
        let running = Rc::strong_count(&self.kit) - 1;
        Snapshot(serde_json::json!({"running": running, "started": self.started}))
    }
}

impl Handler<Mail<Stop>> for SkillHost {
    type Result = Drained;

    /// Sessions end before the host does, and cancel their calls.
    fn handle(&mut self, mail: Mail<Stop>, ctx: &mut Self::Context) -> Drained {
        let (_, _ticket) = mail.open();
        self.life.stop(ctx);
        Drained
    }
}
