//! Memory search at 1,000, 10,000 and 100,000 facts of one user.

use std::time::Instant;

use atoll::{
    domain::{
        ids::{MemoryId, UserId},
        memory::NewMemory,
    },
    store::{memories, schema},
};

use super::stats::Times;

const SUBJECTS: [&str; 40] = [
    "garden", "bicycle", "piano", "server", "budget", "holiday", "doctor", "recipe", "camera", "novel",
    "river", "meeting", "invoice", "sister", "kitchen", "window", "battery", "passport", "concert",
    "library", "engine", "contract", "mountain", "dentist", "keyboard", "printer", "railway", "museum",
    "orchard", "balcony", "ceramic", "tax", "violin", "laptop", "market", "harbour", "school", "theatre",
    "blanket", "compass",
];

pub(crate) fn search() {
    for count in [1_000, 10_000, 100_000] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("atoll.db");
        let db = schema::open_writer(&path).unwrap();
        let user = UserId::new("u");
        db.execute_batch("BEGIN").unwrap();
        for at in 0..count {
            let (a, b) = (SUBJECTS[at % 40], SUBJECTS[at / 40 % 40]);
            let memory = NewMemory {
                id: MemoryId::new(format!("m{at}")),
                user: user.clone(),
                content: format!(
                    "The user noted about the {a} and the {b} that number {at} matters on day {}",
                    at % 365
                ),
                category: "general".into(),
                tags: vec![a.to_owned()],
                importance: 0.5,
                source: "manual".into(),
                origin: None,
                now: at as i64,
            };
            memories::store(&db, &memory).unwrap();
        }
        db.execute_batch("COMMIT").unwrap();
        let db = schema::open_reader(&path).unwrap();
        let mut rare = Times::default();
        let mut common = Times::default();
        for run in 0..2_000 {
            let began = Instant::now();
            let query =
                format!("what did I say about number {} of the {}?", run * 37 % count, SUBJECTS[run % 40]);
            let found = memories::search(&db, &user, &query, count as i64, 5).unwrap();
            rare.add(began.elapsed());
            assert!(!found.is_empty());
            let began = Instant::now();
            let query = format!("the {} and the {}", SUBJECTS[run % 40], SUBJECTS[(run + 7) % 40]);
            memories::search(&db, &user, &query, count as i64, 5).unwrap();
            common.add(began.elapsed());
        }
        println!("memory search, {count:>6} facts, a question with a rare word: {}", rare.show());
        println!("memory search, {count:>6} facts, only common words:         {}", common.show());
    }
}
