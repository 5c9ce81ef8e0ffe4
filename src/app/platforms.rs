//! The chat platforms that the configuration switches on, put together.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{
    actors::reception::Offers,
    channels::{
        discord::{self, Discord, DiscordSettings},
        telegram::{BadSettings, HookRefused, Pauses, Telegram, TelegramSettings, Webhook},
    },
    config::{Chat, Config},
    domain::{
        chat::{DISCORD, TELEGRAM},
        menu::MENU,
    },
    ports::{clock::Clock, files::Files, platform::Platform},
    web::{Brought, TelegramHook},
};

use super::parts::Doors;

/// Their own places: no other is asked for with these.
const TELEGRAM_API: &str = "https://api.telegram.org";
const DISCORD_API: &str = "https://discord.com/api/v10";

/// What is switched on.
#[derive(Default)]
pub(super) struct Platforms {
    pub(super) all: Vec<Arc<dyn Platform>>,
    /// Where Telegram brings updates, when it does.
    pub(super) hook: Option<Arc<dyn TelegramHook>>,
}

/// All that are switched on. Their doors may still be closed.
///
/// # Errors
/// [`BadSettings`] when no call could ever be made with what the configuration says.
pub(super) fn of(
    config: &Config,
    files: &Arc<dyn Files>,
    clock: &Arc<dyn Clock>,
    doors: &Doors,
) -> Result<Platforms, BadSettings> {
    let chosen = |name: &str| config.chats.get(name).filter(|chat| chat.enabled);
    let mut found = Platforms::default();
    if let Some(chat) = chosen(TELEGRAM) {
        let telegram = Arc::new(Telegram::new(telegram(chat), Arc::clone(files), Arc::clone(clock))?);
        if chat.webhook_url.is_some() {
            found.hook = Some(Arc::new(Brings(Arc::clone(&telegram))));
        }
        found.all.push(telegram);
    }
    if let Some(chat) = chosen(DISCORD) {
        let settings = settings_of(chat, doors);
        found.all.push(Arc::new(Discord::new(settings, Arc::clone(files), Arc::clone(clock))));
    }
    Ok(found)
}

/// Hands on what is brought at the server's door.
struct Brings(Arc<Telegram>);

impl TelegramHook for Brings {
    fn knows(&self, secret: &str) -> bool {
        self.0.knows(secret)
    }

    fn bring(&self, secret: &str, body: &[u8]) -> BoxFuture<'static, Brought> {
        let taken = self.0.hook(secret, body);
        Box::pin(async move {
            match taken.await {
                Ok(()) => Brought::Taken,
                Err(HookRefused::Forbidden) => Brought::Unknown,
                Err(HookRefused::NotNow) => Brought::NotNow,
            }
        })
    }
}

fn telegram(chat: &Chat) -> TelegramSettings {
    let shown = |command: &crate::domain::menu::CommandSpec| {
        let usage = command.usage();
        let gap = if usage.is_empty() { "" } else { " — " };
        (command.name.to_owned(), format!("{usage}{gap}{}", command.purpose))
    };
    let webhook = chat.webhook_url.clone().map(|url| Webhook { url, secret: chat.webhook_secret.clone() });
    TelegramSettings {
        token: chat.token.clone(),
        api_url: another(&chat.api_url, TELEGRAM_API),
        webhook,
        acknowledge: chat.acknowledge,
        menu: MENU.iter().map(shown).collect(),
        pauses: Pauses::default(),
    }
}

fn settings_of(chat: &Chat, doors: &Doors) -> DiscordSettings {
    let completer = Offers {
        channel: DISCORD,
        rules: chat.rules.clone(),
        recognise: doors.db.read.recognise.clone(),
        suggest: doors.suggest[DISCORD].clone(),
    };
    DiscordSettings {
        token: chat.token.clone(),
        api_url: another(&chat.api_url, DISCORD_API),
        gateway_url: chat.gateway_url.clone(),
        menu: MENU,
        completer: Some(Arc::new(completer)),
        patience: discord::PATIENCE,
    }
}

fn another(url: &str, usual: &str) -> Option<String> {
    (!url.is_empty() && url.trim_end_matches('/') != usual).then(|| url.to_owned())
}
