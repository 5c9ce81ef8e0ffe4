//! Links by which somebody without a key fetches one file: an address that carries its own permission, for a day.
//!
//! The permission is the HMAC-SHA256 (RFC 2104) of the file's id and the link's last millisecond, under a key that
//! never leaves the server. Whoever has the address has the file: links go only to whom the file was meant for.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{Millis, ids::FileId, skill::hex};

/// How long a link holds, in milliseconds.
const HOLDS: Millis = 24 * 60 * 60_000;

/// Makes links, and knows its own again.
#[derive(Clone)]
pub struct FileLinks {
    base: String,
    key: [u8; 32],
}

impl fmt::Debug for FileLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "links to files at {}", self.base)
    }
}

impl FileLinks {
    /// Links to the server that people reach at this address.
    pub fn new(base: &str, key: [u8; 32]) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), key }
    }

    /// A link to this file, from now on for a day.
    pub fn to(&self, file: &FileId, now: Millis) -> String {
        let until = now.saturating_add(HOLDS);
        let signature = hex(&self.mac(file, until).finalize().into_bytes());
        format!("{}/api/files/{file}/shared?until={until}&signature={signature}", self.base)
    }

    /// True for what [`FileLinks::to`] made, as long as it holds. Takes the same time whatever is wrong with the signature.
    pub fn holds(&self, file: &FileId, until: Millis, signature: &str, now: Millis) -> bool {
        let digits = signature.as_bytes();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let Some(shown) = digits.chunks(2).map(byte).collect::<Option<Vec<u8>>>() else { return false };
        self.mac(file, until).verify_slice(&shown).is_ok() && now <= until
    }

    fn mac(&self, file: &FileId, until: Millis) -> Hmac<Sha256> {
        // An id has no line break: no two links are of the same words.
        let mut block = [0; 64];
        // A key that is shorter than a block is padded with zeros (RFC 2104, section 2).
        block[..self.key.len()].copy_from_slice(&self.key);
        Hmac::<Sha256>::new(&block.into()).chain_update(format!("{file}\n{until}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_800_000_000_000;

    fn parts(link: &str) -> (Millis, String) {
        let (_, query) = link.split_once("?until=").unwrap();
        let (until, signature) = query.split_once("&signature=").unwrap();
        (until.parse().unwrap(), signature.to_owned())
    }

    #[test]
    fn a_link_opens_its_file_for_a_day_and_nothing_else() {
        let (links, file) = (FileLinks::new("https://atoll.example/", [7; 32]), FileId::new("abc"));
        let link = links.to(&file, NOW);
        assert!(link.starts_with("https://atoll.example/api/files/abc/shared?until="), "{link}");
        let (until, signature) = parts(&link);
        let holds =
            |file: &str, until, signature: &str, now| links.holds(&FileId::new(file), until, signature, now);
        assert!(holds("abc", until, &signature, NOW) && holds("abc", until, &signature, NOW + HOLDS));
        assert!(!holds("abc", until, &signature, NOW + HOLDS + 1), "a day is over");
        assert!(!holds("abd", until, &signature, NOW), "another file");
        assert!(!holds("abc", until + 1, &signature, NOW), "another day");
        for wrong in ["", "zz", "é", &signature[2..], &format!("{signature}00"), &signature.replace('a', "b")]
        {
            assert!(!holds("abc", until, wrong, NOW), "{wrong}");
        }
        assert!(!FileLinks::new("", [8; 32]).holds(&file, until, &signature, NOW), "another server's");
    }
}
