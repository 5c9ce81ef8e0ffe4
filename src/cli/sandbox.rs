//! `atoll sandbox`: the image, the self-test, what is there, what was left behind. Works without a server.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::json;

use crate::{
    config,
    home::{Home, Lock},
    ports::{
        sandbox::{Evidence, FoundSandbox},
        sandbox_care::{BuildSpec, BuildStep, SandboxCare},
    },
};

use super::{
    Args, CliError, CliResult, Surroundings,
    args::{SandboxArgs, SandboxBuild, SandboxCommand},
    client::block_on,
    config_file,
    table::{say, say_json, say_piece, say_table},
};

pub(super) fn run(
    args: &Args,
    home: &Home,
    wanted: &SandboxArgs,
    surroundings: &dyn Surroundings,
) -> CliResult {
    let config = configuration(args, home)?;
    let care = surroundings.sandboxes(home, &config);
    block_on(async {
        match &wanted.command {
            SandboxCommand::Build(spec) => build(care, spec).await,
            SandboxCommand::Test { json } => test(care, *json).await,
            SandboxCommand::List { json } => list(care, *json).await,
            SandboxCommand::Clean => clean(care, home).await,
        }
    })?
}

pub(super) fn configuration(args: &Args, home: &Home) -> Result<config::Sandbox, CliError> {
    let env = |name: &str| std::env::var(name).ok();
    let config = match config_file(args, home) {
        Some(path) => config::load(&path, &env),
        None => config::parse("", "config.yaml", &env),
    };
    config.map(|config| config.sandbox).map_err(|error| CliError::said(error.to_string()))
}

fn said(error: impl std::fmt::Display) -> CliError {
    CliError::said(error.to_string())
}

async fn build(care: Arc<dyn SandboxCare>, wanted: &SandboxBuild) -> CliResult {
    let extra_ca = match &wanted.ca {
        Some(path) => {
            Some(std::fs::read(path).map_err(|error| said(format!("{}: {error}", path.display())))?)
        }
        None => None,
    };
    let spec = BuildSpec {
        base: wanted.base.clone(),
        claude_code: wanted.claude_code,
        codex: wanted.codex,
        network: wanted.network.clone(),
        extra_ca,
    };
    let mut steps = care.build(spec).await.map_err(said)?;
    while let Some(step) = steps.recv().await {
        match step {
            BuildStep::Output(text) => say_piece(&text),
            BuildStep::Done(name) => {
                say(&format!("{name} is built; `atoll sandbox test` tests it"));
                return Ok(());
            }
            BuildStep::Failed(why) => return Err(said(format!("the image is not built: {}", why.trim()))),
        }
    }
    Err(CliError::said("the build broke off"))
}

async fn test(care: Arc<dyn SandboxCare>, as_json: bool) -> CliResult {
    let evidence = care.test_anew().await.map_err(said)?;
    if as_json {
        let mut report = serde_json::to_value(&evidence).unwrap_or_default();
        report["holds"] = json!(evidence.holds());
        say_json(&report);
    } else {
        show(&evidence);
    }
    if evidence.holds() { Ok(()) } else { Err(CliError::Quiet) }
}

fn show(evidence: &Evidence) {
    let mark = |ok: bool| if ok { "ok" } else { "x failed" };
    let rows = evidence.checks.iter();
    let rows = rows.map(|check| vec![check.name.clone(), mark(check.ok).into(), check.seen.clone()]);
    say_table(&["what", "state", "seen"], rows.collect());
    if evidence.holds() {
        say("the isolation holds");
    } else {
        say("the isolation does not hold: no job runs until it does");
    }
}

async fn list(care: Arc<dyn SandboxCare>, as_json: bool) -> CliResult {
    let all = care.found().await.map_err(said)?;
    if as_json {
        say_json(&json!({"sandboxes": all.iter().map(shape).collect::<Vec<_>>()}));
        return Ok(());
    }
    if all.is_empty() {
        say("there are no sandboxes");
        return Ok(());
    }
    let state = |found: &FoundSandbox| if found.running { "runs" } else { "dead" };
    let rows = all.iter().map(|found| {
        let short = found.id.chars().take(12).collect();
        vec![short, found.owner.kind.clone(), found.owner.id.clone(), state(found).into()]
    });
    say_table(&["id", "for", "which", "state"], rows.collect());
    Ok(())
}

fn shape(found: &FoundSandbox) -> serde_json::Value {
    json!({"id": found.id, "kind": found.owner.kind, "owner": found.owner.id, "running": found.running})
}

async fn clean(care: Arc<dyn SandboxCare>, home: &Home) -> CliResult {
    if Lock::is_held(&home.lock_file()) {
        return Err(CliError::said(
            "a server runs on this home and may be using them: end it first with `atoll stop`",
        ));
    }
    let ended = care.end_strays(BTreeSet::new()).await.map_err(said)?;
    say(&format!("sandboxes ended: {}", ended.len()));
    Ok(())
}
