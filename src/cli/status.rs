//! `atoll status`: what was checked, what was found, what to do about it. Works without a server too.

use serde_json::{Value, json};

use crate::{
    config::{self, Config},
    home::Home,
    ports::sandbox_care::Readiness,
};

use super::{
    Args, CliError, CliResult, Surroundings,
    client::{Client, block_on},
    config_file,
    process::running,
    table::{field, say, say_json, say_table},
};

pub(super) fn run(args: &Args, home: &Home, as_json: bool, surroundings: &dyn Surroundings) -> CliResult {
    let mut checks = vec![check("home", "ok", home.root().display().to_string(), "")];
    let config = configuration(args, home, &mut checks);
    personas(home, &mut checks);
    models(config.as_ref(), &mut checks);
    if let Some(config) = &config {
        prove(config, home, surroundings)?;
    }
    let mut report = json!({});
    match running(home) {
        None => {
            sandbox(config.as_ref(), home, surroundings, &mut checks)?;
            checks.push(check("server", "failed", "it does not run", "start it with `atoll start -d`"));
        }
        Some(pid) => {
            let found =
                Client::find(home).and_then(|client| block_on(async { client.get("/api/v1/health").await })?);
            match found {
                Ok(health) => {
                    let address = std::fs::read_to_string(home.address_file()).unwrap_or_default();
                    let details = format!("pid {} at {address}", pid.as_raw_nonzero());
                    checks.push(check("server", "ok", details, ""));
                    checks.extend(health["checks"].as_array().cloned().unwrap_or_default());
                    report = health;
                }
                Err(error) => {
                    let advice = "see `atoll logs`; `atoll restart` starts it anew";
                    checks.push(check("server", "failed", error.to_string(), advice));
                }
            }
        }
    }
    let failed = checks.iter().any(|check| check["status"] == "failed");
    if as_json {
        report["checks"] = Value::Array(checks);
        report["status"] = json!(if failed { "failing" } else { "running" });
        say_json(&report);
    } else {
        show(&checks);
    }
    if failed { Err(CliError::Quiet) } else { Ok(()) }
}

fn check(name: &str, status: &str, details: impl Into<String>, advice: &str) -> Value {
    json!({"name": name, "status": status, "details": details.into(), "advice": advice})
}

fn show(checks: &[Value]) {
    let rows = checks
        .iter()
        .map(|check| {
            let mark = match check["status"].as_str() {
                Some("ok") => "ok",
                Some("warning") => "! warning",
                _ => "x failed",
            };
            vec![field(check, "name"), mark.into(), field(check, "details"), field(check, "advice")]
        })
        .collect();
    say_table(&["what", "state", "found", "what to do"], rows);
    if checks.iter().all(|check| check["status"] == "ok") {
        say("all is well");
    }
}

fn configuration(args: &Args, home: &Home, checks: &mut Vec<Value>) -> Option<Config> {
    let env = |name: &str| std::env::var(name).ok();
    let (config, from) = match config_file(args, home) {
        None => (config::parse("", "", &env), "none: everything has its default".to_owned()),
        Some(path) => (config::load(&path, &env), path.display().to_string()),
    };
    match config {
        Ok(config) => {
            checks.push(check("config", "ok", from, ""));
            Some(config)
        }
        Err(error) => {
            checks.push(check("config", "failed", error.to_string(), "mend it, then `atoll check`"));
            None
        }
    }
}

fn personas(home: &Home, checks: &mut Vec<Value>) {
    let own = |name: &str| home.root().join(name).is_file();
    let state = |name: &str| format!("{name}: {}", if own(name) { "own" } else { "built in" });
    checks.push(check("persona", "ok", format!("{}, {}", state("BOT.md"), state("USER.md")), ""));
}

fn models(config: Option<&Config>, checks: &mut Vec<Value>) {
    let Some(config) = config else { return };
    let names: Vec<String> = config.llm.iter().map(|provider| provider.name.clone()).collect();
    let details = if names.is_empty() {
        "none configured: looked for in the environment and on this machine at the start".to_owned()
    } else {
        names.join(", ")
    };
    checks.push(check("models", "ok", details, ""));
}

/// Lets the sandbox show that it holds, when that was not shown today: the server and the look below know it from then on.
fn prove(config: &Config, home: &Home, surroundings: &dyn Surroundings) -> CliResult {
    let care = surroundings.sandboxes(home, &config.sandbox);
    block_on(async {
        if care.look().await.readiness == Readiness::Ready {
            // What comes of it is stored; the look tells it in its own words.
            let _ = care.self_test().await;
        }
    })
}

/// Without a server nobody else looks.
fn sandbox(
    config: Option<&Config>,
    home: &Home,
    surroundings: &dyn Surroundings,
    checks: &mut Vec<Value>,
) -> CliResult {
    let Some(config) = config else { return Ok(()) };
    let care = surroundings.sandboxes(home, &config.sandbox);
    let look = block_on(async { care.look().await })?;
    let status = if look.readiness == Readiness::Doubtful { "warning" } else { "ok" };
    checks.push(check("sandbox", status, look.details, &look.advice));
    Ok(())
}
