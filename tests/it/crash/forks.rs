//! Recovery is deterministic: two copies of what a crash left behind, each recovered alone, come to the same.

use rusqlite::Connection;
use serde_json::Value;

use super::{
    rows::{self, Rows},
    script,
    stage::Stage,
};
use crate::support::*;

/// Nothing is under way: every turn is over or waits for a person.
pub(super) const RESTLESS: &str = "SELECT
    (SELECT count(*) FROM turns WHERE state = 'running')
  + (SELECT count(*) FROM inbound WHERE state = 'queued')
  + (SELECT count(*) FROM outbox WHERE state = 'claimed')
  + (SELECT count(*) FROM turns WHERE state = 'parked' AND NOT EXISTS
        (SELECT 1 FROM approvals WHERE turn_id = turns.id AND status = 'pending'))
  + (SELECT count(*) FROM approvals WHERE status = 'approved' AND turn_id IN
        (SELECT id FROM turns WHERE state = 'parked'))";

/// Two forks of the site as it is now come to the same rows.
pub(super) async fn agree(stage: &Stage) {
    let (one, two) = tokio::join!(recovered(stage), recovered(stage));
    stage.log.say(format!("forks: {} lines each", one.len()));
    if one != two {
        let differ = one.iter().zip(&two).find(|(one, two)| one != two);
        panic!("two recoveries differ: {differ:#?}");
    }
}

/// Recovers a copy without any client, and tells what became of it.
async fn recovered(stage: &Stage) -> Vec<String> {
    let model = MockModel::start(script::obey);
    let site = stage.site.fork(&script::config(&model, &stage.more));
    script::open_gate(&site.home());
    let server = site.start();
    until("the fork rests", async || rows::count(&site.home(), RESTLESS) == 0).await;
    server.kill();
    assert!(model.refused().is_empty(), "{:?}", model.refused());
    let db = Connection::open(site.home().join("atoll.db")).unwrap();
    told(&Rows::read(&db))
}

/// What the rows say, without what the clock and the dice put there.
fn told(rows: &Rows) -> Vec<String> {
    let turns = rows.of("turns").iter();
    let mut names: Vec<(String, String)> =
        turns.map(|turn| (plain(&turn["id"]), format!("<turn of {}>", plain(&turn["inbound_id"])))).collect();
    let memories = rows.of("memories").iter().enumerate();
    names.extend(memories.map(|(at, memory)| (plain(&memory["id"]), format!("<memory {at}>"))));
    let mut lines = Vec::new();
    for turn in rows.of("turns") {
        let entries = rows.entries(turn).iter().map(Value::to_string);
        let mut entries: Vec<String> = entries.map(|entry| squashed(&entry, &names)).collect();
        // Tools that run side by side return in any order.
        entries.sort();
        lines.push(format!("turn {} {} {}", turn["inbound_id"], turn["state"], turn["outcome"]));
        lines.extend(entries);
    }
    for (table, columns) in [
        ("history", ["conversation_id", "messages", "seq"]),
        ("inbound", ["id", "text", "state"]),
        ("outbox", ["conversation_id", "answers", "body"]),
        ("approvals", ["conversation_id", "status", "subject"]),
        ("conversations", ["id", "summary", "activated"]),
        ("memories", ["user_id", "content", "source"]),
    ] {
        // In the order of the table for each conversation; which of two conversations is faster is open.
        let mut found: Vec<[String; 3]> =
            rows.of(table).iter().map(|row| columns.map(|column| row[column].to_string())).collect();
        found.sort_by(|one, other| one[0].cmp(&other[0]));
        lines.extend(found.iter().map(|cells| format!("{table} {}", cells.join(" "))));
    }
    lines.iter().map(|line| squashed(line, &names)).collect()
}

fn plain(id: &Value) -> String {
    id.as_str().unwrap().to_owned()
}

/// The line with ids by their names and every number as `#`.
fn squashed(line: &str, names: &[(String, String)]) -> String {
    let mut line = line.to_owned();
    for (id, name) in names {
        line = line.replace(id, name);
    }
    let mut squashed = String::new();
    for character in line.chars() {
        match character {
            digit if digit.is_ascii_digit() => {
                if !squashed.ends_with('#') {
                    squashed.push('#');
                }
            }
            other => squashed.push(other),
        }
    }
    squashed
}
