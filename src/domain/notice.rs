//! Words for what Atoll says of its own accord.

use super::{
    budget::{Scope, WARN_PERCENT, Warning},
    outbound::Body,
};

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
    }
}
