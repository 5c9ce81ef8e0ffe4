//! The gateway half of the stand-in: hello, heartbeats, identify, resume, and what is not taken.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};
use tokio_tungstenite::{
    WebSocketStream, accept_async,
    tungstenite::{
        Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{
    Shared,
    world::{APPLICATION, GUILD, Kind, ME, Out, ROLE, Session, World},
};

/// Bits of the intents that there are, and the one that has to be allowed.
const INTENTS: u64 = ((1 << 17) - 1) | (3 << 20) | (3 << 24);
const MESSAGE_CONTENT: u64 = 1 << 15;
/// Largest frame that is taken, in bytes.
const LARGEST: usize = 4_096;
/// A session may be opened once in this time.
const BETWEEN: Duration = Duration::from_secs(5);

static NEXT: AtomicU64 = AtomicU64::new(1);

type Socket = WebSocketStream<TcpStream>;

/// The gateway; it ends when it is dropped.
pub(super) struct Gateway {
    address: SocketAddr,
    _end: oneshot::Sender<()>,
}

impl Gateway {
    pub(super) fn start(shared: Shared) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (end, mut ended) = oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                loop {
                    tokio::select! {
                        _ = &mut ended => return,
                        accepted = listener.accept() => {
                            let Ok((stream, _)) = accepted else { continue };
                            if shared.lock().unwrap().gateway_up {
                                tokio::spawn(serve(stream, Shared::clone(&shared)));
                            }
                        }
                    }
                }
            });
        });
        Self { address, _end: end }
    }

    pub(super) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }
}

/// How a connection ends.
enum End {
    Code(u16),
    Silent,
}

async fn serve(stream: TcpStream, shared: Shared) {
    let Ok(mut socket) = accept_async(stream).await else { return };
    let id = NEXT.fetch_add(1, Ordering::SeqCst);
    let end = talk(&mut socket, &shared, id).await;
    {
        let mut world = shared.lock().unwrap();
        world.sockets.remove(&id);
        if let Some(session) = &mut world.session
            && session.socket == Some(id)
        {
            session.socket = None;
        }
    }
    if let End::Code(code) = end {
        let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
        let _ = socket.close(Some(frame)).await;
        // The close is heard before the connection ends.
        let _ = tokio::time::timeout(Duration::from_secs(1), socket.next()).await;
    }
}

async fn talk(socket: &mut Socket, shared: &Shared, id: u64) -> End {
    let (tell, mut told) = mpsc::unbounded_channel();
    let heartbeat = {
        let mut world = shared.lock().unwrap();
        world.sockets.insert(id, tell);
        world.note("gateway connect", Value::Null);
        world.heartbeat
    };
    // Whoever speaks before the hello has not waited for it.
    match tokio::time::timeout(Duration::from_millis(10), socket.next()).await {
        Ok(Some(Ok(Message::Text(_)))) => {
            shared.lock().unwrap().fault("a frame before the hello");
            return End::Code(4_003);
        }
        Ok(_) => return End::Silent,
        Err(_) => {}
    }
    let hello = json!({"op": 10, "d": {"heartbeat_interval": heartbeat.as_millis() as u64, "_trace": []}});
    if socket.send(Message::text(hello.to_string())).await.is_err() {
        return End::Silent;
    }
    let mut beaten = Instant::now();
    loop {
        let patience = heartbeat + heartbeat / 2 + Duration::from_millis(500);
        tokio::select! {
            () = tokio::time::sleep_until((beaten + patience).into()) => {
                shared.lock().unwrap().fault("no heartbeat in time");
                return End::Code(4_000);
            }
            out = told.recv() => match out {
                Some(Out::Frame(text)) => {
                    if socket.send(Message::text(text)).await.is_err() {
                        return End::Silent;
                    }
                }
                Some(Out::Close(code)) => return End::Code(code),
                Some(Out::Drop) | None => return End::Silent,
            },
            frame = socket.next() => {
                let text = match frame {
                    Some(Ok(Message::Text(text))) => text,
                    Some(Ok(Message::Close(close))) => {
                        let code = close.map_or(1_005, |close| close.code.into());
                        closed(&mut shared.lock().unwrap(), code);
                        return End::Silent;
                    }
                    Some(Ok(_)) => continue,
                    _ => return End::Silent,
                };
                let mut world = shared.lock().unwrap();
                match heard(&mut world, id, &text) {
                    Ok(true) => beaten = Instant::now(),
                    Ok(false) => {}
                    Err(code) => return End::Code(code),
                }
            }
        }
    }
}

/// A client that says 1000 or 1001 ends its session.
fn closed(world: &mut World, code: u16) {
    world.note("gateway close", json!(code));
    if matches!(code, 1_000 | 1_001) {
        world.forget_session();
    }
}

/// True for a heartbeat.
fn heard(world: &mut World, socket: u64, text: &str) -> Result<bool, u16> {
    if text.len() > LARGEST {
        world.fault("a frame of more than 4096 bytes");
        return Err(4_002);
    }
    let Ok(frame) = serde_json::from_str::<Value>(text) else {
        world.fault("a frame that is no JSON");
        return Err(4_002);
    };
    if frame.as_object().is_none_or(|frame| frame.keys().any(|key| key != "op" && key != "d")) {
        world.fault(format!("a frame with unknown fields: {frame}"));
        return Err(4_002);
    }
    let data = &frame["d"];
    match frame["op"].as_u64() {
        Some(1) => heartbeat(world, socket, data).map(|()| true),
        Some(2) => identify(world, socket, data).map(|()| false),
        Some(6) => resume(world, socket, data).map(|()| false),
        _ => {
            world.fault(format!("an unknown command: {frame}"));
            Err(4_001)
        }
    }
}

fn say(world: &World, socket: u64, frame: &Value) {
    if let Some(socket) = world.sockets.get(&socket) {
        let _ = socket.send(Out::Frame(frame.to_string()));
    }
}

/// What is acknowledged is not told again: whoever says more than is stored loses it.
fn heartbeat(world: &mut World, socket: u64, data: &Value) -> Result<(), u16> {
    world.note("gateway heartbeat", data.clone());
    if let Some(session) = &mut world.session
        && session.socket == Some(socket)
        && let Some(seq) = data.as_u64()
    {
        if seq > session.seq {
            world.faults.push(format!("a heartbeat of an event that was not told: {seq}"));
            return Err(4_007);
        }
        session.gone = session.gone.max(seq);
        session.events.retain(|(known, _)| *known > seq);
    }
    if !world.zombie {
        say(world, socket, &json!({"op": 11}));
    }
    Ok(())
}

fn keys(value: &Value, known: &[&str]) -> bool {
    value.as_object().is_some_and(|map| map.keys().all(|key| known.contains(&key.as_str())))
}

fn identify(world: &mut World, socket: u64, data: &Value) -> Result<(), u16> {
    let mut shown = data.clone();
    shown["token"] = json!("{token}");
    world.note("gateway identify", shown);
    let known = ["token", "intents", "properties", "compress", "large_threshold", "shard", "presence"];
    if !keys(data, &known) || !keys(&data["properties"], &["os", "browser", "device"]) {
        world.fault("an identify with unknown or missing fields");
        return Err(4_002);
    }
    if data["token"] != json!(world.token) {
        return Err(4_004);
    }
    let Some(intents) = data["intents"].as_u64().filter(|intents| intents & !INTENTS == 0) else {
        world.fault("intents that there are not");
        return Err(4_013);
    };
    if intents & MESSAGE_CONTENT != 0 && !world.message_content {
        return Err(4_014);
    }
    if world.session.as_ref().is_some_and(|session| session.socket == Some(socket)) {
        world.fault("a second identify on one connection");
        return Err(4_005);
    }
    let now = Instant::now();
    if world.opened.is_some_and(|opened| now.duration_since(opened) < BETWEEN) {
        world.fault("two sessions were opened within five seconds");
        say(world, socket, &json!({"op": 9, "d": false}));
        return Ok(());
    }
    world.opened = Some(now);
    let id = format!("session-{}", world.id());
    let session = Session { id: id.clone(), seq: 0, events: Vec::new(), gone: 0, socket: Some(socket) };
    world.session = Some(session);
    let ready = json!({"v": 10, "user": world.user_json(ME), "session_id": id, "resume_gateway_url": world.gateway,
        "guilds": [{"id": GUILD.to_string(), "unavailable": true}], "private_channels": [], "session_type": "normal",
        "application": {"id": APPLICATION.to_string(), "flags": 1 << 18}, "_trace": []});
    world.emit("READY", ready);
    let threads = world.channels.iter().filter(|(_, channel)| channel.kind == Kind::Thread);
    let threads: Vec<Value> = threads
        .map(|(id, _)| json!({"id": id.to_string(), "type": 11, "owner_id": ME.to_string(), "name": "x"}))
        .collect();
    let guild = json!({"id": GUILD.to_string(), "name": "The Guild", "threads": threads, "channels": [], "members": [],
        "roles": [{"id": ROLE.to_string(), "name": "atoll", "tags": {"bot_id": ME.to_string()}},
            {"id": GUILD.to_string(), "name": "@everyone"}]});
    world.emit("GUILD_CREATE", guild);
    Ok(())
}

fn resume(world: &mut World, socket: u64, data: &Value) -> Result<(), u16> {
    let mut shown = data.clone();
    shown["token"] = json!("{token}");
    world.note("gateway resume", shown);
    if !keys(data, &["token", "session_id", "seq"]) {
        world.fault("a resume with unknown fields");
        return Err(4_002);
    }
    if data["token"] != json!(world.token) {
        return Err(4_004);
    }
    let seq = data["seq"].as_u64().unwrap_or(u64::MAX);
    let known = world.session.as_mut().filter(|session| data["session_id"] == json!(session.id));
    let Some(session) = known.filter(|session| seq >= session.gone) else {
        say(world, socket, &json!({"op": 9, "d": false}));
        return Ok(());
    };
    if seq > session.seq {
        world.fault("a resume from an event that was not told");
        return Err(4_007);
    }
    session.socket = Some(socket);
    let missed: Vec<Value> =
        session.events.iter().filter(|(known, _)| *known > seq).map(|(_, frame)| frame.clone()).collect();
    missed.iter().for_each(|frame| say(world, socket, frame));
    world.emit("RESUMED", json!({"_trace": []}));
    Ok(())
}
