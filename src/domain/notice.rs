//! Words for what Atoll says of its own accord.

use super::{
    budget::{Dimension, WARN_PERCENT},
    outbound::Body,
};

/// The warning at four fifths of a daily budget.
pub fn budget_warning(dimension: Dimension, used: u64, cap: u64) -> Body {
    Body::Notice {
        title: "Budget warning".into(),
        body: format!(
            "Over {WARN_PERCENT} % of today's budget is used: {} of {}. At the limit work is parked, and an \
             owner is asked whether to raise it.",
            dimension.show(used),
            dimension.show(cap),
        ),
    }
}
