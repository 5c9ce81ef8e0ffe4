//! One look of a bot for work: its day's budget, the stories that it takes, and what it does when there are none.

use std::sync::Arc;

use crate::{
    actors::db::messages::*,
    domain::{
        Millis,
        board::{By, ColumnRole, Outcome, Refusal, Story, StoryFilter, fit_text},
        bot::{
            Bot, BotState, duty,
            instruction::{self, FAILURES},
            journal::{Entry, EntryKind},
        },
        budget,
        ids::{BotId, EntryId, JobId, of_step},
        job::{Outcome as Came, TaskFilter},
        message::FileRef,
    },
};

use super::{
    kit::BotsKit,
    messages::PollReport,
    submit::{Given, give, remembered},
};

/// Most stories that are looked through at once.
const MANY: usize = 500;

/// Milliseconds of a day.
const DAY: Millis = 86_400_000;

/// A bot that looked, and how it went; `None` when it does not run any more.
pub(super) type Look = Option<(Bot, PollReport)>;

/// Lets a bot look for work once. The first look after a start also takes up stories that it claimed and for which there
/// is no job: whoever was cut off between the two goes on here.
pub(super) async fn poll(kit: Arc<BotsKit>, id: BotId, first: bool) -> Look {
    let at = kit.clock.now();
    let found = kit.doors.bot.ask(GetBot { id: id.clone() }).await;
    let bot = match found {
        Ok(Some(bot)) if bot.state == BotState::Running => bot,
        Ok(_) => return None,
        Err(error) => {
            // Who it is comes with the next look that works.
            tracing::warn!(bot = %id, %error, "a bot cannot be looked up");
            return None;
        }
    };
    let mut report = PollReport { at, ..PollReport::default() };
    if let Err(error) = look(&kit, &bot, first, &mut report).await {
        tracing::warn!(bot = %bot.name, error, "a bot cannot look for work");
        report.error = Some(error);
    }
    Some((bot, report))
}

async fn look(kit: &BotsKit, bot: &Bot, first: bool, report: &mut PollReport) -> Result<(), String> {
    if first {
        report.taken += take_up(kit, bot).await?;
    }
    let (spent, raised) = kit.doors.day.ask(BotDay { bot: bot.id.clone(), now: report.at }).await.words()?;
    if let Some(why) = duty::day_is_spent(bot, spent, raised) {
        say_once(kit, bot, &why).await?;
        report.waits = Some(why);
        return Ok(());
    }
    for _ in 0..bot.settings.max_concurrent_stories {
        let by = by(kit, bot);
        let claim = ClaimStory { bot: bot.id.clone(), lease_ms: kit.settings.lease_ms, by };
        match kit.doors.claim.ask(claim).await {
            Ok(Some(grant)) => begin(kit, bot, &grant.story, grant.token).await?,
            Ok(None) => return if report.taken == 0 { discover(kit, bot, report).await } else { Ok(()) },
            // It was stopped or paused just now.
            Err(DbError::Board(Refusal::NotRunning(_))) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
        report.taken += 1;
    }
    Ok(())
}

/// Stories that it holds and for which there is no job.
async fn take_up(kit: &BotsKit, bot: &Bot) -> Result<u32, String> {
    let filter = StoryFilter { role: Some(ColumnRole::InProgress), ..StoryFilter::default() };
    let ask = ListStories { project: bot.project.clone(), filter, limit: MANY, offset: 0 };
    let (stories, _) = kit.doors.stories.ask(ask).await.words()?;
    let mut taken = 0;
    for story in stories {
        if story.claim.as_ref().is_none_or(|claim| claim.bot != bot.id) {
            continue;
        }
        let job = instruction::story_job(&story.id, story.token);
        // What was claimed for the bot over REST is worked on by whoever claimed it.
        let own = claimed_by(kit, &story).await? == Some(instruction::actor_of(bot));
        if own && kit.doors.task.ask(GetTask { job }).await.words()?.is_none() {
            begin(kit, bot, &story, story.token).await?;
            taken += 1;
        }
    }
    Ok(taken)
}

/// Who claimed a story last.
async fn claimed_by(kit: &BotsKit, story: &Story) -> Result<Option<String>, String> {
    let ask = StoryHistory { id: story.id.clone(), limit: MANY, offset: 0 };
    let (changes, _) = kit.doors.history.ask(ask).await.words()?;
    Ok(changes.into_iter().find(|change| change.action == "claimed").map(|change| change.actor))
}

/// Gives a claimed story as a job; gives it back when that cannot be.
async fn begin(kit: &BotsKit, bot: &Bot, story: &Story, token: u64) -> Result<(), String> {
    let why = match compose(kit, bot, story, token).await {
        Ok(task) => match give(kit, task).await {
            Given::Stored => return Ok(()),
            Given::Refused(why) | Given::Later(why) => why,
        },
        Err(why) => why,
    };
    let release =
        ReleaseClaim { story: story.id.clone(), token, outcome: Outcome::Returned, by: by(kit, bot) };
    match kit.doors.release.ask(release).await {
        // It was taken away meanwhile, which gives it back as well.
        Ok(_) | Err(DbError::Board(Refusal::Fenced(_))) => {}
        Err(error) => {
            tracing::warn!(story = %story.id, %error, "a story cannot be given back: its claim lapses");
        }
    }
    Err(format!("the story `{}` could not be begun: {why}", story.title))
}

async fn compose(
    kit: &BotsKit,
    bot: &Bot,
    story: &Story,
    token: u64,
) -> Result<crate::domain::job::NewTask, String> {
    let mut files: Vec<FileRef> = Vec::new();
    for id in &story.attachments {
        let found = kit.doors.file.ask(GetFile { id: id.clone() }).await.words()?;
        files.extend(found.map(|(file, _)| file));
    }
    let filter = TaskFilter { story: Some(story.id.clone()), over: Some(true), ..TaskFilter::default() };
    let (earlier, _) =
        kit.doors.tasks.ask(ListTasks { filter, limit: 4 * FAILURES, offset: 0 }).await.words()?;
    let failed = |came: Option<Came>| matches!(came, Some(Came::Failed | Came::Unchanged));
    let failures: Vec<String> = earlier
        .into_iter()
        .filter(|task| failed(task.head.outcome))
        .map(|task| task.head.text)
        .take(FAILURES)
        .collect();
    let noted = remembered(kit, bot).await.words()?;
    let now = kit.clock.now();
    Ok(instruction::for_story(bot, (story, token), files, &failures, &noted, now))
}

/// Looks for work to propose, if the bot may.
async fn discover(kit: &BotsKit, bot: &Bot, report: &mut PollReport) -> Result<(), String> {
    if !duty::may_discover(bot, 0, 0) {
        return Ok(());
    }
    let filter = TaskFilter { bot: Some(bot.id.clone()), over: Some(false), ..TaskFilter::default() };
    let (_, open) = kit.doors.tasks.ask(ListTasks { filter, limit: 1, offset: 0 }).await.words()?;
    let waiting = kit.doors.proposals.ask(WaitingProposals { bot: bot.id.clone() }).await.words()?;
    if !duty::may_discover(bot, open, waiting) {
        if waiting > 0 {
            report.waits = Some("what it proposed waits in the backlog for a person".into());
        }
        return Ok(());
    }
    let now = kit.clock.now();
    let job = instruction::discovery_job(bot, duty::discovery_hour(now));
    if kit.doors.task.ask(GetTask { job }).await.words()?.is_some() {
        report.waits = Some("it looked for work within this hour".into());
        return Ok(());
    }
    let noted = remembered(kit, bot).await.words()?;
    match give(kit, instruction::for_discovery(bot, &noted, now)).await {
        Given::Stored => {
            report.waits = Some("no story is ready: it looks for work to propose".into());
            Ok(())
        }
        Given::Refused(why) | Given::Later(why) => Err(format!("it cannot look for work to propose: {why}")),
    }
}

/// Says in the bot's journal that its day is spent, once a day.
async fn say_once(kit: &BotsKit, bot: &Bot, why: &str) -> Result<(), String> {
    let now = kit.clock.now();
    // The day's own name: whoever says it again says nothing.
    let id = of_step(budget::window(now) * DAY, &JobId::new(format!("day/{}", bot.id)), 0);
    let entry = Entry {
        id: EntryId::new(id),
        bot: bot.id.clone(),
        kind: EntryKind::Observation,
        summary: fit_text(why, 500, false),
        details: String::new(),
        story: None,
        job: None,
        at: now,
    };
    kit.doors.add_entry.ask(AddEntry { entry }).await.words().map(|_| ())
}

fn by(kit: &BotsKit, bot: &Bot) -> By {
    By { actor: instruction::actor_of(bot), at: kit.clock.now() }
}

/// An error in words.
trait Words<T> {
    fn words(self) -> Result<T, String>;
}

impl<T> Words<T> for Result<T, DbError> {
    fn words(self) -> Result<T, String> {
        self.map_err(|error| error.to_string())
    }
}
