//! From settings to the typed configuration, with the checks that need more than one of them.

use std::{collections::BTreeMap, path::PathBuf};

use crate::domain::{
    budget::Caps, chat::PLATFORMS, journal::WhileBusy, price::Price, retry::Bounds, turn::Limits,
};

use super::{
    env::Env,
    keys::{KEYS, Kind},
    outside,
    settings::Settings,
    types::*,
};

/// Something that is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, as a path such as `llm[0].model`.
    pub path: String,
    /// What, and what to do.
    pub message: String,
}

/// Faults as lines of text.
pub(super) fn list(faults: &[Fault]) -> String {
    faults
        .iter()
        .map(|fault| {
            if fault.path.is_empty() {
                format!("  {}", fault.message)
            } else {
                format!("  {}: {}", fault.path, fault.message)
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Builds the configuration; faults stay in `settings`. `None` when something essential is missing.
pub(super) fn build(settings: &mut Settings<'_>) -> Option<Config> {
    let llm = (0..settings.len("llm")).filter_map(|at| provider(settings, at)).collect::<Vec<_>>();
    check_names(settings, &llm);
    let server = server(settings);
    let planned = KEYS
        .iter()
        .filter(|key| key.kind == Kind::Planned && settings.is_set(key.path))
        .map(|key| key.path.to_owned())
        .collect();
    Some(Config {
        server,
        log: Log {
            level: settings.text("log.level", "log.level").unwrap_or_default(),
            json: settings.text("log.format", "log.format").as_deref() == Some("json"),
        },
        store: Store {
            retention_ms: match settings.int("store.retention_days", "store.retention_days") {
                0 => None,
                days => Some(days as i64 * 86_400_000),
            },
        },
        llm,
        answer_bounds: Bounds {
            attempts: settings.int("models.attempts", "models.attempts") as u32,
            total_ms: settings.int("models.total_seconds", "models.total_seconds") as i64 * 1000,
        },
        prices: prices(settings),
        agent: agent(settings),
        user_caps: caps(settings, "budgets.user_day"),
        channels: channels(settings),
        chats: super::chats::chats(settings),
        sandbox: sandbox(settings),
        webhook_secret: outside::webhook_secret(settings),
        webhook: outside::webhook(settings),
        transcription: transcription(settings),
        jobs: jobs(settings),
        git: Git {
            ssh_key: settings.text("git.ssh_key", "git.ssh_key").map(PathBuf::from),
            known_hosts: settings.text("git.known_hosts", "git.known_hosts").map(PathBuf::from),
        },
        skills: skills(settings),
        planned,
    })
}

fn server(settings: &mut Settings<'_>) -> Server {
    let text = |path| settings.text(path, path);
    let public_url = text("server.public_url");
    let mut allowed_hosts = settings.texts("server.allowed_hosts");
    // Who is sent there must be let in.
    allowed_hosts.extend(public_url.as_deref().and_then(host_of));
    let int = |path| settings.int(path, path);
    Server {
        host: text("server.host").unwrap_or_default(),
        port: int("server.port") as u16,
        allowed_hosts,
        public_url,
        allowed_origins: settings.texts("server.allowed_origins"),
        max_body: int("server.max_body_mib") as usize * 1024 * 1024,
        requests_per_minute: int("server.requests_per_minute") as u32,
        lockout_failures: int("server.lockout_failures") as u32,
        lockout_ms: int("server.lockout_minutes") as i64 * 60_000,
        drain_ms: int("server.drain_seconds") * 1000,
    }
}

/// The name in an address, without its port.
fn host_of(url: &str) -> Option<String> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    let name = authority.split(':').next().filter(|name| !name.is_empty() && !authority.starts_with('['))?;
    Some(name.to_owned())
}

/// The environment variable in which a provider's key is usually found.
pub(super) fn key_variable(provider: &str) -> Option<&'static str> {
    Some(match provider {
        "openrouter" => "OPENROUTER_API_KEY",
        "openai" => "OPENAI_API_KEY",
        "anthropic" => "ANTHROPIC_API_KEY",
        "groq" => "GROQ_API_KEY",
        "together" => "TOGETHER_API_KEY",
        "deepseek" => "DEEPSEEK_API_KEY",
        "gemini" => "GEMINI_API_KEY",
        "azure" => "AZURE_OPENAI_API_KEY",
        _ => return None,
    })
}

/// A provider whose key stands in the environment, though the file names none; and the variable's name.
/// Azure is left out: it needs an address too.
pub fn detect_provider(env: &dyn Env) -> Option<(Provider, &'static str)> {
    const ORDER: [&str; 7] = ["anthropic", "openai", "openrouter", "gemini", "groq", "deepseek", "together"];
    ORDER.into_iter().find_map(|kind| {
        let variable = key_variable(kind)?;
        let key = env.get(variable).filter(|key| !key.is_empty())?;
        Some((Provider { api_key: Secret::new(key), ..Provider::of(kind) }, variable))
    })
}

fn provider(settings: &mut Settings<'_>, at: usize) -> Option<Provider> {
    let place = format!("llm[{at}]");
    let text = |settings: &Settings<'_>, key: &str| {
        settings.text(&format!("{place}.{key}"), &format!("llm[].{key}"))
    };
    let int =
        |settings: &Settings<'_>, key: &str| settings.int(&format!("{place}.{key}"), &format!("llm[].{key}"));
    let flag = |settings: &Settings<'_>, key: &str| {
        settings.bool(&format!("{place}.{key}"), &format!("llm[].{key}"))
    };
    let Some(kind) = text(settings, "provider") else {
        if !settings.has_fault(&format!("{place}.provider")) {
            settings.fault(&place, "needs a `provider`");
        }
        return None;
    };
    let variable = key_variable(&kind);
    let api_key = text(settings, "api_key")
        .or_else(|| variable.and_then(|name| settings.env(name)))
        .unwrap_or_default();
    if let Some(name) = variable.filter(|_| api_key.is_empty()) {
        settings.fault(&format!("{place}.api_key"), format!("{kind} needs a key: give it here or in {name}"));
    }
    let base_url = text(settings, "base_url");
    if base_url.is_none() && matches!(kind.as_str(), "azure" | "openai-compatible") {
        settings.fault(&format!("{place}.base_url"), format!("{kind} needs the address of its API"));
    }
    Some(Provider {
        name: text(settings, "name").unwrap_or_else(|| kind.clone()),
        model: text(settings, "model"),
        api_key: Secret::new(api_key),
        base_url,
        api_version: text(settings, "api_version").unwrap_or_default(),
        temperature: settings.number(&format!("{place}.temperature"), "llm[].temperature"),
        max_tokens: int(settings, "max_tokens") as u32,
        timeout_ms: int(settings, "timeout_seconds") * 1000,
        max_concurrent: int(settings, "max_concurrent") as u32,
        photo_enabled: flag(settings, "photo_enabled"),
        audio_enabled: flag(settings, "audio_enabled"),
        video_enabled: flag(settings, "video_enabled"),
        document_enabled: flag(settings, "document_enabled"),
        tool_enabled: flag(settings, "tool_enabled"),
        provider: kind,
    })
}

fn check_names(settings: &mut Settings<'_>, llm: &[Provider]) {
    for (at, provider) in llm.iter().enumerate() {
        if llm[..at].iter().any(|other| other.name == provider.name) {
            let message = format!("`{}` is the name of an entry above; give this one another", provider.name);
            settings.fault(&format!("llm[{at}].name"), message);
        }
    }
}

fn prices(settings: &Settings<'_>) -> BTreeMap<String, Price> {
    let read = |model: &String| {
        let part = |key: &str| {
            settings.number(&format!("prices.{model}.{key}"), &format!("prices.*.{key}")).unwrap_or(0.0)
        };
        let price = Price {
            input: part("input"),
            output: part("output"),
            cache_read: part("cache_read"),
            cache_write: part("cache_write"),
        };
        (model.clone(), price)
    };
    settings.names("prices").iter().map(read).collect()
}

fn agent(settings: &Settings<'_>) -> Agent {
    let int = |path| settings.int(path, path);
    let limits = Limits {
        iterations: int("agent.max_iterations") as u32,
        continuations: int("agent.max_continuations") as u32,
        repeated_failures: int("agent.max_repeated_failures") as u32,
        history_messages: int("agent.history_limit") as usize,
        context_tokens: int("agent.context_tokens"),
        turn_ms: int("agent.turn_timeout_seconds") * 1000,
        approval_ms: int("agent.approval_hours") * 3_600_000,
        resumes: int("agent.max_resumes") as u32,
        turn_caps: caps(settings, "budgets.turn"),
    };
    let retrieval = settings.bool("agent.memory.auto_retrieval", "agent.memory.auto_retrieval");
    Agent {
        workspace: settings.text("agent.workspace", "agent.workspace").map(PathBuf::from),
        limits,
        max_input_length: int("agent.max_input_length") as usize,
        tool_timeout_ms: int("agent.tool_timeout_seconds") * 1000,
        queue_limit: int("agent.queue_limit") as usize,
        auto_extraction: settings.bool("agent.memory.auto_extraction", "agent.memory.auto_extraction"),
        session_idle_ms: int("agent.session_idle_minutes") as i64 * 60_000,
        retrieval_limit: if retrieval { int("agent.memory.retrieval_limit") as usize } else { 0 },
    }
}

fn caps(settings: &Settings<'_>, place: &str) -> Caps {
    let some = |quantity: u64| (quantity > 0).then_some(quantity);
    let int = |key: &str| some(settings.int(&format!("{place}.{key}"), &format!("{place}.{key}")));
    let number = |key: &str, unit: f64| {
        let quantity = settings.number(&format!("{place}.{key}"), &format!("{place}.{key}")).unwrap_or(0.0);
        some((quantity * unit).round() as u64)
    };
    Caps {
        tokens: int("tokens"),
        micros: number("usd", 1e6),
        tool_calls: int("tool_calls"),
        time_ms: number("minutes", 60_000.0),
    }
}

fn channels(settings: &Settings<'_>) -> BTreeMap<String, Channel> {
    let mode = |path: &str| settings.text(path, path).and_then(|text| WhileBusy::parse(&text));
    let general = mode("agent.while_busy").unwrap_or(WhileBusy::Queue);
    let api = Channel {
        while_busy: mode("channels.api.while_busy").unwrap_or(general),
        messages_per_minute: settings
            .int("channels.api.messages_per_minute", "channels.api.messages_per_minute")
            as u32,
    };
    let terminal = Channel {
        while_busy: mode("channels.terminal.while_busy").unwrap_or(general),
        messages_per_minute: 0,
    };
    let chat = |name: &str| {
        let (busy, pace) =
            (format!("channels.{name}.while_busy"), format!("channels.{name}.messages_per_minute"));
        let while_busy = mode(&busy).unwrap_or(general);
        (name.to_owned(), Channel { while_busy, messages_per_minute: settings.int(&pace, &pace) as u32 })
    };
    let ours = [("api".to_owned(), api), ("terminal".to_owned(), terminal)];
    ours.into_iter().chain(PLATFORMS.map(chat)).collect()
}

fn jobs(settings: &Settings<'_>) -> Jobs {
    let int = |path| settings.int(path, path);
    let ms = |path, unit: f64| settings.number(path, path).map_or(0.0, |number| number * unit);
    let keep = ms("jobs.keep_days", 86_400_000.0) as i64;
    Jobs {
        parallel: int("jobs.parallel") as usize,
        restarts: int("jobs.restarts") as u32,
        turns: int("jobs.turns") as u32,
        quiet_ms: ms("jobs.quiet_minutes", 60_000.0) as u64,
        command_ms: ms("jobs.command_minutes", 60_000.0) as u64,
        approval_ms: ms("jobs.approval_hours", 3_600_000.0) as i64,
        author_email: settings.text("jobs.author_email", "jobs.author_email").unwrap_or_default(),
        log_bytes: int("jobs.log_mib") * 1024 * 1024,
        bots: settings.bool("jobs.bots", "jobs.bots"),
        request_poll_ms: ms("jobs.request_poll_minutes", 60_000.0) as u64,
        private_callbacks: settings.bool("jobs.private_callbacks", "jobs.private_callbacks"),
        keep_ms: (keep > 0).then_some(keep),
        caps: Caps {
            tokens: Some(int("budgets.job.tokens")).filter(|tokens| *tokens > 0),
            micros: Some(ms("budgets.job.usd", 1e6).round() as u64).filter(|micros| *micros > 0),
            ..Caps::default()
        },
    }
}

fn transcription(settings: &Settings<'_>) -> Option<Transcription> {
    let text = |path| settings.text(path, path);
    let int = |path| settings.int(path, path);
    let (key, model) = (text("transcription.api_key"), text("transcription.model"));
    let (seconds, mib) = (int("transcription.timeout_seconds"), int("transcription.max_mib"));
    Some(Transcription {
        base_url: text("transcription.base_url")?,
        api_key: Secret::new(key.unwrap_or_default()),
        model: model.unwrap_or_default(),
        timeout_ms: seconds * 1_000,
        max_bytes: mib * 1024 * 1024,
    })
}

fn sandbox(settings: &Settings<'_>) -> Sandbox {
    let text = |path| settings.text(path, path).unwrap_or_default();
    let int = |path| settings.int(path, path);
    Sandbox {
        runtime: text("sandbox.runtime"),
        docker: PathBuf::from(text("sandbox.docker")),
        image: text("sandbox.image"),
        memory_mib: int("sandbox.memory_mib"),
        cpus: settings.number("sandbox.cpus", "sandbox.cpus").unwrap_or(0.0),
        processes: int("sandbox.processes"),
        tmp_mib: int("sandbox.tmp_mib"),
        disk_mib: int("sandbox.disk_mib"),
    }
}

fn skills(settings: &Settings<'_>) -> BTreeMap<String, Skill> {
    let read = |name: String| {
        let flag = |key: &str| settings.bool(&format!("skills.{name}.{key}"), &format!("skills.*.{key}"));
        let skill = Skill {
            enabled: flag("enabled"),
            run_on_host: flag("run_on_host"),
            approval: flag("approval"),
            settings: settings.below(&format!("skills.{name}.")),
        };
        (name, skill)
    };
    settings.names("skills").into_iter().map(read).collect()
}
