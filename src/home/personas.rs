//! Personas: `BOT.md` says who the assistant is, `USER.md` who its owner is. A file for another user is
//! `users/<id>/USER.md`; the owner's own is shown to nobody else.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use crate::{
    domain::{Millis, ids::UserId, persona},
    ports::{clock::Clock, persona::Personas, tool::SharedSkills},
};

const BOT: &str = include_str!("../../assets/persona/BOT.md");
const USER: &str = include_str!("../../assets/persona/USER.md");
/// How long a prompt is used before its files are looked at again, in milliseconds.
const FRESH: Millis = 5_000;
/// Longest file that is read, in bytes.
const LONGEST: u64 = 64 * 1024;
/// Most users whose prompts are kept.
const MOST: usize = 10_000;

/// The personas of a home.
pub struct HomePersonas {
    root: PathBuf,
    skills: SharedSkills,
    clock: Arc<dyn Clock>,
    prompts: Mutex<HashMap<UserId, Prompt>>,
}

struct Prompt {
    text: Arc<str>,
    looked: Millis,
    stamps: [Option<SystemTime>; 2],
}

impl HomePersonas {
    /// The personas of the home at `root`.
    pub fn new(root: PathBuf, skills: SharedSkills, clock: Arc<dyn Clock>) -> Self {
        Self { root, skills, clock, prompts: Mutex::default() }
    }

    fn user_file(&self, user: &UserId) -> PathBuf {
        if *user == UserId::default_user() {
            self.root.join("USER.md")
        } else {
            self.root.join("users").join(user.as_str()).join("USER.md")
        }
    }
}

impl Personas for HomePersonas {
    fn system_prompt(&self, user: &UserId) -> Arc<str> {
        let now = self.clock.now();
        let mut prompts = self.prompts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prompt) = prompts.get(user)
            && now - prompt.looked < FRESH
        {
            return Arc::clone(&prompt.text);
        }
        let files = [self.root.join("BOT.md"), self.user_file(user)];
        let stamps = files.each_ref().map(|file| stamp(file));
        if let Some(prompt) = prompts.get_mut(user)
            && prompt.stamps == stamps
        {
            prompt.looked = now;
            return Arc::clone(&prompt.text);
        }
        let bot = read(&files[0]).unwrap_or_else(|| BOT.to_owned());
        let about = read(&files[1]).unwrap_or_else(|| USER.to_owned());
        let text: Arc<str> = persona::system_prompt(&bot, &about, &self.skills.list()).into();
        if prompts.len() >= MOST {
            prompts.clear();
        }
        prompts.insert(user.clone(), Prompt { text: Arc::clone(&text), looked: now, stamps });
        text
    }
}

fn stamp(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|found| found.modified()).ok()
}

fn read(path: &Path) -> Option<String> {
    let found = std::fs::metadata(path).ok()?;
    if found.len() > LONGEST {
        tracing::warn!(file = %path.display(), "persona is too long and is not used");
        return None;
    }
    std::fs::read_to_string(path).ok()
}
