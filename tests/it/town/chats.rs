//! Who may write on a chat platform, what they bring, and what becomes of it: the whole runtime, in virtual time.

use std::{sync::Arc, time::Duration};

use atoll::{
    actors::{
        db::messages::{ChangeIdentity, IssueCode},
        reception::messages::Report,
    },
    domain::{
        access::Role,
        audit::Act as Note,
        chat::{Incoming, Link, Media, Press, Receipt},
        identity::{IdentityChange, NewCode, code},
        ids::UserId,
    },
    ports::platform::Platform,
};
use tokio::time::{Instant, timeout};

use super::{
    harness::{Act, Scripted, Town},
    platform::{Change, Fake, Lies, alone},
};

const QUIET: &str = "agent: {memory: {auto_extraction: false}}\n";

fn telegram(more: &str) -> String {
    format!("{QUIET}channels: {{telegram: {{enabled: true, token: x{more}}}}}")
}

/// Lives through a test with a Telegram that is none, and a model that says yes.
pub(super) fn live(config: &str, test: impl AsyncFnOnce(&Town, &Fake, &Scripted)) {
    let model = Scripted::new("m", |_, _| Act::Say("yes"));
    live_with(config, &model, test);
}

pub(super) fn live_with(
    config: &str,
    model: &Arc<Scripted>,
    test: impl AsyncFnOnce(&Town, &Fake, &Scripted),
) {
    let fake = Fake::new("telegram");
    let platform = Arc::clone(&fake) as Arc<dyn Platform>;
    Town::live_with(config, vec![Arc::clone(model)], vec![platform], async |town| {
        settle().await;
        fake.live_by(&town.clock);
        test(town, &fake, model).await;
        // Platforms are not written to faster than they take it.
        town.pass(1).await;
    });
}

/// Lets everything that can happen now happen.
pub(super) async fn settle() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// A code for this user.
async fn code_for(town: &Town, user: &str, role: Role) -> String {
    let code = code(&town.clock.secret().unwrap());
    let new = NewCode {
        code: code.clone(),
        user: UserId::new(user),
        role,
        actor: "key:me".into(),
        now: town.clock.now(),
    };
    town.doors.db.write.issue_code.ask(IssueCode { code: new }).await.unwrap();
    code
}

/// Lets somebody in as this user.
pub(super) async fn admit(town: &Town, fake: &Fake, who: &str, user: &str, role: Role) {
    let code = code_for(town, user, role).await;
    let shown = alone(who).says(fake, &format!("/link {code}"));
    assert_eq!(fake.comes(shown).await, Ok(Receipt::Taken));
}

/// What was said to this place, oldest first: titles and words.
pub(super) fn told(town: &Town, conversation: &str) -> Vec<String> {
    let sql = "coalesce(json_extract(body, '$.title') || ': ' || json_extract(body, '$.body'),
                        json_extract(body, '$.text'), json_extract(body, '$.preview'))";
    town.column(&format!("SELECT {sql} FROM outbox WHERE conversation_id = '{conversation}' ORDER BY id"))
}

async fn say(fake: &Fake, who: &str, text: &str) -> Receipt {
    fake.comes(alone(who).says(fake, text)).await.unwrap()
}

#[test]
fn the_first_owner_gets_in_with_a_code_and_is_answered() {
    live(&telegram(""), async |town, fake, model| {
        admit(town, fake, "42", "ann", Role::Owner).await;
        assert_eq!(say(fake, "42", "hello").await, Receipt::Taken);
        settle().await;
        let told = told(town, "telegram/ann/42");
        assert!(told[0].starts_with("Linked: This account is ann from now on, as owner"), "{told:?}");
        assert_eq!(told[1], "yes");
        assert!(model.asked()[0].contains("hello"));
        assert_eq!(fake.posted("42").last().unwrap(), "yes");
    });
}

#[test]
fn a_stranger_is_let_in_by_an_owners_button_and_by_nobody_elses() {
    live(&telegram(""), async |town, fake, model| {
        admit(town, fake, "1", "ann", Role::Owner).await;
        admit(town, fake, "2", "bob", Role::Developer).await;
        for _ in 0..3 {
            assert_eq!(say(fake, "66", "let me in").await, Receipt::Ignored);
        }
        let words = told(town, "telegram/telegram:66/66");
        assert_eq!(words.len(), 1, "not for each message: {words:?}");
        let asks = told(town, "telegram/ann/1");
        assert!(asks.last().unwrap().contains("Name 66 (66 on telegram) wants to write to me"), "{asks:?}");
        assert_eq!(told(town, "telegram/bob/2").len(), 1, "only owners are asked");
        let pairing = town.column("SELECT id FROM pairings").remove(0);
        let press = |admit| Press::Pair { pairing: pairing.clone(), admit }.data();
        for who in ["2", "66"] {
            let said = fake.comes(alone(who).taps(fake, &press(true))).await.unwrap();
            assert!(matches!(said, Receipt::Said(_)), "{said:?}");
        }
        assert_eq!(say(fake, "66", "me?").await, Receipt::Ignored);
        let both = [true, false].map(|admit| fake.comes(alone("1").taps(fake, &press(admit))));
        let [first, second] = both;
        assert_eq!(first.await, Ok(Receipt::Said("Name 66 may write now.".into())));
        let Ok(Receipt::Said(second)) = second.await else { panic!() };
        assert!(second.contains("already paired by Name 1"), "{second}");
        assert_eq!(say(fake, "66", "at last").await, Receipt::Taken);
        settle().await;
        assert_eq!(model.calls(), 1);
        let words = told(town, "telegram/telegram:66/66");
        assert_eq!((words.len(), words[2].as_str()), (3, "yes"), "{words:?}");
        let acts = town.column("SELECT action FROM audit WHERE action LIKE 'identity.%'");
        assert_eq!(acts, ["identity.linked", "identity.linked", "identity.paired"]);
    });
}

#[test]
fn a_code_that_is_too_old_or_used_lets_nobody_in() {
    live(&telegram(""), async |town, fake, _| {
        let old = code_for(town, "ann", Role::Owner).await;
        town.pass(11).await;
        assert_eq!(say(fake, "66", &format!("/link {old}")).await, Receipt::Ignored);
        let good = code_for(town, "ann", Role::Owner).await;
        let both = ["1", "66"].map(|who| fake.comes(alone(who).says(fake, &format!("/link {good}"))));
        let [one, other] = both;
        let receipts = [one.await.unwrap(), other.await.unwrap()];
        assert_eq!(receipts.iter().filter(|receipt| **receipt == Receipt::Taken).count(), 1, "{receipts:?}");
        assert_eq!(town.count("SELECT count(*) FROM identities WHERE admitted = 1"), 1);
    });
}

#[test]
fn whoever_guesses_codes_is_told_once_and_heard_no_more() {
    live(&telegram(""), async |town, fake, _| {
        let good = code_for(town, "ann", Role::Owner).await;
        for guess in 0..40 {
            let code = format!("ABCD-{}", 2222 + guess * 1111 % 7777).replace(['0', '1'], "2");
            assert_eq!(say(fake, "66", &format!("/link {code}")).await, Receipt::Ignored);
        }
        assert_eq!(say(fake, "66", &format!("/link {good}")).await, Receipt::Ignored, "locked out");
        let words = told(town, "telegram/telegram:66/66");
        assert_eq!(words.len(), 5, "{words:?}");
        assert!(words[4].contains("60 minutes"), "{words:?}");
        assert_eq!(town.count("SELECT count(*) FROM identities"), 0);
        town.pass(5).await;
        admit(town, fake, "1", "ann", Role::Owner).await;
    });
}

#[test]
fn who_is_listed_may_write_and_the_others_are_told_once_that_they_may_not() {
    let config = telegram(", policy: allowlist, allowed_users: [42]");
    live(&config, async |town, fake, model| {
        assert_eq!(say(fake, "42", "hello").await, Receipt::Taken);
        for _ in 0..3 {
            assert_eq!(say(fake, "66", "hello").await, Receipt::Ignored);
        }
        assert_eq!(told(town, "telegram/telegram:66/66").len(), 1);
        assert_eq!(town.count("SELECT count(*) FROM pairings"), 0);
        settle().await;
        assert_eq!(model.calls(), 1);
    });
}

#[test]
fn where_everybody_may_write_a_blocked_account_still_may_not() {
    live(&telegram(", policy: open"), async |town, fake, model| {
        assert_eq!(say(fake, "66", "hello").await, Receipt::Taken);
        let change = ChangeIdentity {
            channel: "telegram".into(),
            external: "66".into(),
            change: IdentityChange { blocked: Some(true), ..IdentityChange::default() },
            act: Note {
                at: town.clock.now(),
                actor: "key:me".into(),
                action: "identity.blocked".into(),
                subject: "telegram/66".into(),
                details: String::new(),
            },
        };
        town.doors.db.write.change_identity.ask(change).await.unwrap();
        assert_eq!(say(fake, "66", "hello again").await, Receipt::Ignored);
        settle().await;
        assert_eq!(model.calls(), 1);
        let report = town.doors.reports["telegram"].send(Report).await.unwrap();
        assert_eq!((report.policy.as_str(), report.taken), ("open", 1));
    });
}

#[test]
fn a_message_that_comes_again_is_recognised_whatever_became_of_it() {
    live(&telegram(", policy: open"), async |town, fake, model| {
        fake.lay("x.png", Lies::Bytes(10));
        let message = alone("42").says(fake, "look").with("x.png", Media::Photo, None);
        assert_eq!(fake.comes(message.clone()).await, Ok(Receipt::Taken));
        let renamed = message.clone().called("Another");
        assert_eq!(fake.comes(message).await, Ok(Receipt::Known));
        assert_eq!(fake.comes(renamed).await, Ok(Receipt::Known));
        assert_eq!(fake.fetched("x.png"), 1, "a file is not fetched again");
        let long = alone("42").says(fake, &"x".repeat(5_000));
        assert_eq!(fake.comes(long.clone()).await, Ok(Receipt::Ignored));
        assert_eq!(fake.comes(long).await, Ok(Receipt::Known));
        settle().await;
        let words = told(town, "telegram/telegram:42/42");
        assert_eq!(words.iter().filter(|words| words.contains("5000 characters")).count(), 1, "{words:?}");
        assert_eq!(model.calls(), 1);
    });
}

#[test]
fn whoever_writes_too_fast_is_told_once_and_can_still_end_what_that_began() {
    let model = Scripted::new("m", |_, _| Act::Hang);
    let config = telegram(", policy: open, messages_per_minute: 3");
    live_with(&config, &model, async |town, fake, _| {
        let mut receipts = Vec::new();
        for n in 0..20 {
            receipts.push(say(fake, "42", &format!("hello {n}")).await);
        }
        assert_eq!(receipts.iter().filter(|receipt| **receipt == Receipt::Taken).count(), 3);
        assert_eq!(say(fake, "43", "others do not share").await, Receipt::Taken);
        assert_eq!(say(fake, "43", "/cancel").await, Receipt::Taken);
        assert_eq!(say(fake, "42", "/cancel").await, Receipt::Taken);
        let slow = |town: &Town| {
            let words = told(town, "telegram/telegram:42/42");
            words.iter().filter(|words| words.contains("too many messages")).count()
        };
        assert_eq!(slow(town), 1);
        town.pass(2).await;
        for n in 0..20 {
            say(fake, "42", &format!("/help {n}")).await;
        }
        assert_eq!(slow(town), 2, "once a minute");
    });
}

#[test]
fn what_comes_all_at_once_after_an_outage_is_counted_when_it_was_written() {
    live(&telegram(", policy: open, messages_per_minute: 3"), async |town, fake, model| {
        for minute in (1..=20).rev() {
            let mut late = alone("42").says(fake, &format!("{minute} minutes ago"));
            late.at = town.clock.now() - minute * 60_000;
            assert_eq!(fake.comes(late).await, Ok(Receipt::Taken), "{minute}");
        }
        let mut early = alone("42").says(fake, "by a clock that is ahead");
        early.at = town.clock.now() + 3_600_000;
        assert_eq!(fake.comes(early).await, Ok(Receipt::Taken));
        let mut more = Vec::new();
        for n in 0..9 {
            more.push(say(fake, "42", &format!("now {n}")).await);
        }
        let taken = more.iter().filter(|receipt| **receipt == Receipt::Taken).count();
        assert!((1..=3).contains(&taken), "{more:?}");
        town.pass(60).await;
        assert!(model.calls() > 0);
    });
}

#[test]
fn chats_do_not_wait_for_each_other_and_nobody_waits_to_end_something() {
    live(&telegram(", policy: open"), async |town, fake, model| {
        fake.lay("slow.png", Lies::Late(10, 60));
        let began = Instant::now();
        let slow = fake.comes(alone("42").says(fake, "look").with("slow.png", Media::Photo, None));
        let after = fake.comes(alone("42").says(fake, "and then?"));
        let other = timeout(Duration::from_secs(5), fake.comes(alone("43").says(fake, "hello"))).await;
        assert_eq!(other, Ok(Ok(Receipt::Taken)), "another chat waited");
        assert_eq!(
            timeout(Duration::from_secs(5), fake.comes(alone("42").says(fake, "/stop"))).await.unwrap(),
            Ok(Receipt::Taken)
        );
        assert!(began.elapsed() < Duration::from_secs(5));
        assert_eq!((slow.await, after.await), (Ok(Receipt::Taken), Ok(Receipt::Taken)));
        assert!(began.elapsed() >= Duration::from_secs(60));
        settle().await;
        let texts = town
            .column("SELECT text FROM inbound WHERE conversation_id = 'telegram/telegram:42/42' ORDER BY id");
        assert_eq!(texts, ["/stop", "look", "and then?"], "what came first is first");
        assert_eq!(model.calls(), 3);
    });
}

#[test]
fn cancel_also_gives_up_what_is_still_being_fetched() {
    live(&telegram(", policy: open"), async |town, fake, model| {
        fake.lay("huge.png", Lies::Late(10, 600));
        let huge = fake.comes(alone("42").says(fake, "look").with("huge.png", Media::Photo, None));
        settle().await;
        assert_eq!(say(fake, "42", "/cancel").await, Receipt::Taken);
        assert_eq!(timeout(Duration::from_secs(1), huge).await.unwrap(), Ok(Receipt::Ignored));
        let words = told(town, "telegram/telegram:42/42");
        assert!(words.iter().any(|words| words.contains("not wanted any more")), "{words:?}");
        assert_eq!(model.calls(), 0);
    });
}

#[test]
fn files_that_are_slow_hold_their_chat_for_a_bounded_time() {
    live(&telegram(", policy: open"), async |town, fake, model| {
        let mut look = alone("42").says(fake, "look");
        for name in ["a.png", "b.png", "c.png"] {
            fake.lay(name, Lies::Late(10, 100_000));
            look = look.with(name, Media::Photo, None);
        }
        let began = Instant::now();
        assert_eq!(fake.comes(look).await, Ok(Receipt::Taken));
        assert!(began.elapsed() < Duration::from_secs(310), "{:?}", began.elapsed());
        settle().await;
        assert!(model.asked()[0].matches("it takes too long").count() == 3, "{:?}", model.asked());
        assert_eq!(town.count("SELECT count(*) FROM inbound"), 1);
    });
}

#[test]
fn cancel_also_gives_up_what_is_still_being_written_down() {
    let config = format!("transcription: {{base_url: 'http://127.0.0.1:9'}}\n{}", telegram(", policy: open"));
    live(&config, async |town, fake, model| {
        fake.lay("long.ogg", Lies::Bytes(100));
        let long = fake.comes(alone("42").says(fake, "").with("long.ogg", Media::Voice, None));
        settle().await;
        assert_eq!(say(fake, "42", "/cancel").await, Receipt::Taken);
        assert_eq!(timeout(Duration::from_secs(1), long).await.unwrap(), Ok(Receipt::Ignored));
        let words = told(town, "telegram/telegram:42/42");
        assert!(words.iter().any(|words| words.contains("not wanted any more")), "{words:?}");
        assert_eq!(model.calls(), 0);
    });
}

#[test]
fn recordings_that_are_written_down_slowly_hold_their_chat_for_a_bounded_time() {
    let config = format!("transcription: {{base_url: 'http://127.0.0.1:9'}}\n{}", telegram(", policy: open"));
    live(&config, async |town, fake, model| {
        let mut hear = alone("42").says(fake, "hear");
        for name in ["a.ogg", "b.ogg", "c.ogg"] {
            fake.lay(name, Lies::Bytes(100));
            hear = hear.with(name, Media::Voice, None);
        }
        let began = Instant::now();
        assert_eq!(fake.comes(hear).await, Ok(Receipt::Taken));
        assert!(began.elapsed() < Duration::from_secs(310), "{:?}", began.elapsed());
        settle().await;
        assert_eq!(model.asked()[0].matches("it takes too long").count(), 3, "{:?}", model.asked());
        assert_eq!(town.count("SELECT count(*) FROM inbound"), 1);
    });
}

#[test]
fn what_ends_work_keeps_its_place_behind_what_is_quick() {
    live(&telegram(", policy: open"), async |town, fake, _| {
        let first = fake.comes(alone("42").says(fake, "do it"));
        let second = fake.comes(alone("42").says(fake, "/cancel"));
        assert_eq!((first.await, second.await), (Ok(Receipt::Taken), Ok(Receipt::Taken)));
        settle().await;
        assert_eq!(town.column("SELECT text FROM inbound ORDER BY id"), ["do it", "/cancel"]);
    });
}

#[test]
fn what_cannot_be_taken_along_is_said_to_the_model_and_to_the_sender() {
    let config = telegram(", policy: open, max_file_mib: 1, video_enabled: false");
    live(&config, async |town, fake, model| {
        fake.lay("good.png", Lies::Bytes(100));
        fake.lay("liar.png", Lies::Endless);
        fake.lay("broken.png", Lies::Breaks(2));
        fake.lay("gone.png", Lies::Gone);
        let message = alone("42")
            .says(fake, "look at these")
            .with("good.png", Media::Photo, Some(100))
            .with("big.png", Media::Photo, Some(2 << 20))
            .with("liar.png", Media::Photo, Some(100))
            .with("gone.png", Media::Document, None)
            .with("broken.png", Media::Photo, None)
            .with("film.mp4", Media::Video, Some(1));
        assert_eq!(fake.comes(message).await, Ok(Receipt::Taken));
        settle().await;
        let text = town.column("SELECT text FROM inbound").remove(0);
        for (name, why) in [
            ("big.png", "at most 1 MiB"),
            ("liar.png", "at most 1 MiB"),
            ("gone.png", "does not give it out"),
            ("film.mp4", "videos are not taken here"),
        ] {
            assert!(
                text.contains(&format!("[the file \"{name}\" was left out: ")) && text.contains(why),
                "{text}"
            );
        }
        assert!(text.starts_with("look at these\n[") && model.asked()[0].contains("big.png"), "{text}");
        assert_eq!(fake.fetched("big.png") + fake.fetched("film.mp4"), 0);
        let kept = town.column("SELECT name FROM files WHERE user_id = 'telegram:42' ORDER BY name");
        assert_eq!(kept, ["broken.png", "good.png"]);
        assert_eq!(town.count("SELECT json_array_length(attachments) FROM inbound"), 2);
        let words = told(town, "telegram/telegram:42/42");
        let notice = words.iter().find(|words| words.starts_with("Not all was taken")).unwrap();
        assert_eq!(notice.lines().count(), 4, "{notice}");
    });
}

#[test]
fn a_correction_of_the_last_message_is_heard_and_an_older_one_is_not() {
    let model = Scripted::new("m", |number, _| match number {
        1 => Act::Call("endless"),
        _ => Act::Say("yes"),
    });
    live_with(&telegram(", policy: open"), &model, async |town, fake, model| {
        let first = alone("42").says(fake, "paint it blue");
        let id = first.message_id();
        assert_eq!(fake.comes(first).await, Ok(Receipt::Taken));
        settle().await;
        let correct = |message: &str, text: &str| fake.comes(alone("42").corrects(fake, message, text));
        assert_eq!(correct(&id, "paint it blue").await, Ok(Receipt::Ignored), "nothing changed");
        assert_eq!(correct(&id, "paint it red").await, Ok(Receipt::Taken));
        settle().await;
        assert_eq!(say(fake, "42", "/stop").await, Receipt::Taken);
        settle().await;
        assert_eq!(model.calls(), 2);
        assert!(model.asked()[1].contains("(correction) paint it red"), "{:?}", model.asked());
        assert_eq!(town.count("SELECT count(*) FROM turns"), 1, "it joined the turn that ran");
        let second = alone("42").says(fake, "thanks");
        let second_id = second.message_id();
        assert_eq!(fake.comes(second).await, Ok(Receipt::Taken));
        settle().await;
        assert_eq!(correct(&id, "paint it green").await, Ok(Receipt::Ignored));
        let stranger = alone("42").corrects(fake, &second_id, "no");
        let stranger = Incoming { sender: alone("43").sender, ..stranger };
        assert_eq!(fake.comes(stranger).await, Ok(Receipt::Ignored), "only whoever wrote it corrects it");
        assert_eq!(correct(&second_id, "no thanks").await, Ok(Receipt::Taken));
        settle().await;
        assert_eq!(model.calls(), 4, "a new message when the turn is over");
        let command = alone("42").says(fake, "/task app mend teh test");
        let command_id = command.message_id();
        assert_eq!(fake.comes(command).await, Ok(Receipt::Taken));
        let again = correct(&command_id, "/task app mend the test").await;
        assert_eq!(again, Ok(Receipt::Ignored), "what a command began is not begun twice");
    });
}

#[test]
fn listening_that_falls_over_begins_anew_from_where_it_was() {
    live(&telegram(", policy: open"), async |town, fake, _| {
        fake.reached("17").await;
        fake.fall();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(fake.listened_from(), [None, Some("17".to_owned())]);
        let report = async || town.doors.reports["telegram"].send(Report).await.unwrap();
        assert_eq!(
            (report().await.state.as_str(), report().await.account.as_deref()),
            ("up", Some("atoll_bot"))
        );
        assert!(report().await.last_error.unwrap().contains("ended by itself"));
        fake.link(Link::Refused { why: "the token is not valid any more".into() });
        settle().await;
        assert_eq!(report().await.state, "refused");
        let signs = town.signs("reception_telegram").unwrap();
        assert!(signs.last_error.unwrap().contains("token is not valid"));
    });
}

#[test]
fn who_may_only_look_gives_no_work() {
    live(&telegram(""), async |town, fake, model| {
        admit(town, fake, "42", "ann", Role::Viewer).await;
        assert_eq!(say(fake, "42", "do this").await, Receipt::Ignored);
        assert_eq!(say(fake, "42", "/task app do this").await, Receipt::Ignored);
        assert_eq!(say(fake, "42", "/status").await, Receipt::Taken);
        let words = told(town, "telegram/ann/42");
        assert!(words.iter().any(|words| words.contains("given no tasks yet")), "{words:?}");
        let own = told(town, "telegram/telegram:42/42");
        assert!(own.iter().all(|words| words.contains("you may look here")) && own.len() == 2, "{own:?}");
        assert_eq!(model.calls(), 0);
    });
}

#[test]
fn a_linked_account_has_the_memory_of_its_user_and_a_conversation_of_its_own() {
    live(&telegram(", policy: open"), async |town, fake, model| {
        say(fake, "42", "/help").await;
        let code = code_for(town, "ann", Role::Developer).await;
        let token = alone("42").commands(fake, &format!("/link {code}"), Some("t"));
        let Ok(Receipt::Said(words)) = fake.comes(token).await else { panic!() };
        assert!(words.starts_with("This account is ann from now on, as developer"), "{words}");
        assert_eq!(say(fake, "42", "hello").await, Receipt::Taken);
        let wrong = alone("43").commands(fake, "/link ABCD-2345", Some("t"));
        let Ok(Receipt::Said(words)) = fake.comes(wrong).await else { panic!() };
        assert!(words.contains("there is no such code"), "{words}");
        assert_eq!(say(fake, "42", "/link").await, Receipt::Taken);
        settle().await;
        let words = told(town, "telegram/ann/42");
        let code = words.last().unwrap();
        assert!(code.contains("/link ") && code.contains("works once"), "{code}");
        assert_eq!(town.column("SELECT DISTINCT user_id FROM turns"), ["ann"]);
        assert_eq!(model.calls(), 1);
        assert_eq!(town.column("SELECT role FROM link_codes WHERE used_by IS NULL"), ["developer"]);
    });
}

#[test]
fn what_waits_at_the_end_is_left_to_the_platform() {
    let fake = Fake::new("telegram");
    let model = Scripted::new("m", |_, _| Act::Say("yes"));
    let platform = Arc::clone(&fake) as Arc<dyn Platform>;
    let mut pending = Vec::new();
    Town::live_with(&telegram(", policy: open"), vec![model], vec![platform], async |town| {
        settle().await;
        fake.live_by(&town.clock);
        fake.lay("slow.png", Lies::Late(10, 600));
        pending.push(actix::spawn(fake.comes(alone("42").says(&fake, "look").with(
            "slow.png",
            Media::Photo,
            None,
        ))));
        pending.push(actix::spawn(fake.comes(alone("42").says(&fake, "and then?"))));
        settle().await;
        let began = Instant::now();
        town.drain().await;
        assert!(began.elapsed() < Duration::from_secs(5), "the drain waited for a download");
        for waited in pending.drain(..) {
            assert!(waited.await.unwrap().is_err(), "it has to come again");
        }
        assert_eq!(town.count("SELECT count(*) FROM inbound"), 0);
    });
}
