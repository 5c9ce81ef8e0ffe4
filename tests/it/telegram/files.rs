//! Files in both directions.

use atoll::domain::chat::{Button, Content, Event, Failure, Media, Post, RemoteFile, Tone};
use atoll::ports::platform::{Download, Platform};
use futures_util::TryStreamExt;

use super::kit::{Rig, place, post, words};
use crate::support::telegram::Trouble;

async fn whole(download: Download) -> Vec<u8> {
    download
        .try_fold(Vec::new(), async |mut all, piece| {
            all.extend_from_slice(&piece);
            Ok(all)
        })
        .await
        .unwrap()
}

async fn content(rig: &Rig, name: &str, media_type: &str, bytes: &[u8], words: &str) -> Content {
    let file = rig.file(name, media_type, bytes).await;
    Content { markup: words.into(), plain: words.into(), file: Some(file), ..Content::default() }
}

#[tokio::test]
async fn files_go_out_by_kind_with_their_words_under_them() {
    let rig = Rig::new();
    rig.fake.open(42);
    for (name, media_type, method) in [
        ("a.png", "image/png", "sendPhoto"),
        ("b.mp4", "video/mp4", "sendVideo"),
        ("c.mp3", "audio/mpeg", "sendAudio"),
        ("d.ogg", "audio/ogg", "sendVoice"),
        ("ü \"e\".pdf", "application/pdf", "sendDocument"),
        ("f.bin", "odd", "sendDocument"),
    ] {
        let bytes = format!("bytes of {name}").repeat(10_000).into_bytes();
        let content = content(&rig, name, media_type, &bytes, "<b>see</b>").await;
        let id = rig.telegram.post(post(42, content)).await.unwrap();
        let shown = rig.fake.said(42).pop().unwrap();
        let (how, called, got) = shown.file.unwrap();
        assert_eq!((&*how, shown.id.to_string(), &*shown.text), (method, id, "see"));
        assert!(got == bytes, "{name}: {} bytes", got.len());
        assert_eq!(called, name.replace('"', ""), "the home keeps no quotes in names");
    }
}

#[tokio::test]
async fn a_file_may_have_buttons_and_no_words_and_its_caption_can_be_changed() {
    let rig = Rig::new();
    let asked = rig.fake.say(42, 42, "send it").to_string();
    let button = Button { label: "Keep".into(), data: "k".into(), tone: Tone::Good };
    let content =
        Content { buttons: vec![vec![button]], ..content(&rig, "a.png", "image/png", b"png", "").await };
    let id =
        rig.telegram.post(Post { reply_to: Some(asked), silent: true, ..post(42, content) }).await.unwrap();
    let shown = rig.fake.said(42).remove(0);
    assert_eq!((shown.buttons.len(), shown.reply_to, shown.silent, &*shown.text), (1, Some(1), true, ""));
    assert_eq!(rig.fake.calls_of("sendPhoto")[0].fields.get("caption"), None);
    rig.telegram.edit(&place(42), &id, words("<i>kept</i>")).await.unwrap();
    let shown = rig.fake.said(42).remove(0);
    assert_eq!((&*shown.text, shown.buttons.len()), ("kept", 0));
}

#[tokio::test]
async fn words_that_are_too_long_for_a_caption_go_before_it() {
    let rig = Rig::new();
    rig.fake.open(42);
    let long = "é".repeat(1_025);
    let id = rig
        .telegram
        .post(post(42, content(&rig, "a.pdf", "application/pdf", b"pdf", &long).await))
        .await
        .unwrap();
    let shown = rig.fake.said(42);
    assert_eq!((shown.len(), shown[0].id.to_string(), &shown[0].text), (2, id, &long));
    assert!(shown[1].file.is_some() && shown[1].text.is_empty());
    let fits = content(&rig, "a.pdf", "application/pdf", b"pdf", &"é".repeat(1_024)).await;
    rig.telegram.post(post(42, fits)).await.unwrap();
    assert_eq!(rig.fake.said(42).len(), 3);
}

#[tokio::test]
async fn words_that_arrived_do_not_go_out_again_because_of_their_file() {
    let rig = Rig::new();
    rig.fake.open(42);
    let long = "é".repeat(2_000);
    let content = content(&rig, "a.pdf", "application/pdf", b"pdf", &long).await;
    rig.fake.next("sendDocument", 1, Trouble::Slow(1));
    rig.telegram.post(post(42, content.clone())).await.unwrap();
    assert_eq!(rig.fake.said(42).len(), 2);
    rig.fake.next("sendDocument", 1, Trouble::LoseAnswer);
    let failure = rig.telegram.post(post(42, content.clone())).await.unwrap_err();
    assert!(matches!(&failure, Failure::Unknown(why) if why.contains("the words arrived")), "{failure}");
    rig.fake.next("sendDocument", 1, Trouble::Refuse(400, "Bad Request: no".into()));
    assert!(matches!(rig.telegram.post(post(42, content)).await, Err(Failure::Refused(_))));
    assert_eq!(rig.fake.calls_of("sendMessage").len(), 3);
}

#[tokio::test]
async fn a_photo_that_is_none_goes_as_a_document() {
    let rig = Rig::new();
    rig.fake.open(42);
    rig.fake.next("sendPhoto", 1, Trouble::Refuse(400, "Bad Request: PHOTO_INVALID_DIMENSIONS".into()));
    let odd = content(&rig, "long.png", "image/png", b"png", "see").await;
    rig.telegram.post(post(42, odd)).await.unwrap();
    let shown = rig.fake.said(42).remove(0);
    assert_eq!((shown.file.unwrap().0.as_str(), &*shown.text), ("sendDocument", "see"));
    let large = vec![0; 10 * 1024 * 1024 + 1];
    rig.telegram.post(post(42, content(&rig, "large.png", "image/png", &large, "").await)).await.unwrap();
    assert_eq!(rig.fake.said(42)[1].file.as_ref().unwrap().0, "sendDocument");
}

#[tokio::test]
async fn where_no_documents_may_be_sent_that_is_said_of_the_file_and_not_of_the_chat() {
    let rig = Rig::new();
    rig.fake.open(42);
    let words = "Bad Request: not enough rights to send documents to the chat";
    rig.fake.next("sendDocument", 1, Trouble::Refuse(400, words.into()));
    let content = content(&rig, "a.pdf", "application/pdf", b"pdf", "").await;
    let failure = rig.telegram.post(post(42, content)).await.unwrap_err();
    assert!(matches!(&failure, Failure::NoFiles(why) if why.contains("not enough rights")), "{failure}");
}

#[tokio::test]
async fn files_that_are_too_large_or_gone_are_not_begun() {
    let rig = Rig::new();
    rig.fake.open(42);
    let large = vec![0; 50 * 1024 * 1024 + 1];
    let content = content(&rig, "large.bin", "application/octet-stream", &large, &"é".repeat(2_000)).await;
    let failure = rig.telegram.post(post(42, content.clone())).await.unwrap_err();
    assert!(matches!(&failure, Failure::TooLarge(why) if why.contains("large.bin")), "{failure}");
    let mut gone = content.file.unwrap();
    gone.id = atoll::domain::ids::FileId::new("nowhere");
    let content = Content { file: Some(gone), ..words("x") };
    assert!(matches!(rig.telegram.post(post(42, content)).await, Err(Failure::Refused(_))));
    assert!(rig.fake.calls().is_empty(), "not even the words went out");
}

#[tokio::test]
async fn files_of_people_are_fetched_piece_by_piece() {
    let rig = Rig::listening().await;
    let bytes = b"0123456789".repeat(100_000);
    rig.fake.photo(42, 42, &bytes, "look");
    let taken = rig.taker.after(1).await;
    let Event::Message { files, text, .. } = &taken[0].event else { panic!() };
    assert_eq!((files[0].media, files[0].size, &**text), (Media::Photo, Some(1_000_000), "look"));
    assert!(
        whole(rig.telegram.fetch(&files[0]).await.unwrap()).await == bytes,
        "the largest size is fetched"
    );
}

#[tokio::test]
async fn what_cannot_be_fetched_says_why() {
    let rig = Rig::listening().await;
    rig.fake.document(42, 42, "large.txt", b"x", Some(20 * 1024 * 1024 + 1));
    let taken = rig.taker.after(1).await;
    let Event::Message { files, .. } = &taken[0].event else { panic!() };
    let asked = rig.fake.calls_of("getFile").len();
    assert!(matches!(rig.telegram.fetch(&files[0]).await.err(), Some(Failure::TooLarge(_))));
    assert_eq!(rig.fake.calls_of("getFile").len(), asked, "it is known before");
    // A size that was not told is refused by the server.
    let untold = RemoteFile { size: None, ..files[0].clone() };
    assert!(matches!(rig.telegram.fetch(&untold).await.err(), Some(Failure::TooLarge(_))));
    let unknown = RemoteFile { reference: "nothing".into(), ..untold };
    assert!(matches!(rig.telegram.fetch(&unknown).await.err(), Some(Failure::Refused(_))));
}
