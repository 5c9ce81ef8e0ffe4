//! Which addresses become links.

use super::Flavor;

/// Longest address that becomes a link, in bytes as it is sent: beside it a message must have room for its text.
const LONGEST: usize = 1000;

/// The address as it can be linked, if it can: of a scheme that the channel opens, and not too long.
pub(super) fn linkable(url: &str, flavor: Flavor) -> Option<String> {
    let lower = url.get(..url.len().min(8)).unwrap_or(url).to_ascii_lowercase();
    let is_open = flavor.schemes().iter().any(|scheme| lower.starts_with(scheme) && url.len() > scheme.len());
    let encoded = encode(url, flavor);
    (is_open && encoded.len() <= LONGEST).then_some(encoded)
}

/// True when a text looks like an address: Discord does not link it to another.
pub(super) fn looks_like_address(text: &str) -> bool {
    let text = text.trim();
    text.contains("://") || text.starts_with("www.") || text.contains("discord.gg/")
}

/// An address without whitespace; for Discord also without what would end it, or mean something else, in
/// `[text](address)` and beside markers.
fn encode(url: &str, flavor: Flavor) -> String {
    let is_discord = flavor == Flavor::Discord;
    let mut encoded = String::with_capacity(url.len());
    for one in url.chars() {
        let means = is_discord && matches!(one, '(' | ')' | '<' | '>' | '\\' | '*' | '`' | '|');
        if means || one.is_whitespace() || one.is_control() {
            let mut bytes = [0; 4];
            for byte in one.encode_utf8(&mut bytes).bytes() {
                encoded.push_str(&format!("%{byte:02X}"));
            }
        } else {
            encoded.push(one);
        }
    }
    encoded
}

/// An address that stands in a text, from its beginning to the whitespace or `<` after it.
pub(super) fn bare(text: &str) -> Option<&str> {
    if !text.starts_with("https://") && !text.starts_with("http://") {
        return None;
    }
    let end = text.find(|one: char| one.is_whitespace() || one == '<').unwrap_or(text.len());
    text.get(..end)
}

/// A bare address for Discord, which links it as it stands, so that no backslash may be in it.
pub(super) fn encode_bare(url: &str) -> String {
    let mut encoded = String::with_capacity(url.len());
    for one in url.chars() {
        match one {
            '*' => encoded.push_str("%2A"),
            '`' => encoded.push_str("%60"),
            '|' => encoded.push_str("%7C"),
            '\\' => encoded.push_str("%5C"),
            other => encoded.push(other),
        }
    }
    encoded
}
