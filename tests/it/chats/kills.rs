//! The real binary, killed between every two steps of receiving and sending: nothing that was accepted is lost, nothing
//! comes twice where the platform knows a message again, and elsewhere at most once more, marked.

use super::{
    on_platforms, site,
    stand::{DiscordStand, Platform, Stand},
    start,
};
use crate::support::{telegram::FakeTelegram, *};

on_platforms!(
    a_message_survives_its_whole_way: "tests/it/crash kills over REST, and the terminal is a client of that",
);

/// From the first write about a message to the last.
const KILLS: &[&str] = &[
    "before_commit:began",
    "after_commit:began",
    "answered:model",
    "before_commit:ended",
    "after_commit:ended",
    "before_send",
    "after_send",
    "before_settle:outbox",
    "before_commit:settle_outbox",
    "after_commit:settle_outbox",
];

/// A place that each platform has for itself.
fn at(kill: &str, platform: &str) -> String {
    if kill.contains(':') { kill.to_owned() } else { format!("{kill}:{platform}") }
}

/// All of them.
pub(super) fn all() -> Vec<String> {
    let platforms = [<FakeTelegram as Stand>::NAME, DiscordStand::NAME];
    platforms.iter().flat_map(|platform| KILLS.iter().map(|kill| at(kill, platform))).collect()
}

async fn a_message_survives_its_whole_way<S: Platform>() {
    for kill in KILLS {
        let (model, stand) = (MockModel::instant("Here."), S::start());
        let site = site(&model, &stand, "");
        let fault = at(kill, S::NAME);
        let mut server = start(&site, &stand, &[("ATOLL_FAULT", &fault)]).await;
        stand.say("ann", "hi");
        until(&format!("the end at {fault}"), async || server.is_dead()).await;
        let server = start(&site, &stand, &[]).await;
        until(&format!("the answer after {fault}"), async || {
            !stand.texts("ann").is_empty()
                && site.number("SELECT count(*) FROM outbox WHERE state NOT IN ('sent', 'unknown')") == 0
                && site.number("SELECT count(*) FROM inbound WHERE state <> 'answered'") == 0
        })
        .await;
        let texts = stand.texts("ann");
        let plain = texts.iter().filter(|text| *text == "Here.").count();
        let marked = texts.iter().filter(|text| text.contains("once more")).count();
        assert_eq!(plain + marked, texts.len(), "{fault}: {texts:?}");
        match S::NAME {
            "telegram" => assert!(plain <= 1 && marked <= 1 && plain + marked >= 1, "{fault}: {texts:?}"),
            _ => assert_eq!((plain, marked), (1, 0), "{fault}: {texts:?}"),
        }
        assert_eq!(site.number("SELECT count(*) FROM inbound"), 1, "{fault}");
        assert_eq!(stand.faults(), Vec::<String>::new(), "{fault}");
        server.stop();
    }
}
