//! Files on their way out: by kind, from the disk, never whole in memory.

use reqwest::multipart::Part;
use teloxide::{
    payloads::{SendAudio, SendDocument, SendPhoto, SendVideo, SendVoice},
    types::{FileId, InputFile, ReplyMarkup},
};

use crate::{
    domain::{
        chat::{Failure, Post},
        message::FileRef,
    },
    net::part::file_part,
    ports::files::{Files, OpenFile},
};

use super::{
    Inner,
    errors::{Asked, CallError},
    send::{Target, keyboard, words},
};

/// Largest file that the Bot API takes, in bytes.
pub(super) const LARGEST: u64 = 50 * 1024 * 1024;
/// Largest file that it takes as a photo.
const LARGEST_PHOTO: u64 = 10 * 1024 * 1024;
/// Slowest line on which a file still arrives, in bytes a second.
const SLOWEST: u64 = 64 * 1024;

/// A file that is there and not too large.
pub(super) struct Opened {
    file: FileRef,
    size: u64,
    media_type: String,
}

/// Looks at a file before anything is sent.
pub(super) async fn open(files: &dyn Files, file: &FileRef) -> Result<Opened, Failure> {
    let there = files.open(&file.id).await;
    let OpenFile { size, .. } =
        there.map_err(|_| Failure::Refused(format!("the file `{}` is not there any more", file.name)))?;
    if size > LARGEST {
        let (is, most) = (size / 1_048_576, LARGEST / 1_048_576);
        return Err(Failure::TooLarge(format!("`{}` has {is} MB, Telegram takes {most}", file.name)));
    }
    Ok(Opened { file: file.clone(), size, media_type: file.media_type.to_ascii_lowercase() })
}

/// As what a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Photo,
    Video,
    Audio,
    Voice,
    Document,
}

/// The formats are those that the Bot API names for each method.
fn kind(media_type: &str, size: u64) -> Kind {
    match media_type {
        "image/jpeg" | "image/png" | "image/webp" if size <= LARGEST_PHOTO => Kind::Photo,
        "video/mp4" => Kind::Video,
        "audio/mpeg" | "audio/mp3" | "audio/mp4" | "audio/x-m4a" => Kind::Audio,
        "audio/ogg" | "audio/opus" => Kind::Voice,
        _ => Kind::Document,
    }
}

/// Makes the call of a kind: their fields are the same but for one.
macro_rules! send {
    ($inner:ident, $call:ident, $target:ident, $post:ident, $file:ident) => {{
        let attached = InputFile::file_id(FileId("attach://file".into()));
        let mut call = $call::new($target.chat, attached);
        let (text, mode) = words(&$post.content);
        call.message_thread_id = $target.thread;
        call.parse_mode = mode.filter(|_| !text.is_empty());
        call.caption = Some(text).filter(|text| !text.is_empty());
        call.reply_parameters = $inner.reply_to($target, $post);
        call.reply_markup = keyboard(&$post.content.buttons).map(ReplyMarkup::InlineKeyboard);
        call.disable_notification = $post.silent.then_some(true);
        let patience = $inner.pauses.patience + std::time::Duration::from_secs($file.size / SLOWEST);
        $inner.api.upload(&call, $file.part($inner.files.as_ref()).await?, patience).await
    }};
}

impl Opened {
    /// It, as a part of a form.
    async fn part(&self, files: &dyn Files) -> Result<Part, CallError> {
        let gone = |_| CallError::Unsent("the file cannot be read".into());
        let open = files.open(&self.file.id).await.map_err(gone)?;
        Ok(file_part(open, &self.file.name, &self.media_type))
    }
}

impl Inner {
    /// Sends a file with the words of the post under it. One that is refused as what it seems to be goes as a document.
    pub(super) async fn upload(&self, target: Target, post: &Post, file: &Opened) -> Result<String, Failure> {
        let kind = kind(&file.media_type, file.size);
        match self.upload_as(kind, target, post, file).await {
            Err(CallError::Said { code: 400, words, .. })
                if kind != Kind::Document && is_about_the_file(&words) =>
            {
                tracing::debug!(channel = "telegram", ?kind, "a file is sent as a document");
                let sent = self.upload_as(Kind::Document, target, post, file).await;
                self.made(target, &sent.map_err(|error| self.failure(error, Asked::Post, target))?)
            }
            sent => self.made(target, &sent.map_err(|error| self.failure(error, Asked::Post, target))?),
        }
    }

    async fn upload_as(
        &self,
        kind: Kind,
        target: Target,
        post: &Post,
        file: &Opened,
    ) -> Result<serde_json::Value, CallError> {
        match kind {
            Kind::Photo => send!(self, SendPhoto, target, post, file),
            Kind::Video => send!(self, SendVideo, target, post, file),
            Kind::Audio => send!(self, SendAudio, target, post, file),
            Kind::Voice => send!(self, SendVoice, target, post, file),
            Kind::Document => send!(self, SendDocument, target, post, file),
        }
    }
}

/// The server's words about photos that are none, or have odd measures.
fn is_about_the_file(words: &str) -> bool {
    let known = [
        "PHOTO_",
        "IMAGE_PROCESS_FAILED",
        "VOICE_MESSAGES_FORBIDDEN",
        "wrong file",
        "wrong type",
        "failed to get",
    ];
    known.iter().any(|known| words.contains(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_sent_as_what_they_are() {
        for (media_type, size, is) in [
            ("image/png", 1, Kind::Photo),
            ("image/jpeg", LARGEST_PHOTO, Kind::Photo),
            ("image/jpeg", LARGEST_PHOTO + 1, Kind::Document),
            ("image/gif", 1, Kind::Document),
            ("image/svg+xml", 1, Kind::Document),
            ("video/mp4", 1, Kind::Video),
            ("video/webm", 1, Kind::Document),
            ("audio/mpeg", 1, Kind::Audio),
            ("audio/ogg", 1, Kind::Voice),
            ("audio/flac", 1, Kind::Document),
            ("application/pdf", 1, Kind::Document),
        ] {
            assert_eq!(kind(media_type, size), is, "{media_type} {size}");
        }
    }
}
