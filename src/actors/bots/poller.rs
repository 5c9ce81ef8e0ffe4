//! The actor of one running bot: looks for work again and again, and tells how that went.

use std::{sync::Arc, time::Duration};

use actix::prelude::*;
use tokio::sync::oneshot;

use crate::{
    actors::kernel::{Life, Mail, messages::*},
    domain::{bot::Bot, ids::BotId},
};

use super::{
    kit::BotsKit,
    messages::{PollReport, Polled, Wake},
    poll::{self, Look},
};

/// Wakes are idempotent.
const MAILBOX: usize = 16;
/// Longest wait for the first look, and for one after a change: jobs that go on after a restart renew their claims first.
const SOON: Duration = Duration::from_secs(5);
/// Longest wait after looks that went wrong.
const SLOWEST: Duration = Duration::from_secs(15 * 60);

/// The ways to a poller.
pub struct PollerHandle {
    /// To look again soon.
    pub wake: Recipient<Mail<Wake>>,
    /// For a look.
    pub observe: Recipient<Mail<Observe>>,
    /// For the end.
    pub stop: Recipient<Mail<Stop>>,
}

/// The actor.
pub struct Poller {
    life: Life,
    bot: BotId,
    kit: Arc<BotsKit>,
    next: Option<SpawnHandle>,
    looking: bool,
    /// It was woken while it looked.
    woken: bool,
    first: bool,
    /// Looks in a row that went wrong.
    wrong: u32,
    last: PollReport,
    /// Who waits for the end of the look that is under way.
    leaving: Vec<oneshot::Sender<()>>,
}

impl Poller {
    /// The poller of a bot; it looks for the first time when its interval is over, or sooner.
    pub fn new(life: Life, bot: BotId, kit: Arc<BotsKit>) -> Self {
        Self {
            life,
            bot,
            kit,
            next: None,
            looking: false,
            woken: false,
            first: true,
            wrong: 0,
            last: PollReport::default(),
            leaving: Vec::new(),
        }
    }

    fn look_in(&mut self, wait: Duration, ctx: &mut Context<Self>) {
        if let Some(next) = self.next.take() {
            ctx.cancel_future(next);
        }
        self.next = Some(ctx.run_later(wait, Self::look));
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        self.next = None;
        self.looking = true;
        let look = poll::poll(Arc::clone(&self.kit), self.bot.clone(), self.first);
        ctx.spawn(look.into_actor(self).map(|look: Look, poller, ctx| {
            poller.looking = false;
            for left in std::mem::take(&mut poller.leaving) {
                let _ = left.send(());
            }
            poller.looked(look, ctx);
        }));
    }

    fn looked(&mut self, look: Look, ctx: &mut Context<Self>) {
        let woken = std::mem::take(&mut self.woken);
        // One that does not run any more, or cannot be looked up, is ended by its parent when that is so.
        let Some((bot, report)) = look else { return self.look_in(SOON, ctx) };
        self.first &= report.error.is_some();
        self.wrong = if report.error.is_some() { self.wrong.saturating_add(1) } else { 0 };
        self.last = report.clone();
        if let Some(error) = &report.error {
            self.life.vitals().note_error(error.clone());
        }
        // Lost when nobody is there: the next one tells as much.
        let _ = self.kit.doors.polled.try_send(Polled { bot: self.bot.clone(), report });
        let wait = if woken { soon(&bot) } else { wait(&bot, self.wrong) };
        self.look_in(wait, ctx);
    }
}

fn interval(bot: &Bot) -> Duration {
    Duration::from_secs(u64::from(bot.settings.poll_interval_seconds))
}

fn soon(bot: &Bot) -> Duration {
    interval(bot).min(SOON)
}

/// The wait for the next look: the bot's interval, and longer after looks that went wrong.
fn wait(bot: &Bot, wrong: u32) -> Duration {
    let interval = interval(bot);
    let slower = interval.saturating_mul(1 << wrong.min(10));
    slower.min(SLOWEST.max(interval))
}

impl Actor for Poller {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, MAILBOX);
        let bot = self.kit.doors.bot.ask(crate::actors::db::messages::GetBot { id: self.bot.clone() });
        ctx.spawn(bot.into_actor(self).map(|bot, poller, ctx| {
            let wait = bot.ok().flatten().as_ref().map_or(SOON, soon);
            poller.look_in(wait, ctx);
        }));
    }
}

impl Handler<Mail<Wake>> for Poller {
    type Result = ();

    fn handle(&mut self, mail: Mail<Wake>, ctx: &mut Self::Context) {
        let (Wake, _ticket) = mail.open();
        self.wrong = 0;
        if self.looking {
            self.woken = true;
        } else {
            let bot = self.kit.doors.bot.ask(crate::actors::db::messages::GetBot { id: self.bot.clone() });
            ctx.spawn(bot.into_actor(self).map(|bot, poller, ctx| {
                if !poller.looking {
                    poller.look_in(bot.ok().flatten().as_ref().map_or(SOON, soon), ctx);
                }
            }));
        }
    }
}

impl Handler<Mail<Observe>> for Poller {
    type Result = Snapshot;

    fn handle(&mut self, mail: Mail<Observe>, _: &mut Self::Context) -> Snapshot {
        let (_, _ticket) = mail.open();
        let PollReport { at, taken, waits, error } = &self.last;
        Snapshot(serde_json::json!({
            "bot": self.bot, "looking": self.looking, "lastPoll": at, "taken": taken, "waits": waits, "error": error,
        }))
    }
}

impl Handler<Mail<Stop>> for Poller {
    type Result = ResponseActFuture<Self, Drained>;

    /// A look that is under way comes to its end: a story that it claimed becomes a job, or is given back.
    fn handle(&mut self, mail: Mail<Stop>, ctx: &mut Self::Context) -> Self::Result {
        let (_, _ticket) = mail.open();
        if let Some(next) = self.next.take() {
            ctx.cancel_future(next);
        }
        let under_way = self.looking.then(|| {
            let (left, gone) = oneshot::channel();
            self.leaving.push(left);
            gone
        });
        let ended = async move {
            if let Some(gone) = under_way {
                let _ = gone.await;
            }
        };
        Box::pin(ended.into_actor(self).map(|(), poller, ctx| {
            poller.life.stop(ctx);
            Drained
        }))
    }
}
