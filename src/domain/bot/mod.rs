//! Coding bots: what they are called, how they work, whether they do.

pub mod duty;
pub mod instruction;
pub mod journal;
pub mod proposals;
pub mod requests;

use serde::{Deserialize, Serialize};

use super::{
    Millis,
    board::{Refusal, check_text},
    ids::{BotId, ProjectId},
};

/// What does a bot's work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// Our own turn, with any configured model.
    #[default]
    Native,
    /// The Claude Code command line.
    ClaudeCode,
    /// The Codex command line.
    Codex,
}

impl Engine {
    /// The word that is typed and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Native, Self::ClaudeCode, Self::Codex].into_iter().find(|engine| engine.as_str() == text)
    }
}

/// What a bot does when no story is ready for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Idle {
    /// Nothing.
    #[default]
    Idle,
    /// It proposes stories into the backlog.
    Discovery,
}

impl Idle {
    /// The word that is typed and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Discovery => "discovery",
        }
    }

    /// Reads the word. `wait` is an older word for [`Idle::Idle`].
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "idle" | "wait" => Some(Self::Idle),
            "discovery" => Some(Self::Discovery),
            _ => None,
        }
    }
}

/// Whether a bot takes stories.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BotState {
    /// It does nothing until it is started.
    #[default]
    Stopped,
    /// It takes stories.
    Running,
    /// It takes no new stories.
    Paused,
}

impl BotState {
    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Running => "running",
            Self::Paused => "paused",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Stopped, Self::Running, Self::Paused].into_iter().find(|state| state.as_str() == text)
    }
}

/// How a bot works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BotSettings {
    /// What does the work.
    pub engine: Engine,
    /// Which model; `None` for the engine's own choice.
    pub model: Option<String>,
    /// What it is told before every story.
    pub system_prompt: Option<String>,
    /// How often it looks for a story.
    pub poll_interval_seconds: u32,
    /// How many stories it works on at once.
    pub max_concurrent_stories: u32,
    /// What a day may cost, in millionths of a US dollar; `None` for no cap of its own.
    pub day_micros: Option<u64>,
    /// What one story may cost.
    pub story_micros: Option<u64>,
    /// What it does when no story is ready.
    pub idle: Idle,
}

impl Default for BotSettings {
    fn default() -> Self {
        Self {
            engine: Engine::default(),
            model: None,
            system_prompt: None,
            poll_interval_seconds: 30,
            max_concurrent_stories: 1,
            day_micros: None,
            story_micros: None,
            idle: Idle::default(),
        }
    }
}

/// A bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bot {
    /// Its id.
    pub id: BotId,
    /// What it works on.
    pub project: ProjectId,
    /// What it is called; unique within the project.
    pub name: String,
    /// How it works.
    pub settings: BotSettings,
    /// Whether it does.
    pub state: BotState,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

/// A change to a bot; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BotChange {
    /// What it is called.
    pub name: Option<String>,
    /// What does the work.
    pub engine: Option<Engine>,
    /// Which model.
    pub model: Option<Option<String>>,
    /// What it is told before every story.
    pub system_prompt: Option<Option<String>>,
    /// How often it looks for a story.
    pub poll_interval_seconds: Option<u32>,
    /// How many stories it works on at once.
    pub max_concurrent_stories: Option<u32>,
    /// What a day may cost.
    pub day_micros: Option<Option<u64>>,
    /// What one story may cost.
    pub story_micros: Option<Option<u64>>,
    /// What it does when no story is ready.
    pub idle: Option<Idle>,
    /// Whether it takes stories.
    pub state: Option<BotState>,
}

impl Bot {
    /// A bot that was just made; it is stopped unless `change` starts it.
    ///
    /// # Errors
    /// [`Refusal::Bad`] with what does not fit; a name is needed.
    pub fn fresh(id: BotId, project: ProjectId, change: &BotChange, now: Millis) -> Result<Self, Refusal> {
        let (settings, state) = (BotSettings::default(), BotState::Stopped);
        let blank =
            Self { id, project, name: String::new(), settings, state, created_at: now, updated_at: now };
        blank.revise(change)
    }

    /// The bot after a change.
    ///
    /// # Errors
    /// [`Refusal::Bad`] with what does not fit.
    pub fn revise(&self, change: &BotChange) -> Result<Self, Refusal> {
        let mut next = self.clone();
        let settings = &mut next.settings;
        if let Some(name) = &change.name {
            name.trim().clone_into(&mut next.name);
        }
        settings.engine = change.engine.unwrap_or(settings.engine);
        settings.idle = change.idle.unwrap_or(settings.idle);
        settings.poll_interval_seconds =
            change.poll_interval_seconds.unwrap_or(settings.poll_interval_seconds);
        settings.max_concurrent_stories =
            change.max_concurrent_stories.unwrap_or(settings.max_concurrent_stories);
        settings.day_micros = change.day_micros.unwrap_or(settings.day_micros);
        settings.story_micros = change.story_micros.unwrap_or(settings.story_micros);
        if let Some(model) = &change.model {
            settings.model.clone_from(model);
        }
        if let Some(prompt) = &change.system_prompt {
            settings.system_prompt.clone_from(prompt);
        }
        next.state = change.state.unwrap_or(next.state);
        next.check()?;
        Ok(next)
    }

    fn check(&self) -> Result<(), Refusal> {
        let settings = &self.settings;
        check_text("name", &self.name, 1, 60, false)?;
        if let Some(model) = &settings.model {
            check_text("model", model, 1, 200, false)?;
            // It becomes an argument of a command line.
            if model.starts_with('-') || model.contains(char::is_whitespace) {
                return Err(Refusal::Bad("model must not begin with `-` or have spaces".into()));
            }
        }
        if let Some(prompt) = &settings.system_prompt {
            check_text("systemPrompt", prompt, 0, 20_000, true)?;
        }
        within("pollIntervalSeconds", settings.poll_interval_seconds, 1, 86_400)?;
        within("maxConcurrentStories", settings.max_concurrent_stories, 1, 16)
    }
}

fn within(what: &str, value: u32, least: u32, most: u32) -> Result<(), Refusal> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(Refusal::Bad(format!("{what} must be from {least} to {most}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for engine in [Engine::Native, Engine::ClaudeCode, Engine::Codex] {
            assert_eq!(Engine::parse(engine.as_str()), Some(engine));
        }
        for state in [BotState::Stopped, BotState::Running, BotState::Paused] {
            assert_eq!(BotState::parse(state.as_str()), Some(state));
        }
        assert_eq!(
            (Idle::parse("wait"), Idle::parse("discovery")),
            (Some(Idle::Idle), Some(Idle::Discovery))
        );
        assert_eq!((Engine::parse("Codex"), BotState::parse("idle"), Idle::parse("")), (None, None, None));
    }

    #[test]
    fn a_change_is_checked_as_a_whole() {
        let base = BotChange::default;
        let fresh = |change: &BotChange| Bot::fresh(BotId::new("b"), ProjectId::new("p"), change, 7);
        let bot = fresh(&BotChange { name: Some("fixer".into()), ..base() }).unwrap();
        assert_eq!(bot.state, BotState::Stopped);
        assert!(fresh(&base()).is_err(), "a bot needs a name");
        let next = bot
            .revise(&BotChange { name: Some(" other ".into()), state: Some(BotState::Running), ..base() })
            .unwrap();
        assert_eq!(
            (next.name.as_str(), next.state, &next.settings),
            ("other", BotState::Running, &bot.settings)
        );
        for (change, word) in [
            (BotChange { name: Some(" ".into()), ..base() }, "name"),
            (BotChange { model: Some(Some("--dangerous".into())), ..base() }, "model"),
            (BotChange { model: Some(Some("a b".into())), ..base() }, "model"),
            (BotChange { poll_interval_seconds: Some(0), ..base() }, "pollIntervalSeconds"),
            (BotChange { max_concurrent_stories: Some(17), ..base() }, "maxConcurrentStories"),
            (BotChange { system_prompt: Some(Some("x".repeat(20_001))), ..base() }, "systemPrompt"),
        ] {
            let Err(Refusal::Bad(why)) = bot.revise(&change) else { panic!("{change:?}") };
            assert!(why.contains(word), "{why}");
        }
    }
}
