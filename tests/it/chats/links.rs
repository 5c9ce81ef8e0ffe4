//! Files that a platform does not take: a link goes out in their place.

use reqwest::Method;
use serde_json::json;

use super::{
    site,
    stand::{DiscordStand, Stand},
    start,
};
use crate::support::{telegram::FakeTelegram, *};

#[tokio::test]
async fn what_telegram_does_not_take_goes_out_as_a_link() {
    a_link_goes_out::<FakeTelegram>().await;
}

#[tokio::test]
async fn what_discord_does_not_take_goes_out_as_a_link() {
    a_link_goes_out::<DiscordStand>().await;
}

async fn a_link_goes_out<S: Stand>() {
    let (model, stand) = (does(&[("bench_big", json!({}))]), S::start());
    let public = "server: {port: 0, public_url: 'http://atoll.example:9000'}";
    let site = site(&model, &stand, &format!("{public}\n{BENCH}")).with_bench();
    let server = start(&site, &stand, &[]).await;
    stand.say("ann", "make something big");
    let link = |text: &str| {
        let at = text.find("http://atoll.example:9000")?;
        Some(text[at..].split_whitespace().next()?.trim_end_matches(['>', ')']).to_owned())
    };
    let seen = || stand.texts("ann").iter().find_map(|text| link(text));
    until("a link", async || seen().is_some()).await;
    let path = seen().unwrap().replace("http://atoll.example:9000", "");
    // Whoever is sent there comes by that name, and needs no key.
    let nobody = User::new(&server.base, "");
    let get = async |path: &str, name: &str| {
        nobody.bare(Method::GET, path).header("host", name).send().await.unwrap()
    };
    let response = get(&path, "atoll.example:9000").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-disposition"], "attachment; filename=\"big.bin\"");
    assert_eq!(response.bytes().await.unwrap().len(), 60 << 20);
    let (file, _) = path.split_once("/shared").unwrap();
    for wrong in
        [format!("{path}0"), path.replace("until=1", "until=2"), format!("{file}/shared?until=1&signature=")]
    {
        assert_eq!(get(&wrong, "localhost").await.status(), 404, "{wrong}");
    }
    assert_eq!(get(file, "localhost").await.status(), 401);
    assert_eq!(get(&path, "elsewhere.example").await.status(), 421);
    // It holds over a restart.
    server.stop();
    let server = site.start();
    let again = User::new(&server.base, "").bare(Method::GET, &path).send().await.unwrap();
    assert_eq!(again.status(), 200);
    assert_eq!(stand.faults(), Vec::<String>::new());
}
