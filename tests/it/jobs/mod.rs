//! Coding jobs, from a task to a pushed branch: the real binary, gVisor, git and the store.

mod answers;
mod deaths;
mod forges;
mod hostile;
mod keys;
mod kit;
mod life;
mod many;
mod plain;
mod questions;
mod threads;
mod work;

pub(crate) use life::KILLS;
