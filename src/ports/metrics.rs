//! What is counted for `GET /metrics`, in the Prometheus text format.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// All counters of the process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Turns that ended, by outcome.
    pub turns: IntCounterVec,
    /// Journal entries stored, by kind.
    pub steps: IntCounterVec,
    /// Turns that run now.
    pub turns_running: IntGauge,
    /// Calls of models that ended, by provider and outcome.
    pub model_calls: IntCounterVec,
    /// Tokens, by provider and direction (`input`, `cached`, `output`).
    pub tokens: IntCounterVec,
    /// Money spent, in millionths of a US dollar, by provider.
    pub money: IntCounterVec,
    /// Tool calls that ended, by tool and outcome.
    pub tool_calls: IntCounterVec,
    /// Messages that wait to go out.
    pub outbox_depth: IntGauge,
    /// Age of the oldest of them, in milliseconds.
    pub outbox_age_ms: IntGauge,
    /// Messages in an actor's mailbox, by actor kind.
    pub mailbox_depth: IntGaugeVec,
    /// Restarts of actors, by kind and cause.
    pub restarts: IntCounterVec,
    /// Writes in one commit of the store.
    pub commit_batch: Histogram,
    /// Commits of the store.
    pub commits: IntCounter,
    /// Seconds of a commit, the sync to disk included.
    pub commit_seconds: Histogram,
    /// Live sessions.
    pub sessions: IntGauge,
}

impl Metrics {
    /// Fresh counters in a registry of their own.
    ///
    /// # Errors
    /// When two counters have one name, which a test would see.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| {
            let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        let mailbox_depth =
            IntGaugeVec::new(Opts::new("atoll_mailbox_depth", "messages in mailboxes"), &["actor"])?;
        registry.register(Box::new(mailbox_depth.clone()))?;
        let commits = IntCounter::new("atoll_store_commits_total", "commits of the store")?;
        registry.register(Box::new(commits.clone()))?;
        Ok(Self {
            turns: counters("atoll_turns_total", "turns that ended", &["outcome"])?,
            steps: counters("atoll_journal_entries_total", "journal entries stored", &["kind"])?,
            turns_running: gauge("atoll_turns_running", "turns under way")?,
            model_calls: counters("atoll_model_calls_total", "model calls", &["provider", "outcome"])?,
            tokens: counters("atoll_tokens_total", "tokens", &["provider", "direction"])?,
            money: counters("atoll_money_microdollars_total", "money spent", &["provider"])?,
            tool_calls: counters("atoll_tool_calls_total", "tool calls", &["tool", "outcome"])?,
            outbox_depth: gauge("atoll_outbox_depth", "messages that wait to go out")?,
            outbox_age_ms: gauge("atoll_outbox_oldest_ms", "age of the oldest waiting message")?,
            mailbox_depth,
            restarts: counters("atoll_actor_restarts_total", "actor restarts", &["actor", "cause"])?,
            commit_batch: histogram(
                "atoll_store_commit_batch",
                "writes in one commit",
                vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0],
            )?,
            commits,
            commit_seconds: histogram(
                "atoll_store_commit_seconds",
                "seconds of a commit",
                vec![0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.25],
            )?,
            sessions: gauge("atoll_sessions", "live sessions")?,
            registry,
        })
    }

    /// All counters as Prometheus reads them.
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}
