//! Coding jobs, from a task to a pushed branch: the real binary, gVisor, git and the store.

mod answers;
mod kit;
mod life;
mod many;
mod plain;
mod questions;
mod work;

pub(crate) use life::KILLS;
