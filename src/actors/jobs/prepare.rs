//! Making a job's workspace and sandbox ready for its engine.

use std::{collections::BTreeMap, pin::pin};

use bytes::Bytes;

use crate::{
    actors::sandbox::messages::{BenchSpec, Open, Program, Run, RunOutput, SetPolicy},
    domain::{gateway::EgressLimits, job::Event},
    ports::{
        repo::{self, Workspace},
        sandbox::{Evidence, SandboxError, SandboxLimits},
    },
};

use super::work::{Stop, Work};

/// Bytes of a set-up command's output that are shown when it fails.
const SHOWN: usize = 4_000;
const MIB: u64 = 1 << 20;

/// Makes everything ready.
pub(super) async fn prepare(work: Work) -> Event {
    match ready(&work).await {
        Ok(workspace) => Event::Prepared { base: workspace.base, branch: workspace.branch.to_string() },
        Err(Stop::NoIsolation(why)) => Event::NoIsolation { why },
        Err(Stop::Gone(why) | Stop::Failed(why)) => Event::NotPrepared { why },
    }
}

async fn ready(work: &Work) -> Result<Workspace, Stop> {
    let remote = work.remote()?;
    let project = repo::Project { id: work.project.id.to_string(), remote };
    let update = || work.kit.repos.update(project.clone());
    // Neither needs the other, and both ask somebody who may take their time. A test of the isolation that began is
    // carried through: it ends its sandboxes itself.
    let (mut proof, mut read) = (pin!(prove(work)), pin!(work.patiently("reading the repository", update)));
    let branches = tokio::select! {
        proved = &mut proof => {
            proved?;
            read.await?
        }
        branches = &mut read => {
            proof.await?;
            branches?
        }
    };
    let unkept = |error: std::io::Error| Stop::Failed(format!("the home cannot be written: {error}"));
    if work.job.needs_fresh_workspace() {
        work.kit.repos.remove(work.id.to_string()).await?;
        work.kit.places.set_up(&work.id, false).map_err(unkept)?;
    }
    let mut workspace = work.workspace(&branches).await?;
    let moved = workspace.remote.as_deref() != branches.commit(&workspace.branch);
    if workspace.existed && moved && work.job.may_be_outdated() {
        work.note(format!("`{}` at the remote went on: the work begins anew on it", workspace.branch));
        work.kit.repos.remove(work.id.to_string()).await?;
        workspace = work.workspace(&branches).await?;
    }
    if !workspace.existed {
        work.kit.places.set_up(&work.id, false).map_err(unkept)?;
        fit_out(work, &workspace).await?;
    }
    let fresh = !work.kit.places.is_set_up(&work.id);
    open(work, &workspace, fresh).await?;
    if fresh {
        set_up(work).await?;
        work.kit.places.set_up(&work.id, true).map_err(unkept)?;
        work.bench.set_policy.ask(SetPolicy { policy: work.policy(false)? }).await?;
    }
    Ok(workspace)
}

/// Lets a throw-away sandbox show that the isolation holds, and keeps what it showed with the job.
async fn prove(work: &Work) -> Result<(), Stop> {
    let evidence: Evidence = match work.kit.sandboxes.self_test().await {
        Ok(evidence) => evidence,
        Err(SandboxError::NoIsolation(why)) => return Err(Stop::NoIsolation(why)),
        // Docker is away: nothing that a job could do about it, and nothing that it did wrong.
        Err(error) => return Err(Stop::NoIsolation(error.to_string())),
    };
    let shown = serde_json::to_vec_pretty(&evidence).unwrap_or_default();
    keep(work, "isolation.json", shown).await;
    if evidence.runtime == "runc" {
        work.note(
            "WARNING: this job shares the machine's kernel (sandbox.runtime is runc): it is not isolated",
        );
    }
    if evidence.holds() {
        return Ok(());
    }
    let failed = evidence.checks.iter().filter(|check| !check.ok);
    let failed: Vec<_> = failed.map(|check| format!("{}: {}", check.name, check.seen)).collect();
    Err(Stop::NoIsolation(format!("{}. `atoll sandbox test` shows all of it", failed.join("; "))))
}

/// Keeps an artefact; what cannot be kept is noted and holds nothing up.
pub(super) async fn keep(work: &Work, name: &str, bytes: Vec<u8>) {
    if let Err(error) = work.kit.files.keep(&work.id, name, Bytes::from(bytes)).await {
        tracing::warn!(job = %work.id, name, %error, "an artefact cannot be kept");
    }
}

async fn fit_out(work: &Work, workspace: &Workspace) -> Result<(), Stop> {
    let mut files = Vec::new();
    for file in &work.task.attachments {
        let bytes = work.kit.attachments.read(&file.id).await;
        let bytes = bytes.map_err(|error| Stop::Failed(format!("{} cannot be read: {error}", file.name)))?;
        files.push((file.name.clone(), bytes));
    }
    let done = work.kit.places.fit_out(workspace.folder.clone(), files).await;
    done.map_err(|error| Stop::Failed(format!("the workspace cannot be made ready: {error}")))
}

async fn open(work: &Work, workspace: &Workspace, setup: bool) -> Result<(), Stop> {
    let (limits, places) = (&work.project.settings.limits, &work.kit.places);
    let unkept = |error: std::io::Error| Stop::Failed(format!("the home cannot be written: {error}"));
    let usual = work.kit.settings.sandbox;
    let spec = BenchSpec {
        job: work.id.clone(),
        image: work.project.settings.image.clone(),
        limits: SandboxLimits {
            memory_bytes: u64::from(limits.memory_mib) * MIB,
            cpus: limits.cpus,
            ..usual
        },
        workspace: workspace.folder.clone(),
        home: places.home(&work.id).await.map_err(unkept)?,
        cache: Some(places.cache(&work.project.id)),
        env: BTreeMap::new(),
        policy: work.policy(setup)?,
        egress: EgressLimits::default(),
    };
    work.bench.open.ask(Open { spec, events: work.events.clone() }).await?;
    Ok(())
}

/// Runs the project's set-up commands: a workspace is made ready once.
async fn set_up(work: &Work) -> Result<(), Stop> {
    for command in &work.project.settings.setup_commands {
        work.note(format!("set-up: {command}"));
        let run = Run {
            program: Program::Shell(command.clone()),
            timeout_ms: work.kit.settings.command_ms,
            max_output: SHOWN,
            env: BTreeMap::new(),
        };
        let RunOutput { exit, tail, .. } = work.bench.run.ask(run).await?;
        if exit != Some(0) {
            let how =
                exit.map_or_else(|| "did not end in its time".into(), |exit| format!("ended with {exit}"));
            return Err(Stop::Failed(format!("the set-up command `{command}` {how}:\n{tail}")));
        }
    }
    Ok(())
}
