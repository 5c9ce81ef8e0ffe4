//! A home with a bot on Discord.

use crate::support::{
    discord::{FakeDiscord, TOKEN},
    *,
};

/// What `channels` says of Discord, with these people let in.
pub(crate) fn keys(fake: &FakeDiscord, allowed: &[&str]) -> String {
    keys_with(fake, allowed, "")
}

/// The same with more of it.
pub(crate) fn keys_with(fake: &FakeDiscord, allowed: &[&str], more: &str) -> String {
    let allowed: Vec<String> = allowed.iter().map(|person| format!("'{}'", fake.user(person))).collect();
    format!(
        "channels: {{discord: {{enabled: true, token: '{TOKEN}', api_url: '{}', gateway_url: '{}', allowed_users: [{}]{more}}}}}",
        fake.api_url(),
        fake.gateway_url(),
        allowed.join(", ")
    )
}

/// Starts the server, and waits until it listens and its commands are registered.
pub(crate) async fn rise(site: &Site, fake: &FakeDiscord) -> Server {
    let server = site.start();
    heard(fake).await;
    server
}

/// Waits until the bot listens and its commands are registered.
pub(crate) async fn heard(fake: &FakeDiscord) {
    until("the bot listens", async || fake.is_listened_to() && !fake.commands().is_null()).await;
}

/// Somebody becomes the owner, with a code of the command line.
pub(crate) async fn own(site: &Site, fake: &FakeDiscord, person: &str) {
    let code = site.say(&["link"]);
    let channel = fake.dm_channel(person);
    let link = fake.slash(channel, person, "link", &[("code", &code)]);
    until("the owner is known", async || !fake.said(link).is_empty()).await;
    assert!(
        fake.said(link)[0].contains("This account is api-default from now on, as owner"),
        "{:?}",
        fake.said(link)
    );
}
