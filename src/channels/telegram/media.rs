//! Files of a message, and words for what a message has that is no file.

use serde_json::Value;

use crate::domain::chat::{Media, RemoteFile};

use super::read::cut;

/// Longest name of a file, in characters.
const NAME: usize = 120;
/// Longest description, in characters.
const WORDS: usize = 500;

/// The files of a message. A photo has several sizes: the largest is it.
pub(super) fn files(message: &Value) -> Vec<RemoteFile> {
    let number = message["message_id"].as_i64().unwrap_or(0);
    let mut files = Vec::new();
    let mut add = |kind: Media, value: &Value, stem: &str, media_type: &str| {
        files.extend(file(kind, value, &format!("{stem}-{number}"), media_type));
    };
    let sizes = message["photo"].as_array().into_iter().flatten();
    let area = |size: &&Value| {
        size["width"].as_u64().unwrap_or(0).saturating_mul(size["height"].as_u64().unwrap_or(0))
    };
    if let Some(largest) = sizes.max_by_key(area) {
        add(Media::Photo, largest, "photo", "image/jpeg");
    }
    add(Media::Voice, &message["voice"], "voice", "audio/ogg");
    add(Media::Audio, &message["audio"], "audio", "audio/mpeg");
    add(Media::Video, &message["video"], "video", "video/mp4");
    add(Media::Video, &message["video_note"], "video-note", "video/mp4");
    if message["animation"].is_object() {
        // The same file is told as a document too, for old bots.
        add(Media::Video, &message["animation"], "animation", "video/mp4");
    } else {
        add(Media::Document, &message["document"], "document", "application/octet-stream");
    }
    if is_still(&message["sticker"]) {
        add(Media::Photo, &message["sticker"], "sticker", "image/webp");
    }
    files
}

fn file(media: Media, value: &Value, stem: &str, media_type: &str) -> Option<RemoteFile> {
    let reference = value["file_id"].as_str().filter(|id| !id.is_empty())?.to_owned();
    let told = value["mime_type"].as_str().map(str::to_ascii_lowercase);
    let told = told.filter(|told| told.contains('/') && told.chars().all(|c| c.is_ascii_graphic()));
    let media_type = told.unwrap_or_else(|| media_type.to_owned());
    let name = value["file_name"].as_str().map(str::trim).filter(|name| !name.is_empty());
    let name = match name {
        Some(name) => name.chars().take(NAME).collect(),
        None => format!("{stem}{}", extension(&media_type)),
    };
    Some(RemoteFile { media, name, media_type, size: value["file_size"].as_u64(), reference })
}

fn extension(media_type: &str) -> &'static str {
    match media_type {
        "image/jpeg" => ".jpg",
        "image/png" => ".png",
        "image/webp" => ".webp",
        "image/gif" => ".gif",
        "audio/ogg" => ".ogg",
        "audio/mpeg" => ".mp3",
        "audio/mp4" | "audio/x-m4a" => ".m4a",
        "video/mp4" => ".mp4",
        "video/quicktime" => ".mov",
        "application/pdf" => ".pdf",
        _ => "",
    }
}

fn is_still(sticker: &Value) -> bool {
    sticker.is_object() && sticker["is_animated"] != true && sticker["is_video"] != true
}

/// Words for what somebody sent that is neither text nor a file.
pub(super) fn describe(message: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let spot = |value: &Value| {
        let (x, y) = (value["latitude"].as_f64()?, value["longitude"].as_f64()?);
        Some(format!("{x}, {y}"))
    };
    let has = |name: &str| message[name].is_object();
    let words = if has("venue") {
        let venue = &message["venue"];
        let at = spot(&venue["location"]).unwrap_or_default();
        format!("a place: {}, {} ({at})", text(&venue["title"]), text(&venue["address"]))
    } else if has("location") {
        format!("a location: {}", spot(&message["location"])?)
    } else if has("contact") {
        let contact = &message["contact"];
        let name = format!("{} {}", text(&contact["first_name"]), text(&contact["last_name"]));
        format!("a contact: {}, {}", name.trim(), text(&contact["phone_number"]))
    } else if has("poll") {
        let options = message["poll"]["options"].as_array().into_iter().flatten();
        let options: Vec<String> = options.map(|option| text(&option["text"])).collect();
        format!("a poll: {} [{}]", text(&message["poll"]["question"]), options.join(" | "))
    } else if has("checklist") {
        let tasks = message["checklist"]["tasks"].as_array().into_iter().flatten();
        let tasks: Vec<String> = tasks.map(|task| text(&task["text"])).collect();
        format!("a list: {} [{}]", text(&message["checklist"]["title"]), tasks.join(" | "))
    } else if has("dice") {
        format!("a throw of {}: {}", text(&message["dice"]["emoji"]), message["dice"]["value"].as_i64()?)
    } else if has("sticker") && !is_still(&message["sticker"]) {
        format!("a sticker {}", text(&message["sticker"]["emoji"]))
    } else {
        let known = [("story", "a story"), ("game", "a game"), ("paid_media", "media that must be paid for")];
        known.iter().find(|(name, _)| has(name))?.1.to_owned()
    };
    Some(format!("({})", cut(words.trim(), WORDS)))
}
