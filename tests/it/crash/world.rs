//! What must be so when all is over, by the state of the world: rows, lines that tools left, what the model was
//! asked, what clients heard.

use std::collections::{BTreeMap, BTreeSet};

use atoll::domain::{
    ids::{InboundId, TurnId},
    turn::{Entry, Opening, Turn},
};
use rusqlite::Connection;
use serde_json::Value;

use super::{
    books,
    rows::Rows,
    script,
    stage::{Heard, Life, Stage},
};

/// All that is judged.
pub(super) struct World<'a> {
    pub stage: &'a Stage,
    pub lives: &'a [Life],
    pub rows: Rows,
    pub effects: Vec<String>,
    pub faults: Vec<String>,
}

/// What may be otherwise in a scene.
#[derive(Clone, Copy, Default)]
pub(super) struct Leave {
    /// Newer messages take the place of older ones.
    pub order: bool,
    /// Calls of the model are abandoned: what they cost is an estimate that no entry holds.
    pub spend: bool,
}

/// Judges the world of a stage whose server has stopped; panics with everything that is wrong.
pub(super) fn judge(stage: &Stage, leave: Leave) {
    let home = stage.site.home();
    let db = Connection::open(home.join("atoll.db")).unwrap();
    let lives = stage.lives.borrow();
    let rows = Rows::read(&db);
    let mut world = World { stage, lives: &lives, rows, effects: script::effects(&home), faults: Vec::new() };
    world.answers();
    world.effects();
    world.questions();
    world.model_calls();
    world.journal();
    world.order(leave);
    books::check(&mut world, leave);
    world.store(&db);
    let faults = world.faults;
    stage.log.say(format!(
        "judged after {} lives and {} messages: {faults:#?}",
        lives.len() + 1,
        stage.told.borrow().len()
    ));
    assert!(faults.is_empty(), "{faults:#?}");
}

/// A call of a tool as the journal tells it.
#[derive(Default, Clone, Debug)]
pub(super) struct Call {
    pub tool: String,
    /// Its class while its intent is stored.
    pub class: Option<String>,
    /// Its intent was stored at some time.
    pub intended: bool,
    pub asked: bool,
    pub allowed: bool,
    /// Whether it failed, and what it said.
    pub result: Option<(bool, String)>,
    pub over: bool,
}

/// All calls by the key that their tools know them by.
pub(super) fn calls(rows: &Rows) -> BTreeMap<String, Call> {
    let mut all = BTreeMap::new();
    for turn in rows.of("turns") {
        let (mut answer, mut now) = (0, Vec::new());
        for entry in rows.entries(turn) {
            if entry["entry"] == "answered" {
                answer += 1;
                let made = entry["reply"]["calls"].as_array().cloned().unwrap_or_default();
                now = (0..made.len()).map(|at| format!("{}-{answer}-{at}", text(&turn["id"]))).collect();
                all.extend(now.iter().cloned().zip(made.iter().map(|call| Call {
                    tool: text(&call["name"]),
                    over: turn["state"] == "over",
                    ..Call::default()
                })));
            } else if entry["entry"] == "over_budget" {
                // What was to run together with the refused step did not run.
                for key in &now {
                    all.entry(key.clone()).and_modify(|call: &mut Call| {
                        call.class = call.class.take().filter(|_| call.result.is_some());
                    });
                }
            } else if let Some(index) = entry["index"].as_u64() {
                all.entry(format!("{}-{answer}-{index}", text(&turn["id"])))
                    .and_modify(|call| call.hear(entry));
            }
        }
    }
    all
}

impl Call {
    fn hear(&mut self, entry: &Value) {
        match text(&entry["entry"]).as_str() {
            "intent" => (self.class, self.intended) = (Some(text(&entry["class"])), true),
            "held" => self.asked = true,
            "decided" => self.allowed = entry["verdict"] == "approved",
            "returned" => {
                let result = &entry["result"];
                self.result = Some((result["failed"] == true, text(&result["output"])));
            }
            _ => {}
        }
    }
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn lines(effects: &[String], key: &str) -> usize {
    effects.iter().filter(|line| line.split(' ').next() == Some(key)).count()
}

impl World<'_> {
    pub(super) fn fault(&mut self, fault: impl Into<String>) {
        self.faults.push(fault.into());
    }

    /// Every accepted message is answered exactly once, and its client heard exactly that.
    fn answers(&mut self) {
        let told = self.stage.told.borrow().clone();
        let inbound = self.rows.of("inbound").to_vec();
        let outbox = self.rows.of("outbox").to_vec();
        for row in &inbound {
            let sent = told.iter().filter(|told| row["external_id"] == format!("{}/{}", told.user, told.key));
            let heard: Vec<&Heard> = sent.map(|told| &told.heard).collect();
            let answers: Vec<&Value> = outbox
                .iter()
                .filter(|out| out["body"]["kind"] == "answer")
                .filter(|out| out["answers"].as_array().is_some_and(|ids| ids.contains(&row["id"])))
                .collect();
            let fine = match (heard.as_slice(), answers.as_slice()) {
                ([Heard::Answer(words) | Heard::Failed(words)], [answer]) => {
                    row["state"] == "answered"
                        && row["answer_id"] == answer["id"]
                        && answer["body"]["text"] == *words
                }
                ([Heard::Withdrawn], []) => row["state"] == "cancelled",
                _ => false,
            };
            if !fine {
                let bodies: Vec<&Value> = answers.iter().map(|answer| &answer["body"]).collect();
                self.fault(format!("{row}: its client heard {heard:?}, its answers are {bodies:?}"));
            }
        }
        if inbound.len() != told.len() {
            self.fault(format!("{} messages were sent, {} are stored", told.len(), inbound.len()));
        }
        for row in outbox.iter().filter(|row| row["channel"] == "api" && row["state"] != "sent") {
            self.fault(format!("an answer is left lying: {row}"));
        }
    }

    /// No finished tool runs again; none runs before its intent is stored; an unknown outcome is called so.
    fn effects(&mut self) {
        let last = calls(&self.rows);
        let all = self.effects.clone();
        let ours = |call: &Call| call.tool.starts_with("fx_");
        for line in &all {
            let key = line.split(' ').next().unwrap_or_default();
            if !last.get(key).is_some_and(|call| call.intended) {
                self.fault(format!("`{line}` has no intent"));
            }
        }
        for life in self.lives {
            let then = calls(&life.rows);
            for line in &life.effects {
                if !line.split(' ').next().and_then(|key| then.get(key)).is_some_and(|call| call.intended) {
                    self.fault(format!("{}: `{line}` ran before its intent was stored", life.how));
                }
            }
            for (key, call) in then.iter().filter(|(_, call)| ours(call)) {
                let (before, after) = (lines(&life.effects, key), lines(&all, key));
                if call.result.is_some() && before != after {
                    self.fault(format!("{}: {key} {call:?} was finished and ran again", life.how));
                }
                // What was refused by a budget in the same write never ran, and may still.
                let ran = life
                    .rows
                    .of("turns")
                    .iter()
                    .any(|turn| key.starts_with(&text(&turn["id"])) && turn["reserved_tool_calls"] != 0);
                let cut_off = call.class.as_deref() == Some("once") && call.result.is_none() && ran;
                let unknown = last[key].result.as_ref().is_some_and(|(_, said)| said.contains("is unknown"));
                if cut_off && !unknown && last[key].class.is_some() && last[key].result.is_some() {
                    self.fault(format!("{}: {key} was cut off, and became {:?}", life.how, last[key]));
                }
            }
        }
        for (key, call) in last.iter().filter(|(_, call)| ours(call)) {
            let ran = lines(&all, key);
            let fine = match (call.class.as_deref(), &call.result) {
                (Some("once"), Some((false, _))) => ran == 1,
                (Some("once"), _) => ran <= 1,
                (Some(_), Some((false, _))) => (1..=1 + self.lives.len()).contains(&ran),
                (Some(_), _) => ran <= 1 + self.lives.len(),
                (None, _) => ran == 0,
            };
            if !fine || (call.asked && ran > 0 && !call.allowed) || (call.result.is_none() && !call.over) {
                self.fault(format!("{key} {call:?} ran {ran} times"));
            }
        }
    }

    /// Every question is settled, and used where its call ran.
    fn questions(&mut self) {
        for row in self.rows.of("approvals").to_vec() {
            let consumed: Vec<Value> = self
                .rows
                .of("turns")
                .iter()
                .flat_map(|turn| self.rows.entries(turn).to_vec())
                .filter(|entry| entry["approval"] == row["id"] && entry["verdict"] == "approved")
                .collect();
            let fine = match row["status"].as_str() {
                Some("consumed") => consumed.len() == 1,
                Some("rejected" | "expired" | "void") => consumed.is_empty(),
                _ => false,
            };
            if !fine {
                self.fault(format!("{row} was consumed by {consumed:?}"));
            }
        }
    }

    /// No call of the model whose answer is stored is made again.
    fn model_calls(&mut self) {
        let refused = self.stage.model.refused();
        if !refused.is_empty() {
            self.fault(format!("a provider would have refused: {refused:?}"));
        }
        let requests = self.stage.model.requests();
        let mut same: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for request in &requests {
            same.entry(request.text()).or_default().push(request.number);
        }
        let stored = stored_answers(&self.rows);
        for numbers in same.into_values() {
            let first = numbers.iter().find(|number| stored.contains(number));
            let again = numbers.iter().any(|number| first.is_some_and(|first| number > first));
            if again || numbers.len() > 1 + self.lives.len() {
                self.fault(format!("one question was asked {numbers:?}, and answered at {first:?}"));
            }
        }
        if let Some(lost) = stored.iter().find(|number| **number > requests.len() as u64) {
            self.fault(format!("the answer to request {lost} was stored, and nobody asked"));
        }
    }

    /// What was stored at a crash is the beginning of what is stored now, and all of it can be followed.
    fn journal(&mut self) {
        let stored = ["journal", "history"].map(|table| self.rows.of(table).iter().map(Value::to_string));
        let stored: BTreeSet<String> = stored.into_iter().flatten().collect();
        for life in self.lives {
            for row in life.rows.of("journal").iter().chain(life.rows.of("history")) {
                if !stored.contains(&row.to_string()) {
                    self.fault(format!("{}: what was stored was changed: {row}", life.how));
                }
            }
            for turn in life.rows.of("turns") {
                if let Err(error) = rebuilt(&life.rows, turn) {
                    self.fault(format!("{}: {error}", life.how));
                }
            }
        }
        for turn in self.rows.of("turns").to_vec() {
            let mut next = 0;
            for row in self.rows.of("journal").to_vec().iter().filter(|row| row["turn_id"] == turn["id"]) {
                if row["n"] != next {
                    self.fault(format!("the journal of {} has a gap before {}", turn["id"], row["n"]));
                }
                next += row["entries"].as_array().map_or(0, Vec::len);
            }
            if let Err(error) = rebuilt(&self.rows, &turn) {
                self.fault(error);
            }
            if turn["state"] != "over" {
                self.fault(format!("a turn is not over: {turn}"));
            }
        }
    }

    /// Conversations are answered in order, and their history has neither gap nor overlap.
    fn order(&mut self, leave: Leave) {
        let conversations: BTreeSet<String> =
            self.rows.of("turns").iter().map(|turn| text(&turn["conversation_id"])).collect();
        for conversation in conversations {
            let of = |table: &str| -> Vec<Value> {
                let rows = self.rows.of(table).iter();
                rows.filter(|row| row["conversation_id"] == conversation.as_str()).cloned().collect()
            };
            let turns = of("turns");
            let ranks: Vec<u64> = turns.iter().map(|turn| self.rank(turn)).collect();
            let parked = !of("approvals").is_empty();
            let answered = of("outbox").into_iter().filter(|row| row["body"]["kind"] == "answer");
            let answered: Vec<Value> =
                answered.map(|row| row["turn_id"].clone()).filter(|turn| !turn.is_null()).collect();
            let begun = turns.iter().map(|turn| &turn["id"]).filter(|id| answered.contains(id));
            let (mut next, mut history) = (0, Vec::new());
            for row in of("history") {
                if row["first"] != next {
                    history.push(format!("{conversation}: the history has a gap before {}", row["first"]));
                }
                next += row["count"].as_i64().unwrap_or(0);
            }
            if of("history").len() != turns.len() {
                history.push(format!("{conversation}: not every turn is in the history once"));
            }
            if !turns.iter().zip(1..).all(|(turn, seq)| turn["seq"] == seq) {
                history.push(format!("{conversation}: the turns are not numbered in order"));
            }
            if !leave.order && !ranks.is_sorted() {
                history.push(format!("{conversation}: taken up in the order {ranks:?}"));
            }
            if !leave.order && !parked && !begun.eq(answered.iter()) {
                history.push(format!("{conversation}: answered in another order than taken up"));
            }
            self.faults.extend(history);
        }
    }

    /// Which message of its client a turn began with.
    fn rank(&self, turn: &Value) -> u64 {
        let inbound = self.rows.of("inbound").iter().find(|row| row["id"] == turn["inbound_id"]);
        let words = inbound.map(|row| text(&row["text"])).unwrap_or_default();
        let (name, _) = script::parse(&words);
        name.chars().skip(1).take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0)
    }

    /// The store is whole, nobody tampered with the log, and no process is left behind.
    fn store(&mut self, db: &Connection) {
        let whole: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        if whole != "ok" {
            self.fault(whole);
        }
        let audit = self.stage.site.run(&["audit", "verify"]);
        if !audit.status.success() {
            self.fault(String::from_utf8_lossy(&audit.stderr).into_owned());
        }
        let notes = std::fs::read_dir(self.stage.site.home().join("run/processes"));
        if notes.is_ok_and(|mut notes| notes.next().is_some()) {
            self.fault("processes of tools are left behind");
        }
    }
}

/// The numbers of the requests whose answers the journal holds.
fn stored_answers(rows: &Rows) -> BTreeSet<u64> {
    let number = |text: &str, mark: &str| -> Option<u64> {
        let rest = text.rsplit_once(mark)?.1;
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
    };
    let entries = rows.of("turns").iter().flat_map(|turn| rows.entries(turn));
    entries
        .filter_map(|entry| {
            let said = number(&text(&entry["reply"]["text"]), "(#");
            let called = number(&text(&entry["reply"]["calls"][0]["id"]), "call_");
            said.or(called).or(number(&text(&entry["summary"]), "(#"))
        })
        .collect()
}

/// The turn, rebuilt from its journal.
fn rebuilt(rows: &Rows, turn: &Value) -> Result<Turn, String> {
    let entries: Vec<Entry> = serde_json::from_value(rows.entries(turn).into()).unwrap();
    let inbound = rows.of("inbound").iter().find(|row| row["id"] == turn["inbound_id"]);
    let opening = Opening {
        turn: TurnId::new(text(&turn["id"])),
        inbound: InboundId::new(text(&turn["inbound_id"])),
        text: inbound.map(|row| text(&row["text"])).unwrap_or_default(),
        attachments: Vec::new(),
        activated: BTreeSet::new(),
    };
    Turn::rebuild(opening, &entries).map_err(|fault| format!("{}: {fault}", turn["id"]))
}
