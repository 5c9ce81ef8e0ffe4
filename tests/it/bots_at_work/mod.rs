//! Bots at work: the real binary, real gVisor, real git. `scripts/services` starts what they need.

mod kit;
mod requests;
mod schedules;
mod stories;

use serde_json::{Value, json};

use crate::support::*;
use kit::*;
