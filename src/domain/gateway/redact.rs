//! Keeps a secret out of bytes that pass, however they are cut.

/// What stands in the secret's place.
const INSTEAD: &[u8] = b"[key]";
/// A shorter secret is not looked for: it would be found everywhere.
const SHORTEST: usize = 8;

/// Replaces a secret in a stream of bytes. Holds back no more than what may be the beginning of the secret.
#[derive(Debug, Clone)]
pub struct Redactor {
    secret: Vec<u8>,
    held: Vec<u8>,
}

impl Redactor {
    /// A redactor for this secret.
    pub fn new(secret: &str) -> Self {
        let secret = if secret.len() >= SHORTEST { secret.as_bytes().to_vec() } else { Vec::new() };
        Self { secret, held: Vec::new() }
    }

    /// Takes bytes, and gives those that may pass.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        if self.secret.is_empty() {
            return all;
        }
        let mut out = Vec::with_capacity(all.len());
        let mut at = 0;
        while at < all.len() {
            let rest = &all[at..];
            if rest.starts_with(&self.secret) {
                out.extend_from_slice(INSTEAD);
                at += self.secret.len();
            } else if self.secret.starts_with(rest) {
                self.held = rest.to_vec();
                break;
            } else {
                out.push(all[at]);
                at += 1;
            }
        }
        out
    }

    /// What was held back, at the end.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// A whole text without the secret.
    pub fn whole(secret: &str, text: &str) -> String {
        let mut redactor = Self::new(secret);
        let mut bytes = redactor.push(text.as_bytes());
        bytes.extend(redactor.finish());
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However it is cut, the secret does not pass, everything else does, and little is held back.
        #[test]
        fn no_cut_lets_the_secret_pass(
            parts in proptest::collection::vec(prop_oneof![Just("sk-aaaab".to_owned()), "[ask-]{0,6}"], 0..12), size in 1usize..9,
        ) {
            let text = parts.concat();
            let mut redactor = Redactor::new("sk-aaaab");
            let mut out = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                out.extend(redactor.push(chunk));
                prop_assert!(redactor.held.len() < 8);
            }
            out.extend(redactor.finish());
            prop_assert_eq!(String::from_utf8(out).unwrap(), text.replace("sk-aaaab", "[key]"));
        }
    }

    #[test]
    fn an_empty_secret_changes_nothing() {
        assert_eq!(Redactor::whole("", "some text"), "some text");
    }
}
