//! Feeds arbitrary bytes to `checks::codex`.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::codex(bytes));
