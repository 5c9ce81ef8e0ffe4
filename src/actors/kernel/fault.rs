//! Fault points: with the feature `chaos`, the process kills itself at a named moment. Without it, nothing.

/// A moment at which a crash is worth trying. `name` says where, `label` what was being done.
#[cfg(not(feature = "chaos"))]
#[inline(always)]
pub fn point(_name: &str, _label: &str) {}

/// A moment at which a crash is worth trying: `ATOLL_FAULT=name:label#n` kills the process at its n-th time.
#[cfg(feature = "chaos")]
pub fn point(name: &str, label: &str) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    };
    static WANTED: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let text = std::env::var("ATOLL_FAULT").ok()?;
        let (place, times) = text.split_once('#').unwrap_or((&text, "1"));
        Some((place.to_owned(), times.parse().ok()?))
    });
    static SEEN: AtomicU64 = AtomicU64::new(0);
    let Some((place, times)) = WANTED.as_ref() else { return };
    let here = place.split_once(':').is_some_and(|(n, l)| n == name && l == label);
    if here && SEEN.fetch_add(1, Ordering::SeqCst) + 1 == *times {
        // This thread stands still for a moment first: whoever was told too early acts on it, and is found out.
        std::thread::park_timeout(std::time::Duration::from_millis(20));
        let me = rustix::process::getpid();
        // SIGKILL itself, so that nothing is flushed, dropped or said.
        let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
        std::thread::park();
    }
}
