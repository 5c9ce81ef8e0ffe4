//! What the start says: what was found, what is lacking and how to get it, how to talk to it.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use crate::{
    config::{Config, open_warning},
    home::Home,
};

use super::models::Found;

/// Prints a piece of the report at once. Nobody listening is no error.
pub(super) fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// What was found and what is lacking, as lines.
pub(super) fn found(home: &Home, config_from: &str, config: &Config, models: &Found, keys: u64) -> String {
    let mut text = String::new();
    let mut line = |what: &str, is: &str| {
        let _ = writeln!(text, "  {what:<9} {is}");
    };
    line("home", &home.root().display().to_string());
    line("config", config_from);
    line("store", "SQLite, in the home; its queue too: no other service is needed");
    line("model", &models.how);
    let mut lacks = Vec::new();
    if models.rehearsal {
        lacks.push(
            "a model: set OPENAI_API_KEY, ANTHROPIC_API_KEY or another provider's key, start Ollama on this \
             machine, or fill in `llm:` in config.yaml",
        );
    }
    if keys == 0 {
        lacks.push("an API key for REST: atoll keys create --name me --role owner");
    }
    for lack in lacks {
        line("lacks", lack);
    }
    if let Some(warning) = open_warning(&config.chats) {
        line("warning", &warning);
    }
    for planned in &config.planned {
        line("note", &format!("`{planned}` is given, and its part of Atoll is not built yet"));
    }
    text
}

/// How to talk to it.
pub(super) fn how_to_talk(address: &str, home: &Home) -> String {
    let home = home.root().display();
    format!(
        "talk to it in another terminal:\n  atoll --home {home} chat\nor over REST:\n  \
         KEY=$(atoll --home {home} keys create --name me --role owner)\n  \
         curl -N {address}/api/chat -H \"Authorization: Bearer $KEY\" -H 'content-type: application/json' \
         -d '{{\"message\": \"hello\"}}'\nCtrl-C ends it.\n"
    )
}
