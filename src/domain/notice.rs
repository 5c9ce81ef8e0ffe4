//! Words for what Atoll says of its own accord.

use super::{
    budget::{Dimension, Scope, WARN_PERCENT, Warning},
    job::{Closed, Entry, Head, NewTask, Outcome, Spent, Verbosity, Wait, words},
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

/// Where a coding job stands, for the message that shows it.
pub fn task_stands(asked: &NewTask, head: &Head, spent: &Spent) -> Body {
    let show = |dimension: Dimension| dimension.show(spent.amount.of(dimension));
    let known = [
        (TASK, Some(asked.id.to_string())),
        ("Project", Some(asked.project.to_string())),
        ("Branch", head.branch.clone()),
        ("Changed", head.candidate.as_ref().map(|candidate| candidate.stat.clone())),
        ("Why", Some(head.text.clone()).filter(|text| !text.is_empty())),
        ("Spent", Some(format!("{}, {}", show(Dimension::Money), show(Dimension::Tokens)))),
        ("Pull request", head.url.clone()),
    ];
    let facts = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    Body::Standing { task: asked.id.clone(), title: asked.title.clone(), state: head.state.clone(), facts }
}

/// What somebody is told of a coding job on its way, who wants to hear that much of it.
pub fn task_goes_on(asked: &NewTask, entry: &Entry) -> Option<Body> {
    let (least, title, body) = match entry {
        Entry::Prepared { branch, .. } => (Verbosity::Verbose, format!("Works on {branch}"), String::new()),
        Entry::EngineEnded { claim } => {
            (Verbosity::Verbose, "The engine is through".to_owned(), words::plain_claim(claim))
        }
        Entry::Verified { runs, accepted } => {
            let title = if *accepted { "Checked" } else { "Checks failed, and the engine is told" };
            (Verbosity::Verbose, title.to_owned(), words::checks(runs))
        }
        Entry::EngineLost { why } => (Verbosity::Normal, "The engine fell".to_owned(), why.clone()),
        Entry::Parked { wait: Wait::Isolation { why } } => {
            (Verbosity::Normal, "The task waits".to_owned(), why.clone())
        }
        _ => return None,
    };
    let facts = vec![(TASK.to_owned(), asked.id.to_string())];
    (asked.verbosity >= least).then_some(Body::Notice { title, body, facts })
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
