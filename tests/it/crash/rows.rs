//! The store's rows as they are, for those who judge the world by them.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, OpenFlags, types::ValueRef};
use serde_json::{Map, Value, json};

const TABLES: [(&str, &str); 13] = [
    ("users", "id"),
    ("keys", "id"),
    ("conversations", "id"),
    ("inbound", "id"),
    ("turns", "conversation_id, seq"),
    ("journal", "turn_id, n"),
    ("history", "conversation_id, first"),
    ("costs", "user_id, conversation_id"),
    ("spend", "user_id, budget_window"),
    ("approvals", "id"),
    ("wakeups", "id"),
    ("outbox", "id"),
    ("memories", "rank"),
];

/// All rows of the tables that matter, as JSON by the names of their columns.
#[derive(Clone, PartialEq)]
pub(super) struct Rows {
    tables: BTreeMap<&'static str, Vec<Value>>,
    /// The journals, by turn.
    entries: BTreeMap<String, Vec<Value>>,
}

impl Rows {
    pub(super) fn read(db: &Connection) -> Self {
        let tables: BTreeMap<_, _> =
            TABLES.into_iter().map(|(table, order)| (table, table_of(db, table, order))).collect();
        let mut entries: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for row in &tables["journal"] {
            let turn = entries.entry(row["turn_id"].as_str().unwrap().to_owned()).or_default();
            turn.extend(row["entries"].as_array().unwrap().iter().cloned());
        }
        Self { tables, entries }
    }

    /// The rows of a store that nobody has open, read from a copy: a look must not mend what a crash left.
    pub(super) fn peek(home: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in ["atoll.db", "atoll.db-wal"] {
            if home.join(file).exists() {
                std::fs::copy(home.join(file), folder.path().join(file)).unwrap();
            }
        }
        Self::read(&Connection::open(folder.path().join("atoll.db")).unwrap())
    }

    pub(super) fn of(&self, table: &str) -> &[Value] {
        &self.tables[table]
    }

    /// The first table in which these rows differ from others, with the rows that do.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let differ = self.tables.iter().find(|(table, rows)| other.of(table) != rows.as_slice());
        differ.map(|(table, rows)| {
            let missing = |from: &[Value], of: &[Value]| -> Vec<String> {
                from.iter().filter(|row| !of.contains(row)).map(Value::to_string).collect()
            };
            let others = other.of(table);
            format!("{table}: - {:?}\n + {:?}", missing(rows, others), missing(others, rows))
        })
    }

    /// The entries of a turn's journal.
    pub(super) fn entries(&self, turn: &Value) -> &[Value] {
        self.entries.get(turn["id"].as_str().unwrap()).map_or(&[], Vec::as_slice)
    }
}

/// Looks at the store of a server that runs.
pub(super) fn count(home: &Path, sql: &str) -> i64 {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let Ok(db) = Connection::open_with_flags(home.join("atoll.db"), flags) else { return 0 };
    db.query_row(sql, [], |row| row.get(0)).unwrap_or(-1)
}

fn table_of(db: &Connection, table: &str, order: &str) -> Vec<Value> {
    let mut statement = db.prepare(&format!("SELECT * FROM {table} ORDER BY {order}")).unwrap();
    let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut found = statement.query([]).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = found.next().unwrap() {
        let mut map = Map::new();
        for (at, name) in names.iter().enumerate() {
            let value = match row.get_ref(at).unwrap() {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => json!(number),
                ValueRef::Real(number) => json!(number),
                ValueRef::Blob(bytes) => json!(bytes),
                ValueRef::Text(text) => unfolded(name, std::str::from_utf8(text).unwrap()),
            };
            // When a key was last used says nothing about what was done.
            if name != "last_used_at" {
                map.insert(name.clone(), value);
            }
        }
        rows.push(Value::Object(map));
    }
    rows
}

/// Columns that hold JSON are read as such.
fn unfolded(name: &str, text: &str) -> Value {
    match name {
        "entries" | "answers" | "body" | "messages" | "subject" | "activated" => {
            serde_json::from_str(text).unwrap()
        }
        _ => json!(text),
    }
}
