//! What the container engine is asked for: pure, so that a test can look at every line of it.

use std::{collections::HashMap, path::Path};

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount as DockerMount, MountBindOptions,
    MountBindOptionsPropagationEnum, MountType, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};

use crate::ports::sandbox::{ExecUser, Mount, Owner, SandboxLimits, SandboxSpec, place};

use super::settings::SandboxSettings;

/// The label that every container of Atoll bears.
pub(super) const LABEL: &str = "atoll";
/// Which home it belongs to.
pub(super) const INSTANCE: &str = "atoll.instance";
/// For whom it is.
pub(super) const KIND: &str = "atoll.kind";
/// For which one of them.
pub(super) const ID: &str = "atoll.id";

/// Who works inside.
pub(super) const USER: u32 = 1001;
/// Who carries its connections out: another one, so that whoever works cannot reach into it through `/proc`.
const RELAY_USER: u32 = 1002;
/// Threads of gVisor itself count too, and it dies without a word when it may not have one more.
const GVISOR_THREADS: i64 = 4_096;
/// Most processes where the machine's kernel counts them.
const SHARED_PROCESSES: u64 = 512;
/// The first program: it waits, and ends a moment after it is asked to, when whoever asked has been answered.
pub(super) const FIRST: &str = "trap 'sleep 0.2; exit' TERM; sleep \"$0\" & wait";
/// How long a sandbox of a check lives at most, in seconds, whoever forgets it.
const CHECK_LIFE: &str = "900";

/// Says what cannot be asked for.
pub(super) fn refuse(spec: &SandboxSpec) -> Result<(), String> {
    for mount in &spec.mounts {
        let inside = Path::new(&mount.inside);
        let odd = |part: std::path::Component<'_>| {
            !matches!(part, std::path::Component::RootDir | std::path::Component::Normal(_))
        };
        let first = inside.components().nth(1).and_then(|part| part.as_os_str().to_str());
        let system =
            [None, Some("proc"), Some("sys"), Some("dev"), Some("etc"), Some("tmp")].contains(&first);
        if !inside.is_absolute() || inside.components().any(odd) || system {
            return Err(format!("a folder cannot be seen at {}", mount.inside));
        }
        if !mount.host.is_absolute() || mount.host == Path::new("/") {
            return Err(format!("{} cannot be seen inside", mount.host.display()));
        }
    }
    let bad = |name: &str, value: &str| name.is_empty() || name.contains(['=', '\0']) || value.contains('\0');
    match spec.env.iter().find(|(name, value)| bad(name, value)) {
        Some((name, _)) => Err(format!("`{name}` cannot be a name in an environment")),
        None => Ok(()),
    }
}

/// The container that such a sandbox is.
pub(super) fn container(spec: &SandboxSpec, settings: &SandboxSettings) -> ContainerCreateBody {
    let image = spec.image.clone().unwrap_or_else(|| settings.image.clone());
    let home = ("HOME".to_owned(), place::HOME.to_owned());
    let env: std::collections::BTreeMap<_, _> = [home].into_iter().chain(spec.env.clone()).collect();
    let life = if spec.owner.kind == "check" { CHECK_LIFE } else { "infinity" };
    ContainerCreateBody {
        image: Some(image),
        user: Some(user(ExecUser::Agent)),
        hostname: Some("sandbox".into()),
        working_dir: Some(place::WORKSPACE.into()),
        entrypoint: Some(["sh", "-c", FIRST].map(str::to_owned).into()),
        cmd: Some(vec![life.into()]),
        env: Some(env.into_iter().map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(labels(&spec.owner, &settings.instance)),
        network_disabled: Some(true),
        stop_timeout: Some(10),
        host_config: Some(host(spec, settings)),
        ..Default::default()
    }
}

/// The user and group that run a program.
pub(super) fn user(user: ExecUser) -> String {
    let number = match user {
        ExecUser::Agent => USER,
        ExecUser::Relay => RELAY_USER,
    };
    format!("{number}:{number}")
}

/// The labels of a container of this owner.
pub(super) fn labels(owner: &Owner, instance: &str) -> HashMap<String, String> {
    [(LABEL, "sandbox"), (INSTANCE, instance), (KIND, &owner.kind), (ID, &owner.id)]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The owner that labels tell of.
pub(super) fn owner(labels: &HashMap<String, String>) -> Owner {
    let read = |name: &str| labels.get(name).cloned().unwrap_or_default();
    Owner { kind: read(KIND), id: read(ID) }
}

fn host(spec: &SandboxSpec, settings: &SandboxSettings) -> HostConfig {
    let limits = &spec.limits;
    let memory = to_i64(limits.memory_bytes);
    HostConfig {
        runtime: Some(settings.runtime.clone()),
        network_mode: Some("none".into()),
        ipc_mode: Some("private".into()),
        readonly_rootfs: Some(true),
        privileged: Some(false),
        cap_drop: Some(vec!["ALL".into()]),
        security_opt: Some(vec!["no-new-privileges".into()]),
        init: Some(true),
        auto_remove: Some(false),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        memory: Some(memory),
        memory_swap: Some(memory),
        nano_cpus: Some((limits.cpus * 1e9).round() as i64),
        pids_limit: Some(processes(limits, settings)),
        ulimits: Some(ulimits(limits, settings)),
        tmpfs: Some(tmpfs(spec)),
        mounts: Some(spec.mounts.iter().map(mount).collect()),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".into()),
            config: Some(HashMap::from([("max-size".into(), "5m".into()), ("max-file".into(), "2".into())])),
        }),
        ..Default::default()
    }
}

fn processes(limits: &SandboxLimits, settings: &SandboxSettings) -> i64 {
    if settings.shares_kernel() { to_i64(limits.processes.min(SHARED_PROCESSES)) } else { GVISOR_THREADS }
}

fn ulimits(limits: &SandboxLimits, settings: &SandboxSettings) -> Vec<ResourcesUlimits> {
    let mut all = vec![("nofile", limits.open_files), ("fsize", limits.file_bytes), ("core", 0)];
    // The machine's kernel counts the processes of a user over all containers: there the cgroup does it.
    if !settings.shares_kernel() {
        all.push(("nproc", limits.processes));
    }
    let one = |(name, most): (&str, u64)| ResourcesUlimits {
        name: Some(name.into()),
        soft: Some(to_i64(most)),
        hard: Some(to_i64(most)),
    };
    all.into_iter().map(one).collect()
}

/// What is writable in memory: `/tmp`, where builds run what they made, and whatever no folder is given for.
fn tmpfs(spec: &SandboxSpec) -> HashMap<String, String> {
    let size = spec.limits.tmp_bytes;
    let mut all = HashMap::from([
        ("/tmp".to_owned(), format!("rw,exec,nosuid,nodev,size={size},mode=1777")),
        ("/run/agent".to_owned(), "rw,nosuid,nodev,size=16777216,mode=1777".to_owned()),
    ]);
    for inside in [place::WORKSPACE, place::HOME] {
        if !spec.mounts.iter().any(|mount| mount.inside == inside) {
            all.insert(inside.to_owned(), format!("rw,exec,nosuid,nodev,size={size},mode=1777"));
        }
    }
    all
}

fn mount(mount: &Mount) -> DockerMount {
    DockerMount {
        typ: Some(MountType::BIND),
        source: Some(mount.host.display().to_string()),
        target: Some(mount.inside.clone()),
        read_only: Some(mount.read_only),
        bind_options: Some(MountBindOptions {
            propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
