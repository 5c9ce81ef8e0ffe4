//! Making a sandbox and running a program in it: through Atoll, through Docker's interface with the very same container,
//! and by the `docker` command.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use atoll::{
    app::SystemClock,
    ports::sandbox::{ExecSpec, Mount, Owner, Sandbox, SandboxLimits, SandboxSpec, Sandboxes, place},
    sandbox::{DockerSandboxes, SandboxSettings, install_relay},
};
use bollard::{
    API_DEFAULT_VERSION, Docker,
    exec::{StartExecOptions, StartExecResults},
    models::{ContainerCreateBody, ExecConfig},
    query_parameters::{
        CreateContainerOptions, InspectContainerOptions, RemoveContainerOptions, StartContainerOptions,
    },
};
use futures_util::StreamExt;

use super::stats::Times;

const SANDBOXES: usize = 15;
const PROGRAMS: usize = 60;
const IMAGE: &str = "atoll-sandbox:latest";

/// Docker's socket, as the tests have it.
pub(crate) fn socket() -> PathBuf {
    let named = std::env::var_os("ATOLL_TEST_DOCKER").map(PathBuf::from);
    let usual = || Path::new(&std::env::var_os("HOME").unwrap()).join(".cache/atoll/docker.sock");
    let socket = named.unwrap_or_else(usual);
    assert!(socket.exists(), "no Docker at {}: run scripts/services", socket.display());
    socket
}

pub(crate) async fn ours_and_bare() {
    let home = tempfile::Builder::new().prefix("atoll-bench-").tempdir().unwrap();
    let all = DockerSandboxes::new(settings(home.path()), Arc::new(SystemClock));
    let began = Instant::now();
    assert!(all.self_test().await.unwrap().holds());
    println!("self-test of the sandbox, once a day: {:.1} s", began.elapsed().as_secs_f64());
    let docker = Docker::connect_with_unix(socket().to_str().unwrap(), 60, API_DEFAULT_VERSION).unwrap();
    let docker = docker.negotiate_version().await.unwrap();
    let (mut made, mut api, mut cli) = (Times::default(), Times::default(), Times::default());
    // In turn, so that whatever else the machine does meets all three.
    for run in 0..SANDBOXES {
        let spec = spec(home.path(), run);
        let began = Instant::now();
        let sandbox = all.create(spec.clone()).await.unwrap();
        assert_eq!(ours(&*sandbox).await, 0);
        made.add(began.elapsed());
        let same = body_of(&docker, sandbox.id()).await;
        sandbox.kill().await.unwrap();
        api.add(by_api(&docker, same).await);
        cli.add(by_command(&spec));
    }
    println!("sandbox made, a program run in it: {}", made.show());
    println!("  the same container, by Docker's interface: {}", compared(&mut made, &mut api));
    println!("  `docker run`, `docker exec`: {}", compared(&mut made, &mut cli));

    let sandbox = all.create(spec(home.path(), SANDBOXES)).await.unwrap();
    let (mut made, mut api, mut cli) = (Times::default(), Times::default(), Times::default());
    for _ in 0..PROGRAMS {
        let began = Instant::now();
        assert_eq!(ours(&*sandbox).await, 0);
        made.add(began.elapsed());
        let began = Instant::now();
        exec(&docker, sandbox.id()).await;
        api.add(began.elapsed());
        let began = Instant::now();
        command(&["exec", sandbox.id(), "true"]);
        cli.add(began.elapsed());
    }
    sandbox.kill().await.unwrap();
    println!("program run in a sandbox: {}", made.show());
    println!("  by Docker's interface: {}", compared(&mut made, &mut api));
    println!("  `docker exec`: {}", compared(&mut made, &mut cli));
}

fn compared(ours: &mut Times, other: &mut Times) -> String {
    let share = ours.quantile(0.5) / other.quantile(0.5);
    format!("{}; ours takes {:+.0} %", other.show(), (share - 1.0) * 100.0)
}

fn settings(home: &Path) -> SandboxSettings {
    SandboxSettings {
        socket: socket(),
        runtime: "runsc".into(),
        image: IMAGE.into(),
        limits: limits(),
        disk_bytes: 1 << 30,
        disk_every: Duration::from_secs(10),
        folder: home.join("sandbox"),
        instance: home.file_name().unwrap().to_str().unwrap().into(),
    }
}

fn limits() -> SandboxLimits {
    SandboxLimits {
        memory_bytes: 2 << 30,
        cpus: 2.0,
        processes: 512,
        open_files: 20_000,
        file_bytes: 1 << 30,
        tmp_bytes: 256 << 20,
    }
}

/// What a job's sandbox is.
fn spec(home: &Path, run: usize) -> SandboxSpec {
    let mount = |name: &str, inside: &str| {
        let host = home.join(format!("{run}-{name}"));
        std::fs::create_dir_all(&host).unwrap();
        Mount { host, inside: inside.into(), read_only: false }
    };
    let spec = SandboxSpec {
        owner: Owner { kind: "job".into(), id: format!("bench-{run}") },
        image: None,
        limits: limits(),
        mounts: vec![mount("work", place::WORKSPACE), mount("home", place::HOME)],
        env: BTreeMap::new(),
    };
    spec.with_relay(install_relay(home).unwrap()).with_cache(home.join("cache"))
}

/// A program that does nothing, from its start to its exit code.
async fn ours(sandbox: &dyn Sandbox) -> i64 {
    let argv = vec!["true".to_owned()];
    let mut exec = sandbox.exec(ExecSpec { argv, ..ExecSpec::default() }).await.unwrap();
    while exec.stdout.recv().await.is_some() {}
    exec.exit.await.unwrap()
}

/// What Docker would be asked for to get the very same container.
async fn body_of(docker: &Docker, id: &str) -> ContainerCreateBody {
    let found = docker.inspect_container(id, None::<InspectContainerOptions>).await.unwrap();
    let config = found.config.unwrap();
    ContainerCreateBody {
        image: config.image,
        user: config.user,
        working_dir: config.working_dir,
        entrypoint: config.entrypoint,
        cmd: config.cmd,
        env: config.env,
        labels: config.labels,
        network_disabled: config.network_disabled,
        host_config: found.host_config,
        ..Default::default()
    }
}

async fn by_api(docker: &Docker, body: ContainerCreateBody) -> Duration {
    let began = Instant::now();
    let made = docker.create_container(None::<CreateContainerOptions>, body).await.unwrap();
    docker.start_container(&made.id, None::<StartContainerOptions>).await.unwrap();
    exec(docker, &made.id).await;
    let took = began.elapsed();
    let options = RemoveContainerOptions { force: true, v: true, link: false };
    docker.remove_container(&made.id, Some(options)).await.unwrap();
    took
}

async fn exec(docker: &Docker, id: &str) {
    let config = ExecConfig {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(vec!["true".into()]),
        ..Default::default()
    };
    let exec = docker.create_exec(id, config).await.unwrap().id;
    let StartExecResults::Attached { mut output, .. } =
        docker.start_exec(&exec, None::<StartExecOptions>).await.unwrap()
    else {
        panic!("no streams");
    };
    while output.next().await.is_some() {}
    while docker.inspect_exec(&exec).await.unwrap().running == Some(true) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// `docker run` of a container like ours, and `docker exec` in it.
fn by_command(spec: &SandboxSpec) -> Duration {
    let mount = |mount: &Mount| {
        let end = if mount.read_only { ",readonly" } else { "" };
        format!("type=bind,source={},target={}{end}", mount.host.display(), mount.inside)
    };
    let mounts: Vec<String> = spec.mounts.iter().map(mount).collect();
    let mut args = vec![
        "run",
        "-d",
        "--runtime=runsc",
        "--network=none",
        "--read-only",
        "--init",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--user=1001:1001",
        "--memory=2g",
        "--memory-swap=2g",
        "--cpus=2",
        "--pids-limit=4096",
        "--tmpfs=/tmp:exec,size=268435456",
        "--tmpfs=/run/agent:size=16777216",
        "--entrypoint=sleep",
    ];
    for mount in &mounts {
        args.extend(["--mount", mount]);
    }
    args.extend([IMAGE, "infinity"]);
    let began = Instant::now();
    let id = command(&args);
    command(&["exec", &id, "true"]);
    let took = began.elapsed();
    command(&["rm", "-f", &id]);
    took
}

fn command(args: &[&str]) -> String {
    let mut command = Command::new("docker");
    command.env_remove("DOCKER_CONTEXT").env("DOCKER_HOST", format!("unix://{}", socket().display()));
    let output = command.args(args).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
