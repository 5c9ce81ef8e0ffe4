//! What a bot does now: over REST, beside what it is.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    actors::{
        bots::messages::{BotChanged, LookAtBot},
        db::messages::{BotDay, ListTasks},
    },
    domain::{
        bot::{Bot, BotState},
        ids::BotId,
        job::TaskFilter,
    },
};

use super::{board_shapes::BotShape, error::ApiResult, kit::WebKit, shapes::time};

/// Most jobs that are shown.
const JOBS: usize = 100;

/// What a bot does now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct BotWork {
    /// It takes stories.
    running: bool,
    /// Stories that its open tasks work on.
    story_ids: Vec<String>,
    /// Its open tasks.
    job_ids: Vec<String>,
    /// When it looked for work last; nothing when it has not since Atoll was started.
    last_poll_at: Option<String>,
    /// Why it takes nothing for now, though nothing is wrong.
    waits_for: Option<String>,
    /// What went wrong at the last look.
    last_error: Option<String>,
    /// What it spent today (UTC).
    spent_today_usd: f64,
}

/// A bot, and what it does now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BotDetail {
    #[serde(flatten)]
    bot: BotShape,
    #[serde(flatten)]
    work: BotWork,
}

impl BotDetail {
    /// A bot as it is now.
    pub(super) async fn of(kit: &WebKit, bot: Bot) -> ApiResult<Self> {
        let work = BotWork::of(kit, &bot).await?;
        Ok(Self { bot: bot.into(), work })
    }
}

impl BotWork {
    /// What a bot does now.
    pub(super) async fn of(kit: &WebKit, bot: &Bot) -> ApiResult<Self> {
        let read = &kit.doors.db.read;
        let filter = TaskFilter { bot: Some(bot.id.clone()), over: Some(false), ..TaskFilter::default() };
        let (tasks, _) = read.list_tasks.ask(ListTasks { filter, limit: JOBS, offset: 0 }).await?;
        let (spent, _) = read.bot_day.ask(BotDay { bot: bot.id.clone(), now: kit.clock.now() }).await?;
        // Who is down knows nothing: the rest is as true without it.
        let last = kit.doors.look_at_bot.send(LookAtBot(bot.id.clone())).await.ok().flatten();
        let stories = tasks.iter().filter_map(|task| task.asked.story.as_ref());
        Ok(Self {
            running: bot.state == BotState::Running,
            story_ids: stories.map(|on| on.story.to_string()).collect(),
            job_ids: tasks.iter().map(|task| task.asked.id.to_string()).collect(),
            last_poll_at: last.as_ref().map(|last| time(last.at)),
            waits_for: last.as_ref().and_then(|last| last.waits.clone()),
            last_error: last.and_then(|last| last.error),
            spent_today_usd: spent.micros as f64 / 1e6,
        })
    }
}

/// Tells those who keep the bots that one changed. They look by themselves when this is lost.
pub(super) fn changed(kit: &WebKit, bot: &BotId) {
    if let Err(error) = kit.doors.bot_changed.try_send(BotChanged(bot.clone())) {
        tracing::debug!(%bot, %error, "the bots were not told of a change");
    }
}
