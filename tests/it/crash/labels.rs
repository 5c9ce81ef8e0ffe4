//! The list of places where the process can die, read from the sources: each must be one where some test kills.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use atoll::domain::chat::PLATFORMS;

use super::{
    board, facts, outbox,
    points::{KILLS, both},
};

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path)
}

/// All sources, one after the other.
fn sources(folder: &Path) -> String {
    let mut texts = String::new();
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            texts.push_str(&sources(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            texts.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    texts
}

fn quoted(text: &str) -> Option<&str> {
    text.trim_start().strip_prefix('"')?.split('"').next()
}

/// The words that a function gives back, one for each arm of its match.
fn arms(text: &str, function: &str) -> Vec<String> {
    let body = text.split_once(&format!("fn {function}(")).unwrap().1;
    body.split("\n}").next().unwrap().split("=> ").skip(1).filter_map(quoted).map(str::to_owned).collect()
}

/// How many variants an enumeration of entries has.
fn variants(text: &str) -> usize {
    let enumerated = text.split_once("pub enum Entry {").unwrap().1.split("\n}").next().unwrap();
    let is_variant = |line: &&str| {
        line.strip_prefix("    ").is_some_and(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
    };
    enumerated.lines().filter(is_variant).count()
}

/// What commits are called: each write by its own label, a step of a turn or of a job by the kind of its last entry.
fn commits() -> BTreeSet<String> {
    let read = |file: &str| std::fs::read_to_string(source(file)).unwrap();
    let writes = sources(&source("actors/db"));
    let mut labels = BTreeSet::new();
    let mut by_entry = Vec::new();
    for write in writes.split("\nwrite_op!(").skip(1) {
        let head = write.split(", |op,").next().unwrap();
        match head.rsplit_once("|_| ") {
            Some((_, label)) => drop(labels.insert(quoted(label).unwrap().to_owned())),
            None => by_entry.push(head.rsplit(", ").next().unwrap()),
        }
    }
    by_entry.sort_unstable();
    assert_eq!(by_entry, ["job_label", "step_label"], "a label that is not understood");
    assert_eq!(labels.len() + by_entry.len(), writes.matches("\nwrite_op!(").count());
    let entry = read("domain/turn/entry.rs");
    let kinds = arms(&entry, "kind");
    assert_eq!(kinds.len(), variants(&entry), "{kinds:?}");
    // Stored by a take-over, which has a label of its own; never the last entry of a step.
    labels.extend(kinds.into_iter().filter(|kind| *kind != "resumed"));
    let own = read("actors/db/writes.rs");
    let settled = own.split_once("map_or(").unwrap().1;
    labels.insert(quoted(settled).unwrap().to_owned());
    let jobs = arms(&writes, "job_label");
    assert_eq!(jobs.len(), variants(&read("domain/job/entry.rs")) + 1, "{jobs:?}");
    // The question or the push comes with the commit, the end with the pull request, in one step.
    let never_last = ["job_committed", "job_requested"];
    labels.extend(jobs.into_iter().filter(|kind| !never_last.contains(&kind.as_str())));
    labels
}

/// All places, with the labels that they can have.
fn places() -> BTreeSet<String> {
    let mut places = BTreeSet::new();
    for call in sources(&source("")).split("fault::point(").skip(1) {
        let (name, rest) = call.split_once(", ").unwrap();
        let name = quoted(name).unwrap();
        let labels: Vec<String> = match rest.split(");").next().unwrap() {
            "label" => commits().into_iter().collect(),
            "self.channel.name()" | "delivery.channel.name()" => vec!["api".into(), "callback".into()],
            // Only there tasks have messages and threads of their own.
            "self.platform.name()" if name.ends_with("_head") || name.ends_with("_thread") => {
                vec!["discord".into()]
            }
            "self.platform.name()" => PLATFORMS.map(str::to_owned).to_vec(),
            literal => vec![quoted(literal).unwrap().to_owned()],
        };
        places.extend(labels.into_iter().map(|label| format!("{name}:{label}")));
    }
    places
}

#[test]
fn every_place_where_the_process_can_die_is_one_where_a_test_kills() {
    let kills: BTreeSet<String> = KILLS
        .iter()
        .chain(facts::KILLS)
        .chain(board::KILLS)
        .chain(outbox::KILLS)
        .chain(crate::jobs::KILLS.iter().copied().flatten())
        .map(|kill| (*kill).to_owned())
        .chain(crate::chats::all_kills())
        .flat_map(|kill| both(&kill))
        .flat_map(|kill| kill.split(" then ").map(str::to_owned).collect::<Vec<_>>())
        .map(|kill| kill.split('#').next().unwrap().to_owned())
        .collect();
    let places = places();
    let never: Vec<&String> = places.difference(&kills).collect();
    let unknown: Vec<&String> = kills.difference(&places).collect();
    assert!(never.is_empty(), "no test kills at {never:?}");
    assert!(unknown.is_empty(), "there is no such place: {unknown:?}");
    assert!(places.len() > 150, "{places:?}");
    for label in ["record_post", "see_identity", "resend_outbox", "set_preference", "job_pushed"] {
        assert!(places.contains(&format!("before_commit:{label}")), "{label} is not found in the sources");
    }
}
