//! The REST half of the stand-in: routes, the token, limits, troubles.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use atoll::net::multipart;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    super::http::{Asked, Told},
    Shared, strict, webhooks,
    world::{APPLICATION, GUILD, Kind, ME, Message, Right, Trouble, World, stamp},
};

/// Largest file, in bytes.
const LARGEST: usize = 10 * 1024 * 1024;

/// An answer.
pub(super) struct Reply {
    pub status: u16,
    pub body: Value,
    pub headers: Vec<(String, String)>,
}

impl Reply {
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self { status, body, headers: Vec::new() }
    }

    pub(super) fn error(status: u16, code: u64, message: &str) -> Self {
        Self::new(status, json!({"code": code, "message": message}))
    }

    fn told(self) -> Told {
        let mut headers = self.headers;
        headers.push(("content-type".into(), "application/json".into()));
        let body = if self.body.is_null() { Vec::new() } else { self.body.to_string().into_bytes() };
        Told::Say(self.status, headers, body)
    }
}

/// What came with a call: its form, and the files of it.
pub(super) struct Form {
    pub body: Value,
    pub files: Vec<multipart::Part>,
}

pub(super) fn answer(shared: &Shared, asked: &Asked) -> Told {
    if let Some(told) = file(shared, asked) {
        return told;
    }
    let mut path = asked.path.as_str();
    let form = match form(asked) {
        Ok(form) => form,
        Err(reply) => {
            shared.lock().unwrap().fault(format!("{} {path}: {}", asked.method, reply.body));
            return reply.told();
        }
    };
    let trouble = {
        let mut world = shared.lock().unwrap();
        let shown = path.split('/').map(|part| if part.contains("token") { "{token}" } else { part });
        let call = format!("{} {}", asked.method, shown.collect::<Vec<_>>().join("/"));
        let files: Vec<_> = form.files.iter().map(|part| json!([part.filename, part.bytes.len()])).collect();
        let mut body = form.body.clone();
        if !files.is_empty() {
            body["files"] = json!(files);
        }
        world.note(&call.replace("/api/v10", ""), body);
        trouble(&mut world, asked)
    };
    match trouble {
        Some(Trouble::HangUp) => return Told::HangUp,
        Some(Trouble::Status(status)) => return Reply::error(status, 0, "Trouble").told(),
        Some(Trouble::Refuse(status, code)) => return Reply::error(status, code, "Trouble").told(),
        Some(Trouble::RefuseField(field, why)) => return strict::bad(field, why).told(),
        Some(Trouble::TooMany(after, global)) => return too_many(after, global).told(),
        Some(Trouble::Delay(time)) => std::thread::sleep(time),
        Some(Trouble::LoseAnswer) | None => {}
    }
    let mut world = shared.lock().unwrap();
    let Some(inner) = path.strip_prefix("/api/v10") else {
        world.fault(format!("no such version: {path}"));
        return Reply::error(404, 0, "404: Not Found").told();
    };
    path = inner;
    if !asked.header("user-agent").starts_with("DiscordBot (http") || asked.headers.contains_key("cookie") {
        world.fault(format!("not a bot's user agent: {}", asked.header("user-agent")));
    }
    let reply = route(&mut world, asked, path, &form);
    if reply.status == 400 || (reply.status == 404 && reply.body["code"] == 0) {
        world.fault(format!("{} {path}: {}", asked.method, reply.body));
    }
    if trouble == Some(Trouble::LoseAnswer) { Told::HangUp } else { reply.told() }
}

fn file(shared: &Shared, asked: &Asked) -> Option<Told> {
    asked.path.starts_with("/attachments/").then(|| {
        let mut world = shared.lock().unwrap();
        world.note(&format!("GET {}", asked.path), Value::Null);
        if asked.headers.contains_key("authorization") {
            world.fault("the token was sent to where files are kept");
        }
        match world.files.get(&asked.path) {
            Some(bytes) if asked.query.contains("hm=") => Told::Say(200, Vec::new(), bytes.clone()),
            _ => Told::Say(404, Vec::new(), b"This content is no longer available.".to_vec()),
        }
    })
}

fn form(asked: &Asked) -> Result<Form, Reply> {
    let kind = asked.header("content-type");
    if asked.body.is_empty() {
        return Ok(Form { body: Value::Null, files: Vec::new() });
    }
    let json = |bytes: &[u8]| serde_json::from_slice(bytes).map_err(|_| Reply::error(400, 50_109, "No JSON"));
    if kind.starts_with("application/json") {
        return Ok(Form { body: json(&asked.body)?, files: Vec::new() });
    }
    let parts = multipart::parse(kind, &Bytes::from(asked.body.clone()));
    let Ok(mut parts) = parts else { return Err(Reply::error(400, 50_035, "No form")) };
    let at = parts.iter().position(|part| part.name == "payload_json");
    let payload = at.map(|at| parts.remove(at)).map_or(Ok(Value::Null), |part| json(&part.bytes))?;
    let named = parts.iter().enumerate().all(|(at, part)| part.name == format!("files[{at}]"));
    if !named || parts.iter().any(|part| part.filename.is_none()) {
        return Err(Reply::error(400, 50_035, "Files are files[0], files[1] and so on"));
    }
    Ok(Form { body: payload, files: parts })
}

fn trouble(world: &mut World, asked: &Asked) -> Option<Trouble> {
    let meets = |(method, path, _, left): &(String, String, Trouble, u32)| {
        *left > 0 && *method == asked.method && asked.path.contains(path.as_str())
    };
    let met = world.troubles.iter_mut().find(|trouble| meets(trouble))?;
    met.3 -= 1;
    Some(met.2.clone())
}

fn too_many(after: f64, global: bool) -> Reply {
    let mut reply = Reply::new(
        429,
        json!({"message": "You are being rate limited.", "retry_after": after, "global": global}),
    );
    reply.headers.push(("retry-after".into(), format!("{}", after.ceil())));
    reply.headers.push(("x-ratelimit-scope".into(), if global { "global" } else { "user" }.into()));
    if global {
        reply.headers.push(("x-ratelimit-global".into(), "true".into()));
    }
    reply
}

fn route(world: &mut World, asked: &Asked, path: &str, form: &Form) -> Reply {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let method = asked.method.as_str();
    if let Some(reply) = webhooks::route(world, method, &parts, form) {
        return reply;
    }
    if asked.header("authorization") != format!("Bot {}", world.token) {
        return Reply::error(401, 0, "401: Unauthorized");
    }
    if let Some(until) = world.all_until
        && let Some(left) = until.checked_duration_since(Instant::now())
    {
        return too_many(left.as_secs_f64(), true);
    }
    match (method, parts.as_slice()) {
        ("GET", ["users", "@me"]) => Reply::new(200, world.user_json(ME)),
        ("GET", ["applications", "@me"]) => {
            Reply::new(200, json!({"id": APPLICATION.to_string(), "name": "atoll", "flags": 1 << 18}))
        }
        ("GET", ["gateway", "bot"]) => {
            let limit = json!({"total": 1000, "remaining": world.sessions_left, "reset_after": 2_000, "max_concurrency": 1});
            Reply::new(200, json!({"url": world.gateway, "shards": 1, "session_start_limit": limit}))
        }
        ("PUT", ["applications", id, "commands"]) if *id == APPLICATION.to_string() => {
            if let Err(reply) = strict::commands(&form.body) {
                return reply;
            }
            world.commands = form.body.clone();
            Reply::new(200, form.body.clone())
        }
        (_, ["channels", channel, rest @ ..]) => {
            let Ok(id) = channel.parse::<u64>() else {
                return strict::bad("channel_id", "Value is not snowflake.");
            };
            channels(world, method, id, rest, asked, form)
        }
        _ => Reply::error(404, 0, "404: Not Found"),
    }
}

fn channels(
    world: &mut World,
    method: &str,
    channel: u64,
    rest: &[&str],
    asked: &Asked,
    form: &Form,
) -> Reply {
    match world.channels.get(&channel).map(|channel| channel.trouble) {
        None | Some(Some(10_003)) => return Reply::error(404, 10_003, "Unknown Channel"),
        Some(Some(code)) => return Reply::error(403, code, "Cannot do this here"),
        Some(None) => {}
    }
    let number = |text: &&str| text.parse::<u64>().unwrap_or(0);
    match (method, rest) {
        ("POST", ["messages"]) => {
            let (allowed, headers) = limited(world, channel);
            let mut reply = if allowed {
                post(world, channel, form).unwrap_or_else(|reply| reply)
            } else {
                let wait: f64 = headers[2].1.parse().unwrap();
                too_many(wait, false)
            };
            reply.headers.extend(headers);
            reply
        }
        ("GET", ["messages"]) => list(world, channel, &asked.query),
        ("PATCH", ["messages", message]) => {
            edit(world, channel, number(message), form).unwrap_or_else(|reply| reply)
        }
        ("DELETE", ["messages", message]) => {
            let message = number(message);
            if world.message(channel, message).is_none() {
                return Reply::error(404, 10_008, "Unknown Message");
            }
            world.channels.get_mut(&channel).unwrap().messages.retain(|known| known.id != message);
            Reply::new(204, Value::Null)
        }
        ("POST", ["typing"]) => Reply::new(204, Value::Null),
        ("POST", ["messages", message, "threads"]) => {
            thread(world, channel, number(message), &form.body).unwrap_or_else(|reply| reply)
        }
        _ => Reply::error(404, 0, "404: Not Found"),
    }
}

/// Takes a place in the channel's limit; gives the headers that tell of it.
fn limited(world: &mut World, channel: u64) -> (bool, Vec<(String, String)>) {
    let ((most, window), now) = (world.limit, Instant::now());
    let known = &mut world.channels.get_mut(&channel).unwrap().window;
    let (until, left) = known.filter(|(until, _)| *until > now).unwrap_or((now + window, most));
    let allowed = left > 0;
    let left = left.saturating_sub(1);
    *known = Some((until, left));
    let after = until.duration_since(now).as_secs_f64();
    let reset = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs_f64(after);
    let header = |name: &str, value: String| (format!("x-ratelimit-{name}"), value);
    let headers = vec![
        header("limit", most.to_string()),
        header("remaining", left.to_string()),
        header("reset-after", format!("{after:.3}")),
        header("reset", format!("{:.3}", reset.as_secs_f64())),
        header("bucket", "80c17d2f203122d936070c88c8d10f33".into()),
    ];
    (allowed, headers)
}

/// Keeps the files that came, as attachments.
pub(super) fn attachments(world: &mut World, channel: u64, form: &Form) -> Result<Vec<Value>, Reply> {
    if form.files.iter().map(|part| part.bytes.len()).sum::<usize>() > LARGEST {
        return Err(Reply::error(413, 40_005, "Request entity too large"));
    }
    let keep = |part: &multipart::Part| {
        let (name, kind) = (part.filename.clone().unwrap_or_default(), part.media_type.clone());
        world.keep(channel, &name, kind.as_deref().unwrap_or("application/octet-stream"), part.bytes.to_vec())
    };
    Ok(form.files.iter().map(keep).collect())
}

fn post(world: &mut World, channel: u64, form: &Form) -> Result<Reply, Reply> {
    let body = &form.body;
    strict::message(body, strict::CREATE, form.files.len())?;
    if strict::is_empty(body, form.files.len()) {
        return Err(strict::empty());
    }
    if !body["message_reference"].is_null() && world.lacks(channel, Right::ReadHistory) {
        let why = "Cannot reply without permission to read message history";
        return Err(Reply::error(403, 160_002, why));
    }
    if !form.files.is_empty() && world.lacks(channel, Right::AttachFiles) {
        return Err(Reply::error(403, 50_013, "Missing Permissions"));
    }
    let nonce = body["nonce"].as_str().map(str::to_owned);
    if body["enforce_nonce"] == true && nonce.is_some() {
        let known = world.channels[&channel].messages.iter().find(|known| known.nonce == nonce);
        if let Some(known) = known {
            return Ok(Reply::new(200, world.message_json(channel, known)));
        }
    }
    let reference = &body["message_reference"];
    let answered = reference["message_id"].as_str().and_then(|id| id.parse::<u64>().ok());
    let answered = match answered {
        Some(id) if world.message(channel, id).is_some() => Some(id),
        Some(_) if reference["fail_if_not_exists"] != false => {
            return Err(strict::bad("message_reference", "Unknown message"));
        }
        _ => None,
    };
    let attachments = attachments(world, channel, form)?;
    let id = world.id();
    let message = Message {
        embeds: or_none(&body["embeds"]),
        components: or_none(&body["components"]),
        attachments,
        reply_to: answered,
        flags: body["flags"].as_u64().unwrap_or(0),
        nonce,
        ..Message::new(id, ME, body["content"].as_str().unwrap_or_default().trim())
    };
    let reply = world.message_json(channel, &message);
    world.add(channel, message);
    Ok(Reply::new(200, reply))
}

fn or_none(value: &Value) -> Value {
    if value.is_null() { json!([]) } else { value.clone() }
}

/// Puts what is new into a message.
pub(super) fn change(message: &mut Message, body: &Value) {
    if let Some(content) = body["content"].as_str() {
        message.content = content.trim().to_owned();
    }
    for (key, part) in [("embeds", &mut message.embeds), ("components", &mut message.components)] {
        if body[key].is_array() {
            *part = body[key].clone();
        }
    }
}

fn edit(world: &mut World, channel: u64, message: u64, form: &Form) -> Result<Reply, Reply> {
    let edited = stamp(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64);
    let Some(known) = world.message(channel, message) else {
        return Err(Reply::error(404, 10_008, "Unknown Message"));
    };
    if known.author != ME {
        return Err(Reply::error(403, 50_005, "Cannot edit a message authored by another user"));
    }
    strict::message(&form.body, strict::EDIT, form.files.len())?;
    if strict::is_empty(&form.body, known.attachments.len()) {
        return Err(strict::empty());
    }
    change(known, &form.body);
    known.edited = Some(edited);
    let known = known.clone();
    let event = world.message_event(channel, &known);
    world.emit("MESSAGE_UPDATE", event);
    Ok(Reply::new(200, world.message_json(channel, &known)))
}

/// At most `limit` messages after one: the oldest of them, and the newest first.
fn list(world: &World, channel: u64, query: &str) -> Reply {
    let value = |name: &str| {
        let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        found.and_then(|value| value.parse::<u64>().ok())
    };
    let (after, limit) = (value("after").unwrap_or(0), value("limit").unwrap_or(50));
    if !(1..=100).contains(&limit) {
        return strict::bad("limit", "int value should be less than or equal to 100.");
    }
    if world.lacks(channel, Right::ReadHistory) {
        return Reply::new(200, json!([]));
    }
    let messages = &world.channels[&channel].messages;
    let after = messages.iter().filter(|message| message.id > after).take(limit as usize);
    let mut list: Vec<Value> = after.map(|message| world.message_json(channel, message)).collect();
    list.reverse();
    Reply::new(200, json!(list))
}

fn thread(world: &mut World, channel: u64, message: u64, body: &Value) -> Result<Reply, Reply> {
    if world.channels[&channel].kind != Kind::Text {
        return Err(Reply::error(400, 50_024, "Cannot execute action on this channel type"));
    }
    if world.message(channel, message).is_none() {
        return Err(Reply::error(404, 10_008, "Unknown Message"));
    }
    if world.channels.contains_key(&message) {
        return Err(Reply::error(400, 160_004, "A thread has already been created for this message"));
    }
    let name = body["name"].as_str().unwrap_or_default();
    let known = ["name", "auto_archive_duration", "rate_limit_per_user"];
    let fits = body.as_object().is_some_and(|body| body.keys().all(|key| known.contains(&key.as_str())));
    let days = body["auto_archive_duration"].as_u64().unwrap_or(60);
    if !fits || !(1..=100).contains(&name.chars().count()) || ![60, 1_440, 4_320, 10_080].contains(&days) {
        return Err(strict::bad("name", "Must be between 1 and 100 in length."));
    }
    let opened = world.open(Kind::Thread);
    let made = world.channels.remove(&opened).unwrap();
    world.channels.insert(message, made);
    let thread = json!({"id": message.to_string(), "type": 11, "guild_id": GUILD.to_string(), "name": name,
        "parent_id": channel.to_string(), "owner_id": ME.to_string()});
    world.emit("THREAD_CREATE", thread.clone());
    Ok(Reply::new(201, thread))
}
