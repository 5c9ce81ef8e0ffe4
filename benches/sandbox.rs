//! Sandboxes and coding jobs in real gVisor: what our code adds to the container engine, and what a job takes outside
//! its engine. `scripts/services` starts what they need. Prints the figures; asserts nothing about them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a measurement that cannot go on fails")]
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "it measures real time and prints it")]
#![expect(clippy::zombie_processes, reason = "a server that is dropped is killed and waited for")]

#[path = "../tests/it/support/mod.rs"]
mod support;

mod parts {
    pub(crate) mod containers;
    pub(crate) mod jobs;
    pub(crate) mod stats;
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let run = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if run("containers") {
        runtime.block_on(parts::containers::ours_and_bare());
    }
    if run("jobs") {
        runtime.block_on(parts::jobs::outside_the_engine());
    }
}
