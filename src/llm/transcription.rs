//! Transcription over HTTP: `POST {base_url}/audio/transcriptions` as OpenAI has it
//! (<https://platform.openai.com/docs/api-reference/audio/createTranscription>) and many others with it.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, future::BoxFuture};
use reqwest::{Response, StatusCode, multipart::Form};
use serde_json::Value;

use crate::{
    config::Transcription,
    domain::message::FileRef,
    net::{BuildError, Clients, part::file_part},
    ports::{files::Files, transcriber::Transcriber},
};

use super::http::{error_message, retry_after};

/// Largest answer, in bytes: the words of hours.
const LARGEST_ANSWER: usize = 2 * 1024 * 1024;
/// Longest words about an error that are passed on, in characters.
const LONGEST_ERROR: usize = 300;
/// How long the service is left alone before the second attempt when it does not say itself, and the longest that it may
/// ask for: somebody waits.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Names of files by which the service knows the format, and the media types of those that come under another name.
const ENDINGS: [&str; 10] = ["flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm"];
const TYPES: [(&str, &str); 13] = [
    ("audio/ogg", "ogg"),
    ("audio/opus", "ogg"),
    ("audio/mpeg", "mp3"),
    ("audio/mp3", "mp3"),
    ("audio/mp4", "m4a"),
    ("audio/m4a", "m4a"),
    ("audio/x-m4a", "m4a"),
    ("audio/wav", "wav"),
    ("audio/x-wav", "wav"),
    ("audio/flac", "flac"),
    ("audio/webm", "webm"),
    ("video/mp4", "mp4"),
    ("video/webm", "webm"),
];

/// The service.
pub struct HttpTranscriber {
    inner: Arc<Inner>,
}

struct Inner {
    config: Transcription,
    client: reqwest::Client,
    files: Arc<dyn Files>,
}

/// Why an attempt failed.
enum Miss {
    /// It may go better after this long.
    Again(Duration, String),
    /// It will not.
    Over(String),
}

impl HttpTranscriber {
    /// The service that is configured.
    ///
    /// # Errors
    /// When no HTTP client can be built.
    pub fn new(config: Transcription, clients: &Clients, files: Arc<dyn Files>) -> Result<Self, BuildError> {
        let client = clients.to(&config.base_url)?;
        Ok(Self { inner: Arc::new(Inner { config, client, files }) })
    }
}

impl Transcriber for HttpTranscriber {
    fn transcribe(&self, file: &FileRef) -> BoxFuture<'static, Result<String, String>> {
        let (inner, file) = (Arc::clone(&self.inner), file.clone());
        Box::pin(async move {
            let words = inner.transcribe(&file).await;
            words.map_err(|why| inner.config.api_key.cut_from(&why).chars().take(LONGEST_ERROR).collect())
        })
    }
}

impl Inner {
    async fn transcribe(&self, file: &FileRef) -> Result<String, String> {
        let most = self.config.max_bytes;
        if file.size > most {
            return Err(format!("the recording is larger than {} MiB", most / (1024 * 1024)));
        }
        let Some(name) = named(file) else {
            return Err(format!("recordings of type {} cannot be transcribed", file.media_type));
        };
        match self.attempt(file, &name).await {
            Err(Miss::Again(pause, _)) if pause <= LONGEST_PAUSE => tokio::time::sleep(pause).await,
            Ok(words) => return Ok(words),
            Err(Miss::Again(_, why) | Miss::Over(why)) => return Err(why),
        }
        let second = self.attempt(file, &name).await;
        second.map_err(|(Miss::Again(_, why) | Miss::Over(why))| why)
    }

    async fn attempt(&self, file: &FileRef, name: &str) -> Result<String, Miss> {
        let open = self.files.open(&file.id).await;
        let open = open.map_err(|_| Miss::Over("the recording cannot be read".into()))?;
        let form = Form::new().text("model", self.config.model.clone()).text("response_format", "json");
        let form = form.part("file", file_part(open, name, &file.media_type));
        let call = self.client.post(format!("{}/audio/transcriptions", self.config.base_url)).multipart(form);
        let call = call.timeout(Duration::from_millis(self.config.timeout_ms));
        let call = match self.config.api_key.reveal() {
            "" => call,
            key => call.bearer_auth(key),
        };
        let answer = call.send().await.map_err(|error| self.network(&error))?;
        let (status, after_ms) = (answer.status(), retry_after(&answer));
        let body = self.body(answer).await?;
        if !status.is_success() {
            return Err(refusal(status, after_ms, &body));
        }
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        let words = value["text"].as_str().map(|text| text.trim().to_owned());
        words.ok_or_else(|| Miss::Over("the transcription service sent something unreadable".into()))
    }

    async fn body(&self, answer: Response) -> Result<Vec<u8>, Miss> {
        let mut body = Vec::new();
        let mut pieces = answer.bytes_stream();
        while let Some(piece) = pieces.next().await {
            body.extend_from_slice(&piece.map_err(|error| self.network(&error))?);
            if body.len() > LARGEST_ANSWER {
                return Err(Miss::Over("the answer of the transcription service is too large".into()));
            }
        }
        Ok(body)
    }

    fn network(&self, error: &reqwest::Error) -> Miss {
        if error.is_timeout() && !error.is_connect() {
            let seconds = self.config.timeout_ms / 1_000;
            return Miss::Over(format!("the transcription service took longer than {seconds} s"));
        }
        if error.is_builder() {
            return Miss::Over("`transcription.api_key` has characters that cannot be sent".into());
        }
        let what = if error.is_connect() { "cannot be reached" } else { "hung up" };
        Miss::Again(PAUSE, format!("the transcription service {what}"))
    }
}

/// The name under which a recording is sent; `None` for formats that are not taken.
fn named(file: &FileRef) -> Option<String> {
    let ending = file.name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    if ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) {
        return Some(file.name.clone());
    }
    let media_type = file.media_type.split(';').next().unwrap_or_default().trim();
    let (_, ending) = TYPES.iter().find(|(known, _)| *known == media_type)?;
    Some(format!("recording.{ending}"))
}

fn refusal(status: StatusCode, after_ms: Option<u64>, body: &[u8]) -> Miss {
    let words = error_message(body);
    let why = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "the transcription service refuses the key: `transcription.api_key` has to be put right".into()
        }
        StatusCode::PAYLOAD_TOO_LARGE => "the recording is too large for the transcription service".into(),
        _ => format!("the transcription service answered {}: {words}", status.as_u16()),
    };
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        return Miss::Again(after_ms.map_or(PAUSE, Duration::from_millis), why);
    }
    Miss::Over(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::FileId;

    #[test]
    fn a_recording_goes_under_a_name_that_tells_its_format() {
        let cases = [
            ("voice.oga", "audio/ogg", Some("voice.oga")),
            ("Call.MP3", "application/octet-stream", Some("Call.MP3")),
            ("voice-message", "audio/ogg; codecs=opus", Some("recording.ogg")),
            ("note.caf", "audio/x-m4a", Some("recording.m4a")),
            ("note.amr", "audio/amr", None),
        ];
        for (name, media_type, sent) in cases {
            let (id, size) = (FileId::new("1"), 1);
            let file = FileRef { id, name: name.into(), media_type: media_type.into(), size };
            assert_eq!(named(&file).as_deref(), sent, "{name}");
        }
    }
}
