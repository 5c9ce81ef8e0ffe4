//! The answer of one conversation while it is written: what of it is shown, when, and when nothing is.
//!
//! A platform takes few messages, so an answer that comes soon is sent once, as it is in the end; only one that takes
//! time is shown as it grows, in one message that is edited. The answer itself, once it is stored, is sent by others: they
//! edit that message, or send a new one.

use crate::domain::{
    Millis,
    job::Verbosity,
    markup::{Flavor, Part, preview},
    outbound::Progress,
};

/// How often the sign of life is repeated, in milliseconds: Telegram shows it for 5 seconds, Discord for 10.
const fn typing(flavor: Flavor) -> Millis {
    match flavor {
        Flavor::Telegram | Flavor::Plain => 4_000,
        Flavor::Discord => 8_000,
    }
}

/// How long there is something to show before it is shown, in milliseconds.
const FIRST: Millis = 700;
/// Characters that are worth a message of their own.
const WORTH: usize = 40;
/// After this time less is worth one, in milliseconds.
const PATIENCE: Millis = 3_000;
/// Least time between two edits, in milliseconds.
const EDIT: Millis = 1_500;
/// The same where several people read: a group of Telegram has 20 calls a minute for everything.
const EDIT_IN_GROUP: Millis = 3_000;
/// Characters of a tool's name that are shown.
const NAME: usize = 60;
/// Tools that are shown, the latest.
const TOOLS: usize = 8;
/// Bytes that are kept of the answer: more than one message shows.
const KEPT: usize = 65_536;

/// How one conversation is shown its answers.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Whose markup.
    pub flavor: Flavor,
    /// Several people read along.
    pub is_group: bool,
    /// `quiet`: words alone. `normal`: also the tool that runs. `verbose`: all tools.
    pub verbosity: Verbosity,
}

/// What came of a tool so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It runs.
    Started,
    /// It returned.
    Finished,
    /// It did not do what it was asked.
    Failed,
}

/// What came of showing the draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is shown.
    Done,
    /// Not now; or, of an edit, nobody knows: the next one comes to the same.
    Later {
        /// Milliseconds to wait.
        after_ms: Millis,
    },
    /// It cannot be shown, it is gone, or it may be shown and cannot be edited: this answer has no draft any more.
    Lost,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It is worked on, or again.
    Began,
    /// It waits: for its turn, or for a person.
    Waits,
    /// A piece of the answer.
    Delta(String),
    /// The words since the last tool are void.
    Restart,
    /// A tool begins or ends.
    Tool {
        /// Its name.
        name: String,
        /// What came of it.
        phase: Phase,
    },
    /// The answer was withdrawn: nobody is to read it.
    Withdrawn,
    /// The answer is stored, and is sent by others from now on.
    Final,
    /// What came of the last [`Effect::Show`] or [`Effect::Edit`].
    Sent(Sent),
    /// The time that [`Draft::wakes_at`] told.
    Tick,
}

impl Event {
    /// What a session tells of a message that it works on.
    pub fn of(progress: Progress) -> Self {
        match progress {
            Progress::Status { status: "processing", .. } => Self::Began,
            Progress::Status { .. } => Self::Waits,
            Progress::Delta { text } => Self::Delta(text),
            Progress::Restart => Self::Restart,
            Progress::Tool { name, phase } => {
                let phase = match phase {
                    "started" => Phase::Started,
                    "failed" => Phase::Failed,
                    _ => Phase::Finished,
                };
                Self::Tool { name, phase }
            }
            Progress::Withdrawn { .. } => Self::Withdrawn,
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Tell that it is worked on.
    Typing,
    /// Send the draft; answered by [`Event::Sent`].
    Show(Part),
    /// Edit it; answered by [`Event::Sent`].
    Edit(Part),
    /// Delete it.
    Remove,
}

/// The draft of one answer.
#[derive(Debug)]
pub struct Draft {
    look: Look,
    text: String,
    /// Bytes of the text that no restart takes away.
    settled: usize,
    /// The next words begin a paragraph.
    is_paragraph_due: bool,
    tools: Vec<(String, Phase)>,
    /// Since when there is something to show.
    content_since: Option<Millis>,
    /// What is seen.
    seen: Option<Part>,
    /// What is on its way.
    sent: Option<Part>,
    /// Something changed since the last was sent.
    is_changed: bool,
    /// No edit before.
    edit_from: Millis,
    typing_at: Option<Millis>,
    is_lost: bool,
    is_over: bool,
    /// It is to be deleted as soon as it is known whether it is there.
    is_removal_due: bool,
}

impl Draft {
    /// One of an answer of which nothing is known.
    pub fn new(look: Look) -> Self {
        Self {
            look,
            text: String::new(),
            settled: 0,
            is_paragraph_due: false,
            tools: Vec::new(),
            content_since: None,
            seen: None,
            sent: None,
            is_changed: false,
            edit_from: Millis::MIN,
            typing_at: None,
            is_lost: false,
            is_over: false,
            is_removal_due: false,
        }
    }

    /// Takes in what happened, and says what is to be done, in this order.
    pub fn step(&mut self, now: Millis, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.take(now, event, &mut effects);
        if self.is_over {
            return effects;
        }
        if self.typing_at.is_some_and(|at| at <= now) {
            self.typing_at = Some(now + typing(self.look.flavor));
            effects.push(Effect::Typing);
        }
        if self.show_from().is_some_and(|from| from <= now) {
            self.show(now, &mut effects);
        }
        effects
    }

    /// When [`Event::Tick`] is due. An earlier one does no harm.
    pub fn wakes_at(&self) -> Option<Millis> {
        if self.is_over {
            return None;
        }
        self.typing_at.into_iter().chain(self.show_from()).min()
    }

    /// A draft can be seen: whoever sends the answer edits it, once nothing is on its way.
    pub fn is_shown(&self) -> bool {
        self.seen.is_some() && !self.is_lost
    }

    /// A [`Effect::Show`] or [`Effect::Edit`] is not answered yet.
    pub fn is_on_its_way(&self) -> bool {
        self.sent.is_some()
    }

    fn take(&mut self, now: Millis, event: Event, effects: &mut Vec<Effect>) {
        if let Event::Sent(sent) = event {
            self.sent(now, sent, effects);
            return;
        }
        if self.is_over {
            return;
        }
        match event {
            Event::Began => self.typing_at = self.typing_at.or(Some(now)),
            Event::Waits => self.typing_at = None,
            Event::Delta(text) => self.say(&text),
            Event::Restart => {
                self.text.truncate(self.settled);
                self.is_paragraph_due = self.settled > 0;
            }
            Event::Tool { name, phase } => self.tool(name, phase),
            Event::Final => self.is_over = true,
            Event::Withdrawn => {
                self.is_over = true;
                self.is_removal_due = self.is_on_its_way();
                if self.is_shown() && !self.is_on_its_way() {
                    effects.push(Effect::Remove);
                }
            }
            Event::Sent(_) | Event::Tick => {}
        }
        if self.content_since.is_none() && (!self.text.trim().is_empty() || !self.lines().is_empty()) {
            self.content_since = Some(now);
        }
    }

    fn say(&mut self, text: &str) {
        let room = KEPT.saturating_sub(self.text.len());
        let text = &text[..text.floor_char_boundary(room)];
        if text.is_empty() {
            return;
        }
        if std::mem::take(&mut self.is_paragraph_due) {
            self.text.push_str("\n\n");
        }
        self.text.push_str(text);
        self.is_changed = true;
    }

    fn tool(&mut self, name: String, phase: Phase) {
        self.settled = self.text.len();
        self.is_paragraph_due = !self.text.is_empty();
        let running = self.tools.iter_mut().find(|(known, phase)| *known == name && *phase == Phase::Started);
        match running {
            Some((_, known)) if phase != Phase::Started => *known = phase,
            _ => self.tools.push((name, phase)),
        }
        self.is_changed |= self.look.verbosity != Verbosity::Quiet;
    }

    fn sent(&mut self, now: Millis, sent: Sent, effects: &mut Vec<Effect>) {
        let Some(part) = self.sent.take() else { return };
        match sent {
            Sent::Done => self.seen = Some(part),
            Sent::Later { after_ms } => {
                self.is_changed = true;
                self.edit_from = self.edit_from.max(now.saturating_add(after_ms.max(0)));
            }
            Sent::Lost => self.is_lost = true,
        }
        if std::mem::take(&mut self.is_removal_due) && self.is_shown() {
            effects.push(Effect::Remove);
        }
    }

    /// From when on there is something to show or to edit.
    fn show_from(&self) -> Option<Millis> {
        if self.is_lost || self.sent.is_some() || !self.is_changed {
            return None;
        }
        let since = self.content_since?;
        let is_worth =
            self.is_shown() || !self.lines().is_empty() || self.text.chars().nth(WORTH - 1).is_some();
        let from = since + if is_worth { FIRST } else { PATIENCE };
        Some(from.max(self.edit_from))
    }

    fn show(&mut self, now: Millis, effects: &mut Vec<Effect>) {
        self.is_changed = false;
        let part = preview(&self.text, &self.lines(), self.look.flavor);
        let Some(part) = part.filter(|part| self.seen.as_ref() != Some(part)) else { return };
        self.sent = Some(part.clone());
        self.edit_from = now + if self.look.is_group { EDIT_IN_GROUP } else { EDIT };
        effects.push(if self.seen.is_some() { Effect::Edit(part) } else { Effect::Show(part) });
    }

    /// What is told of tools, a line each.
    fn lines(&self) -> String {
        let line = |(name, phase): &(String, Phase)| {
            let sign = match phase {
                Phase::Started => "⏳",
                Phase::Finished => "✓",
                Phase::Failed => "✗",
            };
            let name: String = name.chars().filter(|one| !one.is_control()).take(NAME).collect();
            format!("{sign} {name}")
        };
        match self.look.verbosity {
            Verbosity::Quiet => String::new(),
            Verbosity::Normal => {
                let running = self.tools.iter().rev().find(|(_, phase)| *phase == Phase::Started);
                running.map(line).unwrap_or_default()
            }
            Verbosity::Verbose => {
                let earlier = self.tools.len().saturating_sub(TOOLS);
                let more = (earlier > 0).then(|| format!("({earlier} more before)"));
                let lines: Vec<_> =
                    more.into_iter().chain(self.tools.iter().skip(earlier).map(line)).collect();
                lines.join("\n")
            }
        }
    }
}

#[cfg(test)]
mod tests;
