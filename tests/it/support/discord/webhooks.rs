//! Answers to interactions at the stand-in for Discord: once, in three seconds, of the right kind.

use std::time::Duration;

use serde_json::Value;

use super::{
    rest::{Form, Reply, attachments, change},
    strict,
    world::{APPLICATION, Interaction, ME, Message, World},
};

/// How long an interaction waits for its first answer.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn route(world: &mut World, method: &str, parts: &[&str], form: &Form) -> Option<Reply> {
    let application = APPLICATION.to_string();
    Some(match (method, parts) {
        ("POST", ["interactions", id, token, "callback"]) => {
            respond(world, id, token, form).unwrap_or_else(|reply| reply)
        }
        ("PATCH", ["webhooks", id, token, "messages", "@original"]) if *id == application => {
            original(world, token, form).unwrap_or_else(|reply| reply)
        }
        ("DELETE", ["webhooks", id, token, "messages", "@original"]) if *id == application => {
            withdraw(world, token)
        }
        ("POST", ["webhooks", id, token]) if *id == application => {
            follow_up(world, token, form).unwrap_or_else(|reply| reply)
        }
        _ => return None,
    })
}

fn unknown() -> Reply {
    Reply::error(404, 10_015, "Unknown Webhook")
}

fn respond(world: &mut World, id: &str, token: &str, form: &Form) -> Result<Reply, Reply> {
    let late = Reply::error(404, 10_062, "Unknown interaction");
    let Some(known) = world.interactions.get(token).filter(|known| known.id.to_string() == *id) else {
        world.fault("an unknown interaction was answered");
        return Err(late);
    };
    let Interaction { kind, channel, answered, .. } = *known;
    if known.at.elapsed() > PATIENCE {
        world
            .fault(format!("an interaction was answered after {:?}", world.interactions[token].at.elapsed()));
        return Err(late);
    }
    if answered.is_some() {
        return Err(Reply::error(400, 40_060, "Interaction has already been acknowledged."));
    }
    let (told, data) = (form.body["type"].as_u64().unwrap_or(0), &form.body["data"]);
    let fits = match told {
        4 | 5 => kind != 4,
        6 => kind == 3,
        8 => kind == 4,
        _ => false,
    };
    if !fits || form.body.as_object().is_none_or(|body| body.keys().any(|key| key != "type" && key != "data"))
    {
        return Err(strict::bad("type", "This interaction is not answered so."));
    }
    let (mut said, mut choices, mut placed) = (None, Vec::new(), None);
    match told {
        4 => {
            strict::message(data, strict::ANSWER, 0)?;
            if strict::is_empty(data, 0) {
                return Err(strict::empty());
            }
            let words = data["content"].as_str().unwrap_or_default().to_owned();
            match data["flags"].as_u64().unwrap_or(0) & 64 {
                0 => placed = Some((words, 0)),
                _ => said = Some(words),
            }
        }
        5 => placed = Some((String::new(), 128)),
        8 => {
            strict::choices(&data["choices"])?;
            let list = data["choices"].as_array().into_iter().flatten();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            choices = list.map(|choice| (text(&choice["value"]), text(&choice["name"]))).collect();
        }
        _ => {}
    }
    let original = placed.map(|(words, flags)| {
        let id = world.id();
        let message = Message { flags, ..Message::new(id, ME, &words) };
        world.channels.get_mut(&channel).unwrap().messages.push(message);
        id
    });
    let known = world.interactions.get_mut(token).unwrap();
    (known.answered, known.original) = (Some(told), original);
    known.said.extend(said);
    known.choices = choices;
    Ok(Reply::new(204, Value::Null))
}

fn original(world: &mut World, token: &str, form: &Form) -> Result<Reply, Reply> {
    let Some(Interaction { channel, original: Some(message), .. }) = world.interactions.get(token).cloned()
    else {
        return Err(unknown());
    };
    strict::message(&form.body, strict::EDIT, form.files.len())?;
    if strict::is_empty(&form.body, form.files.len()) {
        return Err(strict::empty());
    }
    let files = attachments(world, channel, form)?;
    let Some(known) = world.message(channel, message) else {
        return Err(Reply::error(404, 10_008, "Unknown Message"));
    };
    change(known, &form.body);
    known.flags &= !128;
    if !files.is_empty() {
        known.attachments = files;
    }
    let known = known.clone();
    let event = world.message_event(channel, &known);
    world.emit("MESSAGE_UPDATE", event);
    Ok(Reply::new(200, world.message_json(channel, &known)))
}

fn withdraw(world: &mut World, token: &str) -> Reply {
    let Some(Interaction { channel, original: Some(message), .. }) = world.interactions.get(token).cloned()
    else {
        return unknown();
    };
    world.channels.get_mut(&channel).unwrap().messages.retain(|known| known.id != message);
    world.interactions.get_mut(token).unwrap().original = None;
    Reply::new(204, Value::Null)
}

fn follow_up(world: &mut World, token: &str, form: &Form) -> Result<Reply, Reply> {
    let Some(Interaction { channel, answered: Some(_), .. }) = world.interactions.get(token).cloned() else {
        return Err(unknown());
    };
    let body = &form.body;
    strict::message(body, strict::ANSWER, form.files.len())?;
    if strict::is_empty(body, form.files.len()) {
        return Err(strict::empty());
    }
    let (id, words) = (world.id(), body["content"].as_str().unwrap_or_default().to_owned());
    let message = Message::new(id, ME, &words);
    let reply = world.message_json(channel, &message);
    if body["flags"].as_u64().unwrap_or(0) & 64 == 0 {
        world.add(channel, message);
    } else {
        world.interactions.get_mut(token).unwrap().said.push(words);
    }
    Ok(Reply::new(200, reply))
}
