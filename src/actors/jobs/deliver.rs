//! From the end of the engine on: checks, the way of the work out of the sandbox, the push, the pull request.

use std::collections::BTreeMap;

use crate::{
    actors::sandbox::messages::{HandOver, Program, Run},
    domain::{
        branch::BranchName,
        job::{Candidate, Event, VerifyRun, words},
        review::{Finding, ReviewLimits, Severity},
    },
    ports::{
        forge::{ForgeError, NewRequest, Opened},
        job_files::LogEvent,
        repo::{self, Inspection, Pushed, RepoError, Seal, Sealed},
    },
};

use super::{
    prepare::keep,
    work::{Stop, Work},
};

/// Bytes of a check's output that are kept: the last ones.
const OUTPUT: usize = 16_000;
/// Most bytes of a diff that are kept.
const DIFF: usize = 4 << 20;
/// The artefact that holds the work whole; the diff has secrets masked.
const WORK: &str = "work.bundle";
/// Most findings that are shown one by one.
const SHOWN: usize = 40;

/// Runs the project's checks, all of them, also after one failed.
pub(super) async fn verify(work: Work) -> Event {
    let mut runs = Vec::new();
    let mut text = String::new();
    for command in &work.project.settings.verify_commands {
        let run = Run {
            program: Program::Shell(command.clone()),
            timeout_ms: work.kit.settings.command_ms,
            max_output: OUTPUT,
            env: BTreeMap::new(),
        };
        let output = match work.bench.run.ask(run).await {
            Ok(output) => output,
            Err(error) => return Event::EngineLost { why: error.to_string() },
        };
        let run = VerifyRun { command: command.clone(), exit: output.exit, tail: output.tail };
        text.push_str(&format!("$ {}\n{}\nexit: {:?}\n\n", run.command, run.tail, run.exit));
        work.kit.files.log(&work.id, work.kit.clock.now(), LogEvent::Check(run.clone()));
        runs.push(run);
    }
    if !runs.is_empty() {
        keep(&work, "checks.txt", text.into_bytes()).await;
    }
    Event::Verified { runs }
}

/// Takes the work out of the sandbox, makes the commit of it, and looks at it.
pub(super) async fn take_out(work: Work) -> Event {
    match sealed(&work).await {
        Ok(event) => event,
        Err(Stop::Gone(why)) => Event::EngineLost { why },
        Err(Stop::NoIsolation(why) | Stop::Failed(why)) => Event::Refused { why },
    }
}

async fn sealed(work: &Work) -> Result<Event, Stop> {
    let (job, repos) = (work.id.to_string(), &work.kit.repos);
    let base = repos.base(job.clone()).await?;
    let bundle = work.bench.hand_over.ask(HandOver { base }).await?;
    let imported = repos.import(job.clone(), bundle).await?;
    let seal = Seal {
        job: job.clone(),
        tree: imported.tree,
        author: work.author().await?,
        message: words::commit(&work.task, work.job.claim()),
        at: work.kit.clock.now(),
    };
    let commit = match repos.seal(seal).await? {
        Sealed::Commit(commit) => commit,
        Sealed::Unchanged => return Ok(Event::Unchanged),
    };
    let submodules = work.project.settings.allow_submodules;
    let limits = ReviewLimits { submodules, ..work.kit.settings.review };
    let inspection = repos.inspect(job.clone(), commit.clone(), limits).await?;
    let (diff, bundle) =
        tokio::join!(repos.diff(job.clone(), commit.clone(), DIFF), repos.bundle(job, commit));
    match bundle {
        Ok(bundle) => keep(work, WORK, bundle).await,
        // Whoever wants the work then has it at the remote.
        Err(error) => work.note(format!("the work is not kept as a bundle: {error}")),
    }
    let diff = diff?;
    let mut text = diff.text;
    if diff.cut {
        text.push_str("\n# The rest is left out: the diff is too long.\n");
    }
    keep(work, "diff.patch", text.into_bytes()).await;
    Ok(judged(inspection))
}

fn judged(inspection: Inspection) -> Event {
    let of = |severity| inspection.findings.iter().filter(move |finding| finding.severity == severity);
    let refused: Vec<_> = of(Severity::Refused).map(in_words).collect();
    if !refused.is_empty() {
        return Event::Refused { why: format!("the work cannot be taken over: {}", refused.join("; ")) };
    }
    let mut flags: Vec<_> = inspection.findings.iter().map(in_words).collect();
    if flags.len() > SHOWN {
        let more = flags.len() - SHOWN;
        flags.truncate(SHOWN);
        flags.push(format!("{more} more findings"));
    }
    let files = inspection.files.len();
    let stat = format!(
        "{files} file{}, {} line{} added, {} removed",
        if files == 1 { "" } else { "s" },
        inspection.added,
        if inspection.added == 1 { "" } else { "s" },
        inspection.removed
    );
    let asks = of(Severity::Asks).next().is_some();
    let (commit, tree) = (inspection.commit.clone(), inspection.tree.clone());
    Event::Committed { candidate: Candidate { commit, tree, stat, flags, asks } }
}

fn in_words(finding: &Finding) -> String {
    match (&finding.path, finding.line) {
        (Some(path), Some(line)) => format!("{path}:{line}: {}", finding.words),
        (Some(path), None) => format!("{path}: {}", finding.words),
        _ => finding.words.clone(),
    }
}

/// Pushes exactly this commit. The remote is looked at first: one that has it is not pushed to again.
pub(super) async fn push(work: Work, commit: String) -> Event {
    match pushed(&work, &commit).await {
        Ok(how) => {
            let known = if how == Pushed::Before { " (it was there already)" } else { "" };
            work.note(format!("pushed {}{known}", words::short(&commit)));
            Event::Pushed
        }
        Err(Stop::NoIsolation(why) | Stop::Gone(why) | Stop::Failed(why)) => Event::NotPushed { why },
    }
}

async fn pushed(work: &Work, commit: &str) -> Result<Pushed, Stop> {
    let Some(candidate) = work.job.candidate().filter(|candidate| candidate.commit == commit) else {
        return Err(Stop::Failed("what was approved is not what is to be pushed".into()));
    };
    let workspace = work.workspace(&repo::Branches::default()).await?;
    let push = repo::Push {
        job: work.id.to_string(),
        remote: work.remote()?,
        commit: commit.to_owned(),
        tree: candidate.tree.clone(),
        branch: workspace.branch,
        expected: workspace.remote,
    };
    let how: Result<_, RepoError> = work.patiently("pushing", || work.kit.repos.push(push.clone())).await;
    Ok(how?)
}

/// Opens the pull request, or finds the one that is open.
pub(super) async fn open_request(work: Work) -> Event {
    match requested(&work).await {
        Ok(opened) => Event::Requested { url: opened.request.url },
        Err(why) => Event::NotRequested { why },
    }
}

async fn requested(work: &Work) -> Result<Opened, String> {
    let forge = work.kit.origins.forge(&work.project)?;
    let forge = forge.ok_or("the project names no forge")?;
    let Some(candidate) = work.job.candidate() else { return Err("there is no commit".into()) };
    let head = BranchName::parse(work.job.branch().unwrap_or_default()).map_err(|error| error.to_string())?;
    let base = BranchName::parse(&work.project.settings.default_branch).map_err(|error| error.to_string())?;
    let (title, body) = words::request(&work.task, candidate, work.job.claim(), work.job.evidence());
    let new = NewRequest { head, base, title, body, draft: false };
    for wait in [2, 10, 30] {
        match forge.open(new.clone()).await {
            Err(error) if error.may_pass() => {
                let wait = match error {
                    ForgeError::Wait { after_ms } => (after_ms / 1_000).clamp(1, 120),
                    _ => wait,
                };
                work.note(format!(
                    "the pull request could not be opened and is tried again in {wait} s: {error}"
                ));
                tokio::time::sleep(std::time::Duration::from_secs(wait)).await;
            }
            other => return other.map_err(|error| error.to_string()),
        }
    }
    forge.open(new).await.map_err(|error| error.to_string())
}
