//! The session in a world of its own, where time is a number.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn frame(text: &str) -> Frame {
    serde_json::from_str(text).unwrap()
}

fn session(life: Option<Life>) -> Session {
    Session::new(Secret::new("tok"), life)
}

fn life(seq: u64) -> Life {
    Life { id: "s1".into(), seq, url: Some("wss://here".into()) }
}

/// The only order, a frame that is sent.
fn sent(orders: Vec<Do>) -> Value {
    match orders.as_slice() {
        [Do::Send(text)] => serde_json::from_str(text).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn left(orders: Vec<Do>) -> Leave {
    match orders.as_slice() {
        [Do::Leave(leave)] => leave.clone(),
        other => panic!("{other:?}"),
    }
}

const HELLO: &str = r#"{"op":10,"d":{"heartbeat_interval":40000}}"#;
const ACK: &str = r#"{"op":11}"#;
const READY: &str =
    r#"{"op":0,"s":1,"t":"READY","d":{"session_id":"s1","resume_gateway_url":"wss://there"}}"#;

/// A session that is up since moment 0.
fn up() -> Session {
    let mut session = session(None);
    session.connected(0);
    sent(session.hear(frame(HELLO), 0, 0.5));
    assert!(matches!(session.hear(frame(READY), 0, 0.5).as_slice(), [Do::Began]));
    session
}

#[test]
fn it_opens_with_the_intents_and_then_listens() {
    let mut session = session(None);
    session.connected(0);
    let opening = sent(session.hear(frame(HELLO), 0, 0.5));
    assert_eq!(opening["op"], 2);
    assert_eq!(opening["d"]["token"], "tok");
    assert_eq!(opening["d"]["intents"], 1 | 1 << 9 | 1 << 12 | 1 << 15);
    assert!(opening.to_string().len() < 4_096);
    assert!(matches!(session.hear(frame(READY), 5, 0.5).as_slice(), [Do::Began]));
    assert_eq!(session.resume_url(), Some("wss://there"));
    let event = session.hear(frame(r#"{"op":0,"s":9,"t":"X","d":{"a":1}}"#), 6, 0.5);
    assert!(matches!(event.as_slice(), [Do::Event(event)] if event.name == "X"));
    assert_eq!(session.life().unwrap().seq, 9);
}

#[test]
fn the_first_heartbeat_comes_at_some_time_and_each_later_one_after_the_interval() {
    let mut session = up();
    assert_eq!(session.due(), 20_000);
    assert!(session.tick(19_999, 0.5, false).is_empty());
    let beat = sent(session.tick(20_000, 0.5, false));
    assert_eq!((beat["op"].as_u64(), &beat["d"]), (Some(1), &Value::Null), "nothing is stored yet");
    session.stored("s1", 7);
    session.stored("another", 99);
    session.hear(frame(ACK), 20_100, 0.5);
    assert_eq!(session.due(), 60_000);
    assert_eq!(sent(session.tick(60_000, 0.5, false))["d"], 7);
    assert_eq!(sent(session.hear(frame(r#"{"op":1}"#), 60_001, 0.5))["op"], 1, "asked for one");
}

#[test]
fn heartbeats_that_are_not_answered_end_the_connection_and_the_session_goes_on() {
    let mut session = up();
    sent(session.tick(20_000, 0.5, false));
    assert_eq!(sent(session.tick(60_000, 0.5, true))["op"], 1, "who does not listen hears no answer");
    let leave = left(session.tick(100_000, 0.5, false));
    assert!(!leave.refused && leave.after_ms <= 1_000, "{leave:?}");
    session.connected(101_000);
    let resume = sent(session.hear(frame(HELLO), 101_000, 0.5));
    assert_eq!((resume["op"].as_u64(), &resume["d"]["session_id"]), (Some(6), &Value::from("s1")));
    assert_eq!(resume["d"]["seq"], 1);
    let resumed = session.hear(frame(r#"{"op":0,"s":2,"t":"RESUMED","d":{}}"#), 101_000, 0.5);
    assert!(matches!(resumed.as_slice(), [Do::Resumed]));
}

#[test]
fn a_session_that_cannot_be_taken_up_is_opened_anew_after_a_pause() {
    let mut session = session(Some(life(41)));
    session.connected(0);
    let resume = sent(session.hear(frame(HELLO), 0, 0.0));
    assert_eq!((resume["op"].as_u64(), resume["d"]["seq"].as_u64()), (Some(6), Some(41)));
    assert!(session.hear(frame(r#"{"op":9,"d":false}"#), 100, 0.5).is_empty());
    assert_eq!(session.life(), None);
    let mut at = 100;
    let opening = loop {
        at += 100;
        let orders = session.tick(at, 0.5, false);
        if let Some(Do::Send(text)) = orders.first()
            && text.contains("intents")
        {
            break at;
        }
        session.hear(frame(ACK), at, 0.5);
        assert!(at < 10_000);
    };
    assert_eq!(opening, 3_100, "between one and five seconds");
}

#[test]
fn sessions_are_opened_five_seconds_apart() {
    let mut session = up();
    session.forget();
    session.lost(None, "gone", 0.5);
    session.connected(1_000);
    assert!(session.hear(frame(HELLO), 1_000, 1.0).is_empty());
    assert_eq!(session.due(), BETWEEN_OPENINGS);
    assert_eq!(sent(session.tick(BETWEEN_OPENINGS, 0.5, false))["op"], 2);
}

#[test]
fn discord_can_ask_for_a_new_connection() {
    let mut session = up();
    for ask in [r#"{"op":7,"d":null}"#, r#"{"op":9,"d":true}"#] {
        let leave = left(session.hear(frame(ask), 10, 0.5));
        assert!(!leave.refused);
        assert!(session.life().is_some(), "{ask}");
    }
}

#[test]
fn close_codes_say_what_goes_on() {
    for (code, keeps, refused) in [
        (None, true, false),
        (Some(1006), true, false),
        (Some(4000), true, false),
        (Some(4008), true, false),
        (Some(4007), false, false),
        (Some(4009), false, false),
        (Some(4004), false, true),
        (Some(4011), true, true),
        (Some(4013), false, true),
        (Some(4014), false, true),
    ] {
        let mut session = up();
        let leave = session.lost(code, "it broke", 0.5);
        assert_eq!((session.life().is_some(), leave.refused), (keeps, refused), "{code:?}");
        assert!(!leave.why.contains("tok ") && leave.after_ms > 0);
        assert_eq!(leave.after_ms >= REFUSED, refused);
    }
    assert!(up().lost(Some(4014), "", 0.0).why.contains("Message Content Intent"));
    assert!(up().lost(Some(4004), "", 0.0).why.contains("channels.discord.token"));
}

#[test]
fn pauses_grow_until_a_heartbeat_is_answered() {
    let mut session = up();
    let pauses: Vec<u64> = (0..9).map(|_| session.lost(None, "gone", 1.0).after_ms).collect();
    assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    assert_eq!(session.resume_url(), None, "its own address may be what is gone");
    session.connected(0);
    session.hear(frame(HELLO), 0, 0.0);
    session.hear(frame(ACK), 0, 0.0);
    assert_eq!(session.lost(None, "gone", 1.0).after_ms, 60_000, "it was never up");
    session.connected(0);
    session.hear(frame(HELLO), 0, 0.0);
    session.hear(frame(r#"{"op":0,"s":3,"t":"RESUMED","d":{}}"#), 0, 0.0);
    session.hear(frame(ACK), 0, 0.0);
    assert_eq!(session.lost(None, "gone", 1.0).after_ms, 1_000);
}

#[test]
fn an_opening_without_an_answer_ends() {
    let mut session = session(None);
    session.connected(0);
    assert_eq!(session.due(), OPENING);
    left(session.tick(OPENING, 0.5, false));
    session.connected(0);
    assert!(session.tick(OPENING, 0.5, true).is_empty());
    assert!(session.due() > OPENING, "no loop without a pause");
}

proptest! {
    #[test]
    fn whatever_comes_it_never_loops_and_never_opens_twice_in_five_seconds(
        steps in proptest::collection::vec((0u8..9, 1u64..3_000, 0.0f64..1.0), 1..200),
    ) {
        let (mut session, mut now, mut openings) = (session(None), 0, Vec::new());
        session.connected(0);
        for (step, pause, dice) in steps {
            now += pause;
            let mut orders = match step {
                0 => session.hear(frame(HELLO), now, dice),
                1 => session.hear(frame(READY), now, dice),
                2 => session.hear(frame(ACK), now, dice),
                3 => session.hear(frame(r#"{"op":9,"d":false}"#), now, dice),
                4 => session.hear(frame(r#"{"op":7}"#), now, dice),
                5 => session.hear(frame(r#"{"op":0,"s":5,"t":"X","d":{}}"#), now, dice),
                6 => vec![Do::Leave(session.lost(Some(4009), "", dice))],
                7 => vec![Do::Leave(session.lost(None, "", dice))],
                _ => Vec::new(),
            };
            if orders.iter().any(|order| matches!(order, Do::Leave(_))) {
                session.connected(now);
            } else if session.due() <= now {
                orders.extend(session.tick(now, dice, step == 8));
                prop_assert!(session.due() > now || matches!(orders.last(), Some(Do::Leave(_))));
            }
            let opens = |order: &Do| matches!(order, Do::Send(text) if text.contains("\"intents\""));
            openings.extend(orders.iter().filter(|order| opens(order)).map(|_| now));
        }
        for pair in openings.windows(2) {
            prop_assert!(pair[1] - pair[0] >= 5_000, "{openings:?}");
        }
    }
}
