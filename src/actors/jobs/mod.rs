//! Coding jobs: one actor that takes them in and says which may run, and one for each that runs.

pub mod messages;
