//! What the skill host takes.

use std::sync::Arc;

use actix::prelude::*;
use arc_swap::ArcSwap;
use tracing::Span;

use crate::{
    domain::{
        message::ToolCall,
        skill::{SkillInfo, ToolBook},
    },
    ports::tool::{ToolContext, ToolOutput},
};

/// The tools there are: written by the skill host, read by every turn as it begins.
pub type Shelf = Arc<ArcSwap<ToolBook>>;

/// Run this tool.
#[derive(Message, Debug, Clone)]
#[rtype(result = "ToolOutput")]
pub struct RunTool {
    /// The call.
    pub call: ToolCall,
    /// For whom, and as which call.
    pub context: ToolContext,
    /// What log lines about the call carry.
    pub span: Span,
}

/// All skills, active or not.
#[derive(Message, Debug, Clone, Copy)]
#[rtype(result = "Vec<SkillInfo>")]
pub struct ListSkills;
