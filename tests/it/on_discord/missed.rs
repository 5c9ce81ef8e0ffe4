//! The gateway's session is lost: what was said in the meantime is fetched where the bot is known, and answered.

use super::kit::{heard, keys, keys_with, own, rise};
use crate::support::{discord::FakeDiscord, *};

/// The word of the person that begins so; their name and the time stand beside it.
fn last(request: &Request) -> String {
    let said = request.last_user();
    said.split_whitespace().find(|word| word.starts_with("w-")).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn what_was_said_while_the_session_was_lost_is_answered_once_everywhere() {
    let model = MockModel::start(|request| Reply::say(format!("You said {}.", last(request))));
    let fake = FakeDiscord::start();
    let site = Site::new(&with_model(&model, &keys(&fake, &["ann", "bob"])));
    let server = rise(&site, &fake).await;
    // She has never written a message: the bot knows her by a command.
    own(&site, &fake, "own").await;
    let (room, quiet) = (fake.guild_channel(), fake.guild_channel());
    fake.dm("ann", "w-one");
    fake.mention(room, "bob", "w-two");
    let says = |channel| fake.bot_says(channel);
    let (ann, owner) = (fake.dm_channel("ann"), fake.dm_channel("own"));
    until("answers", async || says(ann) == ["You said w-one."] && says(room) == ["You said w-two."]).await;

    // The connection is lost for so long that the session is forgotten.
    fake.gateway_up(false);
    fake.dm("ann", "w-three");
    fake.dm("own", "w-four");
    fake.say(room, "bob", "not for the bot");
    fake.mention(room, "ann", "w-five");
    fake.mention(quiet, "ann", "where the bot never was");
    fake.forget_session();
    fake.gateway_up(true);
    heard(&fake).await;
    until("what was missed is answered", async || {
        says(ann).len() == 2 && says(owner) == ["You said w-four."] && says(room).len() == 2
    })
    .await;

    // Discord says itself that the session is gone, and more is said before there is another one.
    fake.invalidate(false);
    fake.dm("ann", "w-six");
    until("a new session", async || fake.calls("gateway identify").len() == 3 && fake.is_listened_to()).await;
    until("it is answered", async || says(ann).len() == 3).await;
    fake.dm("ann", "w-seven");
    until("all is answered", async || says(ann).len() == 4).await;

    // It asks for a new connection, and takes the session up: nothing is fetched.
    let fetched = fake.calls("GET /channels").len();
    fake.ask_reconnect();
    until("the session goes on", async || !fake.calls("gateway resume").is_empty() && fake.is_listened_to())
        .await;
    fake.dm("ann", "w-eight");
    until("all is answered", async || says(ann).len() == 5).await;
    assert_eq!(fake.calls("GET /channels").len(), fetched);
    let expected = ["one", "three", "six", "seven", "eight"].map(|word| format!("You said w-{word}."));
    assert_eq!(says(ann), expected);
    assert_eq!(says(room), ["You said w-two.", "You said w-five."]);
    assert_eq!(says(quiet), [""; 0], "nothing tells the bot of it");
    assert_eq!(site.number("SELECT count(*) FROM inbound"), 8, "each once");
    assert_eq!(fake.faults(), [""; 0]);
    server.stop();
}

#[tokio::test]
async fn what_was_said_while_the_process_was_down_and_the_session_ended_is_answered() {
    let model = MockModel::start(|request| Reply::say(format!("You said {}.", last(request))));
    let fake = FakeDiscord::start();
    let keys = keys_with(&fake, &["ann"], ", messages_per_minute: 0");
    let site = Site::new(&with_model(&model, &format!("{keys}\nagent: {{queue_limit: 1000}}")));
    let server = rise(&site, &fake).await;
    fake.dm("ann", "w-one");
    let ann = fake.dm_channel("ann");
    until("an answer", async || fake.bot_says(ann) == ["You said w-one."]).await;
    server.stop();
    fake.forget_session();
    let sent: Vec<String> = (0..120).map(|n| format!("m{n}")).collect();
    for words in &sent {
        fake.dm("ann", words);
    }
    let server = rise(&site, &fake).await;
    until("all of it is taken", async || site.number("SELECT count(*) FROM inbound") == 121).await;
    let taken = site.column("SELECT text FROM inbound WHERE text LIKE 'm%' ORDER BY external_id");
    assert_eq!(taken, sent, "each once, over more than one page");
    server.stop();
}
