//! Reads interactions: commands, buttons, and what is being typed.

use super::{
    read::{Asked, News, Unreadable, What, moment, parse, place, remote, sender},
    wire::{CommandData, ComponentData, Interaction},
};
use crate::{
    domain::{
        chat::{Event, Incoming, RemoteFile},
        menu::CommandSpec,
        secret::Secret,
    },
    ports::platform::Typing,
};

pub(super) fn read(interaction: Interaction, menu: &[CommandSpec]) -> Result<News, Unreadable> {
    // A group of people without a guild, or a talk of two others, is not alone with the bot.
    let alone = interaction.context == 1 || interaction.context.is_null();
    let group = interaction.guild_id.is_some() || !alone;
    let member = interaction.member.as_ref();
    let author = member.and_then(|member| member.user.as_ref()).or(interaction.user.as_ref());
    let (Some(author), Some(channel), Some(data)) = (author, interaction.channel_id, &interaction.data)
    else {
        return Ok(News::Nothing);
    };
    let (id, channel) = (interaction.id.get(), channel.get());
    let sender = sender(author, member);
    let incoming = |event: Event| Incoming {
        id: format!("i{id}"),
        place: place(channel),
        seen_as: None,
        group,
        sender: sender.clone(),
        at: moment(id),
        event,
    };
    let token = Some(id.to_string());
    let what = match interaction.kind {
        2 => {
            let (line, files) = line(&parse(data.get())?, menu);
            What::Command(incoming(Event::Command { line, files, token }))
        }
        3 => {
            let component: ComponentData = parse(data.get())?;
            let Some(message) = &interaction.message else { return Ok(News::Nothing) };
            let message = message.id.to_string();
            What::Tap(incoming(Event::Tap { message, data: component.custom_id, token: id.to_string() }))
        }
        4 => {
            let command: CommandData = parse(data.get())?;
            let Some(given) = command.options.iter().find(|given| given.focused) else {
                return Ok(News::Nothing);
            };
            let (option, typed) = (given.name.clone(), text(&given.value));
            let (place, command) = (place(channel), command.name);
            What::Typing(Typing { sender, place, group, command, option, typed })
        }
        _ => return Ok(News::Nothing),
    };
    let token = Secret::new(interaction.token);
    let application = interaction.application_id.get();
    Ok(News::Asked(Box::new(Asked { id, token, application, channel, what })))
}

/// A command as it would be typed: its options in the order of the menu, whatever order they were given in.
fn line(command: &CommandData, menu: &[CommandSpec]) -> (String, Vec<RemoteFile>) {
    let spec = menu.iter().find(|spec| spec.name == command.name);
    let rank = |name: &str| {
        let at = spec.and_then(|spec| spec.options.iter().position(|option| option.name == name));
        at.unwrap_or(usize::MAX)
    };
    let mut options: Vec<_> = command.options.iter().collect();
    options.sort_by_key(|given| rank(&given.name));
    let (mut line, mut files) = (format!("/{}", command.name), Vec::new());
    for given in options {
        let value = text(&given.value);
        match command.resolved.attachments.get(&value) {
            Some(file) => files.push(remote(file, false)),
            None if value.trim().is_empty() => {}
            None => {
                line.push(' ');
                line.push_str(value.trim());
            }
        }
    }
    (line, files)
}

fn text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    }
}
