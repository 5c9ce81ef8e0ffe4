//! Every key there is: its kind, its default, what it is for. The README's table and the parser come from here.

use super::chat_keys::CHAT_KEYS;

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A secret: never shown.
    Secret,
    /// `true` or `false`.
    Bool,
    /// A whole number in this range.
    Int(i64, i64),
    /// A number in this range.
    Number(f64, f64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// An address that begins with http:// or https://.
    Url,
    /// Whatever a skill wants.
    Any,
    /// Known, but its part of Atoll is not built yet: saying so is all that it does.
    Planned,
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its path; `[]` stands for a place in a list, `*` for any name.
    pub path: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What it is when it is not given; empty for nothing.
    pub default: &'static str,
    /// What it is for.
    pub what: &'static str,
}

pub(super) const fn key(path: &'static str, kind: Kind, default: &'static str, what: &'static str) -> Key {
    Key { path, kind, default, what }
}

/// The providers that `llm[].provider` may name.
const PROVIDERS: &[&str] = &[
    "openrouter",
    "openai",
    "anthropic",
    "groq",
    "together",
    "deepseek",
    "gemini",
    "azure",
    "ollama",
    "openai-compatible",
    "rehearsal",
];
pub(super) const BUSY: &[&str] = &["queue", "steer", "interrupt"];
const NO_LIMIT: i64 = 1_000_000_000_000;

/// All keys, in the order in which they are documented.
pub const KEYS: &[Key] = &all();

/// Those before the chat platforms', and those after them.
const FIRST: &[Key] = &[
    key("server.host", Kind::Text, "127.0.0.1", "address to listen on; beyond loopback a key is needed"),
    key("server.port", Kind::Int(0, 65_535), "7700", "port to listen on; 0 takes a free one"),
    key(
        "server.allowed_hosts",
        Kind::Texts,
        "",
        "names by which the server may be addressed, beside its own address and localhost",
    ),
    key(
        "server.allowed_origins",
        Kind::Texts,
        "",
        "web origins that may call the API from a browser (CORS); none by default",
    ),
    key("server.public_url", Kind::Url, "", "address at which people reach it, for links in chats"),
    key("server.max_body_mib", Kind::Int(1, 100), "20", "largest request body, in MiB"),
    key(
        "server.requests_per_minute",
        Kind::Int(0, 1_000_000),
        "600",
        "requests a minute for each key that is not an owner's; 0 for no limit",
    ),
    key(
        "server.lockout_failures",
        Kind::Int(1, 1_000),
        "10",
        "wrong keys in a minute after which an address is locked out",
    ),
    key("server.lockout_minutes", Kind::Int(1, 1_440), "5", "how long it stays locked out"),
    key(
        "server.drain_seconds",
        Kind::Int(0, 600),
        "20",
        "longest time for running turns to end at shutdown; the rest is taken up at the next start",
    ),
    key(
        "log.level",
        Kind::Text,
        "info",
        "what is logged: error, warn, info, debug, trace, or a filter such as `info,atoll=debug`",
    ),
    key("log.format", Kind::Choice(&["pretty", "json"]), "pretty", "how it is logged"),
    key(
        "store.retention_days",
        Kind::Int(0, 36_500),
        "90",
        "how long the journals of finished turns and delivered messages are kept; 0 for ever",
    ),
    key("llm[].provider", Kind::Choice(PROVIDERS), "", "who answers"),
    key("llm[].name", Kind::Text, "", "name in logs and costs; the provider's by default"),
    key("llm[].model", Kind::Text, "", "model to ask; the provider's usual one by default"),
    key("llm[].api_key", Kind::Secret, "", "key; by default from the provider's usual environment variable"),
    key("llm[].base_url", Kind::Url, "", "address of the API; needed by azure and openai-compatible"),
    key("llm[].api_version", Kind::Text, "2024-10-21", "azure: version of the API"),
    key("llm[].temperature", Kind::Number(0.0, 2.0), "", "sampling temperature; by default its own"),
    key("llm[].max_tokens", Kind::Int(1, 1_000_000), "4096", "longest answer, in tokens"),
    key("llm[].timeout_seconds", Kind::Int(1, 3_600), "120", "longest silence of the provider"),
    key("llm[].max_concurrent", Kind::Int(1, 10_000), "64", "most calls at a time"),
    key("llm[].photo_enabled", Kind::Bool, "false", "send pictures"),
    key("llm[].audio_enabled", Kind::Bool, "false", "send sound"),
    key("llm[].video_enabled", Kind::Bool, "false", "send films"),
    key("llm[].document_enabled", Kind::Bool, "false", "send documents"),
    key("llm[].tool_enabled", Kind::Bool, "true", "offer tools"),
    key(
        "transcription.base_url",
        Kind::Url,
        "",
        "API that writes recordings down, as OpenAI's; none by default",
    ),
    key("transcription.api_key", Kind::Secret, "", "its key"),
    key("transcription.model", Kind::Text, "whisper-1", "model to ask for words"),
    key("transcription.timeout_seconds", Kind::Int(1, 3_600), "60", "longest time for one recording"),
    key("transcription.max_mib", Kind::Int(1, 1_024), "25", "largest recording that is sent there, in MiB"),
    key("models.attempts", Kind::Int(1, 20), "4", "most attempts for one answer, over all providers"),
    key(
        "models.total_seconds",
        Kind::Int(1, 3_600),
        "180",
        "longest time for one answer, all attempts and waits together",
    ),
    key(
        "prices.*.input",
        Kind::Number(0.0, 1e6),
        "0",
        "US dollars for a million tokens read, for models whose name begins so",
    ),
    key("prices.*.output", Kind::Number(0.0, 1e6), "0", "US dollars for a million tokens written"),
    key(
        "prices.*.cache_read",
        Kind::Number(0.0, 1e6),
        "0",
        "US dollars for a million tokens read from the prompt cache",
    ),
    key(
        "prices.*.cache_write",
        Kind::Number(0.0, 1e6),
        "0",
        "US dollars for a million tokens written to the prompt cache",
    ),
    key("agent.workspace", Kind::Text, "", "where script skills work; `workspace` in the home by default"),
    key("agent.max_iterations", Kind::Int(1, 1_000), "50", "most steps of a turn"),
    key("agent.max_input_length", Kind::Int(1, 10_000_000), "4096", "longest message, in characters"),
    key("agent.history_limit", Kind::Int(1, 100_000), "100", "most earlier messages that are sent along"),
    key(
        "agent.context_tokens",
        Kind::Int(500, 10_000_000),
        "100000",
        "longest request, in estimated tokens, before older conversation is summarised",
    ),
    key("agent.max_continuations", Kind::Int(0, 100), "3", "how often a cut-off answer is continued"),
    key(
        "agent.max_repeated_failures",
        Kind::Int(1, 1_000),
        "3",
        "how often the same call may fail in a row before the turn ends",
    ),
    key("agent.tool_timeout_seconds", Kind::Int(1, 86_400), "120", "longest time of one tool call"),
    key("agent.turn_timeout_seconds", Kind::Int(1, 86_400), "900", "longest time of one turn"),
    key("agent.approval_hours", Kind::Int(1, 8_760), "24", "how long a question to a person stays open"),
    key("agent.max_resumes", Kind::Int(1, 100), "5", "how often one turn is taken up again after crashes"),
    key(
        "agent.while_busy",
        Kind::Choice(BUSY),
        "queue",
        "what a new message does while a turn runs: wait, join it at its next step, or take its place",
    ),
    key("agent.queue_limit", Kind::Int(0, 10_000), "20", "most messages that wait in one conversation"),
    key(
        "agent.session_idle_minutes",
        Kind::Int(1, 100_000),
        "15",
        "after how long an idle conversation leaves memory",
    ),
    key(
        "agent.memory.auto_retrieval",
        Kind::Bool,
        "true",
        "put memories that may matter before each message",
    ),
    key("agent.memory.retrieval_limit", Kind::Int(0, 100), "5", "how many"),
    key(
        "agent.memory.auto_extraction",
        Kind::Bool,
        "true",
        "keep facts from a conversation by itself, a quiet minute after its last turn",
    ),
    key("agent.security.enabled", Kind::Planned, "true", "screen messages and tool results"),
    key("agent.proactive.enabled", Kind::Planned, "false", "write first when there is a reason"),
    key("budgets.turn.tokens", Kind::Int(0, NO_LIMIT), "0", "most tokens of one turn; 0 for no limit"),
    key(
        "budgets.turn.usd",
        Kind::Number(0.0, 1e9),
        "0",
        "most money of one turn, in US dollars; 0 for no limit",
    ),
    key(
        "budgets.turn.tool_calls",
        Kind::Int(0, NO_LIMIT),
        "0",
        "most tool calls of one turn; 0 for no limit",
    ),
    key("budgets.turn.minutes", Kind::Number(0.0, 1e6), "0", "most working time of one turn; 0 for no limit"),
    key(
        "budgets.user_day.tokens",
        Kind::Int(0, NO_LIMIT),
        "0",
        "most tokens of one user in a UTC day; 0 for no limit",
    ),
    key(
        "budgets.user_day.usd",
        Kind::Number(0.0, 1e9),
        "0",
        "most money of one user in a UTC day; 0 for no limit",
    ),
    key(
        "budgets.user_day.tool_calls",
        Kind::Int(0, NO_LIMIT),
        "0",
        "most tool calls of one user in a UTC day; 0 for no limit",
    ),
    key(
        "budgets.user_day.minutes",
        Kind::Number(0.0, 1e6),
        "0",
        "most working time of one user in a UTC day; 0 for no limit",
    ),
    key("budgets.job.tokens", Kind::Int(0, NO_LIMIT), "0", "most tokens of one coding job; 0 for no limit"),
    key(
        "budgets.job.usd",
        Kind::Number(0.0, 1e9),
        "0",
        "most money of one coding job, in US dollars; 0 for no limit",
    ),
    key("channels.api.while_busy", Kind::Choice(BUSY), "", "as agent.while_busy, for messages over REST"),
    key(
        "channels.api.messages_per_minute",
        Kind::Int(0, 1_000_000),
        "0",
        "messages a minute for each user over REST; 0 for no limit",
    ),
    key("channels.terminal.while_busy", Kind::Choice(BUSY), "", "as agent.while_busy, for `atoll chat`"),
];
const REST: &[Key] = &[
    key("channels.webhook.enabled", Kind::Bool, "false", "post what happens to the address below"),
    key("channels.webhook.callback_url", Kind::Url, "", "where what happens is posted to"),
    key(
        "channels.webhook.secret",
        Kind::Secret,
        "",
        "signs what is posted there and to the callback addresses of tasks; without it nothing is posted",
    ),
    key(
        "channels.webhook.private_addresses",
        Kind::Bool,
        "false",
        "let the address be private, loopback or a local name",
    ),
    key(
        "channels.webhook.events",
        Kind::Texts,
        "",
        "what is posted, of message, notification, file, approval and job; all by default",
    ),
    key(
        "sandbox.runtime",
        Kind::Choice(&["runsc", "runc"]),
        "runsc",
        "how coding jobs are kept apart: runsc is gVisor; runc shares this machine's kernel with them",
    ),
    key("sandbox.docker", Kind::Text, "/var/run/docker.sock", "socket of Docker"),
    key("sandbox.image", Kind::Text, "atoll-sandbox:latest", "image of a job, and the one that is built"),
    key("sandbox.memory_mib", Kind::Int(256, 1 << 20), "4096", "memory of a job; there is no swap"),
    key("sandbox.cpus", Kind::Number(0.1, 512.0), "2", "processors of a job"),
    key("sandbox.processes", Kind::Int(32, 4_096), "512", "processes of a job; with runc at most 512"),
    key("sandbox.tmp_mib", Kind::Int(16, 1 << 20), "1024", "/tmp of a job; it counts as memory"),
    key(
        "sandbox.disk_mib",
        Kind::Int(64, 1 << 24),
        "10240",
        "all that a job's folders may hold; measured again and again, no hard quota",
    ),
    key("jobs.parallel", Kind::Int(1, 256), "2", "coding jobs that run at once"),
    key("jobs.restarts", Kind::Int(0, 100), "3", "how often an engine that fell is started again"),
    key("jobs.turns", Kind::Int(1, 100_000), "200", "how often an engine asks its model at most"),
    key(
        "jobs.quiet_minutes",
        Kind::Number(0.01, 1_440.0),
        "10",
        "longest silence of an engine while none of its tools runs",
    ),
    key(
        "jobs.command_minutes",
        Kind::Number(0.01, 1_440.0),
        "20",
        "longest time of one set-up or verify command, and longest silence of an engine's tool",
    ),
    key("jobs.approval_hours", Kind::Number(0.001, 8_760.0), "72", "how long a question of a job stays open"),
    key("jobs.author_email", Kind::Text, "atoll@localhost", "the address that commits of jobs are by"),
    key(
        "jobs.keep_days",
        Kind::Number(0.0, 36_500.0),
        "14",
        "how long the workspace of a job that is over is kept, to go on from; 0 for ever",
    ),
    key(
        "jobs.log_mib",
        Kind::Int(1, 1_024),
        "16",
        "most of the log that is kept of one coding job, in MiB; the oldest lines are let go",
    ),
    key(
        "jobs.bots",
        Kind::Bool,
        "true",
        "running bots take stories by themselves; false when programs of your own claim stories for them over REST",
    ),
    key(
        "jobs.request_poll_minutes",
        Kind::Number(0.01, 1_440.0),
        "5",
        "how often pull requests of tasks are looked at: merged, closed, and, where a project says so, news",
    ),
    key(
        "jobs.private_callbacks",
        Kind::Bool,
        "false",
        "take callback addresses of tasks that are private, loopback or local names",
    ),
    key(
        "git.ssh_key",
        Kind::Text,
        "",
        "private key for repositories over ssh; `ssh/id_ed25519` in the home by default",
    ),
    key(
        "git.known_hosts",
        Kind::Text,
        "",
        "hosts that are known over ssh; `ssh/known_hosts` in the home by default",
    ),
    key("skills.*.enabled", Kind::Bool, "true", "offer this skill"),
    key(
        "skills.*.run_on_host",
        Kind::Bool,
        "false",
        "let this skill's scripts run on this machine, unconfined, as the user that runs Atoll",
    ),
    key("skills.*.approval", Kind::Bool, "false", "ask a person before every call of this skill's tools"),
    key("skills.*.*", Kind::Any, "", "handed to the skill's scripts in SKILL_CONFIG"),
];

const fn all() -> [Key; FIRST.len() + CHAT_KEYS.len() + REST.len()] {
    let mut all = [FIRST[0]; FIRST.len() + CHAT_KEYS.len() + REST.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = match at {
            _ if at < FIRST.len() => FIRST[at],
            _ if at < FIRST.len() + CHAT_KEYS.len() => CHAT_KEYS[at - FIRST.len()],
            _ => REST[at - FIRST.len() - CHAT_KEYS.len()],
        };
        at += 1;
    }
    all
}
