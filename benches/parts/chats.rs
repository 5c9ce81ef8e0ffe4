//! 200 people in 200 chats at once, with a model that is slow: order in each chat, whether anybody waits for others, and
//! whether memory stays as it is. The platform is the strict stand-in for Telegram, with Telegram's limits.

use std::time::{Duration, Instant};

use super::{process::rss, stats::Times};
use crate::support::{
    MockModel, Reply, Request, Site,
    telegram::{FakeTelegram, Limits, TOKEN},
};

const CHATS: i64 = 200;
/// Messages that each person writes at once, and how often they all do.
const MESSAGES: usize = 3;
const ROUNDS: usize = 4;
/// An answer takes a second and a half.
const PIECES: usize = 6;
const PAUSE: u64 = 250;
/// Longest time of a round.
const PATIENCE: Duration = Duration::from_secs(600);
/// The last word of an answer: what lacks it still grows.
const END: &str = "[end]";

/// Answers the message that it was asked last.
fn slowly(request: &Request) -> Reply {
    let asked = request.last_user();
    let asked = asked.split("question ").last().unwrap_or_default();
    let number: String = asked.chars().take_while(char::is_ascii_digit).collect();
    let mut pieces = vec![format!("answer {number}: ")];
    pieces.resize(PIECES, "one thing after the other, ".to_owned());
    pieces.push(END.to_owned());
    Reply::Slowly(pieces, PAUSE)
}

/// The numbers of the answers in a chat, in the order in which they stand there.
fn answers(telegram: &FakeTelegram, chat: i64) -> Vec<usize> {
    let said = telegram.said(chat).into_iter().filter(|shown| shown.text.ends_with(END));
    said.filter_map(|shown| shown.text.strip_prefix("answer ")?.split(':').next()?.parse().ok()).collect()
}

pub(crate) fn many_at_once() {
    let model = MockModel::start(slowly);
    let telegram = FakeTelegram::start();
    telegram.limit(Limits {
        chat: Some((3, Duration::from_secs(3))),
        all: Some((30, Duration::from_secs(1))),
        retry_after: 1,
    });
    let site = Site::new(&format!(
        "llm: {{provider: openai-compatible, base_url: '{}', model: mock, api_key: k, max_concurrent: {CHATS}}}
log: {{level: warn}}
agent: {{memory: {{auto_extraction: false}}}}
channels: {{telegram: {{enabled: true, token: '{TOKEN}', api_url: '{}', policy: open, messages_per_minute: 0}}}}",
        model.openai(),
        telegram.url()
    ));
    let server = site.start();
    println!(
        "{CHATS} chats, {MESSAGES} messages each at once, {ROUNDS} times; an answer takes the model {} ms; at rest {:.1} MiB",
        (PIECES as u64 + 1) * PAUSE,
        rss(&server)
    );
    for round in 0..ROUNDS {
        let calls = telegram.calls().len();
        let (mut first, mut last) = (Times::default(), Times::default());
        let (from, to) = (round * MESSAGES, (round + 1) * MESSAGES);
        let began = Instant::now();
        for number in from..to {
            for chat in 1..=CHATS {
                telegram.say(chat, chat, &format!("question {number}"));
            }
        }
        let mut open: Vec<(i64, usize)> = (1..=CHATS).map(|chat| (chat, from)).collect();
        while !open.is_empty() {
            assert!(began.elapsed() < PATIENCE, "{} chats wait; {}", open.len(), site.log());
            std::thread::sleep(Duration::from_millis(100));
            open.retain_mut(|(chat, seen)| {
                let now = answers(&telegram, *chat).len();
                if *seen == from && now > from {
                    first.add(began.elapsed());
                }
                if now == to {
                    last.add(began.elapsed());
                }
                *seen = now;
                now < to
            });
        }
        let all = began.elapsed().as_secs_f64();
        let calls = &telegram.calls()[calls..];
        let told =
            calls.iter().filter(|call| call.method == "sendMessage" || call.method == "editMessageText");
        println!(
            "round {}: {:.0} answers/s; first answer of a chat: {}; last: {}; {} posts and edits ({:.0}/s), {} too fast; RSS {:.1} MiB",
            round + 1,
            (CHATS as usize * MESSAGES) as f64 / all,
            first.show(),
            last.show(),
            told.clone().count(),
            told.count() as f64 / all,
            calls.iter().filter(|call| call.status == 429).count(),
            rss(&server)
        );
    }
    let wanted: Vec<usize> = (0..ROUNDS * MESSAGES).collect();
    let astray = (1..=CHATS).filter(|chat| answers(&telegram, *chat) != wanted).count();
    println!("chats whose answers are not each there once and in order: {astray}");
}
