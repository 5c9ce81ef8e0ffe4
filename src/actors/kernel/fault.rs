//! Fault points: with the feature `chaos`, the process kills itself, or the actor panics, at a named moment.
//! Without it, nothing.

/// A moment at which a crash is worth trying. `name` says where, `label` what was being done.
#[cfg(not(feature = "chaos"))]
#[inline(always)]
pub fn point(_name: &str, _label: &str) {}

/// A moment at which a crash is worth trying: `ATOLL_FAULT=name:label#n` kills the process at its n-th time,
/// `ATOLL_PANIC=name:label#n` lets the actor panic at its first n times.
#[cfg(feature = "chaos")]
pub fn point(name: &str, label: &str) {
    use std::sync::LazyLock;
    static KILL: LazyLock<Option<Wanted>> = LazyLock::new(|| Wanted::of("ATOLL_FAULT"));
    static PANIC: LazyLock<Option<Wanted>> = LazyLock::new(|| Wanted::of("ATOLL_PANIC"));
    if let Some(wanted) = KILL.as_ref()
        && wanted.seen(name, label) == Some(wanted.times)
    {
        // This thread stands still for a moment first: whoever was told too early acts on it, and is found out.
        std::thread::park_timeout(std::time::Duration::from_millis(20));
        let me = rustix::process::getpid();
        // SIGKILL itself, so that nothing is flushed, dropped or said.
        let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
        std::thread::park();
    }
    if let Some(wanted) = PANIC.as_ref() {
        let at = wanted.seen(name, label);
        assert!(at.is_none_or(|at| at > wanted.times), "the fault that was asked for");
    }
}

#[cfg(feature = "chaos")]
struct Wanted {
    place: String,
    times: u64,
    seen: std::sync::atomic::AtomicU64,
}

#[cfg(feature = "chaos")]
impl Wanted {
    fn of(variable: &str) -> Option<Self> {
        let text = std::env::var(variable).ok()?;
        let (place, times) = text.split_once('#').unwrap_or((&text, "1"));
        Some(Self { place: place.to_owned(), times: times.parse().ok()?, seen: Default::default() })
    }

    /// Which time it is that this very point is passed.
    fn seen(&self, name: &str, label: &str) -> Option<u64> {
        let here = self.place.split_once(':').is_some_and(|(n, l)| n == name && l == label);
        here.then(|| self.seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1)
    }
}
