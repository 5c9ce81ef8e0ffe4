//! Coding engines: the CLIs of Claude Code and Codex in the sandbox, and our own loop over tools run there.

pub mod claude_code;
pub mod codex;
pub mod dialog;
mod drive;
pub mod lines;
pub mod native;
