//! Words for what Atoll says of its own accord.

use super::{
    budget::{Scope, WARN_PERCENT, Warning},
    job::{Closed, Head, NewTask, Outcome},
    outbound::Body,
};

/// The name of the fact that names a task.
pub const TASK: &str = "Task";

/// The warning at four fifths of a budget.
pub fn budget_warning(scope: Scope, Warning { dimension, used, cap }: Warning) -> Body {
    let whose = match scope {
        Scope::Turn => "this turn's",
        Scope::User => "today's",
        Scope::Job => "this job's",
        Scope::Bot => "the bot's daily",
    };
    Body::Notice {
        title: "Budget warning".into(),
        body: format!(
            "Over {WARN_PERCENT} % of {whose} budget is used: {} of {}. At the limit work is parked, and an \
             owner is asked whether to raise it.",
            dimension.show(used),
            dimension.show(cap),
        ),
        facts: Vec::new(),
    }
}

/// The end of a coding job.
pub fn task_ended(asked: &NewTask, head: &Head, closed: &Closed) -> Body {
    let how = match closed.outcome {
        Outcome::Done => "Task done",
        Outcome::Unchanged => "Task changed nothing",
        Outcome::Rejected => "Task rejected",
        Outcome::Failed => "Task failed",
        Outcome::Cancelled => "Task cancelled",
    };
    let known = [
        (TASK, Some(asked.id.to_string())),
        ("Project", Some(asked.project.to_string())),
        ("Branch", head.branch.clone()),
        ("Pull request", head.url.clone()),
    ];
    let facts = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    Body::Notice { title: format!("{how}: {}", asked.title), body: closed.text.clone(), facts }
}
