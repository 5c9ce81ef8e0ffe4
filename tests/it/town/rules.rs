//! The settings of each chat platform, flipped one by one.

use std::sync::Arc;

use atoll::{
    domain::chat::{Media, Receipt},
    ports::platform::Platform,
};

use super::{
    chats::settle,
    harness::{Act, Scripted, Town},
    platform::{Change, Fake, Lies, alone, in_group},
};

const PLATFORMS: [&str; 2] = ["telegram", "discord"];

fn live(name: &'static str, settings: &str, model: &Arc<Scripted>, test: impl AsyncFnOnce(&Town, &Fake)) {
    let fake = Fake::new(name);
    let platform = Arc::clone(&fake) as Arc<dyn Platform>;
    let config = format!(
        "agent: {{memory: {{auto_extraction: false}}}}\nchannels: {{{name}: {{enabled: true, token: x, {settings}}}}}"
    );
    Town::live_with(&config, vec![Arc::clone(model)], vec![platform], async |town| {
        settle().await;
        fake.live_by(&town.clock);
        test(town, &fake).await;
        town.pass(1).await;
    });
}

fn yes() -> Arc<Scripted> {
    Scripted::new("m", |_, _| Act::Say("yes"))
}

#[test]
fn each_platform_has_rules_of_its_own() {
    let hello = async |fake: &Fake, who: &str| fake.comes(alone(who).says(fake, "hello")).await.unwrap();
    for name in PLATFORMS {
        live(name, "policy: pairing", &yes(), async |town, fake| {
            assert_eq!(hello(fake, "1").await, Receipt::Ignored);
            assert_eq!(town.count("SELECT count(*) FROM pairings"), 1);
        });
        live(name, "policy: allowlist", &yes(), async |town, fake| {
            assert_eq!(hello(fake, "1").await, Receipt::Ignored);
            assert_eq!(town.count("SELECT count(*) FROM pairings"), 0);
        });
        live(name, "allowed_users: ['1']", &yes(), async |_, fake| {
            assert_eq!((hello(fake, "1").await, hello(fake, "2").await), (Receipt::Taken, Receipt::Ignored));
        });
        for (settings, heard) in
            [("policy: open", Receipt::Ignored), ("policy: open, mention_only: false", Receipt::Taken)]
        {
            live(name, settings, &yes(), async |_, fake| {
                let aside = in_group("1", "-100").says(fake, "hello").aside();
                assert_eq!(fake.comes(aside).await, Ok(heard.clone()), "{name} {settings}");
            });
        }
        for (pace, taken) in [(0, 15), (2, 2)] {
            let settings = format!("policy: open, messages_per_minute: {pace}");
            live(name, &settings, &yes(), async |_, fake| {
                let mut receipts = Vec::new();
                for _ in 0..15 {
                    receipts.push(hello(fake, "1").await);
                }
                let were = receipts.iter().filter(|receipt| **receipt == Receipt::Taken).count();
                assert_eq!(were, taken, "{name} {settings}");
            });
        }
    }
}

#[test]
fn members_of_a_listed_group_may_write_there_alone() {
    for (name, here) in [("telegram", "-100"), ("discord", "100")] {
        for (policy, asked) in [("pairing", 1), ("allowlist", 0)] {
            let settings = format!("policy: {policy}, allowed_chats: ['{here}']");
            live(name, &settings, &yes(), async |town, fake| {
                let says = async |message| fake.comes(message).await.unwrap();
                assert_eq!(says(in_group("1", here).says(fake, "hello")).await, Receipt::Taken, "{name}");
                assert_eq!(says(in_group("1", here).says(fake, "lunch?").aside()).await, Receipt::Ignored);
                assert_eq!(says(in_group("1", "-200").says(fake, "hello")).await, Receipt::Ignored);
                assert_eq!(says(alone("1").says(fake, "hello")).await, Receipt::Ignored);
                assert_eq!(town.count("SELECT count(*) FROM pairings"), asked, "{name} {policy}");
                assert_eq!(town.count("SELECT count(*) FROM inbound"), 1);
                assert_eq!(town.count("SELECT count(*) FROM identities WHERE admitted = 1"), 0);
                // A thread of ours under it belongs to it, and one under another chat does not.
                for (parent, thread) in [(here, "900"), ("-200", "901")] {
                    let at = format!("{name}/{name}:group:{parent}/{parent}");
                    town.change(&format!(
                        "INSERT INTO threads (conversation_id, topic, chat) VALUES ('{at}', 'j1', '{thread}')"
                    ));
                }
                assert_eq!(says(in_group("1", "900").says(fake, "how is it?")).await, Receipt::Taken);
                assert_eq!(says(in_group("1", "901").says(fake, "how is it?")).await, Receipt::Ignored);
                // Also when another task was given in that thread.
                let thread = here.replace("100", "050");
                for (chat, topic) in [(here, "j2"), (thread.as_str(), "j3")] {
                    let at = format!("{name}/{name}:group:{chat}/{chat}");
                    town.change(&format!(
                        "INSERT INTO threads (conversation_id, topic, chat) VALUES ('{at}', '{topic}', '{thread}')"
                    ));
                }
                assert_eq!(says(in_group("1", &thread).says(fake, "and now?")).await, Receipt::Taken);
                // A group that is known by an older id is listed by the one that people see.
                let mut moved = in_group("1", "-5").says(fake, "and here?");
                assert_eq!(says(moved.clone()).await, Receipt::Ignored);
                moved.id = "again".into();
                moved.seen_as = Some(here.into());
                assert_eq!(says(moved).await, Receipt::Taken);
            });
        }
    }
}

#[test]
fn each_platform_says_what_a_message_does_while_a_turn_runs() {
    for name in PLATFORMS {
        for (mode, outcomes) in [("interrupt", 1), ("steer", 0)] {
            let model = Scripted::new("m", |number, _| match number {
                1 => Act::Call("endless"),
                _ => Act::Say("yes"),
            });
            live(name, &format!("policy: open, while_busy: {mode}"), &model, async |town, fake| {
                fake.comes(alone("1").says(fake, "dig")).await.unwrap();
                settle().await;
                fake.comes(alone("1").says(fake, "no, fill")).await.unwrap();
                settle().await;
                let interrupted = "SELECT count(*) FROM turns WHERE outcome = 'interrupted'";
                assert_eq!(town.count(interrupted), outcomes, "{name} {mode}");
                fake.comes(alone("1").says(fake, "/cancel")).await.unwrap();
            });
        }
    }
}

#[test]
fn each_platform_takes_the_files_that_it_is_told_to() {
    let kinds = [
        ("photo_enabled", Media::Photo),
        ("audio_enabled", Media::Voice),
        ("audio_enabled", Media::Audio),
        ("video_enabled", Media::Video),
        ("document_enabled", Media::Document),
    ];
    for name in PLATFORMS {
        for (key, media) in kinds {
            for on in [true, false] {
                live(name, &format!("policy: open, {key}: {on}"), &yes(), async |town, fake| {
                    fake.lay("x", Lies::Bytes(10));
                    let message = alone("1").says(fake, "look").with("x", media, None);
                    assert_eq!(fake.comes(message).await, Ok(Receipt::Taken));
                    assert_eq!(town.count("SELECT count(*) FROM files"), i64::from(on), "{name} {key} {on}");
                    let text = town.column("SELECT text FROM inbound").remove(0);
                    assert_eq!(text.contains("not taken here"), !on, "{text}");
                });
            }
        }
        for (mib, kept) in [(1, 0), (2, 1)] {
            live(name, &format!("policy: open, max_file_mib: {mib}"), &yes(), async |town, fake| {
                fake.lay("x", Lies::Bytes(3 << 19));
                let message = alone("1").says(fake, "look").with("x", Media::Photo, None);
                assert_eq!(fake.comes(message).await, Ok(Receipt::Taken));
                assert_eq!(town.count("SELECT count(*) FROM files"), kept, "{name} {mib}");
            });
        }
    }
}
