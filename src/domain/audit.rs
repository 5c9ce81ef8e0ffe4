//! The audit log: rows chained by hash, so that a change or a gap shows.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Millis, skill::hex};

/// The hash before the first row.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Something of consequence that somebody did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// When.
    pub at: Millis,
    /// Who: `key:<name>`, `user:<id>`, `system` or `local`.
    pub actor: String,
    /// What, as `thing.verb`: `key.created`, `approval.rejected`.
    pub action: String,
    /// To what.
    pub subject: String,
    /// More, as text. Never a secret.
    pub details: String,
}

/// A stored row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Its number, from 1, without gaps.
    pub seq: i64,
    /// What happened.
    #[serde(flatten)]
    pub act: Act,
    /// Hash of the row before.
    pub prev: String,
    /// SHA-256 over `prev`, `seq` and the act.
    pub hash: String,
}

/// Where the chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the audit log is broken at row {seq}: {why}")]
pub struct Broken {
    /// The row.
    pub seq: i64,
    /// What is wrong with it.
    pub why: &'static str,
}

/// The row that follows `prev`.
pub fn chain(prev: &str, seq: i64, act: Act) -> Row {
    let hash = hash(prev, seq, &act);
    Row { seq, act, prev: prev.to_owned(), hash }
}

/// Checks one row against the one before.
///
/// # Errors
/// [`Broken`] when a row is missing, was put elsewhere or was changed.
pub fn verify(prev: &str, expected_seq: i64, row: &Row) -> Result<(), Broken> {
    let broken = |why| Err(Broken { seq: row.seq, why });
    if row.seq != expected_seq {
        return broken("its number does not follow: rows are missing");
    }
    if row.prev != prev {
        return broken("it does not follow the row before");
    }
    if row.hash != hash(prev, row.seq, &row.act) {
        return broken("its content was changed");
    }
    Ok(())
}

fn hash(prev: &str, seq: i64, act: &Act) -> String {
    let mut hasher = Sha256::new();
    hasher.update(seq.to_be_bytes());
    hasher.update(act.at.to_be_bytes());
    for field in [prev, &act.actor, &act.action, &act.subject, &act.details] {
        hasher.update((field.len() as u64).to_be_bytes());
        hasher.update(field);
    }
    hex(&hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        let mut prev = GENESIS.to_owned();
        (1..=4)
            .map(|seq| {
                let act = Act {
                    at: seq,
                    actor: "system".into(),
                    action: "key.created".into(),
                    subject: format!("k{seq}"),
                    details: String::new(),
                };
                let row = chain(&prev, seq, act);
                prev = row.hash.clone();
                row
            })
            .collect()
    }

    fn check(rows: &[Row]) -> Result<(), Broken> {
        let mut prev = GENESIS.to_owned();
        for (at, row) in rows.iter().enumerate() {
            verify(&prev, at as i64 + 1, row)?;
            prev = row.hash.clone();
        }
        Ok(())
    }

    #[test]
    fn a_changed_a_missing_and_a_moved_row_show() {
        assert_eq!(check(&rows()), Ok(()));
        let mut changed = rows();
        changed[1].act.subject = "k9".into();
        assert_eq!(check(&changed).unwrap_err().seq, 2);
        let mut missing = rows();
        missing.remove(1);
        assert!(check(&missing).is_err());
        let mut moved = rows();
        moved.swap(1, 2);
        assert!(check(&moved).is_err());
    }
}
