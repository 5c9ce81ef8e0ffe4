//! The gateway's session (<https://docs.discord.com/developers/events/gateway>): what is answered to each frame, when a
//! heartbeat is due, how a lost connection goes on. No clock and no socket: time comes in, orders go out.

use serde_json::{json, value::RawValue};
use serenity::model::gateway::GatewayIntents;

use super::{
    known::Life,
    wire::{Frame, Hello, Ready},
};
use crate::domain::{retry::backoff, secret::Secret};

/// Milliseconds since listening began.
pub(super) type Moment = u64;

/// Longest wait for the first frame, and for the answer to the opening, in milliseconds.
const OPENING: u64 = 20_000;
/// Discord lets a bot open a session once in five seconds; a little more, since its clock is another one.
const BETWEEN_OPENINGS: u64 = 5_250;
/// Waits between connections: the first one, and the longest, in milliseconds.
const PAUSE: u64 = 1_000;
const LONGEST_PAUSE: u64 = 60_000;
/// The wait after a refusal that a person has to mend, in milliseconds. It may be mended without a restart.
const REFUSED: u64 = 600_000;
/// After so many failed connections in a row, a session is taken up at the common address.
const LOST_ADDRESS: u32 = 3;

/// What the bot wants to be told.
pub(super) fn intents() -> GatewayIntents {
    GatewayIntents::GUILDS
        | GatewayIntents::GUILD_MESSAGES
        | GatewayIntents::DIRECT_MESSAGES
        | GatewayIntents::MESSAGE_CONTENT
}

/// Something that is to be done.
#[derive(Debug)]
pub(super) enum Do {
    /// Send this frame.
    Send(String),
    /// An event came.
    Event(Dispatch),
    /// It listens; the session is a new one, and what came before is not told.
    Began,
    /// It listens; what came since was told, or is about to be.
    Resumed,
    /// End this connection.
    Leave(Leave),
}

/// An event.
#[derive(Debug)]
pub(super) struct Dispatch {
    pub(super) name: String,
    pub(super) data: Box<RawValue>,
}

/// Why a connection ends and when the next one is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leave {
    pub(super) why: String,
    pub(super) after_ms: u64,
    /// A person has to do something first.
    pub(super) refused: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Waits for the first frame.
    Hello {
        until: Moment,
    },
    /// May open a session from then on.
    Opening {
        at: Moment,
    },
    /// Waits for the answer to the opening.
    Asked {
        until: Moment,
    },
    Up,
}

#[derive(Debug, Clone, Copy)]
struct Beat {
    every: u64,
    next: Moment,
    acked: bool,
}

/// The session, over all its connections.
#[derive(Debug)]
pub(super) struct Session {
    token: Secret,
    life: Option<Life>,
    /// How far the session is stored: heartbeats say no more, so that Discord keeps the rest.
    kept: Option<u64>,
    stage: Stage,
    beat: Option<Beat>,
    opened_at: Option<Moment>,
    failures: u32,
}

impl Session {
    /// A session that perhaps goes on.
    pub(super) fn new(token: Secret, life: Option<Life>) -> Self {
        let kept = life.as_ref().map(|life| life.seq);
        let stage = Stage::Hello { until: 0 };
        Self { token, life, kept, stage, beat: None, opened_at: None, failures: 0 }
    }

    /// What would be taken up.
    pub(super) fn life(&self) -> Option<&Life> {
        self.life.as_ref()
    }

    /// The address to take it up at.
    pub(super) fn resume_url(&self) -> Option<&str> {
        if self.failures >= LOST_ADDRESS {
            return None;
        }
        self.life.as_ref()?.url.as_deref()
    }

    /// This session is stored up to there.
    pub(super) fn stored(&mut self, id: &str, seq: u64) {
        if self.life.as_ref().is_some_and(|life| life.id == id) {
            self.kept = Some(seq);
        }
    }

    /// A connection stands.
    pub(super) fn connected(&mut self, now: Moment) {
        self.stage = Stage::Hello { until: now + OPENING };
        self.beat = None;
    }

    /// When [`Self::tick`] has something to do.
    pub(super) fn due(&self) -> Moment {
        let stage = match self.stage {
            Stage::Hello { until } | Stage::Asked { until } => until,
            Stage::Opening { at } => at,
            Stage::Up => Moment::MAX,
        };
        self.beat.map_or(stage, |beat| beat.next.min(stage))
    }

    /// Time went on. `deaf`: frames are not read at present, so a missing answer means nothing.
    pub(super) fn tick(&mut self, now: Moment, dice: f64, deaf: bool) -> Vec<Do> {
        let mut orders = Vec::new();
        match self.stage {
            Stage::Hello { until } if now >= until && deaf => {
                self.stage = Stage::Hello { until: now + OPENING }
            }
            Stage::Asked { until } if now >= until && deaf => {
                self.stage = Stage::Asked { until: now + OPENING }
            }
            Stage::Hello { until } | Stage::Asked { until } if now >= until => {
                return vec![self.leave("Discord did not answer the opening".into(), dice)];
            }
            Stage::Opening { at } if now >= at => orders.push(self.open(now)),
            _ => {}
        }
        if let Some(beat) = self.beat
            && now >= beat.next
        {
            if !beat.acked && !deaf {
                orders.push(self.leave("Discord does not answer heartbeats".into(), dice));
                return orders;
            }
            orders.push(self.heartbeat());
            self.beat = Some(Beat { next: now + beat.every, acked: false, ..beat });
        }
        orders
    }

    /// A frame came.
    pub(super) fn hear(&mut self, frame: Frame, now: Moment, dice: f64) -> Vec<Do> {
        match frame.op {
            0 => self.event(frame),
            1 => vec![self.heartbeat()],
            7 => vec![self.leave("Discord asks for a new connection".into(), dice)],
            9 if frame.data() == Some(true) => {
                vec![self.leave("Discord asks to take the session up again".into(), dice)]
            }
            9 => {
                self.forget();
                let pause = now + 1_000 + (4_000.0 * dice.clamp(0.0, 1.0)) as u64;
                self.stage = Stage::Opening { at: pause.max(self.earliest()) };
                Vec::new()
            }
            10 => self.hello(&frame, now, dice),
            11 => {
                if let Some(beat) = &mut self.beat {
                    beat.acked = true;
                }
                if self.stage == Stage::Up {
                    self.failures = 0;
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// The connection is gone, with this code when the other side gave one; or none came about.
    pub(super) fn lost(&mut self, code: Option<u16>, why: &str, dice: f64) -> Leave {
        let refused = |what: &str| Leave { why: what.to_owned(), after_ms: REFUSED, refused: true };
        match code {
            Some(4004) => {
                self.forget();
                refused(
                    "Discord does not take the bot's token: make a new one in the developer portal (Bot, Reset Token), \
                     set channels.discord.token and restart",
                )
            }
            Some(4010 | 4011) => refused(
                "Discord wants this bot to be split into shards: it is in too many servers for one program",
            ),
            Some(4012) => refused("Discord no longer speaks version 10 of its gateway: update Atoll"),
            Some(4013 | 4014) => {
                self.forget();
                refused(
                    "Discord does not let the bot read messages: switch on \"Message Content Intent\" for it in the \
                     developer portal (Bot, Privileged Gateway Intents)",
                )
            }
            Some(code) => {
                if matches!(code, 4003 | 4007 | 4009) {
                    self.forget();
                }
                self.pause(format!("Discord ended the connection (code {code})"), dice)
            }
            None => self.pause(why.to_owned(), dice),
        }
    }

    fn event(&mut self, frame: Frame) -> Vec<Do> {
        if let (Some(life), Some(seq)) = (&mut self.life, frame.s) {
            life.seq = seq;
        }
        match frame.t.as_deref() {
            Some("READY") => {
                let Some(ready) = frame.data::<Ready>() else { return Vec::new() };
                let seq = frame.s.unwrap_or(1);
                self.life = Some(Life { id: ready.session_id, seq, url: ready.resume_gateway_url });
                self.kept = None;
                self.stage = Stage::Up;
                vec![Do::Began]
            }
            Some("RESUMED") => {
                self.stage = Stage::Up;
                vec![Do::Resumed]
            }
            Some(name) => {
                let (name, Some(data)) = (name.to_owned(), frame.d) else { return Vec::new() };
                vec![Do::Event(Dispatch { name, data })]
            }
            None => Vec::new(),
        }
    }

    fn hello(&mut self, frame: &Frame, now: Moment, dice: f64) -> Vec<Do> {
        let Some(hello) = frame.data::<Hello>() else { return Vec::new() };
        // An interval of nothing would be a loop without a pause.
        let every = hello.heartbeat_interval.clamp(50, 600_000);
        let first = (every as f64 * dice.clamp(0.0, 1.0)) as u64;
        self.beat = Some(Beat { every, next: now + first, acked: true });
        if self.life.is_some() {
            return vec![self.open(now)];
        }
        let at = self.earliest();
        if now >= at {
            return vec![self.open(now)];
        }
        self.stage = Stage::Opening { at };
        Vec::new()
    }

    fn earliest(&self) -> Moment {
        self.opened_at.map_or(0, |at| at + BETWEEN_OPENINGS)
    }

    /// Takes the session up, or opens a new one.
    fn open(&mut self, now: Moment) -> Do {
        self.stage = Stage::Asked { until: now + OPENING };
        let token = self.token.reveal();
        let frame = match &self.life {
            Some(life) => {
                json!({"op": 6, "d": {"token": token, "session_id": life.id, "seq": life.seq}})
            }
            None => {
                self.opened_at = Some(now);
                let properties = json!({"os": std::env::consts::OS, "browser": "atoll", "device": "atoll"});
                json!({"op": 2, "d": {"token": token, "intents": intents().bits(), "properties": properties}})
            }
        };
        Do::Send(frame.to_string())
    }

    fn heartbeat(&self) -> Do {
        Do::Send(json!({"op": 1, "d": self.kept}).to_string())
    }

    fn leave(&mut self, why: String, dice: f64) -> Do {
        Do::Leave(self.pause(why, dice))
    }

    fn pause(&mut self, why: String, dice: f64) -> Leave {
        self.failures = self.failures.saturating_add(1);
        self.beat = None;
        Leave { why, after_ms: backoff(self.failures, PAUSE, LONGEST_PAUSE, dice), refused: false }
    }

    fn forget(&mut self) {
        self.life = None;
        self.kept = None;
    }
}

#[cfg(test)]
mod tests;
