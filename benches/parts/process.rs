//! What the process needs: time to be ready, memory at rest, with live sessions, after many turns.

use std::time::{Duration, Instant};

use super::{raw::Connection, stats::Times};
use crate::support::{MockModel, Server, Site, with_model};

pub(crate) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory: u64 =
        read("/proc/meminfo").split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0);
    format!("{cores} cores of{}, {} GiB", model.trim_start_matches([':', '\t']), memory / 1024 / 1024)
}

pub(crate) fn start_to_ready() {
    let site = Site::new("log: {level: warn}\nllm: {provider: rehearsal}");
    site.start().stop();
    let mut times = Times::default();
    for _ in 0..20 {
        let began = Instant::now();
        let server = site.start();
        times.add(began.elapsed());
        drop(server);
    }
    println!("start to ready: {}", times.show());
}

pub(super) fn rss(server: &Server) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

pub(crate) fn memory_of_the_process() {
    const SESSIONS: usize = 10_000;
    let model = MockModel::instant("All is well.");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = with_model(&model, "log: {level: warn}\nagent: {session_idle_minutes: 1000}");
    let site = Site::new(&config);
    let key = site.key("bench", "owner");
    let server = site.start();
    std::thread::sleep(Duration::from_secs(2));
    let rest = rss(&server);
    println!("RSS at rest: {rest:.1} MiB");
    runtime.block_on(many(&server.base, &key, SESSIONS, |turn| turn));
    let live = rss(&server);
    println!(
        "RSS with {SESSIONS} live sessions: {live:.1} MiB; {:.1} KiB a session (one turn in each)",
        (live - rest) * 1024.0 / SESSIONS as f64
    );
    drop(server);
    let site = Site::new(&config);
    let key = site.key("bench", "owner");
    let server = site.start();
    runtime.block_on(many(&server.base, &key, 1_000, |turn| turn % 64));
    let before = rss(&server);
    runtime.block_on(many(&server.base, &key, 10_000, |turn| turn % 64));
    println!(
        "RSS after 1,000 turns: {before:.1} MiB; after 11,000 turns: {:.1} MiB (64 users)",
        rss(&server)
    );
}

/// So many turns, by users as `user` says, 32 at a time.
async fn many(base: &str, key: &str, turns: usize, user: fn(usize) -> usize) {
    let tasks: Vec<_> = (0..32)
        .map(|lane| {
            let (base, key) = (base.to_owned(), key.to_owned());
            tokio::spawn(async move {
                let mut connection = Connection::open(&base, &key).await.unwrap();
                for turn in (lane..turns).step_by(32) {
                    let body = format!("{{\"message\": \"what is new?\", \"userId\": \"u{}\"}}", user(turn));
                    assert!(connection.post("/api/chat", &body).await.unwrap());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}
