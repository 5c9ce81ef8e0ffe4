//! Coding tasks on Discord: a card that moves, a thread under it where many read along, and what is told there. Where the
//! tasks stand is written into the store, as the jobs themselves do it.

use atoll::domain::{
    chat::Place,
    ids::UserId,
    job::{NewTask, Outcome, Verbosity},
};
use serde_json::{Value, json};

use super::kit::{keys, rise};
use crate::{
    board::made,
    support::{
        discord::{FakeDiscord, Shown, Trouble},
        *,
    },
    tasks::{goes_in, over, put, task, until_asked},
};

/// A home with the project `app` and a bot that ann may write to.
async fn begin(fake: &FakeDiscord) -> (Site, Server) {
    let site = Site::new(&format!("llm: {{provider: rehearsal}}\n{}", keys(fake, &["ann"])));
    let server = rise(&site, fake).await;
    let rest = User::new(&server.base, &site.key("me", "owner"));
    made(&rest, "/api/v1/projects", json!({"id": "app", "name": "App", "repoUrl": "/srv/x.git"})).await;
    (site, server)
}

/// A task that ann gave in this channel.
fn given(fake: &FakeDiscord, id: &str, channel: u64, group: bool) -> NewTask {
    let ann = UserId::new(format!("discord:{}", fake.user("ann")));
    let all = UserId::new(format!("discord:group:{channel}"));
    let place = Place { chat: channel.to_string(), thread: None };
    let conversation = place.conversation("discord", if group { &all } else { &ann }).unwrap();
    NewTask { user: ann, conversation: Some(conversation), title: "Mend *it*".into(), ..task(id) }
}

/// The headline of a card, and its fields.
fn card(shown: &Shown) -> (String, Vec<(String, String)>) {
    let embed = &shown.embeds[0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let fields = embed["fields"].as_array().into_iter().flatten();
    (text(&embed["title"]), fields.map(|field| (text(&field["name"]), text(&field["value"]))).collect())
}

/// The only message of the bot's in a channel, when its card has this headline.
async fn carded(fake: &FakeDiscord, channel: u64, headline: &str) -> Shown {
    let now = || fake.messages(channel).into_iter().find(|shown| shown.own);
    until(&format!("a card `{headline}`"), async || now().is_some_and(|shown| card(&shown).0 == headline))
        .await;
    assert_eq!(fake.messages(channel).iter().filter(|shown| shown.own).count(), 1, "one card");
    now().unwrap()
}

/// How often a thread was to be opened.
fn threads(fake: &FakeDiscord) -> usize {
    let calls = fake.calls("POST /channels");
    calls.iter().filter(|call| call["call"].as_str().unwrap().ends_with("/threads")).count()
}

#[tokio::test]
async fn a_task_of_a_channel_has_a_card_that_moves_and_is_told_of_in_a_thread_under_it() {
    let fake = FakeDiscord::start();
    let (site, server) = begin(&fake).await;
    let room = fake.guild_channel();
    put(&site, given(&fake, "job1aaaa", room, true));
    let asked = until_asked("01kabc-1");
    goes_in(&site, 0, "job1aaaa", &[], asked.clone());
    let shown = carded(&fake, room, "Waits for your answer").await;
    assert_eq!(shown.content, "**Mend \\*it\\***");
    let fields = card(&shown).1;
    let told: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("Task", "job1aaaa"),
        ("Project", "app"),
        ("Branch", "atoll/1-mend"),
        ("Changed", "1 file changed, 2 insertions(+)"),
        ("Spent", "$0.0000, 0 tokens"),
    ];
    assert_eq!(told, expected);
    let thread = shown.id;
    until("the question stands in the thread", async || fake.messages(thread).len() == 1).await;
    let question = fake.messages(thread).remove(0);
    assert!(question.content.contains("push c0ffee"), "{question:?}");
    let labels: Vec<String> = question.buttons.iter().flatten().map(|(label, _)| label.clone()).collect();
    assert_eq!(labels, ["Approve", "Reject", "Approve, no pull request"]);

    goes_in(&site, 0, "job1aaaa", &asked, vec![over(Outcome::Cancelled, "it is not wanted")]);
    let moved = carded(&fake, room, "Cancelled").await;
    assert_eq!((moved.id, moved.edited), (thread, true));
    assert!(card(&moved).1.contains(&("Why".into(), "it is not wanted".into())));
    until("the end is told in the thread", async || fake.messages(thread).len() == 2).await;
    assert!(fake.messages(thread)[1].content.starts_with("**Task cancelled: Mend"));
    until("the question is closed where it stands", async || {
        let question = fake.messages(thread).remove(0);
        question.buttons.is_empty() && question.content.contains("Withdrawn")
    })
    .await;
    assert_eq!(fake.faults(), [""; 0]);
    server.stop();
}

#[tokio::test]
async fn whoever_wants_to_see_all_is_told_of_each_step_in_the_thread() {
    let fake = FakeDiscord::start();
    let (site, server) = begin(&fake).await;
    let room = fake.guild_channel();
    put(&site, NewTask { verbosity: Verbosity::Verbose, ..given(&fake, "job1aaaa", room, true) });
    goes_in(&site, 0, "job1aaaa", &[], until_asked("01kabc-1"));
    let thread = carded(&fake, room, "Waits for your answer").await.id;
    until("all steps", async || fake.messages(thread).len() == 4).await;
    let told: Vec<String> = fake.messages(thread).into_iter().map(|shown| shown.content).collect();
    for (said, expected) in told.iter().zip(["May I?", "Works on atoll/1", "through", "Checked"]) {
        assert!(said.replace('\\', "").contains(expected), "{expected}: {told:?}");
    }
    assert!(told[3].contains("npm run lint") && told[3].contains("FAILED with exit code 1"), "{told:?}");
    assert_eq!(fake.faults(), [""; 0]);
    server.stop();
}

#[tokio::test]
async fn a_thread_that_cannot_be_opened_at_once_is_opened_later_and_once() {
    let fake = FakeDiscord::start();
    let (site, server) = begin(&fake).await;
    let room = fake.guild_channel();
    fake.trouble("POST", "/threads", Trouble::Status(502), 1);
    fake.trouble("POST", "/threads", Trouble::LoseAnswer, 1);
    put(&site, given(&fake, "job1aaaa", room, true));
    goes_in(&site, 0, "job1aaaa", &[], until_asked("01kabc-1"));
    let thread = carded(&fake, room, "Waits for your answer").await.id;
    until("the question stands in the thread", async || fake.messages(thread).len() == 1).await;
    assert_eq!(threads(&fake), 3, "tried again");
    let faults = fake.faults();
    assert!(faults.len() == 1 && faults[0].contains("already been created"), "{faults:?}");
    server.stop();
}

#[tokio::test]
async fn where_no_thread_can_be_all_is_told_in_the_channel() {
    let fake = FakeDiscord::start();
    let (site, server) = begin(&fake).await;
    let room = fake.guild_channel();
    fake.trouble("POST", "/threads", Trouble::Refuse(403, 50_013), 1);
    put(&site, given(&fake, "job1aaaa", room, true));
    goes_in(&site, 0, "job1aaaa", &[], until_asked("01kabc-1"));
    until("card and question", async || fake.messages(room).len() == 2).await;
    let asked = until_asked("01kabc-1");
    goes_in(&site, 0, "job1aaaa", &asked, vec![over(Outcome::Failed, "it broke")]);
    until("the card moves, and the end is told", async || {
        let all = fake.messages(room);
        all.len() == 3 && card(&all[0]).0 == "Failed" && all[1].buttons.is_empty()
    })
    .await;
    server.stop();
}

#[tokio::test]
async fn alone_with_the_bot_a_task_has_a_card_and_no_thread() {
    let fake = FakeDiscord::start();
    let (site, server) = begin(&fake).await;
    let here = fake.dm_channel("ann");
    put(&site, NewTask { verbosity: Verbosity::Quiet, ..given(&fake, "job1aaaa", here, false) });
    let entries = until_asked("01kabc-1");
    goes_in(&site, 0, "job1aaaa", &[], entries[..2].to_vec());
    let first = carded(&fake, here, "Gets ready").await;
    goes_in(&site, 0, "job1aaaa", &entries[..2], vec![over(Outcome::Done, "pushed")]);
    let last = carded(&fake, here, "Done").await;
    assert_eq!(first.id, last.id);
    assert_eq!(threads(&fake), 0);
    assert_eq!(fake.faults(), [""; 0]);
    server.stop();
}
