//! The whole, over HTTP, against the real release binary: what a durable turn costs beside the bare model call
//! that it contains, and what the process needs. Prints the figures; asserts nothing.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a measurement that cannot go on fails")]
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "it measures real time and prints it")]
#![expect(clippy::zombie_processes, reason = "a server that is dropped is killed and waited for")]

#[path = "../tests/it/support/mod.rs"]
mod support;

mod parts {
    pub(crate) mod chats;
    pub(crate) mod memory;
    pub(crate) mod process;
    pub(crate) mod raw;
    pub(crate) mod stats;
    pub(crate) mod turns;
    pub(crate) mod writes;
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let run = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str()));
    println!("machine: {}", parts::process::machine());
    if run("start") {
        parts::process::start_to_ready();
    }
    if run("turns") {
        parts::turns::latency_and_throughput();
    }
    if run("rss") {
        parts::process::memory_of_the_process();
    }
    if run("memory") {
        parts::memory::search();
    }
    if run("chats") {
        parts::chats::many_at_once();
    }
    if run("writes") {
        parts::writes::group_commit();
    }
}
