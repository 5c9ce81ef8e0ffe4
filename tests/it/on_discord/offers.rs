//! What is offered while a slash command is typed: only what the person may see, and never to strangers.

use serde_json::json;

use super::kit::{keys, own, rise};
use crate::{
    board::made,
    support::{discord::FakeDiscord, *},
    tasks::{goes_in, put, task, until_asked},
};
use atoll::domain::ids::UserId;

/// What somebody is offered who types this, with what is shown for it.
async fn offered(
    fake: &FakeDiscord,
    channel: u64,
    person: &str,
    command: &str,
    typed: (&str, &str),
) -> (Vec<String>, Vec<String>) {
    let typing = fake.typing_behind(channel, person, command, typed);
    until("an answer to the typing", async || fake.answered(typing) == Some(8)).await;
    (fake.offered(typing), fake.offered_labels(typing))
}

#[tokio::test]
async fn what_is_offered_is_what_somebody_may_say() {
    let (model, fake) = (MockModel::instant("no"), FakeDiscord::start());
    let site = Site::new(&with_model(&model, &keys(&fake, &["ann", "vic"])));
    let server = rise(&site, &fake).await;
    let rest = User::new(&server.base, &site.key("me", "owner"));
    own(&site, &fake, "own").await;
    for id in ["app", "apple", "web"] {
        let body = json!({"id": id, "name": format!("The {id}"), "repoUrl": "/srv/x.git"});
        made(&rest, "/api/v1/projects", body).await;
    }
    let ann = format!("discord:{}", fake.user("ann"));
    for (project, role) in [("app", "developer"), ("web", "viewer")] {
        let path = format!("/api/v1/projects/{project}/members/{ann}");
        assert_eq!(rest.patch(&path, json!({"role": role})).await.0, 200);
    }
    let (own_dm, ann_dm, room) = (fake.dm_channel("own"), fake.dm_channel("ann"), fake.guild_channel());
    let project =
        async |channel, person, typed| offered(&fake, channel, person, "task", ("project", typed)).await.0;
    assert_eq!(project(own_dm, "own", "").await, ["app", "apple", "web"]);
    assert_eq!(project(own_dm, "own", "AP").await, ["app", "apple"]);
    assert_eq!(project(ann_dm, "ann", "").await, ["app"], "she only looks at the other");
    assert_eq!(project(room, "ann", "").await, ["app"]);
    assert_eq!(project(fake.dm_channel("vic"), "vic", "").await, [""; 0], "somebody who is in no project");
    assert_eq!(project(fake.dm_channel("eve"), "eve", "").await, [""; 0], "a stranger");
    assert_eq!(project(room, "eve", "").await, [""; 0]);
    assert_eq!(fake.bot_says(fake.dm_channel("eve")), [""; 0], "typing is nothing to be answered");

    for n in 0..40 {
        let body = json!({"id": format!("many-{n:02}"), "name": "x", "repoUrl": "/srv/x.git"});
        made(&rest, "/api/v1/projects", body).await;
    }
    let many = project(own_dm, "own", "many").await;
    assert_eq!((many.len(), many[0].as_str(), many[24].as_str()), (25, "many-00", "many-24"));
    assert_eq!(fake.faults(), [""; 0]);
    assert_eq!(model.count(), 0);
    server.stop();
}

#[tokio::test]
async fn questions_tasks_memories_and_models_are_offered_to_those_whose_they_are() {
    let (model, fake) = (MockModel::instant("no"), FakeDiscord::start());
    let site = Site::new(&with_model(&model, &keys(&fake, &["ann", "bob"])));
    let server = rise(&site, &fake).await;
    let rest = User::new(&server.base, &site.key("me", "owner"));
    made(&rest, "/api/v1/projects", json!({"id": "app", "name": "App", "repoUrl": "/srv/x.git"})).await;
    own(&site, &fake, "own").await;
    let user = |person: &str| UserId::new(format!("discord:{}", fake.user(person)));
    for (id, person, question) in [("job1aaaa", "ann", Some("01kabc-1")), ("job2bbbb", "bob", None)] {
        let mut new = task(id);
        new.user = user(person);
        new.title = format!("Mend {}", "it ".repeat(60));
        put(&site, new);
        if let Some(question) = question {
            goes_in(&site, 0, id, &[], until_asked(question));
        }
    }
    let memory = json!({"content": "likes tea", "category": "taste", "userId": user("ann")});
    made(&rest, "/api/v1/memories", memory).await;

    let (ann, bob) = (fake.dm_channel("ann"), fake.dm_channel("bob"));
    let (ids, labels) = offered(&fake, ann, "ann", "approve", ("id", "")).await;
    assert_eq!(ids, ["01kabc-1"]);
    assert_eq!(labels, ["01kabc-1 — push c0ffee"]);
    assert_eq!(offered(&fake, ann, "ann", "reject", ("id", "01k")).await.0, ["01kabc-1"]);
    assert_eq!(offered(&fake, bob, "bob", "approve", ("id", "")).await.0, [""; 0], "not his");
    let own_dm = fake.dm_channel("own");
    assert_eq!(offered(&fake, own_dm, "own", "approve", ("id", "")).await.0, ["01kabc-1"]);

    for command in ["status", "cancel"] {
        let (ids, labels) = offered(&fake, bob, "bob", command, ("job", "")).await;
        assert_eq!(ids, ["job2bbbb"], "/{command}");
        assert!(
            labels[0].starts_with("job2bbbb — Mend it") && labels[0].chars().count() == 100,
            "{labels:?}"
        );
    }
    assert_eq!(offered(&fake, ann, "ann", "status", ("job", "job2")).await.0, [""; 0]);
    assert_eq!(offered(&fake, ann, "ann", "memory", ("category", "")).await.0, ["taste"]);
    let room = fake.guild_channel();
    assert_eq!(offered(&fake, room, "ann", "memory", ("category", "")).await.0, [""; 0], "others read along");
    assert_eq!(offered(&fake, ann, "ann", "model", ("name", "")).await.0, ["mock", "default"]);
    assert_eq!(offered(&fake, fake.dm_channel("eve"), "eve", "model", ("name", "")).await.0, [""; 0]);

    // Every option that was asked for is one that Discord asks about.
    let commands = fake.commands();
    for (command, option) in [
        ("task", "project"),
        ("approve", "id"),
        ("reject", "id"),
        ("status", "job"),
        ("cancel", "job"),
        ("memory", "category"),
        ("model", "name"),
    ] {
        let known = commands.as_array().unwrap().iter().find(|known| known["name"] == command).unwrap();
        let options = known["options"].as_array().unwrap();
        let known = options.iter().find(|known| known["name"] == option).unwrap();
        assert_eq!(known["autocomplete"], true, "/{command} {option}");
    }

    // What was chosen is sent back whole.
    fake.slash(ann, "ann", "reject", &[("id", "01kabc-1"), ("reason", "not so")]);
    until("it is rejected", async || fake.bot_says(ann).contains(&"Rejected.".to_owned())).await;
    assert_eq!(offered(&fake, ann, "ann", "approve", ("id", "")).await.0, [""; 0], "it is not open any more");
    assert_eq!(fake.faults(), [""; 0]);
    server.stop();
}
