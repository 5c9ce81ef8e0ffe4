//! The process dies around everything that the webhook passes: what happened is told once, by one row, which arrives in
//! the end, also when somebody has to send it again.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::points::both;
use crate::support::{
    receiver::{Receiver, Trouble},
    *,
};

/// Where it dies that no other test does; before and after the commit.
pub(super) const KILLS: &[&str] = &["commit:resend_outbox", "before_send:callback", "after_send:callback"];

/// A life after the other, and somebody who asks until they are answered.
struct World {
    site: Site,
    server: Server,
    user: User,
    deaths: u32,
}

impl World {
    async fn ask(&self, method: Method, path: &str) -> Option<Value> {
        let request = self.user.request(method, path).timeout(Duration::from_secs(5)).json(&json!({}));
        request.send().await.ok()?.json().await.ok()
    }

    /// Does whatever is to be done now.
    async fn go_on(&mut self) {
        if self.server.is_dead() {
            self.deaths += 1;
            self.server = self.site.start();
            self.user = User::new(&self.server.base, &self.user.key);
        }
        if self.site.number("SELECT count(*) FROM inbound") == 0 {
            let said = self.user.try_chat("once", json!({"message": "pay them", "userId": "ann"}));
            let _ = tokio::time::timeout(Duration::from_secs(1), said).await;
        }
        for (list, what, verb) in [
            ("/api/v1/approvals?status=pending", "approvals", "approve"),
            ("/api/v1/outbox?state=dead", "messages", "resend"),
        ] {
            let found = self.ask(Method::GET, list).await.unwrap_or_default();
            for row in found[what].as_array().into_iter().flatten() {
                let id = row["id"].to_string();
                let path = list.split('?').next().unwrap();
                self.ask(Method::POST, &format!("{path}/{}/{verb}", id.trim_matches('"'))).await;
            }
        }
    }
}

/// What the model says next, by what it sees: a life that died may have asked it before.
fn pays(request: &Request) -> Reply {
    let results =
        request.body["messages"].as_array().unwrap().iter().filter(|one| one["role"] == "tool").count();
    match results {
        0 => Reply::call("activate_skill", json!({"skill_name": "bench"})),
        1 => Reply::call("bench_pay", json!({"n": 5})),
        _ => Reply::say("done"),
    }
}

#[tokio::test]
async fn what_the_webhook_tells_is_born_with_what_happens() {
    run(&["commit:held", "commit:decide", "commit:ended"]).await;
}

#[tokio::test]
async fn a_post_that_was_cut_off_is_sent_again_and_known_again() {
    run(&["before_send:callback", "after_send:callback", "after_send:callback#2", "before_settle:outbox"])
        .await;
}

#[tokio::test]
async fn what_becomes_of_a_post_survives() {
    run(&["commit:claim_outbox", "commit:settle_outbox", "commit:settle_outbox#2"]).await;
    run(KILLS).await;
}

/// Lets it die at each of these, and looks at what was told in the end.
async fn run(kills: &[&str]) {
    for kill in kills.iter().flat_map(|kill| both(kill)) {
        let receiver = Receiver::start();
        // What is claimed is what waits at the start: something has to wait there.
        let waits = kill.contains("claim_outbox");
        let soon = vec![("retry-after".to_owned(), "0".to_owned())];
        receiver.then([if waits { Trouble::Says(503, soon) } else { Trouble::Says(410, vec![]) }]);
        let model = MockModel::start(pays);
        let config = with_model(&model, &format!("{BENCH}{}", receiver.config("")));
        let site = Site::new(&config).with_bench();
        let key = site.key("boss", "owner");
        let fault = ("ATOLL_FAULT", kill.as_str());
        let server = site.start_with(if waits { &[] } else { std::slice::from_ref(&fault) });
        let user = User::new(&server.base, &key);
        let mut world = World { site, server, user, deaths: 0 };
        if waits {
            until("it waits", async || {
                world.go_on().await;
                receiver.attempts() >= 1
            })
            .await;
            world.server.kill();
            let died = world.site.try_start(&[fault]).is_err();
            world.deaths += u32::from(died);
            world.server = world.site.start();
            world.user = User::new(&world.server.base, &key);
        }
        let left = "SELECT count(*) FROM outbox WHERE channel = 'callback' AND state <> 'sent'";
        until(&kill, async || {
            world.go_on().await;
            !receiver.of("message").is_empty() && world.site.number(left) == 0
        })
        .await;
        assert_eq!(world.deaths, 1, "{kill}: it was to die there, once");
        let mut told: Vec<String> =
            receiver.taken().iter().map(|told| format!("{}{}", told["type"], told["status"])).collect();
        told.sort();
        assert_eq!(
            told,
            ["\"approval\"\"approved\"", "\"approval\"\"pending\"", "\"message\"null"],
            "{kill}"
        );
        let rows = "SELECT count(*) FROM outbox WHERE channel = 'callback'";
        assert_eq!(world.site.number(rows), 3, "{kill}");
        assert!(world.server.stop().success(), "{kill}");
    }
}
