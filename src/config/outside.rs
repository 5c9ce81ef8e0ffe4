//! The outbound webhook's keys: where it posts to, and what.

use std::collections::BTreeSet;

use crate::domain::{
    job::{BadCallback, check_callback},
    webhook::Kind,
};

use super::{
    settings::Settings,
    types::{Secret, Webhook},
};

/// The webhook, when it is switched on and may be.
pub(super) fn webhook(settings: &mut Settings<'_>) -> Option<Webhook> {
    const URL: &str = "channels.webhook.callback_url";
    let enabled = settings.bool("channels.webhook.enabled", "channels.webhook.enabled");
    let private = settings.bool("channels.webhook.private_addresses", "channels.webhook.private_addresses");
    let (url, secret) = (settings.text(URL, URL), webhook_secret(settings));
    let events = events(settings);
    if !enabled {
        return None;
    }
    if secret.is_empty() && !settings.has_fault("channels.webhook.secret") {
        settings.fault("channels.webhook.secret", "the webhook needs a secret, which signs what it posts");
    }
    let Some(url) = url else {
        if !settings.has_fault(URL) {
            settings.fault(URL, "the webhook needs the address that it posts to");
        }
        return None;
    };
    // An address may hold a token: it is not repeated.
    if let Err(bad) = check_callback(&url, private) {
        let message = match bad {
            BadCallback::Form => "must be http:// or https:// and a host, in plain characters, no user name",
            BadCallback::Private(_) => {
                "leads to what is not on the internet; `channels.webhook.private_addresses` allows that"
            }
        };
        settings.fault(URL, message);
    }
    Some(Webhook { url, private, events })
}

/// What is posted is signed with this; empty for none.
pub(super) fn webhook_secret(settings: &Settings<'_>) -> Secret {
    Secret::new(settings.text("channels.webhook.secret", "channels.webhook.secret").unwrap_or_default())
}

fn events(settings: &mut Settings<'_>) -> BTreeSet<Kind> {
    const PATH: &str = "channels.webhook.events";
    let words = settings.texts(PATH);
    if !settings.is_set(PATH) {
        return Kind::all();
    }
    let known: BTreeSet<Kind> = words.iter().filter_map(|word| Kind::parse(word)).collect();
    if let Some(word) = words.iter().find(|word| Kind::parse(word).is_none()) {
        settings.fault(PATH, format!("there is no event `{word}`; there are: {}", Kind::words()));
    }
    known
}
