//! Why something cannot be done to a project, its board, its stories or its bots; each says what to do.

/// Why something cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What was given does not fit.
    #[error("{0}")]
    Bad(String),
    /// The caller saw an older state.
    #[error("version {given} is stale, it is at {current} now: read it again and repeat the change")]
    Stale {
        /// What the caller saw.
        given: u64,
        /// What is so.
        current: u64,
    },
    /// A column is full.
    #[error("the column `{column}` takes {limit} stories and is full: move one out, or raise its limit")]
    WipLimit {
        /// Which.
        column: String,
        /// How many it takes.
        limit: u32,
    },
    /// Stories would wait for each other.
    #[error("these stories would wait for each other: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
    /// A column still has stories.
    #[error("the column `{column}` has {stories} stories: move them out before you {verb}")]
    ColumnInUse {
        /// Which.
        column: String,
        /// How many.
        stories: u64,
        /// What was to be done with it.
        verb: &'static str,
    },
    /// There is one of this name.
    #[error("there is a {what} `{name}` already: choose another name")]
    Taken {
        /// What.
        what: &'static str,
        /// Which.
        name: String,
    },
    /// The claim is somebody else's by now, or was taken away.
    #[error("the claim under token {0} is not valid any more: stop the work and leave the story alone")]
    Fenced(u64),
    /// The bot may not take more.
    #[error("the bot is {0}: start it first")]
    NotRunning(&'static str),
    /// Work is under way.
    #[error("{0}")]
    Busy(String),
}

impl Refusal {
    /// A word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Bad(_) => "bad_request",
            Self::Stale { .. } => "stale",
            Self::WipLimit { .. } => "wip_limit",
            Self::Cycle(_) => "dependency_cycle",
            Self::ColumnInUse { .. } => "column_in_use",
            Self::Taken { .. } => "taken",
            Self::Fenced(_) => "fenced",
            Self::NotRunning(_) => "not_running",
            Self::Busy(_) => "busy",
        }
    }

    /// True when the request itself is at fault; else the state of the world is.
    pub fn is_bad_request(&self) -> bool {
        matches!(self, Self::Bad(_))
    }
}
