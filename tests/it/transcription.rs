//! Transcription: recordings go to the service that is configured, within their bounds, and come back as words.

use std::{sync::Arc, time::Duration};

use atoll::{
    app::SystemClock,
    config::{self, Config},
    domain::message::FileRef,
    home::HomeFiles,
    llm::HttpTranscriber,
    net::{Clients, install_tls},
    ports::{files::Files, transcriber::Transcriber},
};

use crate::support::{
    http::Told,
    transcriber::{FakeTranscriber, Heard, KEY, error, say},
};

/// A home with files, and the service that a configuration names.
struct Desk {
    _folder: tempfile::TempDir,
    files: Arc<dyn Files>,
    transcriber: HttpTranscriber,
}

fn read(keys: &str) -> Config {
    config::parse(&format!("transcription: {{{keys}}}"), "config.yaml", &|_: &str| None).unwrap()
}

fn desk(keys: &str) -> Desk {
    install_tls();
    let folder = tempfile::tempdir().unwrap();
    let files: Arc<dyn Files> = Arc::new(HomeFiles::new(folder.path().to_owned(), Arc::new(SystemClock)));
    let service = read(keys).transcription.unwrap();
    let transcriber = HttpTranscriber::new(service, &Clients::default(), Arc::clone(&files)).unwrap();
    Desk { _folder: folder, files, transcriber }
}

impl Desk {
    async fn store(&self, name: &str, bytes: Vec<u8>) -> FileRef {
        self.files.put(name.into(), "audio/ogg".into(), bytes.into()).await.unwrap()
    }

    async fn say(&self, name: &str, bytes: Vec<u8>) -> Result<String, String> {
        self.transcriber.transcribe(&self.store(name, bytes).await).await
    }
}

fn with_key(service: &FakeTranscriber, more: &str) -> String {
    format!("base_url: '{}', api_key: {KEY}{more}", service.url())
}

#[tokio::test]
async fn a_recording_is_sent_as_it_is_configured_and_its_words_come_back() {
    assert_eq!(read("model: whisper-2").transcription, None, "it is off without an address");
    let service = FakeTranscriber::start(false);
    let sound = (0..200_000_u32).map(|at| at.to_le_bytes()[at as usize % 3]).collect::<Vec<_>>();
    for (more, model) in [("", "whisper-1"), (", model: turbo", "turbo")] {
        let desk = desk(&with_key(&service, more));
        assert_eq!(desk.say("voice.oga", sound.clone()).await.unwrap(), "200000 bytes of voice.oga");
        let heard = Heard {
            model: model.into(),
            filename: "voice.oga".into(),
            media_type: "audio/ogg".into(),
            bytes: sound.clone(),
        };
        assert_eq!(service.heard().pop(), Some(heard));
    }
    let open = FakeTranscriber::start(true);
    let words = desk(&format!("base_url: '{}/'", open.url())).say("no ending", vec![1]).await;
    assert_eq!(words.unwrap(), "1 bytes of recording.ogg", "no key is sent when there is none");
}

#[tokio::test]
async fn a_busy_service_is_asked_once_more_and_no_more() {
    let service = FakeTranscriber::start(false);
    let desk = desk(&with_key(&service, ""));
    let busy = |seconds: &str| Told::Say(429, vec![("retry-after".into(), seconds.into())], b"{}".to_vec());
    for first in [busy("0"), error(503, "overloaded"), Told::HangUp] {
        service.then([first]);
        assert_eq!(desk.say("a.ogg", vec![1]).await.unwrap(), "1 bytes of a.ogg");
    }
    assert_eq!(service.calls(), 6);
    service.then([error(500, "one"), error(500, "two")]);
    let why = desk.say("a.ogg", vec![1]).await.unwrap_err();
    assert!(why.contains("500") && why.contains("two"), "{why}");
    assert_eq!(service.calls(), 8);
    service.then([busy("3600")]);
    assert!(desk.say("a.ogg", vec![1]).await.unwrap_err().contains("429"));
    assert_eq!(service.calls(), 9, "an hour is nothing that a person waits for");
}

#[tokio::test]
async fn a_refusal_is_told_in_words_that_hold_no_key() {
    let service = FakeTranscriber::start(false);
    let wrong = desk(&format!("base_url: '{}', api_key: sk-wrong-777", service.url()));
    let why = wrong.say("a.ogg", vec![1]).await.unwrap_err();
    assert!(why.contains("`transcription.api_key`") && !why.contains("777"), "{why}");
    let desk = desk(&with_key(&service, ""));
    let quoting = format!("{}the key {KEY} may not do this", "x".repeat(230));
    service.then([error(400, &quoting)]);
    let why = desk.say("a.ogg", vec![1]).await.unwrap_err();
    assert!(why.contains("400") && !why.contains("sk-"), "{why}");
    service.then([say(200, &serde_json::json!({"words": "?"}))]);
    assert!(desk.say("a.ogg", vec![1]).await.unwrap_err().contains("unreadable"));
    service.then([Told::Say(302, vec![("location".into(), service.url())], Vec::new())]);
    assert!(desk.say("a.ogg", vec![1]).await.unwrap_err().contains("302"), "it follows nobody elsewhere");
    let calls = service.calls();
    let why = desk.say("note.txt", vec![1]).await;
    assert!(why.is_ok(), "its media type tells what it is: {why:?}");
    let text = desk.files.put("note.txt".into(), "text/plain".into(), "x".into()).await.unwrap();
    let why = desk.transcriber.transcribe(&text).await.unwrap_err();
    assert!(why.contains("text/plain"), "{why}");
    assert_eq!(service.calls(), calls + 1, "what cannot be transcribed is not sent");
}

#[tokio::test]
async fn a_service_that_is_silent_is_waited_for_as_long_as_is_configured() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", silent.local_addr().unwrap());
    let desk = desk(&format!("base_url: '{url}', timeout_seconds: 1"));
    let asked = tokio::time::timeout(Duration::from_secs(20), desk.say("a.ogg", vec![1]));
    assert_eq!(asked.await.unwrap().unwrap_err(), "the transcription service took longer than 1 s");
}

#[tokio::test]
async fn a_recording_is_as_large_as_is_configured() {
    let service = FakeTranscriber::start(false);
    let mib = 1024 * 1024;
    let desk = desk(&with_key(&service, ", max_mib: 1"));
    assert!(desk.say("a.ogg", vec![0; mib]).await.is_ok());
    let why = desk.say("a.ogg", vec![0; mib + 1]).await.unwrap_err();
    assert_eq!(why, "the recording is larger than 1 MiB");
    assert_eq!(service.calls(), 1, "it is not sent");
}
