//! What bounds a job, as its project has it now, and why an order does nothing.

use crate::domain::{
    approval::Subject,
    branch::Strategy,
    job::{Event, Limits, Phase},
    project::Project,
};

use super::kit::JobKit;

/// The host that a question is about.
pub(super) fn host_of(subject: &Subject) -> Option<String> {
    match subject {
        Subject::Host { host, .. } => Some(host.clone()),
        _ => None,
    }
}

/// The bounds of a job, as its project has them now.
pub(super) fn limits(project: &Project, kit: &JobKit) -> Limits {
    let settings = &project.settings;
    // A branch that is everybody's is never written to without a person's word.
    let own_branch = settings.strategy == Strategy::FeaturePerJob;
    Limits {
        restarts: kit.settings.restarts,
        rounds: settings.limits.verify_rounds,
        needs_approval: settings.require_approval || !own_branch,
        pushes: settings.auto_push,
        requests: settings.auto_create_pr && settings.forge.is_some() && settings.strategy.has_request(),
    }
}

/// Why an order does nothing where the job stands.
pub(super) fn not_now(event: &Event, phase: &Phase) -> String {
    let state = phase.as_str();
    match (event, phase) {
        (Event::Cancel, Phase::Over(_)) => format!("it is over ({state})"),
        (Event::Cancel, _) => "what was approved is on its way: it cannot be cancelled any more".into(),
        (Event::Continue { .. }, Phase::Awaiting { .. }) => {
            "it waits for an answer about its work: reject it with what is to be done instead".into()
        }
        (Event::Continue { .. }, _) => format!("it is not over ({state}): wait for its end, or steer it"),
        _ => format!("it is not over and waits for no isolation ({state})"),
    }
}
