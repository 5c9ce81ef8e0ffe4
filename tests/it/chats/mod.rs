//! The real binary on chat platforms: from what a person writes to what they see. One list of checks for all of them.

mod brought;
mod conformance;
mod kills;
mod links;
mod stand;
mod talk;
mod topics;

use stand::Stand;

use crate::support::*;

/// A bot whom ann, bob and cid may write to.
fn site<S: Stand>(model: &MockModel, stand: &S, more: &str) -> Site {
    Site::new(&with_model(model, &format!("channels: {{{}}}\n{more}", stand.keys(&["ann", "bob", "cid"]))))
}

/// The server, when it listens.
async fn start<S: Stand>(site: &Site, stand: &S, env: &[(&str, &str)]) -> Server {
    let server = site.start_with(env);
    until("the bot listens", async || stand.is_heard()).await;
    server
}

/// Waits until somebody sees exactly this.
async fn sees<S: Stand>(stand: &S, person: &str, texts: &[&str]) {
    until(&format!("{person} sees {texts:?}"), async || stand.texts(person) == texts).await;
}

/// Each check, on each platform.
macro_rules! on_all {
    ($($check:ident),* $(,)?) => {
        mod telegram {
            use crate::support::telegram::FakeTelegram;
            $(#[actix_web::test] async fn $check() { super::$check::<FakeTelegram>().await; })*
        }
        mod discord {
            use crate::chats::stand::DiscordStand;
            $(#[actix_web::test] async fn $check() { super::$check::<DiscordStand>().await; })*
        }
    };
}
use on_all;
