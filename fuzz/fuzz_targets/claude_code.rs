//! Feeds arbitrary bytes to `checks::claude_code`.
#![no_main]

#[path = "../checks.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::claude_code(bytes));
