//! The reception: keeps its platform listening, and lets what comes in go its way: in order in one place, and beside
//! all other places.

use std::{
    collections::{HashMap, VecDeque},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix::prelude::*;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    actors::{
        db::messages::{GetPosition, SetPosition},
        kernel::{Door, Life, Mail, caught, messages::*},
    },
    domain::{
        Millis,
        chat::{Incoming, Link, Receipt},
        gate::{self, Haste},
        retry::backoff,
    },
    ports::platform::NotNow,
};

use super::{
    kit::{Desk, ReceptionKit},
    listen::Ear,
    messages::{ChannelReport, Reached, Report, Take, Told},
    receive,
};

/// Beyond this many in one moment a platform is told to come again.
const MAILBOX: usize = 2_048;
/// Most that wait in one place.
const WAITING: usize = 64;
/// First and longest pause before listening begins anew, in milliseconds.
const PAUSE: (u64, u64) = (500, 60_000);

type Answer = oneshot::Sender<Result<Receipt, NotNow>>;

/// How the connection stands.
#[derive(Debug, Default)]
struct Standing {
    state: &'static str,
    since: Millis,
    account: Option<String>,
    last_update: Option<Millis>,
    last_error: Option<(Millis, String)>,
}

/// The actor.
pub struct Reception {
    life: Life,
    desk: Rc<Desk>,
    standing: Standing,
    /// What waits in each place where something is under way.
    lanes: HashMap<String, VecDeque<(Incoming, Answer)>>,
    /// What is under way, in lanes and beside them.
    busy: usize,
    /// Ends listening; dropped with the actor, it ends too.
    stop: Option<DropGuard>,
    listening: bool,
    /// Falls of listening in a row.
    falls: u32,
    draining: Option<oneshot::Sender<Drained>>,
    ending: bool,
}

impl Reception {
    /// The reception of one platform.
    pub fn new(life: Life, kit: ReceptionKit) -> Self {
        let standing = Standing { state: "connecting", since: kit.clock.now(), ..Standing::default() };
        Self {
            life,
            desk: Rc::new(Desk::new(kit)),
            standing,
            lanes: HashMap::new(),
            busy: 0,
            stop: None,
            listening: false,
            falls: 0,
            draining: None,
            ending: false,
        }
    }

    fn listen(&mut self, ctx: &mut Context<Self>) {
        let channel = self.desk.channel().to_owned();
        let position = self.desk.kit.doors.position.ask(GetPosition { channel });
        ctx.spawn(position.into_actor(self).map(|position, reception, ctx| match position {
            _ if reception.ending => {}
            Ok(position) => reception.listen_from(position, ctx),
            Err(error) => reception.fell(error.to_string(), ctx),
        }));
    }

    fn listen_from(&mut self, position: Option<String>, ctx: &mut Context<Self>) {
        let (addr, vitals) = (ctx.address(), self.life.vitals());
        let ear = Ear {
            take: Door::to("the reception", addr.clone().recipient(), Arc::clone(vitals)),
            reached: Door::to("the reception", addr.clone().recipient(), Arc::clone(vitals)),
            told: Door::to("the reception", addr.recipient(), Arc::clone(vitals)),
        };
        let stop = CancellationToken::new();
        let listening = self.desk.kit.platform.listen(Arc::new(ear), position, stop.clone());
        self.stop = Some(stop.drop_guard());
        self.listening = true;
        let (began, vitals) = (self.desk.kit.clock.now(), Arc::clone(vitals));
        // A task of its own: an adapter that works hard holds up nobody's mail.
        let task = actix::spawn(async move { caught(&vitals, listening).await });
        ctx.spawn(task.into_actor(self).map(move |ended, reception, ctx| {
            reception.listening = false;
            if reception.ending {
                return reception.end_if_done(ctx);
            }
            if reception.desk.kit.clock.now() - began > PAUSE.1.cast_signed() {
                reception.falls = 0;
            }
            let why = match ended {
                Ok(Err(panicked)) => panicked.to_string(),
                Ok(Ok(())) => "listening ended by itself".to_owned(),
                Err(error) => error.to_string(),
            };
            reception.fell(why, ctx);
        }));
    }

    /// Listening is over though nobody wanted that: it begins anew after a pause.
    fn fell(&mut self, why: String, ctx: &mut Context<Self>) {
        self.falls = self.falls.saturating_add(1);
        let wait = backoff(self.falls, PAUSE.0, PAUSE.1, self.desk.kit.clock.dice());
        tracing::warn!(
            channel = self.desk.channel(),
            why,
            wait_ms = wait,
            "a chat platform is not listened to"
        );
        self.told(Link::Down { why });
        ctx.run_later(Duration::from_millis(wait), |reception, ctx| {
            if !reception.ending {
                reception.listen(ctx);
            }
        });
    }

    fn told(&mut self, link: Link) {
        let now = self.desk.kit.clock.now();
        let (state, why) = match link {
            Link::Up { account } => {
                self.standing.account = Some(account);
                self.standing.last_update = Some(now);
                self.falls = 0;
                ("up", None)
            }
            Link::Down { why } => ("down", Some(why)),
            Link::Refused { why } => ("refused", Some(why)),
        };
        let (channel, changed) = (self.desk.channel(), self.standing.state != state);
        if changed {
            (self.standing.state, self.standing.since) = (state, now);
        }
        match (why, changed) {
            (None, true) => {
                let account = self.standing.account.as_deref();
                tracing::info!(channel, account, "a chat platform is listened to");
            }
            (Some(why), changed) => {
                if changed && state == "refused" {
                    tracing::error!(channel, why, "a chat platform refuses us");
                } else if changed {
                    tracing::warn!(channel, why, "the connection to a chat platform is lost");
                }
                self.life.vitals().note_error(why.clone());
                self.standing.last_error = Some((now, why));
            }
            (None, false) => {}
        }
    }

    fn take(&mut self, incoming: Incoming, answer: Answer, ctx: &mut Context<Self>) {
        if self.ending {
            let _ = answer.send(Err(NotNow("shutting down".into())));
            return;
        }
        let haste = gate::haste(&incoming.event);
        if haste == Haste::Beside {
            return self.go(incoming, answer, None, ctx);
        }
        let (place, ends) = (incoming.place.name(), haste == Haste::Ends);
        match self.lanes.get_mut(&place) {
            None => {
                self.lanes.insert(place.clone(), VecDeque::new());
                self.go(incoming, answer, Some(place), ctx);
            }
            Some(lane) if ends || lane.len() < WAITING => {
                let id = incoming.id.clone();
                lane.push_back((incoming, answer));
                if ends {
                    let soon = Duration::from_millis(gate::SOON_MS);
                    ctx.run_later(soon, move |reception, ctx| reception.hasten(&place, &id, ctx));
                }
            }
            Some(_) => {
                let _ = answer.send(Err(NotNow("too much waits in this chat".into())));
            }
        }
    }

    /// What ends work has waited long enough for what came before it.
    fn hasten(&mut self, place: &str, id: &str, ctx: &mut Context<Self>) {
        let Some(lane) = self.lanes.get_mut(place) else { return };
        let at = lane.iter().position(|(incoming, _)| incoming.id == id);
        if let Some((incoming, answer)) = at.and_then(|at| lane.remove(at)) {
            self.go(incoming, answer, None, ctx);
        }
    }

    /// One thing goes its way; then the next one of its lane does.
    fn go(&mut self, incoming: Incoming, answer: Answer, lane: Option<String>, ctx: &mut Context<Self>) {
        self.busy += 1;
        let (desk, vitals) = (Rc::clone(&self.desk), Arc::clone(self.life.vitals()));
        let work = async move { caught(&vitals, receive::receive(&desk, incoming)).await };
        ctx.spawn(work.into_actor(self).map(move |received, reception, ctx| {
            reception.busy = reception.busy.saturating_sub(1);
            let received = received.unwrap_or_else(|panicked| Err(NotNow(panicked.to_string())));
            let _ = answer.send(received);
            if let Some(place) = lane {
                reception.next(place, ctx);
            }
            reception.end_if_done(ctx);
        }));
    }

    fn next(&mut self, place: String, ctx: &mut Context<Self>) {
        let next = self.lanes.get_mut(&place).and_then(VecDeque::pop_front);
        match next {
            Some((incoming, answer)) => self.go(incoming, answer, Some(place), ctx),
            None => drop(self.lanes.remove(&place)),
        }
    }

    fn end_if_done(&mut self, ctx: &mut Context<Self>) {
        if !self.listening
            && self.busy == 0
            && let Some(answer) = self.draining.take()
        {
            let _ = answer.send(Drained);
            self.life.stop(ctx);
        }
    }

    fn report(&self) -> ChannelReport {
        let standing = &self.standing;
        ChannelReport {
            channel: self.desk.channel().to_owned(),
            state: standing.state.to_owned(),
            since: standing.since,
            account: standing.account.clone(),
            last_update: standing.last_update,
            last_error: standing.last_error.as_ref().map(|(_, why)| why.clone()),
            last_error_at: standing.last_error.as_ref().map(|(at, _)| *at),
            policy: self.desk.kit.settings.rules.policy.as_str().to_owned(),
            taken: self.desk.taken.get(),
        }
    }
}

impl Actor for Reception {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, MAILBOX);
        self.listen(ctx);
    }
}

impl Handler<Mail<Take>> for Reception {
    type Result = ResponseFuture<Result<Receipt, NotNow>>;

    fn handle(&mut self, mail: Mail<Take>, ctx: &mut Self::Context) -> Self::Result {
        let (Take(incoming), _ticket) = mail.open();
        let (answer, answered) = oneshot::channel();
        self.take(incoming, answer, ctx);
        Box::pin(async move { answered.await.unwrap_or_else(|_| Err(NotNow("interrupted".into()))) })
    }
}

impl Handler<Mail<Reached>> for Reception {
    type Result = ResponseFuture<Result<(), NotNow>>;

    fn handle(&mut self, mail: Mail<Reached>, _: &mut Self::Context) -> Self::Result {
        let (Reached(position), _ticket) = mail.open();
        let channel = self.desk.channel().to_owned();
        let stored = self.desk.kit.doors.set_position.ask(SetPosition { channel, position });
        Box::pin(async move { stored.await.map_err(|error| NotNow(error.to_string())) })
    }
}

impl Handler<Mail<Told>> for Reception {
    type Result = ();

    fn handle(&mut self, mail: Mail<Told>, _: &mut Self::Context) {
        let (Told(link), _ticket) = mail.open();
        self.told(link);
    }
}

impl Handler<Mail<Report>> for Reception {
    type Result = ChannelReport;

    fn handle(&mut self, mail: Mail<Report>, _: &mut Self::Context) -> ChannelReport {
        let (_, _ticket) = mail.open();
        self.report()
    }
}

impl Handler<Mail<Observe>> for Reception {
    type Result = Snapshot;

    fn handle(&mut self, mail: Mail<Observe>, _: &mut Self::Context) -> Snapshot {
        let (_, _ticket) = mail.open();
        let waiting: usize = self.lanes.values().map(VecDeque::len).sum();
        let report = self.report();
        Snapshot(serde_json::json!({
            "channel": report.channel, "state": report.state, "account": report.account,
            "lastError": report.last_error, "busy": self.busy, "waiting": waiting, "taken": report.taken,
        }))
    }
}

impl Handler<Mail<Stop>> for Reception {
    type Result = ResponseFuture<Drained>;

    /// Listens no more, and fetches no more. What is being stored comes to its end; all else is offered again by the
    /// platform at the next start.
    fn handle(&mut self, mail: Mail<Stop>, ctx: &mut Self::Context) -> Self::Result {
        let (Stop { deadline }, _ticket) = mail.open();
        self.ending = true;
        self.stop = None;
        self.desk.end();
        for (_, answer) in self.lanes.values_mut().flat_map(|lane| lane.drain(..)) {
            let _ = answer.send(Err(NotNow("shutting down".into())));
        }
        let (answer, drained) = oneshot::channel();
        self.draining = Some(answer);
        let left = (deadline - self.desk.kit.clock.now()).max(0).unsigned_abs();
        ctx.run_later(Duration::from_millis(left), |reception, ctx| {
            (reception.busy, reception.listening) = (0, false);
            reception.end_if_done(ctx);
        });
        self.end_if_done(ctx);
        Box::pin(async move { drained.await.unwrap_or(Drained) })
    }
}
