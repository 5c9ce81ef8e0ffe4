//! Codes are for the chat that they go to: whoever else is told what happens is told none.

use serde_json::json;

use super::{
    conformance::code_in,
    stand::{DiscordStand, Platform},
    start,
};
use crate::support::{receiver::Receiver, telegram::FakeTelegram, *};

#[tokio::test]
async fn no_code_of_telegram_is_told_elsewhere() {
    told_nowhere_else::<FakeTelegram>().await;
}

#[tokio::test]
async fn no_code_of_discord_is_told_elsewhere() {
    told_nowhere_else::<DiscordStand>().await;
}

async fn told_nowhere_else<S: Platform>() {
    let (model, stand, receiver) = (MockModel::start(|_| Reply::say("Here.")), S::start(), Receiver::start());
    let channels =
        receiver.config("").replace("channels: {", &format!("channels: {{{}, ", stand.keys(&["bob"])));
    let site = Site::new(&with_model(&model, &channels));
    let server = start(&site, &stand, &[]).await;
    let boss = User::new(&server.base, &site.key("boss", "owner"));
    let says = async |person: &str, words: &str| {
        until(&format!("{person} is told: {words}"), async || {
            stand.texts(person).iter().any(|text| text.contains(words))
        })
        .await;
        stand.texts(person).into_iter().find(|text| text.contains(words)).unwrap()
    };
    // Ann is an owner with a code from REST; Bob asks for a code on the platform, the boss over REST; Eve is a stranger.
    let link = boss.post("/api/v1/link", json!({"userId": "ann", "role": "owner"})).await.1;
    let mut codes = vec![link["code"].as_str().unwrap().to_owned()];
    stand.say("ann", &format!("/link {}", codes[0]));
    says("ann", "This account is ann").await;
    stand.say("bob", "/link");
    codes.push(code_in(&says("bob", "holds for 10 minutes").await));
    codes.push(code_in(&boss.ask("/link").await));
    stand.say("eve", "let me in");
    codes.push(code_in(&says("eve", "Your code is").await));
    assert_eq!(code_in(&says("ann", "wants to write to me").await), codes[3]);
    stand.say("bob", "/cost");
    until("what came last is told", async || {
        let told = receiver.of("message");
        told.iter().any(|told| told["text"].as_str().is_some_and(|text| text.starts_with("Today: ")))
    })
    .await;
    let mut events = Stream::of(boss.request(reqwest::Method::GET, "/api/events/ann?after=0")).await;
    boss.ask_as(json!({"message": "/cost", "userId": "ann"})).await;
    let first = events.next().await.unwrap();
    assert!(first.data["text"].as_str().unwrap().starts_with("Today: "), "of others: {first:?}");
    let everywhere = [json!(receiver.taken()).to_string(), site.log()].concat();
    for code in codes {
        assert_eq!(code.len(), 9, "{code}");
        for shape in [code.clone(), code.replace('-', "")] {
            assert!(!everywhere.contains(&shape), "{code} is told elsewhere: {everywhere}");
        }
    }
    assert_eq!(stand.faults(), Vec::<String>::new());
}
