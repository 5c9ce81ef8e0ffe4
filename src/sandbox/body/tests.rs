//! What a container is asked to be, line by line.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::*;

fn settings(runtime: &str) -> SandboxSettings {
    SandboxSettings {
        socket: "/docker.sock".into(),
        runtime: runtime.into(),
        image: "usual:1".into(),
        limits: limits(),
        disk_bytes: 1,
        disk_every: Duration::from_secs(1),
        folder: PathBuf::from("/home/atoll/sandbox"),
        instance: "0123".into(),
    }
}

fn limits() -> SandboxLimits {
    SandboxLimits {
        memory_bytes: 1 << 30,
        cpus: 1.5,
        processes: 1_000,
        open_files: 64,
        file_bytes: 4_096,
        tmp_bytes: 8_192,
    }
}

fn spec(inside: &str) -> SandboxSpec {
    SandboxSpec {
        owner: Owner { kind: "job".into(), id: "j1".into() },
        image: None,
        limits: limits(),
        mounts: vec![Mount { host: "/srv/work".into(), inside: inside.into(), read_only: false }],
        env: BTreeMap::from([("CI".to_owned(), "1".to_owned())]),
    }
}

#[test]
fn a_container_has_no_network_no_rights_and_its_limits() {
    let body = container(&spec(place::WORKSPACE), &settings("runsc"));
    assert_eq!(body.image.as_deref(), Some("usual:1"));
    assert_eq!(body.user.as_deref(), Some("1001:1001"));
    assert_eq!(body.env.unwrap(), ["CI=1", "HOME=/home/agent"]);
    assert_eq!(body.entrypoint.unwrap(), ["sh", "-c", FIRST], "the image's own is not run");
    let host = body.host_config.unwrap();
    assert_eq!((host.runtime.as_deref(), host.network_mode.as_deref()), (Some("runsc"), Some("none")));
    assert_eq!((host.readonly_rootfs, host.privileged, host.init), (Some(true), Some(false), Some(true)));
    assert_eq!(host.cap_drop.unwrap(), ["ALL"]);
    assert_eq!(host.security_opt.unwrap(), ["no-new-privileges"]);
    assert_eq!(
        (host.memory, host.memory_swap, host.nano_cpus),
        (Some(1 << 30), Some(1 << 30), Some(1_500_000_000))
    );
    assert!(host.binds.is_none() && host.devices.is_none() && host.cap_add.is_none());
    let tmp = host.tmpfs.unwrap();
    assert!(tmp["/tmp"].contains("exec") && tmp["/tmp"].contains("size=8192"), "{tmp:?}");
    assert!(
        tmp.contains_key(place::HOME) && !tmp.contains_key(place::WORKSPACE),
        "memory where no folder is given"
    );
    let mounts = host.mounts.unwrap();
    assert_eq!(mounts[0].source.as_deref(), Some("/srv/work"));
    let labels = body.labels.unwrap();
    assert_eq!(owner(&labels), Owner { kind: "job".into(), id: "j1".into() });
    assert!(labels.contains_key("atoll") && labels[INSTANCE] == "0123");
}

#[test]
fn processes_are_counted_where_it_can_be_done() {
    let of = |runtime: &str| container(&spec(place::WORKSPACE), &settings(runtime)).host_config.unwrap();
    let names = |host: &HostConfig| -> Vec<String> {
        host.ulimits.iter().flatten().filter_map(|limit| limit.name.clone()).collect()
    };
    let (gvisor, shared) = (of("runsc"), of("runc"));
    assert_eq!((gvisor.pids_limit, shared.pids_limit), (Some(4_096), Some(512)));
    assert!(names(&gvisor).contains(&"nproc".to_owned()) && !names(&shared).contains(&"nproc".to_owned()));
    assert!(names(&gvisor).contains(&"core".to_owned()) && names(&shared).contains(&"core".to_owned()));
}

#[test]
fn what_could_hide_the_system_or_name_nothing_is_refused() {
    for inside in
        ["", "workspace", "/", "/proc", "/proc/self", "/dev/x", "/etc", "/tmp/x", "/a/../proc", "/a/.."]
    {
        assert!(refuse(&spec(inside)).is_err(), "{inside}");
    }
    for inside in [place::WORKSPACE, place::HOME, "/opt/rt", "/cache/npm"] {
        assert_eq!(refuse(&spec(inside)), Ok(()));
    }
    let mut root = spec(place::WORKSPACE);
    root.mounts[0].host = "/".into();
    assert!(refuse(&root).is_err());
    for name in ["", "A=B", "A\0"] {
        let mut odd = spec(place::WORKSPACE);
        odd.env.insert(name.into(), "1".into());
        assert!(refuse(&odd).is_err(), "{name:?}");
    }
}

#[test]
fn a_check_s_container_does_not_outlive_its_forgetting() {
    let mut check = spec(place::WORKSPACE);
    assert_eq!(container(&check, &settings("runsc")).cmd.unwrap(), ["infinity"]);
    check.owner.kind = "check".into();
    assert_eq!(container(&check, &settings("runsc")).cmd.unwrap(), [CHECK_LIFE]);
}
