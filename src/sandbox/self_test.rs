//! The self-test: throw-away sandboxes made just like a job's are asked whether the isolation holds. What it showed
//! is kept, for as long as engine, runtime, image and limits are the same, and for a day.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bollard::query_parameters::InspectContainerOptions;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::{
    domain::Millis,
    ports::sandbox::{
        Check, Evidence, Exec, ExecSpec, Mount, Owner, Sandbox, SandboxError, SandboxLimits, SandboxSpec,
        place,
    },
};

use super::{
    advice,
    checks::{Ground, Judged, Probe, Seen, in_a_job_s, of_limits},
    maker::DockerSandboxes,
    relay::install_relay,
    relay_check::carried,
};

/// How long what was shown is believed.
const DAY: Millis = 86_400_000;
/// How long one question may take.
const ANSWER: Duration = Duration::from_secs(60);
/// Most that is read of an answer.
const MOST: usize = 64 * 1024;
/// What is sent through a program and back.
const ROUND_TRIP: usize = 1 << 20;
/// How many pieces of evidence are kept: one for each image, and limits that were tried.
const KEPT: usize = 16;

/// What evidence is about: when any of it changes, it has to be shown anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subject {
    pub(super) engine: String,
    pub(super) runtime: String,
    pub(super) image: String,
    pub(super) limits: String,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    subject: Subject,
    evidence: Evidence,
}

impl DockerSandboxes {
    /// Evidence that is stored for this subject, and not too old.
    pub(super) fn stored(&self, subject: &Subject) -> Option<Evidence> {
        let now = self.clock.now();
        let fits =
            |stored: &Stored| stored.subject == *subject && (0..DAY).contains(&(now - stored.evidence.at));
        self.all_stored().into_iter().find(fits).map(|stored| stored.evidence)
    }

    fn all_stored(&self) -> Vec<Stored> {
        let text = std::fs::read(self.evidence_file()).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn evidence_file(&self) -> std::path::PathBuf {
        self.settings.folder.join("evidence.json")
    }

    fn store(&self, subject: Subject, evidence: &Evidence) -> std::io::Result<()> {
        let mut all = self.all_stored();
        all.retain(|stored| stored.subject != subject);
        all.insert(0, Stored { subject, evidence: evidence.clone() });
        all.truncate(KEPT);
        std::fs::create_dir_all(&self.settings.folder)?;
        let fresh = self.settings.folder.join(format!("evidence.{:032x}", self.clock.fresh()));
        std::fs::write(&fresh, serde_json::to_vec_pretty(&all)?)?;
        std::fs::rename(fresh, self.evidence_file())
    }

    /// Evidence for an image: the stored one when it holds and may be used, else a fresh one.
    pub(super) async fn evidence(&self, image: &str, anew: bool) -> Result<Evidence, SandboxError> {
        // One at a time: others use what it shows.
        let _turn = self.testing.lock().await;
        let (subject, ground) = self.subject(image).await?;
        if let Some(evidence) = self.stored(&subject).filter(|evidence| evidence.holds() && !anew) {
            return Ok(evidence);
        }
        let mut checks = vec![held("engine", format!("{}, {}", subject.engine, subject.runtime))];
        checks.push(held("image", format!("{image} ({})", subject.image)));
        checks.extend(self.ask_like_a_job(image, &ground).await?);
        checks.extend(self.ask_for_limits(image, &ground).await?);
        let evidence = Evidence { runtime: self.settings.runtime.clone(), checks, at: self.clock.now() };
        if let Err(error) = self.store(subject, &evidence) {
            tracing::warn!(%error, "the evidence of the sandbox's self-test cannot be stored");
        }
        Ok(evidence)
    }

    /// What is to be shown, and what is known of it.
    pub(super) async fn subject(&self, image: &str) -> Result<(Subject, Ground), SandboxError> {
        let docker = self.connection.docker().await?;
        let fault = |error| self.connection.fault("asking the engine", error);
        let info = docker.info().await.map_err(fault)?;
        let runtime = &self.settings.runtime;
        let known = info.runtimes.unwrap_or_default();
        let Some(found) = known.get(runtime) else {
            return Err(SandboxError::NoIsolation(advice::no_runtime(runtime)));
        };
        let path = found.path.clone().unwrap_or_default();
        let age = std::fs::metadata(&path).and_then(|data| data.modified()).ok();
        let age = age.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let inspected = docker.inspect_image(image).await.map_err(fault)?;
        let env = inspected.config.and_then(|config| config.env).unwrap_or_default();
        let names = env.iter().filter_map(|pair| pair.split('=').next()).map(str::to_owned);
        let limits = self.settings.limits;
        let subject = Subject {
            engine: format!("Docker {}", info.server_version.unwrap_or_default()),
            runtime: format!("runtime {runtime} ({path}, {})", age.unwrap_or_default().as_secs()),
            image: inspected.id.unwrap_or_default(),
            limits: format!("{limits:?} {}", self.settings.disk_bytes),
        };
        let ground = Ground {
            runtime: runtime.clone(),
            shares_kernel: self.settings.shares_kernel(),
            kernel: info.kernel_version.unwrap_or_default(),
            limits,
            image_env: names.collect::<BTreeSet<_>>(),
        };
        Ok((subject, ground))
    }

    async fn ask_like_a_job(&self, image: &str, ground: &Ground) -> Result<Vec<Check>, SandboxError> {
        let place = self.settings.folder.join("checks").join(format!("{:032x}", self.clock.fresh()));
        let mounts: Vec<Mount> = [("workspace", place::WORKSPACE), ("home", place::HOME)]
            .map(|(name, inside)| Mount {
                host: place.join(name),
                inside: inside.to_owned(),
                read_only: false,
            })
            .into();
        for mount in &mounts {
            let made = std::fs::create_dir_all(&mount.host);
            made.map_err(|error| SandboxError::Engine(format!("{}: {error}", mount.host.display())))?;
        }
        let relay = install_relay(&self.settings.folder);
        let relay = relay.map_err(|error| SandboxError::Engine(format!("installing the relay: {error}")))?;
        let spec = self.check_spec(image, ground.limits, mounts).with_relay(relay);
        let outcome = self.ask_all(spec, ground).await;
        self.clear(&place).await?;
        outcome
    }

    /// Asks a sandbox like a job's, and ends it in any case.
    async fn ask_all(&self, spec: SandboxSpec, ground: &Ground) -> Result<Vec<Check>, SandboxError> {
        let sandbox = self.make(spec).await?;
        let mut checks = vec![check("container", self.as_asked(&sandbox, ground).await)];
        for probe in in_a_job_s() {
            checks.push(ask(&*sandbox, probe, ground).await);
        }
        checks.push(check("streams", round_trip(&*sandbox).await));
        checks.push(check("relay", carried(&*sandbox).await));
        let (every, most) = (self.settings.disk_every.as_secs_f32(), self.settings.disk_bytes >> 20);
        checks
            .push(held("disk", format!("no hard quota: measured every {every} s, ended beyond {most} MiB")));
        sandbox.kill().await?;
        Ok(checks)
    }

    async fn ask_for_limits(&self, image: &str, ground: &Ground) -> Result<Vec<Check>, SandboxError> {
        let usual = ground.limits;
        // The same code sets them; small, so that reaching them costs the machine nothing.
        let limits = SandboxLimits {
            memory_bytes: usual.memory_bytes.min(256 << 20),
            processes: usual.processes.min(48),
            file_bytes: usual.file_bytes.min(4 << 20),
            tmp_bytes: usual.tmp_bytes.min(16 << 20),
            ..usual
        };
        let ground = Ground { limits, ..ground.clone() };
        let sandbox = self.make(self.check_spec(image, limits, Vec::new())).await?;
        let mut checks = Vec::new();
        for probe in of_limits(&limits) {
            checks.push(ask(&*sandbox, probe, &ground).await);
        }
        sandbox.kill().await?;
        Ok(checks)
    }

    fn check_spec(&self, image: &str, limits: SandboxLimits, mounts: Vec<Mount>) -> SandboxSpec {
        SandboxSpec {
            owner: Owner { kind: "check".into(), id: format!("{:032x}", self.clock.fresh()) },
            image: Some(image.to_owned()),
            limits,
            mounts,
            env: [].into(),
        }
    }

    /// The engine took every setting as it was asked, and added nothing.
    async fn as_asked(&self, sandbox: &Arc<dyn Sandbox>, ground: &Ground) -> Judged {
        let fault = |error: SandboxError| error.to_string();
        let docker = self.connection.docker().await.map_err(fault)?;
        let found = docker.inspect_container(sandbox.id(), None::<InspectContainerOptions>).await;
        let found =
            found.map_err(|error| self.connection.fault("looking at a sandbox", error).to_string())?;
        let host = found.host_config.unwrap_or_default();
        let memory = i64::try_from(ground.limits.memory_bytes).ok();
        let options = host.security_opt.unwrap_or_default();
        let ours = |name: &str| [place::WORKSPACE, place::HOME, place::RELAY].contains(&name);
        let mounts = found.mounts.unwrap_or_default();
        let foreign = mounts.iter().filter_map(|mount| mount.destination.as_deref()).find(|at| !ours(at));
        let wanted = [
            ("the network", host.network_mode.as_deref() == Some("none")),
            ("the read-only root", host.readonly_rootfs == Some(true)),
            ("no privileges", host.privileged != Some(true)),
            ("no capabilities", host.cap_drop.unwrap_or_default() == ["ALL"]),
            ("no new privileges", options.iter().any(|option| option.starts_with("no-new-privileges"))),
            ("the memory", host.memory == memory),
            ("no swap", host.memory_swap == memory),
            ("the processes", host.pids_limit.is_some_and(|most| most > 0)),
            ("the runtime", host.runtime.as_deref() == Some(&ground.runtime)),
        ];
        if let Some((what, _)) = wanted.iter().find(|(_, so)| !so) {
            return Err(format!("the engine did not take {what} as asked"));
        }
        if let Some(at) = foreign {
            return Err(format!(
                "the image brings a volume at {at}, which nobody measures: take VOLUME out of it"
            ));
        }
        let cpus = host.nano_cpus.unwrap_or_default() as f64 / 1e9;
        Ok(format!("{} MiB memory without swap, {cpus} processors", ground.limits.memory_bytes >> 20))
    }
}

async fn ask(sandbox: &dyn Sandbox, probe: Probe, ground: &Ground) -> Check {
    let argv = ["bash", "-c", &probe.script].map(str::to_owned).into();
    let judged = match run(sandbox, argv, None).await {
        Ok(seen) => (probe.judge)(&seen.told(), ground),
        Err(error) => Err(error.to_string()),
    };
    check(probe.name, judged)
}

/// A mebibyte of all bytes there are goes through a program and comes back, and an exit code with it.
async fn round_trip(sandbox: &dyn Sandbox) -> Judged {
    let sent: Vec<u8> = (0..ROUND_TRIP).map(|at| (at % 251) as u8 ^ (at >> 12) as u8).collect();
    let argv = ["sh", "-c", "cat; echo over >&2; exit 7"].map(str::to_owned).into();
    let seen = run(sandbox, argv, Some(sent.clone().into())).await.map_err(|error| error.to_string())?;
    let fine = seen.out == sent && seen.err == b"over\n" && seen.code == Some(7);
    if fine {
        Ok("1 MiB there and back, unchanged".into())
    } else {
        Err(format!("{} of {ROUND_TRIP} bytes came back, exit {:?}", seen.out.len(), seen.code))
    }
}

/// What a program said, as bytes.
pub(super) struct Said {
    code: Option<i64>,
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Said {
    pub(super) fn told(self) -> Seen {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Seen { code: self.code, out: text(&self.out), err: text(&self.err) }
    }
}

pub(super) async fn run(
    sandbox: &dyn Sandbox,
    argv: Vec<String>,
    input: Option<Bytes>,
) -> Result<Said, SandboxError> {
    let work = async {
        let Exec { stdin, mut stdout, mut stderr, exit } =
            sandbox.exec(ExecSpec { argv, ..ExecSpec::default() }).await?;
        let feed = async move {
            if let Some(input) = input {
                for start in (0..input.len()).step_by(32 * 1024) {
                    let piece = input.slice(start..input.len().min(start + 32 * 1024));
                    if stdin.send(piece).await.is_err() {
                        break;
                    }
                }
            }
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let read_out = async {
            while let Some(piece) = stdout.recv().await {
                out.extend_from_slice(&piece);
                out.truncate(ROUND_TRIP + MOST);
            }
        };
        let read_err = async {
            while let Some(piece) = stderr.recv().await {
                err.extend_from_slice(&piece);
                err.truncate(MOST);
            }
        };
        tokio::join!(feed, read_out, read_err);
        let code = exit.await.ok();
        if code.is_none() {
            err = sandbox.died().await.into_bytes();
        }
        Ok(Said { code, out, err })
    };
    timeout(ANSWER, work).await.map_err(|_| SandboxError::Engine("it did not end in time".into()))?
}

fn check(name: &str, judged: Judged) -> Check {
    let (ok, seen) = match judged {
        Ok(seen) => (true, seen),
        Err(seen) => (false, seen),
    };
    Check { name: name.to_owned(), ok, seen }
}

fn held(name: &str, seen: String) -> Check {
    check(name, Ok(seen))
}

/// What does not hold, in one line.
pub(super) fn failures(evidence: &Evidence) -> String {
    let failed = evidence.checks.iter().filter(|check| !check.ok);
    failed.map(|check| format!("{}: {}", check.name, check.seen)).collect::<Vec<_>>().join("; ")
}
