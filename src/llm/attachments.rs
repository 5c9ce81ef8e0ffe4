//! Attached files on their way to a model: sent where the provider takes them, else named in words.

use std::{collections::HashMap, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    domain::{
        ids::FileId,
        message::{FileRef, Message},
    },
    ports::{files::Files, model::Takes},
};

/// Largest file that is sent to a model, in bytes.
const LARGEST: u64 = 20 * 1024 * 1024;

/// The pictures that both protocols take.
const PICTURES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];
/// The one format of documents that both protocols take as a file.
const PDF: &str = "application/pdf";

/// A file as a codec sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Words(String),
    Image { media_type: String, data: String },
    Audio { format: &'static str, data: String },
    Video { media_type: String, data: String },
    Document { name: String, media_type: String, data: String },
}

/// The files of one request, ready to be sent.
pub(super) struct Media {
    takes: Takes,
    /// In base64, or as the text that they are.
    loaded: HashMap<FileId, String>,
}

impl Media {
    /// Reads the files of a request that this provider takes.
    pub(super) async fn load(messages: &[Arc<Message>], takes: Takes, files: &Arc<dyn Files>) -> Self {
        let mut loaded = HashMap::new();
        for message in messages {
            let Message::User { attachments, .. } = message.as_ref() else { continue };
            for file in attachments {
                if !takes.media(&file.media_type) || file.size > LARGEST || loaded.contains_key(&file.id) {
                    continue;
                }
                let data = match files.read(&file.id).await {
                    Ok(bytes) if is_text(&file.media_type) => String::from_utf8(bytes.into()).ok(),
                    Ok(bytes) => Some(STANDARD.encode(&bytes)),
                    Err(error) => {
                        tracing::warn!(file = %file.id, %error, "attachment cannot be read");
                        None
                    }
                };
                loaded.extend(data.map(|data| (file.id.clone(), data)));
            }
        }
        Self { takes, loaded }
    }

    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self { takes: Takes::default(), loaded: HashMap::new() }
    }

    /// The file as it is sent.
    pub(super) fn part(&self, file: &FileRef) -> Part {
        let Some(data) = self.loaded.get(&file.id).cloned() else { return self.words(file) };
        let media_type = file.media_type.clone();
        match media_type.split('/').next().unwrap_or_default() {
            _ if is_text(&media_type) => Part::Words(format!(
                "[attached: {} ({media_type})]\n{data}\n[end of {}]",
                file.name, file.name
            )),
            "image" if PICTURES.contains(&media_type.as_str()) => Part::Image { media_type, data },
            "audio" => match audio_format(&media_type) {
                Some(format) => Part::Audio { format, data },
                None => self.words(file),
            },
            "video" => Part::Video { media_type, data },
            _ if media_type == PDF => Part::Document { name: file.name.clone(), media_type, data },
            _ => self.words(file),
        }
    }

    fn words(&self, file: &FileRef) -> Part {
        let why = if !self.takes.media(&file.media_type) {
            "this model does not take it"
        } else if file.size > LARGEST {
            "it is too large to be sent"
        } else if !is_sendable(&file.media_type) {
            "its format cannot be sent to a model"
        } else {
            "it could not be read"
        };
        Part::Words(format!("[attached: {} ({}, {} bytes); {why}]", file.name, file.media_type, file.size))
    }
}

/// What is sent as the words that it is: every model can read them.
fn is_text(media_type: &str) -> bool {
    const TEXTS: [&str; 4] = ["application/json", "application/xml", "application/yaml", "application/toml"];
    media_type.starts_with("text/") || TEXTS.contains(&media_type)
}

/// Other formats are refused with the whole request, and with it all that is said in this conversation later.
fn is_sendable(media_type: &str) -> bool {
    match media_type.split('/').next().unwrap_or_default() {
        "image" => PICTURES.contains(&media_type),
        "audio" => audio_format(media_type).is_some(),
        "video" => true,
        _ => media_type == PDF || is_text(media_type),
    }
}

/// The formats that chat completions take.
fn audio_format(media_type: &str) -> Option<&'static str> {
    match media_type {
        "audio/wav" | "audio/x-wav" | "audio/wave" => Some("wav"),
        "audio/mpeg" | "audio/mp3" => Some("mp3"),
        _ => None,
    }
}
