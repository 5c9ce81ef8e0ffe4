//! The tools that are always there beside memory: the clock, and the way to a skill.

use serde_json::json;

use crate::{
    domain::{
        Millis,
        message::ToolCall,
        skill::{EffectClass, ToolBook, ToolSpec},
    },
    ports::tool::{SharedSkills, ToolOutput},
};

use super::memory_tools;

pub(super) const CLOCK: &str = "clock";
pub(super) const ACTIVATE: &str = "activate_skill";

/// The built-in tools and those of skills; a built-in one keeps its name.
pub(super) fn book(skills: ToolBook) -> ToolBook {
    let of_skills = skills.all().map(|tool| tool.as_ref().clone()).collect::<Vec<_>>();
    let builtin = memory_tools::specs().into_iter().chain([clock_spec(), activate_spec()]);
    ToolBook::new(of_skills.into_iter().chain(builtin))
}

fn clock_spec() -> ToolSpec {
    ToolSpec {
        name: CLOCK.into(),
        description: "The current date and time. With a UTC offset, also the local time there.".into(),
        input_schema: json!({
            "type": "object",
            "properties": {
                "utc_offset_minutes": {
                    "type": "integer", "minimum": -840, "maximum": 840,
                    "description": "Minutes east of UTC, as 120 for UTC+2."
                }
            }
        }),
        effect: EffectClass::Pure,
        approval: false,
        skill: None,
    }
}

fn activate_spec() -> ToolSpec {
    ToolSpec {
        name: ACTIVATE.into(),
        description: "Opens a skill: gives its instructions, and makes its tools callable in this \
                      conversation."
            .into(),
        input_schema: json!({
            "type": "object",
            "properties": {"skill_name": {"type": "string", "description": "Name from the list of skills."}},
            "required": ["skill_name"]
        }),
        effect: EffectClass::Pure,
        approval: false,
        skill: None,
    }
}

pub(super) fn clock(now: Millis, call: &ToolCall) -> ToolOutput {
    let Some(utc) = chrono::DateTime::from_timestamp_millis(now) else {
        return ToolOutput::failed("Error: the clock is out of range.");
    };
    let text = format!("{}, a {} (UTC)", utc.format("%Y-%m-%dT%H:%M:%SZ"), utc.format("%A"));
    let local = call.args["utc_offset_minutes"].as_i64().and_then(|minutes| {
        let offset = chrono::FixedOffset::east_opt(i32::try_from(minutes).ok()?.checked_mul(60)?)?;
        Some(utc.with_timezone(&offset).format("%Y-%m-%dT%H:%M:%S%:z").to_string())
    });
    ToolOutput::ok(match local {
        Some(local) => format!("{text}; there it is {local}"),
        None => text,
    })
}

pub(super) fn activate(skills: &SharedSkills, call: &ToolCall) -> ToolOutput {
    let name = call.args["skill_name"].as_str().unwrap_or_default();
    let list = skills.list();
    let names = || {
        let names: Vec<&str> =
            list.iter().filter(|skill| skill.active).map(|skill| skill.name.as_str()).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    match list.iter().find(|skill| skill.name == name) {
        None => ToolOutput::failed(format!("Error: there is no skill `{name}`. There are: {}.", names())),
        Some(skill) if !skill.active => {
            let why = skill.reason.clone().unwrap_or_else(|| "it is switched off".into());
            ToolOutput::failed(format!("Error: the skill `{name}` cannot be used: {why}."))
        }
        Some(skill) => {
            let book = skills.tools();
            let tools: Vec<String> = book
                .all()
                .filter(|tool| tool.skill.as_deref() == Some(name))
                .map(|tool| format!("- {}: {}", tool.name, tool.description))
                .collect();
            let instructions = skills.instructions(name).unwrap_or_default();
            let tools = if tools.is_empty() {
                "It brings no tools of its own.".to_owned()
            } else {
                format!("Its tools can be called now:\n{}", tools.join("\n"))
            };
            ToolOutput {
                text: format!("Skill `{}` is active. {tools}\n\nInstructions:\n{instructions}", skill.name),
                activated: Some(skill.name.clone()),
                ..ToolOutput::default()
            }
        }
    }
}
