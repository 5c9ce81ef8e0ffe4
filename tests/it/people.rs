//! Who may write on chat platforms, over REST and on the command line: codes, strangers, accounts, channels.

use atoll::{
    domain::{
        chat::Place,
        identity::{NewPairing, Redeemed, Redemption, read_code, shown},
    },
    store::{pairings, schema},
};
use serde_json::{Value, json};

use crate::support::*;

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

fn site() -> (Site, Server, User) {
    let site = Site::new("llm: {provider: rehearsal}");
    let server = site.start();
    let owner = User::new(&server.base, &site.key("me", "owner"));
    (site, server, owner)
}

fn place(chat: &str) -> Place {
    Place { chat: chat.into(), thread: None }
}

/// A stranger wrote.
fn stranger(site: &Site, id: &str, code: &str, external: &str) {
    let db = schema::open_writer(&site.home().join("atoll.db")).unwrap();
    let new = NewPairing {
        id: id.into(),
        code: code.into(),
        channel: "telegram".into(),
        external: external.into(),
        name: "Bob".into(),
        place: place(external),
        now: now(),
    };
    assert_eq!(pairings::ask(&db, 1, &new, &[]).unwrap().len(), 1);
}

/// An account shows a code.
fn show(site: &Site, code: &str, external: &str) -> Redeemed {
    let db = schema::open_writer(&site.home().join("atoll.db")).unwrap();
    let shown = Redemption {
        code: read_code(code).unwrap(),
        channel: "telegram".into(),
        external: external.into(),
        name: "Ann".into(),
        place: place(external),
        now: now(),
    };
    pairings::redeem(&db, &shown).unwrap()
}

fn joined(redeemed: Redeemed) -> (String, &'static str) {
    match redeemed {
        Redeemed::Joined { identity, .. } => (identity.user.to_string(), identity.role.as_str()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_command_line_gives_the_first_owner_a_code_also_before_the_first_start() {
    let site = Site::new("llm: {provider: rehearsal}");
    let code = site.say(&["link"]);
    assert_eq!(joined(show(&site, &code, "42")), ("api-default".into(), "owner"));
    assert_eq!(show(&site, &code, "43"), Redeemed::Wrong);
    let code = site.say(&["link", "--user", "ann", "--role", "developer"]);
    assert_eq!(joined(show(&site, &code, "43")), ("ann".into(), "developer"));
    let odd = site.run(&["link", "--role", "king"]);
    assert!(String::from_utf8_lossy(&odd.stderr).contains("owner, developer or viewer"));
    assert!(site.say(&["audit"]).contains("identity.linked"));
}

#[tokio::test]
async fn a_key_gives_codes_for_its_own_user_and_no_higher_role() {
    let (site, server, owner) = site();
    let ann = User::new(&server.base, &site.key("ann", "developer"));
    let (status, link) = ann.post("/api/v1/link", json!({})).await;
    assert_eq!((status.as_u16(), &link["userId"], &link["role"]), (201, &json!("ann"), &json!("developer")));
    assert_eq!(joined(show(&site, link["code"].as_str().unwrap(), "42")), ("ann".into(), "developer"));
    for (body, status) in [
        (json!({"role": "owner"}), 403),
        (json!({"userId": "bob"}), 403),
        (json!({"role": "king"}), 400),
        (json!({"role": "viewer"}), 201),
    ] {
        assert_eq!(ann.post("/api/v1/link", body.clone()).await.0, status, "{body}");
    }
    let (_, link) = owner.post("/api/v1/link", json!({"userId": "bob", "role": "viewer"})).await;
    assert_eq!((&link["userId"], &link["role"]), (&json!("bob"), &json!("viewer")));
    let typed = ann.ask("/link").await;
    let code = typed.lines().find_map(|line| line.strip_prefix("/link ")).unwrap();
    assert_eq!(joined(show(&site, code, "44")), ("ann".into(), "developer"));
    let typed = owner.ask("/link").await;
    let code = typed.lines().find_map(|line| line.strip_prefix("/link ")).unwrap();
    assert_eq!(joined(show(&site, code, "45")).1, "developer", "whoever speaks for others makes no owners");
    assert!(owner.ask("/link ABCD-2345").await.contains("on chat platforms"));
}

#[tokio::test]
async fn strangers_are_let_in_and_sent_away_by_code_or_id_and_once() {
    let (site, _server, owner) = site();
    assert_eq!(site.say(&["pair"]), "nobody waits to be let in");
    stranger(&site, "p1", "CCCC2222", "42");
    stranger(&site, "p2", "DDDD2222", "43");
    stranger(&site, "p3", "EEEE2222", "44");
    let list = owner.look("/api/v1/pairings").await;
    let ids: Vec<&Value> = list["pairings"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, ["p1", "p2", "p3"]);
    assert!(!list.to_string().contains("CCCC"), "codes are not shown: {list}");
    let code = shown("CCCC2222").to_lowercase();
    let said = site.say(&["pair", "approve", &code, "--role", "viewer", "--user", "bob"]);
    assert_eq!(said, "Bob may write now, on telegram");
    let (status, again) = owner.post("/api/v1/pairings/p1", json!({"approve": false})).await;
    assert_eq!((status.as_u16(), code_of(&again)), (409, "settled"));
    assert!(again.to_string().contains("already paired by local"), "{again}");
    let (status, paired) = owner.post("/api/v1/pairings/p2", json!({"approve": true})).await;
    assert_eq!((status.as_u16(), &paired["state"]), (200, &json!("paired")));
    assert_eq!(site.say(&["pair", "refuse", "EEEE-2222"]), "Bob was sent away");
    for (path, body, status) in [
        ("none", json!({"approve": true}), 404),
        ("ZZZZ-2222", json!({"approve": true}), 404),
        ("p1", json!({}), 400),
        ("p1", json!({"approve": true, "role": "king"}), 400),
    ] {
        assert_eq!(owner.post(&format!("/api/v1/pairings/{path}"), body).await.0, status, "{path}");
    }
    assert_eq!(owner.look("/api/v1/pairings").await, json!({"pairings": []}));
    let accounts = owner.look("/api/v1/identities").await;
    let seen: Vec<[&Value; 4]> = accounts["identities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| [&one["externalId"], &one["userId"], &one["role"], &one["admitted"]])
        .collect();
    let expected = [
        [&json!("42"), &json!("bob"), &json!("viewer"), &json!(true)],
        [&json!("43"), &json!("telegram:43"), &json!("developer"), &json!(true)],
    ];
    assert_eq!(seen, expected);
    let welcome = "SELECT count(*) FROM outbox WHERE channel = 'telegram' AND body LIKE '%Welcome%'";
    assert_eq!(site.value::<i64>(welcome), 2);
}

#[tokio::test]
async fn an_account_is_changed_blocked_and_forgotten() {
    let (site, _server, owner) = site();
    let code = site.say(&["link", "--user", "ann", "--role", "developer"]);
    show(&site, &code, "42");
    let path = "/api/v1/identities/telegram/42";
    let (status, changed) = owner.patch(path, json!({"role": "owner", "userId": "eve"})).await;
    assert_eq!(
        (status.as_u16(), &changed["role"], &changed["userId"]),
        (200, &json!("owner"), &json!("eve"))
    );
    let (_, blocked) = owner.patch(path, json!({"blocked": true})).await;
    assert_eq!((&blocked["blocked"], &blocked["role"]), (&json!(true), &json!("owner")));
    for (path, body, status) in [
        (path, json!({"role": "king"}), 400),
        (path, json!({"userId": "telegram:group:-1"}), 400),
        (path, json!({"name": "x"}), 400),
        ("/api/v1/identities/telegram/43", json!({"blocked": true}), 404),
        ("/api/v1/identities/discord/42", json!({"blocked": true}), 404),
    ] {
        assert_eq!(owner.patch(path, body.clone()).await.0, status, "{path} {body}");
    }
    assert_eq!(
        (owner.delete(path).await.0, owner.delete(path).await.0.as_u16()),
        (reqwest::StatusCode::NO_CONTENT, 404)
    );
    let acts = site.column("SELECT action FROM audit WHERE action LIKE 'identity.%' ORDER BY seq");
    let expected = ["identity.linked", "identity.changed", "identity.blocked", "identity.removed"];
    assert_eq!(acts, expected);
    assert!(site.say(&["audit", "verify"]).contains("rows"));
}

#[tokio::test]
async fn channels_say_how_they_are_and_nobody_brings_updates_who_was_not_asked_to() {
    let (site, server, owner) = site();
    let channels = owner.look("/api/v1/channels").await;
    let states: Vec<(&Value, &Value)> =
        channels["channels"].as_array().unwrap().iter().map(|one| (&one["channel"], &one["state"])).collect();
    let off = json!("disabled");
    assert_eq!(states, [(&json!("telegram"), &off), (&json!("discord"), &off)]);
    assert!(site.say(&["channels"]).contains("telegram"));
    let nobody = User::new(&server.base, "no key");
    for secret in [None, Some(""), Some("sixteen_or_longer")] {
        let mut request = nobody.bare(reqwest::Method::POST, "/api/channels/telegram/webhook").body("{}");
        if let Some(secret) = secret {
            request = request.header("x-telegram-bot-api-secret-token", secret);
        }
        assert_eq!(request.send().await.unwrap().status(), 404, "{secret:?}");
    }
}
