//! The self-test: it holds where it should, and notices where it should not.

use atoll::ports::{
    sandbox::{Evidence, SandboxError, Sandboxes},
    sandbox_care::{Readiness, SandboxCare},
};
use tempfile::TempDir;

use super::bench::{Bench, say};

/// A bench that shares no evidence with others, on this runtime.
fn on(runtime: &str) -> (Bench, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::with(|settings| {
        settings.runtime = runtime.into();
        settings.folder = folder.path().to_owned();
    });
    (bench, folder)
}

fn seen<'e>(evidence: &'e Evidence, name: &str) -> (bool, &'e str) {
    let found = evidence.checks.iter().find(|check| check.name == name);
    found.map(|check| (check.ok, check.seen.as_str())).unwrap_or_else(|| panic!("no check of {name}"))
}

#[tokio::test]
async fn every_check_holds_in_real_gvisor_and_nothing_is_left_of_it() {
    let (bench, folder) = on("runsc");
    assert_eq!(bench.all.look().await.readiness, Readiness::Ready);
    assert!(bench.all.look().await.details.contains("not tested yet"));
    let evidence = bench.all.self_test().await.unwrap();
    assert!(evidence.holds(), "{evidence:#?}");
    let names: Vec<&str> = evidence.checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "engine",
            "image",
            "container",
            "kernel",
            "files",
            "network",
            "unreachable",
            "user",
            "rights",
            "root",
            "folders",
            "limits",
            "environment",
            "git",
            "streams",
            "relay",
            "disk",
            "limit of /tmp",
            "limit of a file",
            "limit of processes",
            "limit of memory"
        ]
    );
    assert!(seen(&evidence, "kernel").1.starts_with("gVisor: "), "{evidence:#?}");
    assert!(seen(&evidence, "disk").1.contains("no hard quota"), "what is not there is said");
    assert!(bench.ids().await.is_empty(), "its sandboxes are gone");
    assert_eq!(std::fs::read_dir(folder.path().join("checks")).unwrap().count(), 0, "its folders are gone");
    assert!(bench.all.look().await.details.contains("the self-test holds"));

    // It is remembered, also by another process: the same words at the same time.
    assert_eq!(bench.all.self_test().await.unwrap(), evidence);
    let later = Bench::with(|settings| settings.folder = folder.path().to_owned());
    assert_eq!(later.all.self_test().await.unwrap(), evidence);
    assert_ne!(bench.all.test_anew().await.unwrap().at, evidence.at);
    // And it is about these limits and no others.
    let other = Bench::with(|settings| {
        settings.folder = folder.path().to_owned();
        settings.limits.processes = 77;
    });
    assert!(other.all.look().await.details.contains("not tested yet"));
}

#[tokio::test]
async fn another_runtime_by_the_name_of_gvisor_is_found_out_and_gets_no_job() {
    let (bench, _folder) = on("not-gvisor");
    let evidence = bench.all.self_test().await.unwrap();
    let (ok, kernel) = seen(&evidence, "kernel");
    assert!(!ok && kernel.contains("not gVisor"), "{evidence:#?}");
    assert!(!evidence.holds());
    let Err(SandboxError::NoIsolation(why)) = bench.all.create(bench.spec("job")).await else {
        panic!("a job runs without isolation")
    };
    assert!(
        why.contains("kernel") && why.contains("daemon.json") && why.contains("atoll sandbox test"),
        "{why}"
    );
    assert!(bench.ids().await.is_empty());
    let look = bench.all.look().await;
    assert!(look.readiness == Readiness::Doubtful && look.details.contains("not gVisor"), "{look:?}");
}

#[tokio::test]
async fn runc_is_used_when_it_is_asked_for_by_its_name() {
    let (bench, _folder) = on("runc");
    let evidence = bench.all.self_test().await.unwrap();
    assert!(evidence.holds(), "{evidence:#?}");
    assert!(seen(&evidence, "kernel").1.contains("machine's own"), "{evidence:#?}");
    let sandbox = bench.make("job").await;
    let host = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(say(&*sandbox, "uname -r").await, host.trim());
    let look = bench.all.look().await;
    assert!(
        look.readiness == Readiness::Doubtful && look.advice.contains("kernel of this machine"),
        "{look:?}"
    );
}

#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn a_gvisor_that_is_too_old_is_refused_with_the_steps_to_mend_it() {
    let (bench, _folder) = on("runsc-2022");
    let Err(SandboxError::NoIsolation(why)) = bench.all.create(bench.spec("job")).await else {
        panic!("a job runs in a gVisor that breaks ls")
    };
    assert!(why.contains("files") && why.contains("too old") && why.contains("runsc/trixie"), "{why}");
}

#[tokio::test]
async fn a_runtime_that_docker_does_not_know_is_told_with_the_steps_to_install_it() {
    let (bench, _folder) = on("nowhere");
    for error in [
        bench.all.self_test().await.map(drop).unwrap_err(),
        bench.all.create(bench.spec("job")).await.map(drop).unwrap_err(),
    ] {
        let SandboxError::NoIsolation(why) = error else { panic!("{error}") };
        assert!(
            why.contains("`nowhere`") && why.contains("daemon.json") && why.contains("runsc/trixie"),
            "{why}"
        );
    }
    let look = bench.all.look().await;
    assert!(look.readiness == Readiness::Off && look.advice.contains("daemon.json"), "{look:?}");
}

#[tokio::test]
async fn without_docker_it_is_off_and_says_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = folder.path().join("nobody.sock");
    drop(std::os::unix::net::UnixListener::bind(&nobody).unwrap());
    for socket in [folder.path().join("nothing.sock"), nobody] {
        let bench = Bench::with(|settings| settings.socket = socket);
        let Err(SandboxError::Engine(why)) = bench.all.create(bench.spec("job")).await else {
            panic!("made")
        };
        assert!(why.contains("apt-get install docker.io") && why.contains("sandbox.docker"), "{why}");
        let look = bench.all.look().await;
        assert!(look.readiness == Readiness::Off && look.advice.contains("docker.io"), "{look:?}");
    }
}

#[tokio::test]
async fn what_a_sandbox_may_not_do_it_cannot_do() {
    let bench = Bench::new();
    let mut spec = bench.spec("bounds");
    let shown = bench.folder("shown");
    std::fs::write(shown.join("file"), "as it was").unwrap();
    spec.mounts.push(atoll::ports::sandbox::Mount {
        host: shown.clone(),
        inside: "/opt/rt".into(),
        read_only: true,
    });
    let sandbox = bench.all.create(spec).await.unwrap();
    let tried = say(
        &*sandbox,
        "cat /opt/rt/file; echo; for try in 'touch /opt/rt/new' 'rm /opt/rt/file' 'touch /usr/new' 'mount -t tmpfs none \
         /mnt' 'chown 0 /workspace' 'su -c true' 'eval mknod /tmp/disk b 254 0 && head -c 1 /tmp/disk' 'cat /dev/vda' \
         'cat /dev/mem'; do $try >/dev/null 2>&1 && echo \"could $try\"; done; id -u; ls /proc | grep -c '^[0-9]'",
    )
    .await;
    let lines: Vec<&str> = tried.lines().collect();
    assert_eq!(&lines[..lines.len() - 2], ["as it was"], "{tried}");
    assert_eq!(lines[lines.len() - 2], "1001");
    let processes: u32 = lines[lines.len() - 1].parse().unwrap();
    assert!(processes < 10, "it sees its own processes only: {processes}");
    assert_eq!(std::fs::read_to_string(shown.join("file")).unwrap(), "as it was");
}
