//! The whole, over HTTP, against the real release binary: what a durable turn costs beside the bare model call
//! that it contains, and what the process needs. Prints the figures; asserts nothing.

#[path = "../tests/it/support/mod.rs"]
mod support;

mod parts {
    pub mod memory;
    pub mod process;
    pub mod raw;
    pub mod stats;
    pub mod turns;
    pub mod writes;
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
    if run("writes") {
        parts::writes::group_commit();
    }
}
