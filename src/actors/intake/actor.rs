//! The intake: small checks, then on to the router. It holds no message: what it cannot pass on it refuses.

use std::{future::ready, sync::Arc};

use actix::prelude::*;
use futures_util::future::BoxFuture;

use crate::{
    actors::{
        db::messages::*,
        jobs::messages::Submit,
        kernel::{Door, Life, Mail, messages::*},
        llm_pool::messages::Providers,
        outbox::messages::Fresh,
        router::messages::{Command, Route, To},
        session::messages::{self as session, Deliver},
        skill_host::messages::ListSkills,
    },
    domain::{
        command,
        ids::{ConversationId, DEFAULT_CONVERSATION},
        inbound::{Accepted, NewInbound, Refused},
        offer::Offered,
        rate::Buckets,
    },
    ports::clock::Clock,
};

use super::messages::{Answers, Offer, Order, Suggest, Taken, What};

/// Beyond this many messages in one moment senders are told to try again.
const MAILBOX: usize = 2_048;

/// Whom an intake talks to.
#[derive(Clone)]
pub struct IntakeDoors {
    /// For messages.
    pub route: Door<Route>,
    /// For orders.
    pub command: Door<Command>,
    /// Recognises messages that came before.
    pub known: Door<Known>,
    /// Stores a command with its answer.
    pub answer: Door<AnswerDirect>,
    /// Answers questions.
    pub answers: Answers,
    /// What commands look up.
    pub memories: Door<ListMemories>,
    /// What kinds of memories there are.
    pub categories: Door<MemoryCategories>,
    /// What is under way.
    pub under_way: Door<UnderWay>,
    /// What was spent.
    pub today: Door<Today>,
    /// The skills.
    pub skills: Door<ListSkills>,
    /// What a person chose.
    pub user: Door<GetUser>,
    /// Notes what they choose.
    pub prefer: Door<SetPreference>,
    /// Codes for their other accounts.
    pub issue_code: Door<IssueCode>,
    /// The models.
    pub providers: Door<Providers>,
    /// Open questions.
    pub approvals: Door<ListApprovals>,
    /// Projects.
    pub projects: Door<ListProjects>,
    /// One of them.
    pub project: Door<FindProject>,
    /// Coding tasks.
    pub list_tasks: Door<ListTasks>,
    /// Those that come by the clock.
    pub schedules: Door<ListSchedules>,
    /// One of them.
    pub task: Door<GetTask>,
    /// Takes them in.
    pub submit: Door<Submit>,
    /// Sends answers to commands.
    pub fresh: Door<Fresh>,
}

/// What bounds an intake.
#[derive(Debug, Clone)]
pub struct IntakeSettings {
    /// The channel.
    pub channel: &'static str,
    /// Longest message, in characters.
    pub max_input_length: usize,
    /// Messages a minute for each user; 0 for no limit.
    pub messages_per_minute: u32,
}

/// The actor.
pub struct Intake {
    life: Life,
    settings: IntakeSettings,
    doors: Arc<IntakeDoors>,
    clock: Arc<dyn Clock>,
    pace: Buckets,
    draining: bool,
    taken: u64,
    refused: u64,
}

impl Intake {
    /// The intake of one channel.
    pub fn new(life: Life, settings: IntakeSettings, doors: IntakeDoors, clock: Arc<dyn Clock>) -> Self {
        let pace = Buckets::new(settings.messages_per_minute);
        let doors = Arc::new(doors);
        Self { life, settings, doors, clock, pace, draining: false, taken: 0, refused: 0 }
    }

    /// What can be said about a message before it is stored.
    fn check(&mut self, message: &NewInbound) -> Result<(), Refused> {
        if self.draining {
            return Err(Refused::Draining);
        }
        if message.text.trim().is_empty() && message.attachments.is_empty() {
            return Err(Refused::Empty);
        }
        let (length, limit) = (message.text.chars().count(), self.settings.max_input_length);
        if length > limit {
            return Err(Refused::TooLong { length, limit });
        }
        if matches!(
            command::parse(&message.text),
            Some(Ok(command::Command::Cancel(_) | command::Command::Stop))
        ) {
            // Whoever writes too much must still be able to end what that began.
            return Ok(());
        }
        self.pace
            .take(self.clock.now(), message.user.as_str())
            .map_err(|retry_after_ms| Refused::TooFast { retry_after_ms })
    }

    /// Checks a message that is new as far as is known, and passes it on.
    fn take(&mut self, offer: Offer) -> BoxFuture<'static, Result<Taken, Refused>> {
        if let Err(refused) = self.check(&offer.message) {
            self.refused += 1;
            return Box::pin(ready(Err(refused)));
        }
        self.taken += 1;
        let doors = Arc::clone(&self.doors);
        if let Some(command) = command::parse(&offer.message.text) {
            return Box::pin(super::commands::answer(doors, Arc::clone(&self.clock), offer, command));
        }
        let Offer { message, while_busy, .. } = offer;
        Box::pin(async move {
            let routed = doors.route.send(Route(Deliver { message, while_busy })).await;
            match routed.unwrap_or_else(|error| Err(Refused::Unavailable(error.to_string())))? {
                Accepted::New => Ok(Taken::New),
                Accepted::Duplicate { first } => Ok(Taken::Duplicate(first)),
            }
        })
    }
}

impl Actor for Intake {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.life.capacity(ctx, MAILBOX);
    }
}

impl Handler<Mail<Offer>> for Intake {
    type Result = ResponseActFuture<Self, Result<Taken, Refused>>;

    fn handle(&mut self, mail: Mail<Offer>, _: &mut Self::Context) -> Self::Result {
        let (offer, _ticket) = mail.open();
        if offer.message.external_id.is_none() {
            return Box::pin(self.take(offer).into_actor(self));
        }
        // A message that comes again is answered, not checked or done again.
        let known = self.doors.known.ask(Known { message: offer.message.clone() });
        Box::pin(known.into_actor(self).then(move |known, intake, _| {
            let taken: BoxFuture<'static, _> = match known {
                Ok(None) => intake.take(offer),
                Ok(Some(first)) => Box::pin(ready(Ok(Taken::Duplicate(first)))),
                Err(DbError::KeyReused) => Box::pin(ready(Err(Refused::KeyReused))),
                Err(error) => Box::pin(ready(Err(Refused::Unavailable(error.to_string())))),
            };
            taken.into_actor(intake)
        }))
    }
}

impl Handler<Mail<Order>> for Intake {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, mail: Mail<Order>, _: &mut Self::Context) -> Self::Result {
        let (Order { user, conversation, what }, _ticket) = mail.open();
        let channel = self.settings.channel;
        let default = ConversationId::of(channel, &user, DEFAULT_CONVERSATION).ok();
        let to = match (conversation, what) {
            (Some(id), _) => To::One(id),
            // To begin anew is said to one conversation; to end work, to all of them.
            (None, What::Clear) => match default {
                Some(id) => To::One(id),
                None => return Box::pin(std::future::ready(0)),
            },
            (None, What::Cancel | What::Stop) => To::AllOf { channel: channel.to_owned(), user },
        };
        let order = match what {
            What::Cancel => session::Order::Cancel,
            What::Stop => session::Order::Stop,
            What::Clear => session::Order::Clear,
        };
        let told = self.doors.command.send(Command { to, order });
        Box::pin(async move { told.await.unwrap_or(0) })
    }
}

impl Handler<Mail<Suggest>> for Intake {
    type Result = ResponseFuture<Vec<Offered>>;

    fn handle(&mut self, mail: Mail<Suggest>, _: &mut Self::Context) -> Self::Result {
        let (asked, _ticket) = mail.open();
        let doors = Arc::clone(&self.doors);
        Box::pin(async move { super::commands::suggest(&doors, asked).await })
    }
}

impl Handler<Mail<Observe>> for Intake {
    type Result = Snapshot;

    fn handle(&mut self, mail: Mail<Observe>, _: &mut Self::Context) -> Snapshot {
        let (_, _ticket) = mail.open();
        Snapshot(serde_json::json!({
            "channel": self.settings.channel,
            "taken": self.taken,
            "refused": self.refused,
            "draining": self.draining,
        }))
    }
}

impl Handler<Mail<Stop>> for Intake {
    type Result = Drained;

    /// From now on everything is refused; the actor stays to say so until the process ends.
    fn handle(&mut self, mail: Mail<Stop>, _: &mut Self::Context) -> Drained {
        let (_, _ticket) = mail.open();
        self.draining = true;
        Drained
    }
}
