//! Notes of updates that are not settled. The server gives a hundred at a time, from the first that it keeps: without notes
//! one that takes long would hold up all that came after it. They are the position from which listening begins, and say
//! also which groups have another id now.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::ports::platform::Sink;

use super::{moved::Moved, read};

/// Most updates that are noted: what is beyond stays at the server.
const MOST: usize = 500;

/// What is written down.
#[derive(Serialize, Deserialize, Default)]
struct Written {
    /// Updates, as they came.
    open: Vec<Box<RawValue>>,
    /// Groups that have another id now.
    #[serde(default)]
    moved: Moved,
}

/// The notes of one time of listening.
#[derive(Default)]
pub(super) struct Notes {
    /// What came and may not be settled.
    came: Mutex<BTreeMap<i64, Box<RawValue>>>,
    /// What an earlier run left.
    left: Mutex<Option<Vec<Box<RawValue>>>>,
    /// What was written down last; one writes at a time.
    written: tokio::sync::Mutex<(BTreeSet<i64>, Moved)>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Notes {
    /// Those that an earlier run wrote.
    pub(super) fn read(position: Option<&str>) -> (Self, Moved) {
        let written = position.map_or_else(|| Ok(Written::default()), serde_json::from_str::<Written>);
        let written = written.unwrap_or_else(|error| {
            tracing::warn!(channel = "telegram", %error, "what an earlier run noted cannot be read");
            Written::default()
        });
        let last = tokio::sync::Mutex::new((BTreeSet::new(), written.moved.clone()));
        (Self { left: Mutex::new(Some(written.open)), written: last, ..Self::default() }, written.moved)
    }

    /// Takes an update along that came.
    pub(super) fn came(&self, number: i64, update: &RawValue) {
        lock(&self.came).insert(number, update.to_owned());
    }

    /// These are settled.
    pub(super) fn settled(&self, numbers: &[i64]) {
        let mut came = lock(&self.came);
        for number in numbers {
            came.remove(number);
        }
    }

    /// What an earlier run left, once: before that nothing is written.
    pub(super) async fn left(&self) -> Vec<(i64, Value)> {
        let mut written = self.written.lock().await;
        let left = lock(&self.left).take();
        let mut updates = Vec::new();
        for raw in left.unwrap_or_default() {
            let Ok(update) = serde_json::from_str::<Value>(raw.get()) else { continue };
            if let Some(number) = read::number(&update) {
                self.came(number, &raw);
                written.0.insert(number);
                updates.push((number, update));
            }
        }
        updates
    }

    /// Writes down what is open, of what is not noted yet the oldest. Gives what is noted now, or nothing when it cannot be
    /// written.
    pub(super) async fn write(
        &self,
        sink: &dyn Sink,
        open: impl Fn() -> Vec<(i64, bool)>,
        moved: impl Fn() -> Moved,
    ) -> Option<BTreeSet<i64>> {
        let mut written = self.written.lock().await;
        if lock(&self.left).is_some() {
            return None;
        }
        let (mut open, moved) = (open(), moved());
        open.sort_by_key(|(number, is_noted)| (!is_noted, *number));
        open.truncate(MOST);
        let (numbers, position) = {
            let came = lock(&self.came);
            let known = |(number, _): &(i64, bool)| Some((*number, came.get(number)?.clone()));
            let (numbers, open): (BTreeSet<i64>, Vec<_>) = open.iter().filter_map(known).unzip();
            (numbers, serde_json::to_string(&Written { open, moved: moved.clone() }).ok()?)
        };
        if written.0 != numbers || written.1 != moved {
            if let Err(why) = sink.reached(position).await {
                tracing::debug!(channel = "telegram", why = %why, "open updates cannot be noted now");
                return None;
            }
            *written = (numbers.clone(), moved);
        }
        Some(numbers)
    }
}
