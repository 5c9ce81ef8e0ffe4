//! The gateway's socket: connects, lets the session decide, hands events over. One connection at a time.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::{
    net::TcpStream,
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{
        Error, Message,
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    desk::Inbox,
    known::Life,
    ledger::{LifeName, Mark},
    rest::Call,
    session::{Do, Leave, Moment, Session},
    shared::Shared,
    wire::Frame,
};
use crate::{
    domain::chat::{Failure, Link},
    ports::platform::Sink,
};

/// Longest wait for a connection, and for a frame to be sent.
const CONNECT: Duration = Duration::from_secs(20);
const SEND: Duration = Duration::from_secs(10);
/// How long the other side may take to hear that a connection ends.
const FAREWELL: Duration = Duration::from_millis(500);
/// Largest frame that is read, in bytes: a large server says much when it is first told of.
const LARGEST: usize = 32 * 1024 * 1024;
/// The code that connections are ended with: 1000 and 1001 would end the session as well.
const AWAY: u16 = 4_000;
/// Longest wait for another session, in milliseconds, when there were too many on one day.
const NEXT_SESSION: u64 = 3_600_000;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What `GET /gateway/bot` says.
#[derive(Deserialize)]
struct Gateway {
    url: String,
    #[serde(default)]
    session_start_limit: Option<StartLimit>,
}

#[derive(Deserialize)]
struct StartLimit {
    remaining: u64,
    reset_after: u64,
}

/// The gateway, as long as it is listened to.
pub(super) struct Listener {
    shared: Arc<Shared>,
    sink: Arc<dyn Sink>,
    inbox: mpsc::Sender<Inbox>,
    stop: CancellationToken,
    begun: Instant,
    account: String,
    /// What the session is called in the ledger.
    name: Option<Arc<LifeName>>,
    /// The refusal that was told last: it is told once.
    refusal: Option<String>,
}

impl Listener {
    pub(super) fn new(
        shared: Arc<Shared>,
        sink: Arc<dyn Sink>,
        inbox: mpsc::Sender<Inbox>,
        stop: CancellationToken,
        account: String,
    ) -> Self {
        let begun = Instant::now();
        Self { shared, sink, inbox, stop, begun, account, name: None, refusal: None }
    }

    /// Listens until it is told to stop.
    pub(super) async fn listen(mut self, life: Option<Life>) {
        self.rename(life.as_ref());
        let mut session = Session::new(self.shared.settings.token.clone(), life);
        let stop = self.stop.clone();
        loop {
            let connected = tokio::select! {
                () = stop.cancelled() => return,
                connected = self.connect(&mut session) => connected,
            };
            let leave = match connected {
                Ok(socket) => match self.talk(&mut session, socket).await {
                    Some(leave) => leave,
                    None => return,
                },
                Err(leave) => leave,
            };
            self.tell(&leave);
            let pause = Duration::from_millis(leave.after_ms);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn tell(&mut self, leave: &Leave) {
        let why = leave.why.clone();
        if !leave.refused {
            return self.sink.link(Link::Down { why });
        }
        if self.refusal.as_ref() != Some(&why) {
            self.refusal = Some(why.clone());
            self.sink.link(Link::Refused { why });
        }
    }

    fn up(&mut self) {
        self.refusal = None;
        self.sink.link(Link::Up { account: self.account.clone() });
    }

    fn now(&self) -> Moment {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(Moment::MAX)
    }

    fn rename(&mut self, life: Option<&Life>) {
        self.name = life.map(|life| Arc::new(LifeName { id: life.id.clone(), url: life.url.clone() }));
    }

    async fn connect(&self, session: &mut Session) -> Result<Socket, Leave> {
        let dice = self.shared.clock.dice();
        let url = self.address(session).await?;
        let config = WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST));
        crate::net::install_tls();
        match timeout(CONNECT, connect_async_with_config(&url, Some(config), true)).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(error)) => Err(session.lost(
                None,
                &format!("Discord's gateway cannot be reached: {}", kind(&error)),
                dice,
            )),
            Err(_) => Err(session.lost(None, "Discord's gateway does not answer", dice)),
        }
    }

    /// Where to connect: where the session is taken up, or where all begin.
    async fn address(&self, session: &mut Session) -> Result<String, Leave> {
        let settings = &self.shared.settings;
        let own = settings.gateway_url.as_deref();
        let is_strict = own.is_none() && settings.api_url.is_none();
        if let Some(url) = session.resume_url()
            && is_gateway(url, is_strict)
        {
            return Ok(with_version(url));
        }
        if let Some(url) = own {
            return Ok(with_version(url));
        }
        let dice = self.shared.clock.dice();
        let call = Call::new("GET /gateway/bot", "/gateway/bot".into(), "");
        let gateway: Gateway = match self.shared.rest.call(call).await {
            Ok(gateway) => gateway,
            Err(fault) => return Err(self.unreachable(session, fault.failure, dice)),
        };
        if let Some(limit) = gateway.session_start_limit
            && limit.remaining == 0
            && session.life().is_none()
        {
            let after_ms = limit.reset_after.clamp(1_000, NEXT_SESSION);
            let why = "too many sessions were opened today: Discord lets the bot wait".to_owned();
            return Err(Leave { why, after_ms, refused: false });
        }
        if !is_gateway(&gateway.url, is_strict) {
            return Err(session.lost(None, "Discord names an odd gateway: is api_url right?", dice));
        }
        Ok(with_version(&gateway.url))
    }

    fn unreachable(&self, session: &mut Session, failure: Failure, dice: f64) -> Leave {
        match failure {
            Failure::NoToken(_) => session.lost(Some(4_004), "", dice),
            Failure::Slow { after_ms, .. } => {
                let leave = session.lost(None, "Discord lets the bot wait", dice);
                Leave { after_ms: leave.after_ms.max(after_ms), ..leave }
            }
            other => session.lost(None, &other.to_string(), dice),
        }
    }

    /// Talks until the connection ends; `None` when it was told to stop.
    async fn talk(&mut self, session: &mut Session, mut socket: Socket) -> Option<Leave> {
        session.connected(self.now());
        let (stop, inbox) = (self.stop.clone(), self.inbox.clone());
        // Room for what a frame may say; without it none is read, and Discord has to wait.
        let mut room = None;
        loop {
            room = room.or_else(|| inbox.try_reserve().ok());
            if let Some(kept) = self.shared.kept() {
                session.stored(&kept.id, kept.seq);
            }
            let due = self.begun + Duration::from_millis(session.due().min(u64::from(u32::MAX)));
            let dice = self.shared.clock.dice();
            let orders = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    farewell(socket).await;
                    return None;
                }
                () = sleep_until(due) => session.tick(self.now(), dice, room.is_none()),
                permit = inbox.reserve(), if room.is_none() => {
                    room = Some(permit.ok()?);
                    continue;
                }
                frame = socket.next(), if room.is_some() => match heard(frame) {
                    Ok(Some(frame)) => session.hear(frame, self.now(), dice),
                    Ok(None) => continue,
                    Err((code, why)) => return Some(session.lost(code, &why, dice)),
                },
            };
            for order in orders {
                match order {
                    Do::Send(text) => {
                        let sent = timeout(SEND, socket.send(Message::text(text))).await;
                        if !matches!(sent, Ok(Ok(()))) {
                            return Some(session.lost(
                                None,
                                "the connection to Discord's gateway broke",
                                dice,
                            ));
                        }
                    }
                    Do::Leave(leave) => {
                        farewell(socket).await;
                        return Some(leave);
                    }
                    Do::Resumed => self.up(),
                    Do::Began => {
                        self.rename(session.life());
                        self.up();
                        self.hand_over(session, &mut room, Inbox::Fresh);
                    }
                    Do::Event(event) => {
                        self.up();
                        self.hand_over(session, &mut room, |ticket| Inbox::Event(ticket, event));
                    }
                }
            }
        }
    }

    fn hand_over(
        &self,
        session: &Session,
        room: &mut Option<mpsc::Permit<'_, Inbox>>,
        item: impl FnOnce(u64) -> Inbox,
    ) {
        let (Some(life), Some(name)) = (&self.name, session.life()) else { return };
        let mark = Mark { life: Arc::clone(life), seq: name.seq };
        if let Some(room) = room.take() {
            let ticket = self.shared.ledger().begin(mark);
            room.send(item(ticket));
        }
    }
}

/// A frame, nothing for us, or the end with its code and its reason.
fn heard(message: Option<Result<Message, Error>>) -> Result<Option<Frame>, (Option<u16>, String)> {
    match message {
        Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
            Ok(frame) => Ok(Some(frame)),
            Err(_) => {
                tracing::warn!(bytes = text.len(), "a frame of Discord's gateway cannot be read");
                Ok(None)
            }
        },
        Some(Ok(Message::Close(close))) => {
            Err((close.map(|close| close.code.into()), "Discord ended the connection".into()))
        }
        Some(Ok(_)) => Ok(None),
        Some(Err(error)) => {
            Err((None, format!("the connection to Discord's gateway broke: {}", kind(&error))))
        }
        None => Err((None, "Discord ended the connection".into())),
    }
}

/// What went wrong, without an address.
fn kind(error: &Error) -> String {
    match error {
        Error::Io(error) => error.kind().to_string(),
        Error::Http(response) => format!("it answers with status {}", response.status()),
        Error::Tls(_) => "its certificate is not taken".into(),
        Error::Capacity(_) => "a frame is too large".into(),
        Error::ConnectionClosed | Error::AlreadyClosed => "it is closed".into(),
        Error::Protocol(_) | Error::Utf8(_) | Error::AttackAttempt => {
            "it does not keep to the protocol".into()
        }
        _ => "the address is not taken".into(),
    }
}

/// Ends a connection in such a way that its session can be taken up.
async fn farewell(mut socket: Socket) {
    let frame = CloseFrame { code: CloseCode::from(AWAY), reason: "".into() };
    // Whoever does not hear it finds out.
    let _ = timeout(FAREWELL, socket.close(Some(frame))).await;
}

fn with_version(url: &str) -> String {
    let url = url.split('?').next().unwrap_or_default().trim_end_matches('/');
    format!("{url}/?v=10&encoding=json")
}

/// The token is said to no other. `is_strict`: no address was set by who runs this, so it is one of Discord's own.
fn is_gateway(url: &str, is_strict: bool) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default();
    match url.scheme() {
        "wss" => !is_strict || host.ends_with(".discord.gg"),
        "ws" => !is_strict,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_said_to_discord_only() {
        for (url, strict, loose) in [
            ("wss://gateway.discord.gg", true, true),
            ("wss://gateway-us-east1-b.discord.gg/", true, true),
            ("ws://gateway.discord.gg", false, true),
            ("wss://gateway.discord.gg.evil.org", false, true),
            ("https://gateway.discord.gg", false, false),
            ("ws://127.0.0.1:9", false, true),
            ("gateway", false, false),
        ] {
            assert_eq!((is_gateway(url, true), is_gateway(url, false)), (strict, loose), "{url}");
        }
        assert_eq!(with_version("wss://a.discord.gg/?v=9"), "wss://a.discord.gg/?v=10&encoding=json");
    }
}
