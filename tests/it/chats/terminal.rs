//! The terminal as a platform: each message is a run of `atoll chat`, and what is seen is what it prints.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Sender, channel},
    },
};

use super::stand::{Seen, Stand};
use crate::support::*;

/// How lines begin that are no answer.
const NOTE: &str = "  · ";

#[derive(Default)]
struct Book {
    /// Who may read the home.
    allowed: BTreeSet<String>,
    /// The home, and the folder that it is in.
    place: Option<(PathBuf, PathBuf)>,
    seen: BTreeMap<String, Vec<Seen>>,
    lanes: BTreeMap<String, Sender<String>>,
    faults: Vec<String>,
    calls: usize,
    count: u64,
}

/// People at terminals of this machine.
#[derive(Clone, Default)]
pub(super) struct TerminalStand(Arc<Mutex<Book>>);

impl TerminalStand {
    fn with<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    fn show(&self, person: &str, text: &str, buttons: Vec<(String, String)>) {
        self.with(|book| {
            book.count += 1;
            let seen = Seen { id: book.count, text: text.to_owned(), buttons, reply_to: None };
            book.seen.entry(person.to_owned()).or_default().push(seen);
        });
    }

    /// A run of `atoll chat`. Whoever may not read the home has only one of their own, where nothing runs.
    fn command(&self, person: &str, text: &str) -> Command {
        let (place, may) = self.with(|book| {
            book.calls += 1;
            (book.place.clone(), book.allowed.contains(person))
        });
        let (home, beside) = place.unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_atoll"));
        command.env_clear().env("HOME", &beside).arg("--home");
        command.arg(if may { home } else { beside.join(format!("home-of-{person}")) });
        command.args(["chat", "--user", person, text]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Says it, and shows what is printed, until it is over.
    fn run(&self, person: &str, text: &str) {
        let mut child = self.command(person, text).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut answer = String::new();
        for line in out.lines().map(Result::unwrap) {
            match line.strip_prefix(NOTE) {
                None => answer.push_str(&(line + "\n")),
                Some(note) => self.note(person, note),
            }
        }
        let mut wrong = String::new();
        child.stderr.take().unwrap().read_to_string(&mut wrong).unwrap();
        let ended = child.wait().unwrap();
        let may = self.with(|book| book.allowed.contains(person));
        // What was cancelled ends with an exit code, and says so.
        if ended.success() != may && !wrong.contains("Cancelled") {
            self.with(|book| book.faults.push(format!("`{text}` of {person} ended with {ended}: {wrong}")));
        }
        for words in [answer.trim(), wrong.trim()].into_iter().filter(|words| !words.is_empty()) {
            self.show(person, words, Vec::new());
        }
    }

    fn note(&self, person: &str, note: &str) {
        if let Some(rest) = note.strip_prefix("waits for an approval: /approve ") {
            let id = rest.split(' ').next().unwrap();
            let buttons = ["Approve", "Reject"].map(|label| {
                assert!(note.contains(&format!("/{} {id}", label.to_lowercase())), "{note}");
                (label.to_owned(), format!("/{} {id}", label.to_lowercase()))
            });
            self.show(person, note, buttons.to_vec());
        } else if note.starts_with("Approved by ") || note.starts_with("Rejected by ") {
            self.with(|book| {
                let all = book.seen.get_mut(person).into_iter().flatten();
                for seen in all.filter(|seen| !seen.buttons.is_empty()) {
                    seen.buttons.clear();
                    seen.text = note.to_owned();
                }
            });
        }
    }

    /// A terminal: the next message is typed when the one before is over.
    fn lane(&self, person: &str) -> Sender<String> {
        let known = self.with(|book| book.lanes.get(person).cloned());
        known.unwrap_or_else(|| {
            let (lane, said) = channel::<String>();
            let (stand, who) = (self.clone(), person.to_owned());
            std::thread::spawn(move || said.into_iter().for_each(|text| stand.run(&who, &text)));
            self.with(|book| book.lanes.insert(person.to_owned(), lane.clone()));
            lane
        })
    }

    /// A second terminal, beside the one that waits.
    fn beside(&self, person: &str, text: &str) {
        let (stand, who, text) = (self.clone(), person.to_owned(), text.to_owned());
        std::thread::spawn(move || stand.run(&who, &text));
    }
}

impl Stand for TerminalStand {
    const NAME: &'static str = "terminal";
    const LONGEST: usize = usize::MAX;

    fn start() -> Self {
        Self::default()
    }

    fn keys(&self, allowed: &[&str]) -> String {
        self.with(|book| book.allowed = allowed.iter().map(|person| (*person).to_owned()).collect());
        String::new()
    }

    fn meets(&self, site: &Site, _: &Server) {
        self.with(|book| book.place = Some((site.home(), site.beside().to_owned())));
    }

    fn secret(&self) -> String {
        let (home, _) = self.with(|book| book.place.clone()).unwrap();
        std::fs::read_to_string(home.join("run/local.key")).unwrap().trim().to_owned()
    }

    fn is_heard(&self) -> bool {
        self.with(|book| book.place.is_some())
    }

    fn say(&self, person: &str, text: &str) {
        match text.starts_with("/cancel") {
            true => self.beside(person, text),
            false => self.lane(person).send(text.to_owned()).unwrap(),
        }
    }

    fn seen(&self, person: &str) -> Vec<Seen> {
        self.with(|book| book.seen.get(person).cloned().unwrap_or_default())
    }

    fn tap(&self, person: &str, message: &Seen, label: &str) {
        let (_, command) = message.buttons.iter().find(|(known, _)| known == label).unwrap();
        self.beside(person, command);
    }

    fn faults(&self) -> Vec<String> {
        self.with(|book| book.faults.clone())
    }

    fn calls(&self) -> usize {
        self.with(|book| book.calls)
    }
}
