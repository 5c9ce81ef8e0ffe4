//! When a new fact says what an old one says already, in any language.

use std::collections::BTreeSet;

use super::{Memory, NewMemory, text};

/// Letters that two forms of one word must begin with alike.
const SHARED_START: usize = 4;

/// True when two texts say the same in almost the same words: every word of one stands in the other, in some
/// form of it, but for words that carry no meaning. One changed name, number or "not" makes two facts of them.
pub fn is_near_duplicate(one: &str, two: &str) -> bool {
    let (a, b) = (meaning(one), meaning(two));
    if a.is_empty() || b.is_empty() {
        return text::words(one) == text::words(two) && !text::words(one).is_empty();
    }
    covers(&a, &b) && covers(&b, &a)
}

/// The old memory with what the new one adds: the newer words, all tags, the higher importance.
pub fn merge(old: &Memory, new: &NewMemory) -> Memory {
    let mut tags = old.tags.clone();
    tags.extend(new.tags.iter().filter(|tag| !old.tags.contains(tag)).cloned());
    tags.truncate(super::MAX_TAGS);
    Memory {
        content: new.content.clone(),
        category: if new.category == "general" { old.category.clone() } else { new.category.clone() },
        tags,
        importance: old.importance.max(new.importance),
        updated_at: new.now,
        ..old.clone()
    }
}

fn meaning(sentence: &str) -> BTreeSet<String> {
    text::words(sentence).into_iter().filter(|word| !text::is_stop_word(word)).collect()
}

fn covers(words: &BTreeSet<String>, others: &BTreeSet<String>) -> bool {
    words.iter().all(|word| others.contains(word) || others.iter().any(|other| same_stem(word, other)))
}

/// True for two forms of one word, such as `morning` and `mornings`: a long shared start, short ends.
fn same_stem(one: &str, two: &str) -> bool {
    if one.chars().chain(two.chars()).any(char::is_numeric) {
        return false;
    }
    let shared = one.chars().zip(two.chars()).take_while(|(a, b)| a == b).count();
    let longest = one.chars().count().max(two.chars().count());
    shared >= SHARED_START && longest - shared <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_fact_in_other_clothes() {
        for (one, two) in [
            ("The user's dog is called Rex.", "the users dog is called rex"),
            (
                "The user prefers tea to coffee in the morning",
                "The user prefers tea to coffee in the mornings",
            ),
            ("我喜欢在早上喝绿茶,不喜欢咖啡", "我喜欢在早上喝绿茶，不喜欢咖啡。"),
            ("Пользователь живёт в Берлине", "пользователь живёт в берлине!"),
            ("المستخدم يعيش في برلين", "المستخدم يعيش في برلين."),
        ] {
            assert!(is_near_duplicate(one, two), "{one} / {two}");
        }
    }

    #[test]
    fn facts_that_differ_in_one_name_or_number_stay_two() {
        for (one, two) in [
            ("My son's birthday is on 3 May", "My daughter's birthday is on 3 May"),
            ("The PIN of the gate is 1234", "The PIN of the gate is 1235"),
            ("The meeting is on Monday at the office", "The meeting is on Friday at the office"),
            ("likes tea", "likes coffee"),
            ("The user likes fish", "The user does not like fish"),
            ("flat 12a", "flat 12b"),
            ("我住在北京", "我住在上海"),
            ("", "x"),
        ] {
            assert!(!is_near_duplicate(one, two), "{one} / {two}");
        }
    }
}
