//! What commands quote from the store is shown as it is stored, whatever it would mean in CommonMark or to a platform.

use serde_json::json;

use super::{everywhere, site, stand::Stand, start};
use crate::support::*;

everywhere!(what_commands_quote_is_shown_as_it_is);

/// Words that mean something to somebody.
const HOSTILE: [&str; 9] = [
    "*a_b*",
    "one ` and ``two``",
    "<b>x</b> &amp; <@42>",
    "over\n# x",
    "over\n    indented",
    "over\n1. x\n- y",
    "[x](https://y.z/)",
    "~~gone~~ ||hidden|| \\*",
    "over\n> quoted\n```\ncode",
];

/// What somebody reads, when nothing in it formats: at Discord what is to be shown as it is has a backslash before it, and
/// what could call somebody is broken up.
fn read<S: Stand>(text: &str) -> Option<String> {
    if S::NAME != "discord" {
        return Some(text.to_owned());
    }
    let (mut shown, mut rest) = (String::new(), text.chars());
    while let Some(one) = rest.next() {
        match one {
            '\\' => shown.push(rest.next().filter(char::is_ascii_punctuation)?),
            '*' | '_' | '~' | '`' | '|' => return None,
            '\u{200b}' => {}
            other => shown.push(other),
        }
    }
    Some(shown)
}

/// What somebody is answered to a command, among other things that they are told.
async fn answer<S: Stand>(stand: &S, command: &str, holds: &str) -> String {
    let before = stand.seen("ann").len();
    stand.say("ann", command);
    let found = || {
        let texts = stand.texts("ann");
        texts[before..].iter().filter_map(|text| read::<S>(text)).find(|text| text.contains(holds))
    };
    let what = format!("{holds:?} after {command}");
    until(&what, async || found().is_some()).await;
    found().unwrap()
}

async fn what_commands_quote_is_shown_as_it_is<S: Stand>() {
    let (model, stand) = (MockModel::instant("no"), S::start());
    let site = site(&model, &stand, "sandbox: {docker: /nonexistent}");
    let server = start(&site, &stand, &[]).await;
    let boss = User::new(&server.base, &site.key("boss", "owner"));
    answer(&stand, "/memory", "I remember nothing about you.").await;
    let ann = site.text("SELECT user_id FROM inbound");
    for (at, words) in HOSTILE.iter().enumerate() {
        let body = json!({"userId": ann, "content": format!("{words} {at}"), "category": "_a_b_"});
        let (status, said) = boss.post("/api/v1/memories", body).await;
        assert_eq!(status, 201, "{said}");
    }
    let shown = answer(&stand, "/memory", "_a_b_:\n").await;
    for (at, words) in HOSTILE.iter().enumerate() {
        assert!(shown.contains(&format!("] {words} {at}")), "{words}: {shown}");
    }
    let name = "*My* `_app_` <i>";
    crate::board::made(&boss, "/api/v1/projects", json!({"name": name, "repoUrl": "/srv/app.git"})).await;
    let project = boss.look("/api/v1/projects").await["projects"][0]["id"].as_str().unwrap().to_owned();
    let member = format!("/api/v1/projects/{project}/members/{ann}");
    assert!(boss.patch(&member, json!({"role": "developer"})).await.0.is_success());
    answer(&stand, "/projects", &format!("{project} — {name}")).await;
    let title = "mend `a_b` and *c* in [d](e) <f>";
    answer(&stand, &format!("/task {project} {title}"), &format!("is taken: {title}\n")).await;
    for command in ["/status", "/tasks"] {
        answer(&stand, command, &format!("— {title} ({project})")).await;
    }
    answer(&stand, "/model *x*", "There is no model `*x*`.\n").await;
    assert_eq!(stand.faults(), Vec::<String>::new());
}
