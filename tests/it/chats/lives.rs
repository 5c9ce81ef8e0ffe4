//! The real binary, killed around every write about people and about what they are shown: whoever is let in is let in
//! once and told once, and nothing that was shown is left lying or comes twice.

use std::time::{Duration, Instant};

use atoll::domain::{
    chat::Place,
    identity::group_user,
    ids::{ConversationId, JobId},
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    conformance::code_in,
    kills,
    stand::{DiscordStand, Platform, Stand},
    start,
};
use crate::{
    crash::both,
    support::{telegram::FakeTelegram, *},
    tasks,
};

/// Where it dies, before and after each commit: about people, ...
const PEOPLE: &[&str] = &[
    "commit:issue_code",
    "commit:redeem_code",
    "commit:post_notice",
    "commit:ask_to_pair",
    "commit:answer_pairing",
    "commit:see_identity",
    "commit:set_preference",
    "commit:change_identity",
    "commit:remove_identity",
];
/// ... about those whom nobody lets in, ...
const WAITED: &[&str] = &["commit:expire_pairings"];
/// ... about those who are turned away, ...
const TURNED_AWAY: &[&str] = &["commit:refuse_identity"];
/// ... about messages in parts, ...
const PARTS: &[&str] = &["commit:record_post#1", "commit:record_post#2"];
/// ... about answers that are shown while they grow, and about those that do not come, ...
const DRAFTS: &[&str] = &[
    "commit:record_draft",
    "before_edit:telegram",
    "after_edit:telegram",
    "before_edit:discord",
    "after_edit:discord",
];
const DROPPED: &[&str] = &["commit:drop_draft"];
/// ... about threads, which Telegram has none of, and about where listening goes on from: on Telegram that is noted only when
/// something takes long.
const THREADS: &[&str] = &[
    "before_head:discord",
    "after_head:discord",
    "before_thread:discord",
    "after_thread:discord",
    "commit:open_topic",
];
const POSITIONS: &[&str] = &["commit:held_outbox", "commit:set_position#1", "commit:set_position#2"];

/// Every place where some test of conversations kills.
pub(crate) fn all_kills() -> Vec<String> {
    let lists = [PEOPLE, WAITED, TURNED_AWAY, PARTS, DRAFTS, DROPPED, THREADS, POSITIONS];
    let here = lists.into_iter().flatten().map(|kill| (*kill).to_owned());
    here.chain(kills::all()).collect()
}

/// One life after the other.
struct World<S> {
    site: Site,
    stand: S,
    server: Server,
    owner: User,
    deaths: u32,
}

impl<S: Platform> World<S> {
    /// The life that is to end there begins.
    async fn begin(site: Site, stand: S, kill: &str) -> Self {
        let key = site.key("boss", "owner");
        let (server, deaths) = match site.try_start(&[("ATOLL_FAULT", kill)]) {
            Ok(server) => (server, 0),
            Err(_) => (site.start(), 1),
        };
        let owner = User::new(&server.base, &key);
        let mut world = Self { site, stand, server, owner, deaths };
        world.until("the bot listens", |world| world.stand.is_heard()).await;
        world
    }

    /// Begins the next life, when one has ended.
    async fn live(&mut self) {
        if self.server.is_dead() {
            self.deaths += 1;
            self.server = start(&self.site, &self.stand, &[]).await;
            self.owner = User::new(&self.server.base, &self.owner.key);
        }
    }

    /// Waits, over as many lives as it takes, until something is so.
    async fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !so(self) {
            let seen = ["ann", "eve"].map(|person| self.stand.texts(person));
            assert!(began.elapsed() < PATIENCE, "in vain: {what}; {seen:?}\n{}", self.site.log());
            self.live().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Asks until somebody answers.
    async fn ask(&mut self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let began = Instant::now();
        loop {
            self.live().await;
            let request =
                self.owner.request(method.clone(), path).timeout(Duration::from_secs(5)).json(&body);
            if let Ok(response) = request.send().await {
                return (response.status(), response.json().await.unwrap_or_default());
            }
            assert!(began.elapsed() < PATIENCE, "nobody answers {path}");
        }
    }

    /// Waits until somebody is told something.
    async fn told(&mut self, person: &str, words: &str) {
        let what = format!("{person} is told: {words}");
        self.until(&what, |world| world.stand.texts(person).iter().any(|text| text.contains(words))).await;
    }

    /// Somebody was told this once; on a platform that does not know a message again perhaps once more, marked.
    fn told_once(&self, person: &str, words: &str, kill: &str) {
        let texts = self.stand.texts(person);
        let told: Vec<&String> = texts.iter().filter(|text| text.contains(words)).collect();
        let marked = told.iter().filter(|text| text.contains("once more")).count();
        let most = usize::from(S::NAME == "telegram");
        assert!(marked <= most && (1..=1 + marked).contains(&told.len()), "{kill}: {person}: {texts:?}");
    }

    /// It died once, all is sent, and nothing was refused.
    async fn over(mut self, kill: &str) -> Site {
        self.until("all is sent", |world| {
            let sql = "SELECT (SELECT count(*) FROM outbox WHERE state NOT IN ('sent', 'unknown'))
                            + (SELECT count(*) FROM inbound WHERE state NOT IN ('answered', 'cancelled'))";
            world.site.number(sql) == 0
        })
        .await;
        assert_eq!(self.deaths, 1, "{kill}: it was to die there, once");
        // What a new life cannot know.
        let harmless = [
            "message to delete not found",
            "two sessions were opened within five",
            "already been acknowledged",
        ];
        let mut faults = self.stand.faults();
        faults.retain(|fault| !harmless.iter().any(|known| fault.contains(known)));
        assert_eq!(faults, Vec::<String>::new(), "{kill}");
        assert!(self.server.stop().success(), "{kill}");
        self.site
    }
}

/// A model that repeats what it is told.
fn repeats() -> MockModel {
    MockModel::start(|request| {
        let said = request.last_user();
        Reply::say(format!("You said: {}", said.lines().last().unwrap_or_default()))
    })
}

fn site<S: Platform>(model: &MockModel, stand: &S, allowed: &[&str], more: &str) -> Site {
    let keys = stand.keys(allowed).replace("enabled: true", &format!("enabled: true{more}"));
    Site::new(&with_model(
        model,
        &format!("channels: {{{keys}}}\nagent: {{memory: {{auto_extraction: false}}}}"),
    ))
}

#[tokio::test]
async fn whoever_is_let_in_on_telegram_is_let_in_once_and_told_once() {
    people::<FakeTelegram>().await;
}

#[tokio::test]
async fn whoever_is_let_in_on_discord_is_let_in_once_and_told_once() {
    people::<DiscordStand>().await;
}

async fn people<S: Platform>() {
    for kill in PEOPLE.iter().flat_map(|kill| both(kill)) {
        let (model, stand) = (repeats(), S::start());
        let site = site(&model, &stand, &["cid"], "");
        let mut world = World::begin(site, stand, &kill).await;
        let (status, link) =
            world.ask(Method::POST, "/api/v1/link", json!({"userId": "ann", "role": "owner"})).await;
        assert_eq!(status, 201, "{kill}: {link}");
        world.stand.say("ann", &format!("/link {}", link["code"].as_str().unwrap()));
        world.told("ann", "This account is ann").await;
        world.stand.say("eve", "let me in");
        world.told("eve", "Your code is").await;
        world.told("ann", "wants to write to me").await;
        let question = world.stand.seen("ann").into_iter().find(|seen| !seen.buttons.is_empty()).unwrap();
        world.stand.tap("ann", &question, "Let in");
        // A tap that got no answer is nothing that a platform repeats: the person does.
        let before = world.deaths;
        let welcome = |world: &World<S>| world.stand.texts("eve").iter().any(|text| text.contains("let in:"));
        world.until("eve is let in, or it died", |world| welcome(world) || world.deaths > before).await;
        if !welcome(&world) && world.site.number("SELECT count(*) FROM pairings WHERE state = 'open'") == 1 {
            world.stand.tap("ann", &question, "Let in");
        }
        world.told("eve", "let in:").await;
        world.stand.say("eve", "hi");
        world.told("eve", "You said: hi").await;
        world.stand.say("cid", "good day");
        world.told("cid", "You said: good day").await;
        world.stand.say("eve", "/verbosity quiet");
        world.told("eve", "quiet").await;
        let path = format!("/api/v1/identities/{}/{}", S::NAME, world.stand.id("eve"));
        let (status, now) = world.ask(Method::PATCH, &path, json!({"blocked": true})).await;
        assert_eq!((status.as_u16(), &now["blocked"]), (200, &json!(true)), "{kill}: {now}");
        let (status, _) = world.ask(Method::DELETE, &path, json!(null)).await;
        let gone = [204].iter().chain(kill.contains("remove_identity").then_some(&404));
        assert!(gone.into_iter().any(|code| status == *code), "{kill}: {status}");

        world.told_once("ann", "This account is ann", &kill);
        world.told("ann", "Let in by ann").await;
        world.told_once("ann", "wanted to write to me", &kill);
        for words in ["Your code is", "let in:", "You said: hi"] {
            world.told_once("eve", words, &kill);
        }
        world.told_once("cid", "You said: good day", &kill);
        let code =
            code_in(world.stand.texts("eve").iter().find(|text| text.contains("Your code is")).unwrap());
        assert!(!world.site.log().contains(&code), "{kill}: the code is in the log");
        let eve = world.stand.id("eve");
        let site = world.over(&kill).await;
        assert_eq!(site.column("SELECT user_id FROM identities WHERE admitted = 1"), ["ann"], "{kill}");
        assert_eq!(site.column("SELECT state FROM pairings"), ["paired"], "{kill}");
        let quiet = format!("SELECT verbosity FROM users WHERE id = '{}:{eve}'", S::NAME);
        assert_eq!(site.text(&quiet), "quiet", "{kill}");
        for (act, most) in [("linked", 1), ("paired", 1), ("blocked", 2), ("removed", 1)] {
            let acts = site.number(&format!("SELECT count(*) FROM audit WHERE action = 'identity.{act}'"));
            assert!((1..=most).contains(&acts), "{kill}: {acts} of {act}");
        }
    }
}

#[tokio::test]
async fn that_nobody_let_a_stranger_in_is_shown_once() {
    waited::<FakeTelegram>().await;
    waited::<DiscordStand>().await;
}

async fn waited<S: Platform>() {
    for kill in WAITED.iter().flat_map(|kill| both(kill)) {
        let (model, stand) = (repeats(), S::start());
        let site = site(&model, &stand, &[], "");
        let mut world = World::begin(site, stand, &kill).await;
        let (_, link) =
            world.ask(Method::POST, "/api/v1/link", json!({"userId": "ann", "role": "owner"})).await;
        world.stand.say("ann", &format!("/link {}", link["code"].as_str().unwrap()));
        world.told("ann", "This account is ann").await;
        world.stand.say("eve", "let me in");
        world.told("ann", "wants to write to me").await;
        world
            .until("the question is noted", |world| {
                world
                    .site
                    .number("SELECT count(*) FROM posts WHERE pairing_id IS NOT NULL AND message IS NOT NULL")
                    == 1
            })
            .await;
        world.site.store().execute("UPDATE pairings SET expires_at = 1", []).unwrap();
        world.told("ann", "Nobody answered in time").await;
        assert!(world.stand.seen("ann").iter().all(|seen| seen.buttons.is_empty()), "{kill}");
        let site = world.over(&kill).await;
        let changed = "SELECT count(*) FROM outbox WHERE json_extract(body, '$.kind') = 'pairing_over'";
        assert_eq!(site.number(changed), 1, "{kill}");
        assert_eq!(site.column("SELECT state FROM pairings"), ["expired"], "{kill}");
    }
}

#[tokio::test]
async fn whoever_is_turned_away_is_told_once() {
    turned_away::<FakeTelegram>().await;
    turned_away::<DiscordStand>().await;
}

async fn turned_away<S: Platform>() {
    for kill in TURNED_AWAY.iter().flat_map(|kill| both(kill)) {
        let (model, stand) = (repeats(), S::start());
        let site = site(&model, &stand, &["ann"], ", policy: allowlist");
        let mut world = World::begin(site, stand, &kill).await;
        world.stand.say("eve", "let me in");
        world.told("eve", "I only answer people").await;
        world.stand.say("eve", "let me in, please");
        world.stand.say("ann", "hi");
        world.told("ann", "You said: hi").await;
        world.told_once("eve", "I only answer people", &kill);
        world.over(&kill).await;
        assert_eq!(model.count(), 1, "{kill}");
    }
}

#[tokio::test]
async fn an_answer_in_parts_comes_whole() {
    parts::<FakeTelegram>().await;
    parts::<DiscordStand>().await;
}

async fn parts<S: Platform>() {
    let words: Vec<String> = (0..1_300).map(|at| format!("word{at}")).collect();
    for kill in PARTS.iter().flat_map(|kill| both(kill)) {
        let text = words.join(" ");
        let (model, stand) = (MockModel::start(move |_| Reply::say(text.clone())), S::start());
        let site = site(&model, &stand, &["ann"], "");
        let mut world = World::begin(site, stand, &kill).await;
        world.stand.say("ann", "tell me all");
        world.told("ann", "word1299").await;
        let texts = world.stand.texts("ann");
        let (marked, plain): (Vec<&String>, Vec<&String>) =
            texts.iter().partition(|text| text.contains("once more"));
        assert!(marked.len() <= usize::from(S::NAME == "telegram"), "{kill}: {texts:?}");
        // A part that may have arrived comes once more after the last that did: with it all is there, in order.
        let mut all: Vec<&str> = texts.iter().flat_map(|text| text.split_whitespace()).collect();
        all.retain(|word| word.starts_with("word"));
        all.dedup();
        if marked.is_empty() {
            assert_eq!(all, words, "{kill}");
        } else {
            let repeated: Vec<&str> =
                marked[0].split_whitespace().filter(|word| word.starts_with("word")).collect();
            let twin =
                plain.iter().filter(|text| text.split_whitespace().collect::<Vec<_>>() == repeated).count();
            assert!(twin <= 1, "{kill}");
            all.sort_by_key(|word| word[4..].parse::<u32>().unwrap());
            all.dedup();
            assert_eq!(all, words, "{kill}");
        }
        world.over(&kill).await;
    }
}

/// An answer that takes two seconds.
fn slow() -> Reply {
    Reply::Slowly((0..60).map(|at| format!("slow{at} ")).collect(), 40)
}

#[tokio::test]
async fn an_answer_that_grows_comes_once() {
    drafts::<FakeTelegram>().await;
    drafts::<DiscordStand>().await;
}

async fn drafts<S: Platform>() {
    let here = |kill: &&&str| kill.contains("commit") || kill.ends_with(S::NAME);
    for kill in DRAFTS.iter().filter(here).flat_map(|kill| both(kill)) {
        let (model, stand) = (MockModel::start(|_| slow()), S::start());
        let site = site(&model, &stand, &["ann"], "");
        let mut world = World::begin(site, stand, &kill).await;
        world.stand.say("ann", "tell me slowly");
        world.told("ann", "slow59").await;
        world.told_once("ann", "slow59", &kill);
        // What was shown and not yet noted stays as it was where a platform knows no keys: the beginning of the answer.
        let unnoted = usize::from(S::NAME == "telegram" && kill.starts_with("before_commit"));
        let left = world.stand.texts("ann").iter().filter(|text| !text.contains("slow59")).count();
        assert!(left <= unnoted, "{kill}: {:?}", world.stand.texts("ann"));
        let site = world.over(&kill).await;
        assert_eq!(site.number("SELECT count(*) FROM drafts"), 0, "{kill}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_taken_away() {
    dropped::<FakeTelegram>().await;
    dropped::<DiscordStand>().await;
}

async fn dropped<S: Platform>() {
    for kill in DROPPED.iter().flat_map(|kill| both(kill)) {
        let (model, stand) = (MockModel::start(|_| slow()), S::start());
        let site = site(&model, &stand, &["ann"], "");
        let mut world = World::begin(site, stand, &kill).await;
        world.stand.say("ann", "tell me slowly");
        world.told("ann", "slow1").await;
        world.stand.say("ann", "/cancel");
        // When it died after the turn had ended, the command comes again to nothing.
        world.told("ann", "ancel").await;
        world.until("it died", |world| world.deaths == 1).await;
        world
            .until("what was shown is gone", |world| {
                let drafts = world.site.number("SELECT count(*) FROM drafts");
                drafts == 0 && !world.stand.texts("ann").iter().any(|text| text.contains("slow"))
            })
            .await;
        world.told_once("ann", "ancel", &kill);
        world.over(&kill).await;
    }
}

#[tokio::test]
async fn a_task_has_one_thread() {
    for kill in THREADS.iter().flat_map(|kill| both(kill)) {
        let (model, stand) = (repeats(), DiscordStand::start());
        let site = site(&model, &stand, &["ann"], "");
        let server = site.start();
        let owner = User::new(&server.base, &site.key("me", "owner"));
        let project = json!({"name": "App", "repoUrl": "/srv/app.git"});
        assert_eq!(owner.post("/api/v1/projects", project).await.0, 201);
        assert!(server.stop().success());
        // A task that was given in the room asks for its push.
        let room = Place { chat: stand.group.to_string(), thread: None };
        let user = group_user("discord", &room.chat).unwrap();
        let conversation: ConversationId = room.conversation("discord", &user).unwrap();
        let task = tasks::task("job1aaaa");
        tasks::put(
            &site,
            atoll::domain::job::NewTask {
                conversation: Some(conversation),
                id: JobId::new("job1aaaa"),
                ..task
            },
        );
        tasks::goes(&site, "job1aaaa", &[], tasks::until_asked("01kabc-1"));
        let mut world = World::begin(site, stand, &kill).await;
        let headline = |world: &World<DiscordStand>| {
            let shown = world.stand.fake.messages(world.stand.group);
            shown.into_iter().filter(|shown| shown.own).collect::<Vec<_>>()
        };
        let in_thread = |world: &World<DiscordStand>| match headline(world).first() {
            Some(first) => world.stand.fake.messages(first.id),
            None => Vec::new(),
        };
        world.until("the question is in its thread", |world| !in_thread(world).is_empty()).await;
        world.until("it died", |world| world.deaths == 1).await;
        world
            .until("all is sent", |world| {
                world.site.number("SELECT count(*) FROM outbox WHERE state NOT IN ('sent', 'unknown')") == 0
            })
            .await;
        let (heads, questions) = (headline(&world), in_thread(&world));
        assert_eq!((heads.len(), questions.len()), (1, 1), "{kill}: {heads:?} {questions:?}");
        assert!(heads[0].embeds.to_string().contains("job1aaaa"), "{kill}: {heads:?}");
        assert!(questions[0].buttons.iter().flatten().any(|(label, _)| label == "Approve"), "{kill}");
        assert_eq!(world.site.number("SELECT count(*) FROM threads"), 1, "{kill}");
        assert!(world.server.stop().success(), "{kill}");
    }
}

#[tokio::test]
async fn listening_goes_on_where_it_was() {
    for kill in POSITIONS.iter().flat_map(|kill| both(kill)) {
        let (model, stand) = (repeats(), DiscordStand::start());
        let site = site(&model, &stand, &["ann"], "");
        let mut world = World::begin(site, stand, &kill).await;
        // The first position is stored before anything is heard: a bot that never listened cannot know what it missed. The
        // outbox looks for what this run holds before that.
        if kill.ends_with("#1") || kill.ends_with("held_outbox") {
            world.until("it died", |world| world.deaths == 1).await;
            world.until("the bot listens", |world| world.stand.is_heard()).await;
        }
        world.stand.say("ann", "hi");
        world.told("ann", "You said: hi").await;
        world.until("it died", |world| world.deaths == 1).await;
        world.told_once("ann", "You said: hi", &kill);
        let site = world.over(&kill).await;
        assert_eq!(site.number("SELECT count(*) FROM inbound"), 1, "{kill}");
    }
}
