//! Coding engines: what they tell, what they can be told, when one hangs, and whether its work counts.

mod approvals;
mod event;
mod judge;
mod watch;

pub use approvals::Approvals;
pub use event::{
    Answer, Change, Control, End, Ending, EngineEvent, Hint, Question, QuestionKind, RAW, Retry, TEXT, clip,
};
pub use judge::{FILES, Judgement, Ledger, Verdict};
pub use watch::{Limits, Order, Watch};
