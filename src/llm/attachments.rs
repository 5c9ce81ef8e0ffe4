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
                match files.read(&file.id).await {
                    Ok(bytes) => drop(loaded.insert(file.id.clone(), STANDARD.encode(&bytes))),
                    Err(error) => tracing::warn!(file = %file.id, %error, "attachment cannot be read"),
                }
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
            "image" => Part::Image { media_type, data },
            "audio" => match audio_format(&media_type) {
                Some(format) => Part::Audio { format, data },
                None => self.words(file),
            },
            "video" => Part::Video { media_type, data },
            _ => Part::Document { name: file.name.clone(), media_type, data },
        }
    }

    fn words(&self, file: &FileRef) -> Part {
        let why = if !self.takes.media(&file.media_type) {
            "this model does not take it"
        } else if file.size > LARGEST {
            "it is too large to be sent"
        } else {
            "it could not be sent"
        };
        Part::Words(format!("[attached: {} ({}, {} bytes); {why}]", file.name, file.media_type, file.size))
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
