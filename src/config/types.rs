//! The configuration as the program uses it: typed, complete, every default filled in.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use crate::domain::{
    budget::Caps, gate::Rules, journal::WhileBusy, price::Price, retry::Bounds, turn::Limits, webhook,
};

pub use crate::domain::secret::Secret;

/// Everything.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The HTTP server.
    pub server: Server,
    /// Logs.
    pub log: Log,
    /// The store.
    pub store: Store,
    /// Providers, in order; empty when none is configured.
    pub llm: Vec<Provider>,
    /// Bounds on getting one answer.
    pub answer_bounds: Bounds,
    /// Prices that replace those of the built-in list.
    pub prices: BTreeMap<String, Price>,
    /// The agent.
    pub agent: Agent,
    /// Most that one user may spend in a UTC day.
    pub user_caps: Caps,
    /// Channels, by name.
    pub channels: BTreeMap<String, Channel>,
    /// What there is beside that about chat platforms, by name.
    pub chats: BTreeMap<String, Chat>,
    /// Where untrusted programs run.
    pub sandbox: Sandbox,
    /// What outgoing requests to strangers are signed with; empty for none.
    pub webhook_secret: Secret,
    /// Who is told what happens; `None` for nobody.
    pub webhook: Option<Webhook>,
    /// Where the words of recordings come from; `None` when recordings stay without.
    pub transcription: Option<Transcription>,
    /// Coding jobs.
    pub jobs: Jobs,
    /// Repositories over ssh.
    pub git: Git,
    /// Skills, by name, where the file says something about them.
    pub skills: BTreeMap<String, Skill>,
    /// Keys that are given and have no effect yet.
    pub planned: Vec<String>,
}

/// The HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on.
    pub port: u16,
    /// Names by which it may be addressed.
    pub allowed_hosts: Vec<String>,
    /// Where people reach it from outside.
    pub public_url: Option<String>,
    /// Web origins that may call it.
    pub allowed_origins: Vec<String>,
    /// Largest body, in bytes.
    pub max_body: usize,
    /// Requests a minute for a key that is not an owner's.
    pub requests_per_minute: u32,
    /// Wrong keys in a minute that lock an address out.
    pub lockout_failures: u32,
    /// For how long, in milliseconds.
    pub lockout_ms: i64,
    /// Longest drain, in milliseconds.
    pub drain_ms: u64,
}

/// Logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Filter.
    pub level: String,
    /// One JSON object a line.
    pub json: bool,
}

/// The store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Age at which finished things are let go, in milliseconds; `None` keeps them.
    pub retention_ms: Option<i64>,
}

/// One provider of models.
#[derive(Debug, Clone, PartialEq)]
pub struct Provider {
    /// Which kind.
    pub provider: String,
    /// Name in logs and costs.
    pub name: String,
    /// Model to ask; `None` for the usual one.
    pub model: Option<String>,
    /// Key.
    pub api_key: Secret,
    /// Address of the API; `None` for the usual one.
    pub base_url: Option<String>,
    /// Azure's version of the API.
    pub api_version: String,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Longest answer, in tokens.
    pub max_tokens: u32,
    /// Longest silence, in milliseconds.
    pub timeout_ms: u64,
    /// Most calls at a time.
    pub max_concurrent: u32,
    /// Send pictures.
    pub photo_enabled: bool,
    /// Send sound.
    pub audio_enabled: bool,
    /// Send films.
    pub video_enabled: bool,
    /// Send documents.
    pub document_enabled: bool,
    /// Offer tools.
    pub tool_enabled: bool,
}

impl Provider {
    /// A provider of this kind, with its usual settings and no key.
    pub fn of(provider: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            name: provider.to_owned(),
            model: None,
            api_key: Secret::default(),
            base_url: None,
            api_version: String::new(),
            temperature: None,
            max_tokens: 4_096,
            timeout_ms: 120_000,
            max_concurrent: 64,
            photo_enabled: false,
            audio_enabled: false,
            video_enabled: false,
            document_enabled: false,
            tool_enabled: true,
        }
    }
}

/// The agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// Where script skills work; `None` for the home's own.
    pub workspace: Option<PathBuf>,
    /// Bounds on a turn.
    pub limits: Limits,
    /// Longest message, in characters.
    pub max_input_length: usize,
    /// Longest tool call, in milliseconds.
    pub tool_timeout_ms: u64,
    /// Most messages that wait in one conversation.
    pub queue_limit: usize,
    /// Idle time after which a conversation leaves memory, in milliseconds.
    pub session_idle_ms: i64,
    /// Facts are read from conversations.
    pub auto_extraction: bool,
    /// Memories put before each message; 0 switches it off.
    pub retrieval_limit: usize,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// What a message does while a turn runs.
    pub while_busy: WhileBusy,
    /// Messages a minute for each user; 0 for no limit.
    pub messages_per_minute: u32,
}

/// A chat platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    /// It is listened to.
    pub enabled: bool,
    /// The bot's token.
    pub token: Secret,
    /// Address of the API.
    pub api_url: String,
    /// Address of the gateway; `None` for what the API names.
    pub gateway_url: Option<String>,
    /// Who may write.
    pub rules: Rules,
    /// Largest file that is taken, in bytes.
    pub max_file: u64,
    /// Take pictures.
    pub photo_enabled: bool,
    /// Take recordings.
    pub audio_enabled: bool,
    /// Take videos.
    pub video_enabled: bool,
    /// Take other files.
    pub document_enabled: bool,
    /// A reaction shows that a message was taken.
    pub acknowledge: bool,
    /// Where the platform calls us; `None` when we ask for updates.
    pub webhook_url: Option<String>,
    /// What it shows then.
    pub webhook_secret: Secret,
}

/// What the file says about a skill.
#[derive(Debug, Clone, PartialEq)]
pub struct Skill {
    /// Offer it.
    pub enabled: bool,
    /// Let its scripts run on this machine.
    pub run_on_host: bool,
    /// Ask before every call.
    pub approval: bool,
    /// All that the file gives, for the scripts.
    pub settings: serde_json::Map<String, serde_json::Value>,
}

/// Where untrusted programs run.
#[derive(Debug, Clone, PartialEq)]
pub struct Sandbox {
    /// The container runtime.
    pub runtime: String,
    /// The engine's socket.
    pub docker: PathBuf,
    /// The image.
    pub image: String,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Processors.
    pub cpus: f64,
    /// Processes.
    pub processes: u64,
    /// `/tmp`, in MiB.
    pub tmp_mib: u64,
    /// All that its folders may hold, in MiB.
    pub disk_mib: u64,
}

/// Coding jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct Jobs {
    /// How many run at once.
    pub parallel: usize,
    /// How often an engine that fell is started again.
    pub restarts: u32,
    /// How often an engine asks its model at most.
    pub turns: u32,
    /// Longest silence of an engine, in milliseconds.
    pub quiet_ms: u64,
    /// Longest time of a command, in milliseconds.
    pub command_ms: u64,
    /// How long a question stays open, in milliseconds.
    pub approval_ms: i64,
    /// The address that commits are by.
    pub author_email: String,
    /// Most bytes of log of one job.
    pub log_bytes: u64,
    /// Running bots take stories by themselves.
    pub bots: bool,
    /// How often pull requests are looked at, in milliseconds.
    pub request_poll_ms: u64,
    /// Callbacks may go to addresses that are not public.
    pub private_callbacks: bool,
    /// How long workspaces are kept, in milliseconds; `None` for ever.
    pub keep_ms: Option<i64>,
    /// Most that one job may spend.
    pub caps: Caps,
}

/// Repositories over ssh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Git {
    /// The private key; `None` for the home's own.
    pub ssh_key: Option<PathBuf>,
    /// The hosts that are known; `None` for the home's own.
    pub known_hosts: Option<PathBuf>,
}

/// Where the words of recordings come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcription {
    /// Address of the API.
    pub base_url: String,
    /// Key; empty for none.
    pub api_key: Secret,
    /// Model to ask.
    pub model: String,
    /// Longest time for one recording, in milliseconds.
    pub timeout_ms: u64,
    /// Largest recording, in bytes.
    pub max_bytes: u64,
}

/// Who is told what happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where it is posted to. May hold a token: not for logs.
    pub url: String,
    /// That may be an address that is not public.
    pub private: bool,
    /// What is told.
    pub events: BTreeSet<webhook::Kind>,
}
