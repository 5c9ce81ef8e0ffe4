//! The ways to the actor that owns the job's sandbox.

use std::sync::Arc;

use crate::actors::{
    kernel::{Door, Life},
    sandbox::messages::{Close, HandOver, Open, Run, SetPolicy, StartEngine, TellEngine},
};

/// Starts the actor of a sandbox.
pub type StartBench = Arc<dyn Fn(Life) -> Bench + Send + Sync>;

/// The ways there.
#[derive(Clone)]
pub struct Bench {
    /// Make the sandbox.
    pub open: Door<Open>,
    /// Run a command in it.
    pub run: Door<Run>,
    /// Change what it may reach.
    pub set_policy: Door<SetPolicy>,
    /// Start the engine.
    pub start_engine: Door<StartEngine>,
    /// Tell it something.
    pub tell_engine: Door<TellEngine>,
    /// Hand the work over.
    pub hand_over: Door<HandOver>,
    /// End the sandbox.
    pub close: Door<Close>,
}
