//! What owners see of a stranger who asks to be let in: buttons while they wait, and then what became of it and by whom, in
//! each chat in which an owner was asked.

use serde_json::json;

use super::{
    conformance::code_in,
    on_platforms, site,
    stand::{Platform, Seen},
    start,
};
use crate::support::*;

on_platforms!(
    owners_see_what_became_of_a_stranger:
        "strangers have no key there, and are told so; there is nobody to let in",
);

/// Somebody becomes an owner on the platform.
async fn owns<S: Platform>(stand: &S, boss: &User, person: &str) {
    let link = boss.post("/api/v1/link", json!({"userId": person, "role": "owner"})).await.1;
    stand.say(person, &format!("/link {}", link["code"].as_str().unwrap()));
    until(&format!("{person} is linked"), async || {
        stand.texts(person).iter().any(|text| text.contains(&format!("This account is {person}")))
    })
    .await;
}

/// A stranger writes; what both owners are asked.
async fn asks<S: Platform>(stand: &S, stranger: &str) -> [Seen; 2] {
    stand.say(stranger, "let me in");
    let asked = |owner: &str| {
        let mut seen = stand.seen(owner).into_iter();
        seen.find(|seen| seen.text.starts_with(&format!("{stranger} (")) && seen.buttons.len() == 2)
    };
    until(&format!("both are asked about {stranger}"), async || {
        asked("ann").is_some() && asked("bob").is_some()
    })
    .await;
    ["ann", "bob"].map(|owner| asked(owner).unwrap())
}

/// Both messages show how it ended, without buttons and without the code.
async fn is_over<S: Platform>(stand: &S, questions: &[Seen; 2], how: &str) {
    for (owner, question) in ["ann", "bob"].into_iter().zip(questions) {
        let now = || stand.seen(owner).into_iter().find(|seen| seen.id == question.id).unwrap();
        until(&format!("{owner} sees: {how}"), async || now().text.contains(how)).await;
        let (text, code) = (now().text, code_in(&question.text));
        assert!(now().buttons.is_empty() && !text.contains(&code), "{text}");
        assert!(text.contains("wanted to write to me."), "{text}");
    }
}

async fn owners_see_what_became_of_a_stranger<S: Platform>() {
    let (model, stand) = (MockModel::instant("Here."), S::start());
    let site = site(&model, &stand, "");
    let server = start(&site, &stand, &[]).await;
    let boss = User::new(&server.base, &site.key("boss", "owner"));
    owns(&stand, &boss, "ann").await;
    owns(&stand, &boss, "bob").await;

    let questions = asks(&stand, "eve").await;
    stand.tap("bob", &questions[1], "Let in");
    is_over(&stand, &questions, "Let in by bob").await;
    let text = stand.seen("ann").into_iter().find(|seen| seen.id == questions[0].id).unwrap().text;
    assert!(!text.contains(&stand.id("bob")), "a name, and no number: {text}");

    let questions = asks(&stand, "gus").await;
    let id = site.text("SELECT id FROM pairings WHERE state = 'open'");
    boss.post(&format!("/api/v1/pairings/{id}"), json!({"approve": false})).await;
    is_over(&stand, &questions, "Sent away by boss").await;

    let questions = asks(&stand, "hal").await;
    site.say(&["pair", "approve", &code_in(&questions[0].text)]);
    is_over(&stand, &questions, "Let in by local").await;

    let questions = asks(&stand, "ian").await;
    site.store().execute("UPDATE pairings SET expires_at = 1 WHERE state = 'open'", []).unwrap();
    is_over(&stand, &questions, "Nobody answered in time").await;
    assert_eq!(site.number("SELECT count(*) FROM pairings WHERE state = 'expired'"), 1);
    assert_eq!(stand.faults(), Vec::<String>::new());
}
