//! A way to the bot as the people on it use it: the same words for each of them.

use crate::support::{
    Server, Site,
    discord::{self, FakeDiscord},
    telegram::{self, FakeTelegram},
};

/// What somebody sees in a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub id: u64,
    pub text: String,
    /// Labels and what they stand for.
    pub buttons: Vec<(String, String)>,
    /// The message that it is a reply to.
    pub reply_to: Option<u64>,
}

/// A way to the bot, as those use it who are on it.
pub(super) trait Stand: Sized {
    const NAME: &'static str;
    /// Longest message that is shown as one, in characters.
    const LONGEST: usize;

    fn start() -> Self;
    /// What `channels` says, with these people let in.
    fn keys(&self, allowed: &[&str]) -> String;
    /// The server runs, and can be called by those who call it themselves.
    fn meets(&self, _: &Site, _: &Server) {}
    /// What must never be seen: the token, or the key.
    fn secret(&self) -> String;
    /// The bot hears what is said from now on: a platform may not keep what it says to nobody.
    fn is_heard(&self) -> bool;
    /// Somebody writes to the bot alone.
    fn say(&self, person: &str, text: &str);
    /// What the bot shows somebody.
    fn seen(&self, person: &str) -> Vec<Seen>;
    /// Somebody presses a button of a message to them.
    fn tap(&self, person: &str, message: &Seen, label: &str);
    /// What the real platform would have refused.
    fn faults(&self) -> Vec<String>;
    /// How often the platform was called, in whatever way.
    fn calls(&self) -> usize;

    /// What somebody said last comes once more.
    fn redeliver(&self, _person: &str) {
        unreachable!("nothing comes twice at {}", Self::NAME);
    }

    /// Messages of the bot's that were taken, and whose answer is lost, from now on, so many times.
    fn lose_answers(&self, _times: u32) {
        unreachable!("nothing is lost at {}", Self::NAME);
    }

    /// The words of all that somebody sees.
    fn texts(&self, person: &str) -> Vec<String> {
        self.seen(person).into_iter().map(|seen| seen.text).collect()
    }
}

/// A platform of somebody else's, with a bot on it.
pub(super) trait Platform: Stand {
    /// The bot's token.
    const TOKEN: &'static str;

    /// The platform's id of somebody.
    fn id(&self, person: &str) -> String;
    /// Somebody writes where others read along; to the bot, or not. Gives the message.
    fn say_in_group(&self, person: &str, text: &str, to_bot: bool) -> u64;
    /// What the bot shows in the group.
    fn seen_in_group(&self) -> Vec<Seen>;
    /// Nobody can be reached for so many calls.
    fn fail(&self, times: u32);
}

/// Telegram's people are numbers.
fn number(person: &str) -> i64 {
    person.bytes().fold(7, |number, byte| number * 31 + i64::from(byte)) % 1_000_000 + 1_000
}

const GROUP: i64 = -100_500;

impl Stand for FakeTelegram {
    const NAME: &'static str = "telegram";
    const LONGEST: usize = 4_096;

    fn start() -> Self {
        FakeTelegram::start()
    }

    fn keys(&self, allowed: &[&str]) -> String {
        let allowed: Vec<String> = allowed.iter().map(|person| self.id(person)).collect();
        format!(
            "telegram: {{enabled: true, token: '{}', api_url: '{}', allowed_users: [{}]}}",
            Self::TOKEN,
            self.url(),
            allowed.join(", ")
        )
    }

    fn secret(&self) -> String {
        Self::TOKEN.to_owned()
    }

    fn is_heard(&self) -> bool {
        true
    }

    fn say(&self, person: &str, text: &str) {
        self.name(number(person), person);
        FakeTelegram::say(self, number(person), number(person), text);
    }

    fn seen(&self, person: &str) -> Vec<Seen> {
        seen_at(self, number(person))
    }

    fn tap(&self, person: &str, message: &Seen, label: &str) {
        FakeTelegram::tap(self, number(person), number(person), i64::try_from(message.id).unwrap(), label);
    }

    fn faults(&self) -> Vec<String> {
        // What was shown of a slow answer may be all of it: the last edit changes nothing then.
        let mut refused = self.refused();
        refused.retain(|refusal| !refusal.contains("message is not modified"));
        refused
    }

    fn calls(&self) -> usize {
        FakeTelegram::calls(self).len()
    }

    fn lose_answers(&self, times: u32) {
        self.next("sendMessage", times as usize, telegram::Trouble::LoseAnswer);
    }

    fn redeliver(&self, _: &str) {
        FakeTelegram::redeliver(self, 1);
    }
}

impl Platform for FakeTelegram {
    const TOKEN: &'static str = telegram::TOKEN;

    fn id(&self, person: &str) -> String {
        number(person).to_string()
    }

    fn say_in_group(&self, person: &str, text: &str, to_bot: bool) -> u64 {
        self.name(number(person), person);
        let text = if to_bot { format!("@AtollBot {text}") } else { text.to_owned() };
        FakeTelegram::say(self, GROUP, number(person), &text).unsigned_abs()
    }

    fn seen_in_group(&self) -> Vec<Seen> {
        seen_at(self, GROUP)
    }

    fn fail(&self, times: u32) {
        self.next("sendMessage", times as usize, telegram::Trouble::Refuse(502, "Bad Gateway".into()));
    }
}

fn seen_at(telegram: &FakeTelegram, chat: i64) -> Vec<Seen> {
    let seen = |shown: telegram::Shown| Seen {
        id: shown.id.unsigned_abs(),
        text: shown.text,
        buttons: shown.buttons.into_iter().flatten().collect(),
        reply_to: shown.reply_to.map(i64::unsigned_abs),
    };
    telegram.said(chat).into_iter().map(seen).collect()
}

/// Discord, with one channel where others read along.
pub(super) struct DiscordStand {
    pub fake: FakeDiscord,
    pub group: u64,
}

impl Stand for DiscordStand {
    const NAME: &'static str = "discord";
    const LONGEST: usize = 2_000;

    fn start() -> Self {
        let fake = FakeDiscord::start();
        let group = fake.guild_channel();
        Self { fake, group }
    }

    fn keys(&self, allowed: &[&str]) -> String {
        let allowed: Vec<String> = allowed.iter().map(|person| format!("'{}'", self.id(person))).collect();
        format!(
            "discord: {{enabled: true, token: '{}', api_url: '{}', gateway_url: '{}', allowed_users: [{}]}}",
            Self::TOKEN,
            self.fake.api_url(),
            self.fake.gateway_url(),
            allowed.join(", ")
        )
    }

    fn secret(&self) -> String {
        Self::TOKEN.to_owned()
    }

    fn is_heard(&self) -> bool {
        self.fake.is_listened_to()
    }

    fn say(&self, person: &str, text: &str) {
        self.fake.dm(person, text);
    }

    fn seen(&self, person: &str) -> Vec<Seen> {
        seen_in(&self.fake, self.fake.dm_channel(person))
    }

    fn tap(&self, person: &str, message: &Seen, label: &str) {
        let (_, data) = message.buttons.iter().find(|(known, _)| known == label).unwrap();
        self.fake.tap(self.fake.dm_channel(person), person, message.id, data);
    }

    fn faults(&self) -> Vec<String> {
        self.fake.faults()
    }

    fn calls(&self) -> usize {
        self.fake.log().len()
    }

    fn lose_answers(&self, times: u32) {
        self.fake.trouble("POST", "/messages", discord::Trouble::LoseAnswer, times);
    }

    fn redeliver(&self, person: &str) {
        self.fake.again(self.fake.dm_channel(person));
    }
}

impl Platform for DiscordStand {
    const TOKEN: &'static str = discord::TOKEN;

    fn id(&self, person: &str) -> String {
        self.fake.user(person).to_string()
    }

    fn say_in_group(&self, person: &str, text: &str, to_bot: bool) -> u64 {
        if to_bot {
            self.fake.mention(self.group, person, text)
        } else {
            self.fake.say(self.group, person, text)
        }
    }

    fn seen_in_group(&self) -> Vec<Seen> {
        seen_in(&self.fake, self.group)
    }

    fn fail(&self, times: u32) {
        self.fake.trouble("POST", "/messages", discord::Trouble::Status(502), times);
    }
}

fn seen_in(discord: &FakeDiscord, channel: u64) -> Vec<Seen> {
    let own = discord.messages(channel).into_iter().filter(|shown| shown.own && !shown.thinking);
    own.map(|shown| Seen {
        id: shown.id,
        text: shown.content,
        buttons: shown.buttons.into_iter().flatten().collect(),
        reply_to: shown.reply_to,
    })
    .collect()
}
