//! The books: nothing stays reserved, and what was spent is what the turns used, with what was reserved for calls
//! that a crash cut off.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    rows::Rows,
    world::{Leave, World, text},
};

const DIMENSIONS: [&str; 4] = ["tokens", "micros", "tool_calls", "time_ms"];

/// A quantity of each dimension.
type Amount = [i64; 4];

pub(super) fn check(world: &mut World<'_>, leave: Leave) {
    for turn in world.rows.of("turns").to_vec() {
        if amount(&turn, "reserved_") != [0; 4] {
            world.fault(format!("a turn holds a reservation: {turn}"));
        }
    }
    let mut expected: BTreeMap<String, Amount> = BTreeMap::new();
    for turn in world.rows.of("turns") {
        add(expected.entry(text(&turn["user_id"])).or_default(), used(&world.rows, turn));
    }
    covered(world);
    let lost = lost(world);
    for turn in world.rows.of("turns").to_vec() {
        let lost = lost.get(&text(&turn["id"])).copied().unwrap_or_default();
        add(expected.entry(text(&turn["user_id"])).or_default(), lost);
        let mut noted = [0; 4];
        for entry in world.rows.entries(&turn).iter().filter(|entry| entry["entry"] == "resumed") {
            add(&mut noted, amount(&entry["lost"], ""));
        }
        if noted != lost {
            world.fault(format!("crashes cost {} {lost:?}, and its journal says {noted:?}", turn["id"]));
        }
    }
    let mut spent: BTreeMap<String, Amount> = BTreeMap::new();
    for row in world.rows.of("spend").to_vec() {
        if amount(&row, "reserved_") != [0; 4] {
            world.fault(format!("a user holds a reservation: {row}"));
        }
        add(spent.entry(text(&row["user_id"])).or_default(), amount(&row, "spent_"));
    }
    for user in expected.keys().chain(spent.keys()).cloned().collect::<BTreeSet<_>>() {
        let (expected, spent) = (expected.get(&user).copied(), spent.get(&user).copied());
        let (expected, spent) = (expected.unwrap_or_default(), spent.unwrap_or_default());
        let fine = match leave.spend {
            true => expected.iter().zip(spent).all(|(expected, spent)| spent >= *expected),
            false => expected == spent,
        };
        if !fine {
            world.fault(format!("{user} spent {spent:?} by the books, {expected:?} by the journal"));
        }
    }
    let calls: i64 = world.rows.of("costs").iter().filter_map(|row| row["calls"].as_i64()).sum();
    let entries = world.rows.of("turns").iter().flat_map(|turn| world.rows.entries(turn));
    let paid = entries.filter(|entry| entry["cost"].is_object()).count();
    if calls != paid as i64 {
        world.fault(format!("{paid} answers are stored, {calls} are in the cost log"));
    }
}

/// While something is under way, what it may cost is reserved.
fn covered(world: &mut World<'_>) {
    // There a step is refused in the same write that stores its intents.
    if world.stage.more.contains("user_day") {
        return;
    }
    for life in world.lives {
        for turn in life.rows.of("turns").iter().filter(|turn| turn["state"] == "running") {
            let entries = life.rows.entries(turn);
            // Taken over, and its next step is not stored yet.
            if entries.last().is_some_and(|entry| entry["entry"] == "resumed") {
                continue;
            }
            let [tokens, _, tool_calls, _] = amount(turn, "reserved_");
            let running = started(entries).len() as i64;
            if tool_calls != running || (tokens > 0) != (running == 0) {
                let how = format!("{}: {running} tools run, and reserved is {turn}", life.how);
                world.faults.push(how);
            }
        }
    }
}

/// The calls whose intent is stored and whose result is not.
fn started(entries: &[Value]) -> BTreeSet<i64> {
    let mut started = BTreeSet::new();
    for entry in entries {
        let index = entry["index"].as_i64().unwrap_or(-1);
        match text(&entry["entry"]).as_str() {
            "intent" => drop(started.insert(index)),
            "returned" => drop(started.remove(&index)),
            "over_budget" => started.clear(),
            _ => {}
        }
    }
    started
}

/// What a turn used, by its journal.
fn used(rows: &Rows, turn: &Value) -> Amount {
    let mut sum = [0; 4];
    let mut started = BTreeSet::new();
    for entry in rows.entries(turn) {
        match text(&entry["entry"]).as_str() {
            "answered" | "compacted" => add(&mut sum, amount(&entry["cost"], "")),
            "intent" => drop(started.insert(entry["index"].as_i64())),
            "over_budget" => started.clear(),
            "returned" => {
                // For a call that was cut off stands what was reserved for it.
                let cut_off = text(&entry["result"]["output"]).contains("is unknown");
                let ran = i64::from(started.remove(&entry["index"].as_i64()) && !cut_off);
                add(&mut sum, [0, 0, ran, entry["took_ms"].as_i64().unwrap_or(0)]);
            }
            _ => {}
        }
    }
    sum
}

/// What was reserved when a life ended, and taken over by a later one, by turn.
fn lost(world: &mut World<'_>) -> BTreeMap<String, Amount> {
    let mut lost: BTreeMap<String, Amount> = BTreeMap::new();
    let last = world.rows.clone();
    let states: Vec<&Rows> = world.lives.iter().map(|life| &life.rows).chain([&last]).collect();
    for pair in states.windows(2) {
        for before in pair[0].of("turns") {
            let after = pair[1].of("turns").iter().find(|turn| turn["id"] == before["id"]);
            let Some(after) = after else {
                world.faults.push(format!("a turn is gone: {before}"));
                continue;
            };
            let leases = after["lease"].as_i64().unwrap() - before["lease"].as_i64().unwrap();
            match leases {
                0 => {}
                1 => add(lost.entry(text(&before["id"])).or_default(), amount(before, "reserved_")),
                _ => world.faults.push(format!("{leases} leases in one life: {before} {after}")),
            }
        }
    }
    lost
}

fn amount(row: &Value, prefix: &str) -> Amount {
    DIMENSIONS.map(|dimension| row[format!("{prefix}{dimension}")].as_i64().unwrap_or(0))
}

fn add(sum: &mut Amount, more: Amount) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum += more;
    }
}
