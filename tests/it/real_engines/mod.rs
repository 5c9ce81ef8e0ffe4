//! The real Claude Code and Codex, as npm has them, in real gVisor: the real binary takes a task, the CLI works in the
//! sandbox, its model is a server of our own behind the gateway, a person approves over REST, and a branch is pushed.
//! `scripts/services` builds the image with both in it.

mod budget;
mod secrecy;
mod site;
mod work;
