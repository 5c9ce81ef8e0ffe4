//! What the file says about chat platforms, with what has to be there when one is switched on.

use std::collections::BTreeMap;

use crate::domain::{
    chat::{PLATFORMS, TELEGRAM},
    gate::{Policy, Rules},
    identity::fits_id,
};

use super::{
    settings::Settings,
    types::{Chat, Secret},
};

/// All platforms.
pub(super) fn chats(settings: &mut Settings<'_>) -> BTreeMap<String, Chat> {
    PLATFORMS
        .into_iter()
        .map(|name| {
            let chat = read(settings, name);
            check(settings, name, &chat);
            (name.to_owned(), chat)
        })
        .collect()
}

fn read(settings: &Settings<'_>, name: &str) -> Chat {
    let path = |key: &str| format!("channels.{name}.{key}");
    let text = |key: &str| settings.text(&path(key), &path(key));
    let flag = |key: &str| settings.bool(&path(key), &path(key));
    let of_telegram = name == TELEGRAM;
    Chat {
        enabled: flag("enabled"),
        token: Secret::new(text("token").unwrap_or_default()),
        api_url: text("api_url").unwrap_or_default(),
        gateway_url: if of_telegram { None } else { text("gateway_url") },
        rules: Rules {
            policy: text("policy").and_then(|word| Policy::parse(&word)).unwrap_or_default(),
            allowed: settings.texts(&path("allowed_users")),
            chats: settings.texts(&path("allowed_chats")),
            mention_only: flag("mention_only"),
        },
        max_file: settings.int(&path("max_file_mib"), &path("max_file_mib")) * 1024 * 1024,
        photo_enabled: flag("photo_enabled"),
        audio_enabled: flag("audio_enabled"),
        video_enabled: flag("video_enabled"),
        document_enabled: flag("document_enabled"),
        acknowledge: of_telegram && flag("acknowledge"),
        webhook_url: if of_telegram { text("webhook_url") } else { None },
        webhook_secret: Secret::new(
            Some("webhook_secret").filter(|_| of_telegram).and_then(text).unwrap_or_default(),
        ),
    }
}

fn check(settings: &mut Settings<'_>, name: &str, chat: &Chat) {
    let path = |key: &str| format!("channels.{name}.{key}");
    if chat.enabled && chat.token.is_empty() && !settings.has_fault(&path("token")) {
        let message = format!("{name} needs the token of its bot; without one take `enabled` out");
        settings.fault(&path("token"), message);
    }
    // At Telegram groups have numbers below zero, and people have none.
    let of_telegram = name == TELEGRAM;
    for id in &chat.rules.allowed {
        if !fits_id(id) {
            let message = format!(
                "`{id}` is no id of {name}: ids are numbers, not names; `atoll pair list` shows them"
            );
            settings.fault(&path("allowed_users"), message);
        } else if of_telegram && id.starts_with('-') {
            let message = format!("`{id}` is a group and no person: use `allowed_chats`");
            settings.fault(&path("allowed_users"), message);
        }
    }
    for id in &chat.rules.chats {
        let digits = id.strip_prefix('-').filter(|_| of_telegram).unwrap_or(id);
        if !fits_id(id) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let message = format!("`{id}` is no id of a chat of {name}: ids are numbers, not names");
            settings.fault(&path("allowed_chats"), message);
        } else if of_telegram && !id.starts_with('-') {
            let message = format!("`{id}` is a person and no group: use `allowed_users`");
            settings.fault(&path("allowed_chats"), message);
        }
    }
    if let Some(url) = &chat.gateway_url
        && !url.starts_with("wss://")
        && !url.starts_with("ws://")
    {
        settings.fault(&path("gateway_url"), "must begin with wss:// or ws://");
    }
    let secret = chat.webhook_secret.reveal();
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"_-".contains(&c);
    let fits = (16..=256).contains(&secret.len()) && secret.bytes().all(plain);
    if (chat.webhook_url.is_some() || !secret.is_empty()) && !fits {
        let message = "must be 16 to 256 of A-Z, a-z, 0-9, _ and -, such as `openssl rand -hex 32` gives";
        settings.fault(&path("webhook_secret"), message);
    }
}

impl Chat {
    /// Everybody may write: worth a warning.
    pub fn is_open(&self) -> bool {
        self.enabled && self.rules.policy == Policy::Open
    }
}

/// What is said about platforms where everybody may write.
pub fn open_warning(chats: &BTreeMap<String, Chat>) -> Option<String> {
    let open: Vec<&str> =
        chats.iter().filter(|(_, chat)| chat.is_open()).map(|(name, _)| name.as_str()).collect();
    (!open.is_empty()).then(|| {
        format!(
            "everybody who finds the bot on {} may write to it, and spend: channels.*.policy is open",
            open.join(" and ")
        )
    })
}
