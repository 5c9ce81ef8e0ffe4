//! The token stands in every address that is called, and nowhere else.

use std::sync::{Arc, Mutex};

use atoll::{
    app::SystemClock,
    channels::telegram::{BadSettings, Pauses, Telegram, TelegramSettings, Webhook},
    domain::{
        chat::{Failure, Link, Media, RemoteFile},
        secret::Secret,
    },
    home::HomeFiles,
    ports::platform::Platform,
};
use tracing_subscriber::fmt::MakeWriter;

use super::kit::{Rig, place, post, words};
use crate::support::{
    telegram::{TOKEN, Trouble},
    until,
};

/// Everything that is logged, at every level, by every crate.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn has_token(words: &str) -> bool {
    let (_, part) = TOKEN.split_once(':').unwrap();
    words.contains(part)
}

#[tokio::test]
async fn no_failure_no_link_and_no_line_of_the_log_shows_the_token() {
    let log = Log::default();
    let all =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(all);
    let rig = Rig::listening().await;
    rig.fake.open(42);
    let mut said: Vec<String> = Vec::new();
    let echo = format!("no such thing: /bot{TOKEN}/x ({})", &TOKEN[5..]);
    let troubles = [
        Trouble::LoseAnswer,
        Trouble::HangUp,
        Trouble::Page(502),
        Trouble::Page(302),
        Trouble::Page(200),
        Trouble::Slow(1),
        Trouble::Refuse(400, echo.clone()),
        Trouble::Refuse(401, echo.clone()),
        Trouble::Refuse(403, echo.clone()),
        Trouble::Refuse(404, echo.clone()),
        Trouble::Refuse(500, echo),
    ];
    let file = RemoteFile {
        media: Media::Document,
        name: "x".into(),
        media_type: "text/plain".into(),
        size: None,
        reference: "file-1".into(),
    };
    for trouble in &troubles {
        let broken = || rig.taker.links().iter().filter(|link| !matches!(link, Link::Up { .. })).count();
        let before = broken();
        for method in ["sendMessage", "editMessageText", "sendChatAction", "getFile", "setMyCommands"] {
            rig.fake.next(method, 1, trouble.clone());
        }
        said.push(format!("{:?}", rig.telegram.post(post(42, words("x"))).await));
        said.push(format!("{:?}", rig.telegram.edit(&place(42), "1", words("x")).await));
        said.push(format!("{:?}", rig.telegram.typing(&place(42)).await));
        said.push(format!("{:?}", rig.telegram.fetch(&file).await.err()));
        said.push(format!("{:?}", rig.telegram.register(&[("a".into(), "b".into())]).await));
        rig.fake.next("getUpdates", 1, trouble.clone());
        // The question that is held is answered with this; the next one goes wrong.
        rig.fake.say(42, 42, "wake up");
        until("listening has seen it", async || broken() > before).await;
        rig.up().await;
    }
    said.extend(rig.taker.links().iter().map(|link| format!("{link:?}")));
    rig.stop().await;
    assert!(said.len() > 60, "{}", said.len());
    assert!(said.iter().any(|words| words.contains("(secret)")), "the server's echo was cut");
    for words in &said {
        assert!(!has_token(words), "{words}");
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("not listening, trying again"), "the log is looked at");
    let line = log.lines().find(|line| has_token(line));
    assert_eq!(line, None);
}

#[tokio::test]
async fn a_file_that_breaks_off_does_not_show_it_either() {
    let rig = Rig::listening().await;
    rig.fake.document(42, 42, "a.txt", b"text", None);
    rig.taker.after(1).await;
    let file = |reference: &str| RemoteFile {
        media: Media::Document,
        name: "x".into(),
        media_type: "text/plain".into(),
        size: None,
        reference: reference.into(),
    };
    assert!(rig.telegram.fetch(&file("file-1")).await.is_ok());
    let Rig { fake, telegram, .. } = rig;
    drop(fake);
    let failure = telegram.fetch(&file("file-1")).await.err().unwrap();
    assert!(matches!(failure, Failure::Later(_)) && !has_token(&failure.to_string()), "{failure}");
}

#[test]
fn settings_that_can_never_work_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let of = |token: &str, api_url: Option<&str>, webhook: Option<(&str, &str)>| {
        let files = Arc::new(HomeFiles::new(folder.path().to_owned(), Arc::new(SystemClock)));
        let webhook = webhook.map(|(url, secret)| Webhook { url: url.into(), secret: Secret::new(secret) });
        let settings = TelegramSettings {
            menu: Vec::new(),
            token: Secret::new(token),
            api_url: api_url.map(str::to_owned),
            webhook,
            acknowledge: false,
            pauses: Pauses::default(),
        };
        Telegram::new(settings, files, Arc::new(SystemClock)).err()
    };
    assert_eq!(of(TOKEN, None, Some(("https://x.example/t", "abc_-1"))), None);
    for (token, url) in
        [("", None), ("1:a/../b", None), ("1:a b", None), (TOKEN, Some("ftp://x")), (TOKEN, Some("x"))]
    {
        assert_eq!(of(token, url, None), Some(BadSettings::Api), "{token} {url:?}");
    }
    let long = "a".repeat(257);
    for webhook in
        [("http://x.example", "abc"), ("x", "abc"), ("https://x.example", ""), ("https://x.example", &*long)]
    {
        assert_eq!(of(TOKEN, None, Some(webhook)), Some(BadSettings::Webhook), "{webhook:?}");
    }
}
