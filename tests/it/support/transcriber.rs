//! A transcription service of our own over real sockets, as strict as OpenAI's: it takes no form, file, model or key
//! that the real one refuses.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

use atoll::net::multipart;
use serde_json::json;

use super::http::{Asked, HttpServer, Told};

/// The one key that it takes.
pub(crate) const KEY: &str = "sk-transcribe-5f1e";
/// The endings of OpenAI's list of supported formats.
const FORMATS: [&str; 10] = ["flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm"];

/// A recording that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub model: String,
    pub filename: String,
    pub media_type: String,
    pub bytes: Vec<u8>,
}

/// The service. It says of each recording how many bytes it has, unless a script says something else.
pub(crate) struct FakeTranscriber {
    server: HttpServer,
    heard: Arc<Mutex<Vec<Heard>>>,
    script: Arc<Mutex<VecDeque<Told>>>,
    calls: Arc<Mutex<u32>>,
}

impl FakeTranscriber {
    /// Starts it. It wants its key, unless `open`.
    pub(crate) fn start(open: bool) -> Self {
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let script: Arc<Mutex<VecDeque<Told>>> = Arc::default();
        let calls: Arc<Mutex<u32>> = Arc::default();
        let (noted, next, counted) = (Arc::clone(&heard), Arc::clone(&script), Arc::clone(&calls));
        let server = HttpServer::start(move |asked| {
            *counted.lock().unwrap() += 1;
            let read = match read(&asked, open) {
                Ok(read) => read,
                Err((status, why)) => return error(status, &why),
            };
            let words = format!("{} bytes of {}", read.bytes.len(), read.filename);
            noted.lock().unwrap().push(read);
            next.lock().unwrap().pop_front().unwrap_or_else(|| say(200, &json!({"text": words})))
        });
        Self { server, heard, script, calls }
    }

    /// The `base_url`.
    pub(crate) fn url(&self) -> String {
        format!("{}/v1", self.server.url())
    }

    /// What the next good requests are told instead.
    pub(crate) fn then(&self, told: impl IntoIterator<Item = Told>) {
        self.script.lock().unwrap().extend(told);
    }

    /// All that came and was good.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// How often it was asked, well or badly.
    pub(crate) fn calls(&self) -> u32 {
        *self.calls.lock().unwrap()
    }
}

/// An answer of JSON.
pub(crate) fn say(status: u16, body: &serde_json::Value) -> Told {
    let json = ("content-type".to_owned(), "application/json".to_owned());
    Told::Say(status, vec![json], body.to_string().into_bytes())
}

/// An error as OpenAI tells it.
pub(crate) fn error(status: u16, why: &str) -> Told {
    say(
        status,
        &json!({"error": {"message": why, "type": "invalid_request_error", "param": null, "code": null}}),
    )
}

fn read(asked: &Asked, open: bool) -> Result<Heard, (u16, String)> {
    let bad = |why: &str| (400, why.to_owned());
    if (asked.method.as_str(), asked.path.as_str()) != ("POST", "/v1/audio/transcriptions") {
        return Err((404, format!("Invalid URL ({} {})", asked.method, asked.path)));
    }
    let key = asked.header("authorization");
    if key != if open { String::new() } else { format!("Bearer {KEY}") } {
        return Err((401, format!("Incorrect API key provided: {key}")));
    }
    if asked.header("content-length") != asked.body.len().to_string() {
        return Err((411, "the length is not told".into()));
    }
    let parts = multipart::parse(asked.header("content-type"), &asked.body.clone().into())
        .map_err(|error| bad(&error.to_string()))?;
    let mut fields = BTreeMap::new();
    for part in parts {
        if !["file", "model", "response_format"].contains(&part.name.as_str()) {
            return Err(bad(&format!("Unrecognized request argument supplied: {}", part.name)));
        }
        if fields.insert(part.name.clone(), part).is_some() {
            return Err(bad("a field is there twice"));
        }
    }
    let text = |name: &str| {
        fields.get(name).map(|part| String::from_utf8_lossy(&part.bytes).into_owned()).unwrap_or_default()
    };
    if text("model").is_empty() || text("response_format") != "json" {
        return Err(bad("you must provide a model parameter, and a response_format that is known"));
    }
    let file = fields.get("file").ok_or_else(|| bad("file is missing"))?;
    let filename = file.filename.clone().ok_or_else(|| bad("file is no file"))?;
    let ending = filename.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    if !FORMATS.contains(&ending.as_str()) {
        return Err(bad(&format!("Invalid file format. Supported formats: {FORMATS:?}")));
    }
    if file.bytes.len() > 25 * 1024 * 1024 {
        return Err((413, "Maximum content size limit (26214400) exceeded".into()));
    }
    let media_type = file.media_type.clone().unwrap_or_default();
    Ok(Heard { model: text("model"), filename, media_type, bytes: file.bytes.to_vec() })
}
