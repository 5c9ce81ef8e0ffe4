//! Keys of chat platforms that only the whole program can show to be of use: switches, tokens, addresses, secrets, the
//! service that writes recordings down. Each is flipped, and the difference is seen at the platform.

use serde_json::json;

use super::{
    sees,
    stand::{DiscordStand, Platform, Stand},
    start,
};
use crate::support::{
    discord::FakeDiscord,
    telegram::FakeTelegram,
    transcriber::{FakeTranscriber, KEY},
    *,
};

/// A model, and what the file says when the platforms say this.
fn here() -> MockModel {
    MockModel::start(|_| Reply::say("Here."))
}

fn config(model: &MockModel, keys: &str) -> String {
    with_model(model, &format!("channels: {{{keys}}}"))
}

/// What is said of a platform.
async fn state(owner: &User, name: &str) -> String {
    let all = owner.look("/api/v1/channels").await;
    let mut all = all["channels"].as_array().unwrap().iter();
    let one = all.find(|one| one["channel"] == name).unwrap();
    one["state"].as_str().unwrap().to_owned()
}

async fn hears<S: Stand>(site: &Site, stand: &S) {
    let server = start(site, stand, &[]).await;
    stand.say("ann", "hi");
    sees(stand, "ann", &["Here."]).await;
    assert!(server.stop().success());
}

#[tokio::test]
async fn a_platform_is_listened_to_when_it_is_switched_on() {
    switched::<FakeTelegram>().await;
    switched::<DiscordStand>().await;
}

async fn switched<S: Platform>() {
    let (model, stand) = (here(), S::start());
    let keys = stand.keys(&["ann"]);
    let site = Site::new(&config(&model, &keys.replace("enabled: true", "enabled: false")));
    let server = site.start();
    let owner = User::new(&server.base, &site.key("me", "owner"));
    assert_eq!(state(&owner, S::NAME).await, "disabled");
    assert_eq!(owner.ask("hi").await, "Here.");
    assert!(server.stop().success());
    assert_eq!(stand.calls(), 0, "{} was called", S::NAME);
    site.configure(&config(&model, &keys));
    hears(&site, &stand).await;
}

#[tokio::test]
async fn a_platform_is_asked_with_the_token_that_is_configured() {
    tokens::<FakeTelegram>().await;
    tokens::<DiscordStand>().await;
}

async fn tokens<S: Platform>() {
    let (model, stand) = (here(), S::start());
    let (keys, wrong) = (stand.keys(&["ann"]), format!("{}x", S::TOKEN));
    let site = Site::new(&config(&model, &keys.replace(S::TOKEN, &wrong)));
    let server = site.start();
    let owner = User::new(&server.base, &site.key("me", "owner"));
    until("it is refused", async || state(&owner, S::NAME).await == "refused").await;
    assert!(site.log().contains(&format!("channels.{}.token", S::NAME)), "{}", site.log());
    assert!(!site.log().contains(S::TOKEN), "the token is in the log");
    assert!(server.stop().success());
    site.configure(&config(&model, &keys));
    hears(&site, &stand).await;
}

#[tokio::test]
async fn a_platform_is_asked_where_the_configuration_says() {
    addresses::<FakeTelegram>().await;
    addresses::<DiscordStand>().await;
}

async fn addresses<S: Platform>() {
    let (model, one, other) = (here(), S::start(), S::start());
    hears(&Site::new(&config(&model, &one.keys(&["ann"]))), &one).await;
    assert_eq!(other.calls(), 0);
    let before = one.calls();
    hears(&Site::new(&config(&model, &other.keys(&["ann"]))), &other).await;
    assert_eq!(one.calls(), before);
}

#[tokio::test]
async fn the_gateway_is_the_one_that_is_configured_or_that_the_api_names() {
    for configured in [false, true] {
        let (model, rest, gateway) = (here(), FakeDiscord::start(), FakeDiscord::start());
        let url =
            if configured { format!(", gateway_url: '{}'", gateway.gateway_url()) } else { String::new() };
        let keys = format!(
            "discord: {{enabled: true, token: '{}', api_url: '{}'{url}}}",
            DiscordStand::TOKEN,
            rest.api_url()
        );
        let site = Site::new(&config(&model, &keys));
        let server = site.start();
        let (wanted, other) = if configured { (&gateway, &rest) } else { (&rest, &gateway) };
        until("the gateway is listened to", async || wanted.is_listened_to()).await;
        assert!(server.stop().success());
        assert_eq!(other.calls("gateway"), Vec::<serde_json::Value>::new(), "configured: {configured}");
    }
}

#[tokio::test]
async fn a_reaction_shows_that_a_message_was_taken_where_it_is_wanted() {
    for (more, reactions) in [("", 1), (", acknowledge: true", 1), (", acknowledge: false", 0)] {
        let (model, stand) = (here(), FakeTelegram::start());
        let keys = stand.keys(&["ann"]).replace("enabled: true", &format!("enabled: true{more}"));
        let site = Site::new(&config(&model, &keys));
        hears(&site, &stand).await;
        assert_eq!(stand.calls_of("setMessageReaction").len(), reactions, "{more}");
    }
}

#[tokio::test]
async fn updates_are_brought_where_and_with_the_secret_that_the_configuration_says() {
    let hooks = [
        None,
        Some(("https://atoll.example/one", "sixteen_letters_and_more")),
        Some(("https://atoll.example/two", "other-letters-0123456789")),
    ];
    for hook in hooks {
        let (model, stand) = (here(), FakeTelegram::start());
        let more = hook.map(|(url, secret)| format!(", webhook_url: '{url}', webhook_secret: {secret}"));
        let more = format!("enabled: true{}", more.unwrap_or_default());
        let site = Site::new(&config(&model, &stand.keys(&["ann"]).replace("enabled: true", &more)));
        let server = site.start();
        match hook {
            None => until("they are asked for", async || !stand.calls_of("getUpdates").is_empty()).await,
            Some((url, secret)) => {
                let wanted = Some((url.to_owned(), secret.to_owned()));
                until("it is told where", async || stand.webhook() == wanted).await;
                assert!(stand.calls_of("getUpdates").is_empty());
                assert!(!site.log().contains(secret), "the secret is in the log");
            }
        }
        assert!(server.stop().success());
        assert_eq!(stand.faults(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_recording_reaches_the_model_as_words_when_a_service_is_configured() {
    for configured in [false, true] {
        let (model, service, fake) = (here(), FakeTranscriber::start(false), FakeDiscord::start());
        let keys = format!(
            "discord: {{enabled: true, token: '{}', api_url: '{}', policy: open}}",
            DiscordStand::TOKEN,
            fake.api_url()
        );
        let writes = format!("transcription: {{base_url: '{}', api_key: {KEY}}}", service.url());
        let more = if configured { format!("\n{writes}") } else { String::new() };
        let site = Site::new(&format!("{}{more}", config(&model, &keys)));
        let server = site.start();
        until("the bot listens", async || fake.is_listened_to()).await;
        let channel = fake.dm_channel("ann");
        fake.send_file(channel, "ann", "", ("voice.ogg", "audio/ogg", &[7; 99]), true);
        until("an answer", async || fake.bot_says(channel) == ["Here."]).await;
        let asked = model.requests()[0].last_user();
        assert_eq!(asked.contains("99 bytes of voice.ogg"), configured, "{asked}");
        assert_eq!(service.heard().len(), usize::from(configured));
        assert!(server.stop().success());
        assert_eq!(json!(fake.faults()), json!([]));
    }
}
