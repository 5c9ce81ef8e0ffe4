//! The keys of chat platforms, in the order in which they are documented.

use super::keys::{BUSY, Key, Kind, key};

const POLICIES: &[&str] = &["pairing", "allowlist", "open"];

/// All of them.
pub(super) const CHAT_KEYS: [Key; 32] = [
    key("channels.telegram.enabled", Kind::Bool, "false", "listen on Telegram"),
    key("channels.telegram.token", Kind::Secret, "", "Telegram: the bot's token, from @BotFather"),
    key(
        "channels.telegram.api_url",
        Kind::Url,
        "https://api.telegram.org",
        "Telegram: address of the Bot API",
    ),
    key(
        "channels.telegram.policy",
        Kind::Choice(POLICIES),
        "pairing",
        "Telegram: who may write: whom an owner lets in, whom `allowed_users` lists, or everybody",
    ),
    key(
        "channels.telegram.allowed_users",
        Kind::Texts,
        "",
        "Telegram: ids of people who may write without being let in",
    ),
    key(
        "channels.telegram.allowed_chats",
        Kind::Texts,
        "",
        "Telegram: ids of groups in which everybody may write; alone with the bot they still may not",
    ),
    key(
        "channels.telegram.mention_only",
        Kind::Bool,
        "true",
        "Telegram: in groups only what mentions the bot or replies to it is read",
    ),
    key("channels.telegram.while_busy", Kind::Choice(BUSY), "", "as agent.while_busy, for Telegram"),
    key(
        "channels.telegram.messages_per_minute",
        Kind::Int(0, 1_000_000),
        "10",
        "Telegram: messages and commands a minute for each person; 0 for no limit",
    ),
    key(
        "channels.telegram.max_file_mib",
        Kind::Int(1, 2_000),
        "20",
        "Telegram: largest file that is taken, in MiB; the Bot API gives out 20",
    ),
    key("channels.telegram.photo_enabled", Kind::Bool, "true", "Telegram: take pictures"),
    key("channels.telegram.audio_enabled", Kind::Bool, "true", "Telegram: take recordings"),
    key("channels.telegram.video_enabled", Kind::Bool, "true", "Telegram: take videos"),
    key("channels.telegram.document_enabled", Kind::Bool, "true", "Telegram: take other files"),
    key(
        "channels.telegram.acknowledge",
        Kind::Bool,
        "true",
        "Telegram: a reaction shows that a message was taken",
    ),
    key(
        "channels.telegram.webhook_url",
        Kind::Url,
        "",
        "Telegram: the public address of this server, to be called at instead of asking for updates",
    ),
    key(
        "channels.telegram.webhook_secret",
        Kind::Secret,
        "",
        "Telegram: what it shows when it calls; 16 to 256 of A-Z, a-z, 0-9, _ and -",
    ),
    key("channels.discord.enabled", Kind::Bool, "false", "listen on Discord"),
    key("channels.discord.token", Kind::Secret, "", "Discord: the bot's token, from the developer portal"),
    key("channels.discord.api_url", Kind::Url, "https://discord.com/api/v10", "Discord: address of the API"),
    key(
        "channels.discord.gateway_url",
        Kind::Text,
        "",
        "Discord: address of the gateway; what the API names by default",
    ),
    key(
        "channels.discord.policy",
        Kind::Choice(POLICIES),
        "pairing",
        "Discord: who may write: whom an owner lets in, whom `allowed_users` lists, or everybody",
    ),
    key(
        "channels.discord.allowed_users",
        Kind::Texts,
        "",
        "Discord: ids of people who may write without being let in",
    ),
    key(
        "channels.discord.allowed_chats",
        Kind::Texts,
        "",
        "Discord: ids of channels of servers in which everybody may write; alone with the bot they still may not",
    ),
    key(
        "channels.discord.mention_only",
        Kind::Bool,
        "true",
        "Discord: on servers only what mentions the bot or replies to it is read",
    ),
    key("channels.discord.while_busy", Kind::Choice(BUSY), "", "as agent.while_busy, for Discord"),
    key(
        "channels.discord.messages_per_minute",
        Kind::Int(0, 1_000_000),
        "10",
        "Discord: messages and commands a minute for each person; 0 for no limit",
    ),
    key(
        "channels.discord.max_file_mib",
        Kind::Int(1, 2_000),
        "25",
        "Discord: largest file that is taken, in MiB",
    ),
    key("channels.discord.photo_enabled", Kind::Bool, "true", "Discord: take pictures"),
    key("channels.discord.audio_enabled", Kind::Bool, "true", "Discord: take recordings"),
    key("channels.discord.video_enabled", Kind::Bool, "true", "Discord: take videos"),
    key("channels.discord.document_enabled", Kind::Bool, "true", "Discord: take other files"),
];
