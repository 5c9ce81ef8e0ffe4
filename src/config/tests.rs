//! The configuration from outside: what is read, what is refused, and that every key does something.

use super::{check, env::expand, keys::*, raw, settings::Settings, *};
use crate::domain::{gate::Policy, journal::WhileBusy, webhook};
use serde_json::Value;

fn env(name: &str) -> Option<String> {
    match name {
        "PORT" => Some("8123".into()),
        "KEY" => Some("sk-secret".into()),
        "OPENAI_API_KEY" => Some("sk-from-env".into()),
        _ => None,
    }
}

fn read(text: &str) -> Config {
    parse(text, "config.yaml", &env).unwrap_or_else(|error| panic!("{error}"))
}

fn faults(text: &str) -> Vec<String> {
    match parse(text, "config.yaml", &env) {
        Err(ConfigError::Faults { faults, .. }) => {
            faults.into_iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_given_is_a_complete_configuration() {
    let config = read("");
    assert_eq!((config.server.host.as_str(), config.server.port), ("127.0.0.1", 7700));
    assert_eq!(config.agent.limits.iterations, 50);
    assert_eq!(config.agent.max_input_length, 4096);
    assert_eq!(config.agent.limits.history_messages, 100);
    assert!(config.llm.is_empty() && config.planned.is_empty());
    assert_eq!(config.user_caps, crate::domain::budget::Caps::default());
}

#[test]
fn every_fault_is_told_at_once_with_its_path_and_no_secret() {
    let text = "
server: {port: 99999, prot: 1}
agent: {max_iterations: many}
llm:
  - {provider: openai, model: [1], api_key: 'sk-live-1'}
  - {provider: openia}
  - {model: x}
  - {provider: azure}
colour: red
prices: {x: {inptu: 1}}
";
    let faults = faults(text);
    for expected in [
        "server.port: must be from 0 to 65535, and is 99999",
        "server.prot: there is no key `prot` here",
        "agent.max_iterations: must be a whole number from 1 to 1000",
        "llm[0].model: must be a text",
        "llm[1].provider: must be one of: openrouter",
        "llm[2]: needs a `provider`",
        "llm[3].api_key: azure needs a key: give it here or in AZURE_OPENAI_API_KEY",
        "llm[3].base_url: azure needs",
        "colour: there is no key `colour` here; there are: agent, budgets",
        "prices.x.inptu: there is no key",
    ] {
        assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{expected}\n{faults:#?}");
    }
    assert_eq!(faults.len(), 10, "{faults:#?}");
    assert!(!faults.concat().contains("sk-live-1"));
}

#[test]
fn variables_are_read_anywhere_with_defaults_and_types() {
    let config = read(
        "server: {port: '${PORT}', host: \"${HOST:127.0.0.2}\"}\nllm: {provider: groq, api_key: '${KEY}', base_url: 'http://127.0.0.1:${PORT}/v1/'}",
    );
    assert_eq!((config.server.port, config.server.host.as_str()), (8123, "127.0.0.2"));
    assert_eq!(config.llm[0].api_key.reveal(), "sk-secret");
    assert_eq!(config.llm[0].base_url.as_deref(), Some("http://127.0.0.1:8123/v1"));
    assert!(!format!("{config:?}").contains("sk-secret"), "a secret must not show in debug output");
    assert_eq!(faults("log: {level: '${NOPE}'}").len(), 1);
    assert_eq!(expand("a$${B}c", &env), Ok("a${B}c".into()));
    assert_eq!(expand("${A:x:y}", &env), Ok("x:y".into()));
    assert!(expand("${A", &env).is_err() && expand("${}", &env).is_err());
}

#[test]
fn one_provider_or_a_list_of_them() {
    assert_eq!(read("llm: {provider: openai}").llm[0].api_key.reveal(), "sk-from-env");
    let config = read("llm: [{provider: ollama}, {provider: ollama, name: second, model: qwen3}]");
    assert_eq!(config.llm[1].model.as_deref(), Some("qwen3"));
    assert_eq!(faults("llm: [{provider: ollama}, {provider: ollama}]").len(), 1);
}

#[test]
fn broken_yaml_names_the_line_and_not_the_text() {
    let Err(error) = parse("a: 1\nllm: [sk-live-2", "config.yaml", &env) else { panic!() };
    let text = error.to_string();
    assert!(text.contains("line ") && !text.contains("sk-live-2"), "{text}");
}

#[test]
fn names_with_dots_and_free_settings_of_skills() {
    let config = read(
        "prices: {gpt-4.1: {input: 2, output: 8}}\nskills: {notes: {run_on_host: true, folder: /x, deep: {a: 1}}}",
    );
    assert_eq!(config.prices["gpt-4.1"].output, 8.0);
    let notes = &config.skills["notes"];
    assert!(notes.enabled && notes.run_on_host && !notes.approval);
    assert_eq!(notes.settings["folder"], "/x");
    assert_eq!(notes.settings["deep"]["a"], 1);
}

#[test]
fn while_busy_is_general_and_by_channel() {
    let config = read("agent: {while_busy: steer}\nchannels: {terminal: {while_busy: interrupt}}");
    assert_eq!(config.channels["api"].while_busy, WhileBusy::Steer);
    assert_eq!(config.channels["terminal"].while_busy, WhileBusy::Interrupt);
}

#[test]
fn a_webhook_needs_an_address_on_the_internet_and_a_secret() {
    assert_eq!(read("channels: {webhook: {callback_url: 'http://10.0.0.1', secret: s}}").webhook, None);
    let faults = |keys: &str| faults(&format!("channels: {{webhook: {{enabled: true, {keys}}}}}"));
    let missing = faults("events: [message, mesage]");
    for start in [
        "channels.webhook.callback_url: the webhook needs the address",
        "channels.webhook.secret: the webhook needs a secret",
        "channels.webhook.events: there is no event `mesage`; there are: message, notification, file",
    ] {
        assert!(missing.iter().any(|fault| fault.starts_with(start)), "{missing:#?}");
    }
    for private in ["http://127.0.0.1:8/t0ken", "http://169.254.169.254/t0ken", "http://nas.local/t0ken"] {
        let keys = format!("callback_url: '{private}', secret: s");
        let told = faults(&keys);
        assert_eq!(told.len(), 1, "{told:?}");
        let expected =
            "channels.webhook.callback_url: leads to what is not on the internet; `channels.webhook.private";
        assert!(told[0].starts_with(expected) && !told[0].contains("t0ken"), "{told:?}");
        let config =
            read(&format!("channels: {{webhook: {{enabled: true, private_addresses: true, {keys}}}}}"));
        assert_eq!(config.webhook.unwrap().url, private);
    }
    let config = read(
        "channels: {webhook: {enabled: true, callback_url: 'https://x.org/', secret: s, events: [job, job]}}",
    );
    assert_eq!(config.webhook.unwrap().events, [webhook::Kind::Job].into());
}

#[test]
fn what_is_not_built_yet_is_said() {
    let config = read("agent: {proactive: {enabled: true}}");
    assert_eq!(config.planned, ["agent.proactive.enabled"]);
}

#[test]
fn a_chat_platform_is_closed_and_needs_what_it_cannot_do_without() {
    let config = read(
        "channels: {telegram: {enabled: true, token: '1:a', allowed_users: [42], allowed_chats: [-1007, '-8']}}",
    );
    let chat = &config.chats["telegram"];
    assert_eq!((chat.rules.policy, chat.rules.mention_only), (Policy::Pairing, true));
    assert_eq!(chat.rules.allowed, ["42"]);
    assert_eq!(chat.rules.chats, ["-1007", "-8"]);
    assert_eq!(read("channels: {discord: {allowed_chats: ['12']}}").chats["discord"].rules.chats, ["12"]);
    assert!(!config.chats["discord"].enabled && open_warning(&config.chats).is_none());
    assert!(!format!("{config:?}").contains("1:a"));
    let open = read("channels: {discord: {enabled: true, token: x, policy: open}}");
    assert!(open_warning(&open.chats).unwrap().contains("discord"));
    for (text, expected) in [
        ("{telegram: {enabled: true}}", "channels.telegram.token: telegram needs the token"),
        ("{discord: {enabled: true, token: ''}}", "channels.discord.token: discord needs the token"),
        ("{telegram: {allowed_users: ['@ann']}}", "channels.telegram.allowed_users: `@ann` is no id"),
        (
            "{telegram: {allowed_users: [-1007]}}",
            "channels.telegram.allowed_users: `-1007` is a group and no person: use `allowed_chats`",
        ),
        (
            "{telegram: {allowed_chats: [42]}}",
            "channels.telegram.allowed_chats: `42` is a person and no group: use `allowed_users`",
        ),
        (
            "{telegram: {allowed_chats: ['@team']}}",
            "channels.telegram.allowed_chats: `@team` is no id of a chat",
        ),
        ("{discord: {allowed_chats: [-7]}}", "channels.discord.allowed_chats: `-7` is no id of a chat"),
        ("{telegram: {webhook_url: 'https://x'}}", "channels.telegram.webhook_secret: must be 16"),
        ("{telegram: {webhook_secret: short}}", "channels.telegram.webhook_secret: must be 16"),
        ("{telegram: {policy: closed}}", "channels.telegram.policy: must be one of: pairing"),
        ("{discord: {gateway_url: 'https://x'}}", "channels.discord.gateway_url: must begin with wss://"),
    ] {
        let faults = faults(&format!("channels: {text}"));
        assert!(faults.len() == 1 && faults[0].starts_with(expected), "{text}: {faults:?}");
    }
}

/// What keys mean nothing without.
const BESIDE: &[(&str, &str)] = &[
    ("llm", "{llm: {provider: ollama}}"),
    ("transcription", "{transcription: {base_url: 'http://here.org'}}"),
    (
        "channels.webhook",
        "{channels: {webhook: {enabled: true, callback_url: 'http://here.org', secret: s}}}",
    ),
];

/// Puts one tree over another; lists and values are replaced.
fn over(under: &mut Value, tree: &Value) {
    match (under, tree) {
        (Value::Object(under), Value::Object(tree)) => {
            for (name, value) in tree {
                over(under.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (under, tree) => *under = tree.clone(),
    }
}

/// Another value than the default, of its kind.
fn sample(kind: Kind, default: &str) -> String {
    match kind {
        Kind::Text | Kind::Secret => "other".to_owned(),
        Kind::Bool => (default != "true").to_string(),
        Kind::Int(low, high) => if default == low.to_string() { high } else { low }.to_string(),
        Kind::Number(low, high) => if default == low.to_string() { high } else { low }.to_string(),
        Kind::Choice(choices) => choices.iter().rev().find(|c| **c != default).unwrap().to_string(),
        Kind::Texts => "[file]".into(),
        Kind::Url => "http://other.org".into(),
        Kind::Any | Kind::Planned => "'1'".into(),
    }
}

/// Another value than the default.
fn sample_of(key: &Key) -> String {
    match key.path {
        "channels.telegram.enabled" | "channels.discord.enabled" => "true, token: x".into(),
        "channels.telegram.webhook_url" => "http://other, webhook_secret: sixteen_or_longer".into(),
        "channels.telegram.webhook_secret" => "sixteen_or_longer".into(),
        "channels.discord.gateway_url" => "ws://other".into(),
        "channels.telegram.allowed_chats" => "[-1]".into(),
        "channels.discord.allowed_chats" => "[1]".into(),
        _ => sample(key.kind, key.default),
    }
}

/// No option that nobody reads: building the configuration asks for every key, and a value other than the
/// default of each one makes a different configuration.
#[test]
fn every_key_is_read_and_changes_the_configuration() {
    let nested = |path: &str, value: &str| {
        let path = path.replace("prices.*", "prices.gpt").replace("skills.*.*", "skills.s.folder");
        let path = path.replace("skills.*", "skills.s");
        let mut yaml = String::new();
        let mut close = String::new();
        for part in path.split('.') {
            let list = part.strip_suffix("[]");
            yaml.push_str(&format!("{{{}: ", list.unwrap_or(part)));
            close.insert(0, '}');
            if list.is_some() && !path.ends_with(".provider") {
                yaml.push_str("{provider: ollama, ");
                let rest = path.split_once('.').map(|(_, rest)| rest).unwrap_or_default();
                yaml.push_str(&format!("{rest}: {value}}}"));
                return yaml + &close;
            }
        }
        yaml + value + &close
    };
    for key in KEYS {
        let beside = BESIDE.iter().find(|(part, _)| key.path.starts_with(part));
        let mut tree = raw::yaml(beside.map_or("{}", |(_, text)| text)).unwrap();
        let mut without = tree.clone();
        let place = format!("/{}", key.path.replace('.', "/"));
        let (parent, name) = place.rsplit_once('/').unwrap();
        if let Some(Value::Object(parent)) = without.pointer_mut(parent) {
            parent.remove(name);
        }
        let text = nested(key.path, &sample_of(key));
        over(&mut tree, &raw::yaml(&text).unwrap());
        let config = parse(&tree.to_string(), "c", &env).unwrap_or_else(|error| panic!("{tree}\n{error}"));
        let base = parse(&without.to_string(), "c", &env).ok();
        assert_ne!(Some(config), base, "{} has no effect\n{tree}", key.path);
    }
    let value = raw::yaml("{llm: {provider: ollama}, prices: {x: {input: 1}}, skills: {s: {x: 1}}}").unwrap();
    let mut settings = Settings::read(&value, &env);
    check::build(&mut settings).unwrap();
    let asked = settings.asked.borrow().clone();
    for key in KEYS.iter().filter(|key| !matches!(key.kind, Kind::Planned | Kind::Any)) {
        assert!(asked.contains(key.path), "{} is never read", key.path);
    }
}
