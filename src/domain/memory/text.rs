//! Words of any language: what is indexed, and what is searched for.

/// Most words of a query that are used.
const MAX_TERMS: usize = 24;

/// Words so common in English that they find nothing. Others are dropped by how often the store holds them.
const STOP_WORDS: &[&str] = &[
    "a", "about", "an", "and", "any", "are", "as", "at", "be", "by", "can", "could", "did", "do", "does",
    "for", "from", "had", "has", "have", "he", "her", "his", "how", "i", "if", "in", "is", "it", "its", "me",
    "my", "of", "on", "or", "our", "please", "she", "so", "some", "tell", "that", "the", "their", "them",
    "then", "there", "they", "this", "to", "was", "we", "were", "what", "when", "where", "which", "who",
    "why", "will", "with", "would", "you", "your",
];

/// The words of a text in lower case. Scripts without spaces give their overlapping pairs of characters.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut dense: Vec<char> = Vec::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if is_dense(c) {
            flush(&mut word, &mut words);
            dense.push(c);
        } else if c.is_alphanumeric() {
            flush_dense(&mut dense, &mut words);
            word.push(c);
        } else if c != '\'' && c != '’' {
            flush(&mut word, &mut words);
            flush_dense(&mut dense, &mut words);
        }
    }
    flush(&mut word, &mut words);
    flush_dense(&mut dense, &mut words);
    words
}

fn flush(word: &mut String, words: &mut Vec<String>) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

fn flush_dense(dense: &mut Vec<char>, words: &mut Vec<String>) {
    match dense.as_slice() {
        [] => {}
        [one] => words.push(one.to_string()),
        many => words.extend(many.windows(2).map(|pair| pair.iter().collect())),
    }
    dense.clear();
}

/// Scripts that are written without spaces between words: Han, Kana, Hangul is spaced and left out, Thai, Lao,
/// Khmer, Myanmar.
fn is_dense(c: char) -> bool {
    matches!(c as u32,
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF
        | 0x3040..=0x30FF | 0x31F0..=0x31FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF
        | 0xF900..=0xFAFF | 0x20000..=0x2FA1F)
}

/// True for a word that carries no meaning of its own.
pub fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.contains(&word)
}

/// A text as the full-text index takes it.
pub fn indexable(text: &str) -> String {
    words(text).join(" ")
}

/// The words of a query that are worth looking for, each once.
pub fn query_terms(query: &str) -> Vec<String> {
    let mut terms: Vec<String> = Vec::new();
    for word in words(query) {
        if terms.len() == MAX_TERMS {
            break;
        }
        if !is_stop_word(&word) && !terms.contains(&word) {
            terms.push(word);
        }
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_any_script() {
        assert_eq!(words("Don't panic: 42 Ünïcode!"), ["dont", "panic", "42", "ünïcode"]);
        assert_eq!(words("我喜欢绿茶"), ["我喜", "喜欢", "欢绿", "绿茶"]);
        assert_eq!(words("茶 tea"), ["茶", "tea"]);
        assert_eq!(words("한국어 좋아"), ["한국어", "좋아"]);
        assert!(words("…—!").is_empty());
    }

    #[test]
    fn queries_drop_what_finds_nothing() {
        assert_eq!(query_terms("What is my dog's name, and the dog?"), ["dogs", "name", "dog"]);
        assert!(query_terms("what is it").is_empty());
        assert_eq!(query_terms(&"w ".repeat(3)), ["w"]);
    }
}
