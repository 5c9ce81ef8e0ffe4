//! The real binary in conversations: from what a person writes to what they see. One list of checks for all ways there
//! are to the bot: Telegram, Discord, REST, the terminal.

mod api;
mod brought;
mod codes;
mod conformance;
mod keys;
mod kills;
mod links;
mod lives;
mod pairings;
mod stand;
mod talk;
mod terminal;
mod topics;
mod words;

pub(crate) use lives::all_kills;
use stand::Stand;

use crate::support::*;

/// A bot whom ann, bob and cid may write to.
fn site<S: Stand>(model: &MockModel, stand: &S, more: &str) -> Site {
    Site::new(&with_model(model, &format!("channels: {{{}}}\n{more}", stand.keys(&["ann", "bob", "cid"]))))
}

/// The server, when it listens.
async fn start<S: Stand>(site: &Site, stand: &S, env: &[(&str, &str)]) -> Server {
    let server = site.start_with(env);
    stand.meets(site, &server);
    until("the bot listens", async || stand.is_heard()).await;
    server
}

/// Waits until somebody sees exactly this.
async fn sees<S: Stand>(stand: &S, person: &str, texts: &[&str]) {
    until(&format!("{person} sees {texts:?}"), async || stand.texts(person) == texts).await;
}

/// Each check, everywhere.
macro_rules! everywhere {
    ($($check:ident),* $(,)?) => {$(
        mod $check {
            use crate::{chats::{api::ApiStand, stand::DiscordStand, terminal::TerminalStand}, support::telegram::FakeTelegram};
            #[tokio::test] async fn telegram() { super::$check::<FakeTelegram>().await; }
            #[tokio::test] async fn discord() { super::$check::<DiscordStand>().await; }
            #[tokio::test] async fn api() { super::$check::<ApiStand>().await; }
            #[tokio::test] async fn terminal() { super::$check::<TerminalStand>().await; }
        }
    )*};
}
use everywhere;

/// Each check, everywhere but in the terminal, which has no such thing: why.
macro_rules! not_in_the_terminal {
    ($($check:ident: $why:literal),* $(,)?) => {$(
        const _: () = assert!(!$why.is_empty());
        mod $check {
            use crate::{chats::{api::ApiStand, stand::DiscordStand}, support::telegram::FakeTelegram};
            #[tokio::test] async fn telegram() { super::$check::<FakeTelegram>().await; }
            #[tokio::test] async fn discord() { super::$check::<DiscordStand>().await; }
            #[tokio::test] async fn api() { super::$check::<ApiStand>().await; }
        }
    )*};
}
use not_in_the_terminal;

/// Each check, on the platforms of others alone: why REST and the terminal have no such thing.
macro_rules! on_platforms {
    ($($check:ident: $why:literal),* $(,)?) => {$(
        const _: () = assert!(!$why.is_empty());
        mod $check {
            use crate::{chats::stand::DiscordStand, support::telegram::FakeTelegram};
            #[tokio::test] async fn telegram() { super::$check::<FakeTelegram>().await; }
            #[tokio::test] async fn discord() { super::$check::<DiscordStand>().await; }
        }
    )*};
}
use on_platforms;
