//! Answers and what they mean: what must not pass, does not.

use super::*;

fn ground() -> Ground {
    Ground {
        runtime: "runsc".into(),
        shares_kernel: false,
        kernel: "6.1.0".into(),
        limits: SandboxLimits {
            memory_bytes: 256 << 20,
            cpus: 1.0,
            processes: 48,
            open_files: 64,
            file_bytes: 4 << 20,
            tmp_bytes: 16 << 20,
        },
        image_env: BTreeSet::from(["LANG".to_owned()]),
    }
}

fn asked(name: &str, code: i64, out: &str, err: &str) -> Judged {
    let ground = ground();
    let all = in_a_job_s().into_iter().chain(of_limits(&ground.limits));
    let probe = all.into_iter().find(|probe| probe.name == name).unwrap();
    (probe.judge)(&Seen { code: Some(code), out: out.into(), err: err.into() }, &ground)
}

#[test]
fn each_question_has_an_answer_that_holds_and_others_that_do_not() {
    let caps = "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t";
    let zero = &format!("{caps}0000000000000000");
    let some = &format!("{caps}00000000a80425fb");
    let gain = &format!("{zero}\nNoNewPrivs:\t0");
    let cases: &[(&str, i64, &str, &str, bool)] = &[
        ("kernel", 0, "[0.0] Starting gVisor...\nkernel=4.4.0", "", true),
        ("kernel", 0, "kernel=4.4.0", "", false),
        ("kernel", 0, "[0.0] Starting gVisor...\nkernel=6.1.0", "", false),
        ("kernel", 0, "[0.0] Starting gVisor...", "", false),
        ("files", 0, "fine", "", true),
        ("files", 2, "", "ls: cannot access '/': Invalid argument", false),
        ("network", 0, "Inter-| Receive\n face |bytes\n    lo:  0 0", "", true),
        ("network", 0, "    lo:  0 0\n  eth0: 1 2", "", false),
        ("network", 0, "", "", false),
        ("unreachable", 0, "asked", "", true),
        ("unreachable", 0, "reached 1.1.1.1\nasked", "", false),
        ("unreachable", 127, "", "bash: not found", false),
        ("user", 0, "1001\n1001\n1001\n", "", true),
        ("user", 0, "0\n0\n0\n", "", false),
        ("user", 0, "1001\n1001\n1001 999\n", "", false),
        ("user", 0, "", "", false),
        ("rights", 0, zero, "", true),
        ("rights", 0, some, "", false),
        ("rights", 0, gain, "", false),
        ("rights", 0, "", "", false),
        ("root", 0, "touch: cannot touch '/var/tmp/.atoll': Read-only file system\nasked", "", true),
        ("root", 0, "touch: Permission denied\nasked", "", false),
        ("root", 0, "touch: /: Read-only file system\nwrote /opt\nasked", "", false),
        ("folders", 0, "ok /workspace\nok /home/agent\nok /tmp", "", true),
        ("folders", 1, "ok /workspace\nok /home/agent", "bash: /tmp/x: Permission denied", false),
        ("limits", 0, "16384\n64\n4096\n0\n48\n", "", true),
        ("limits", 0, "16384\n64\n4096\n0\n4800\n", "", false),
        ("limits", 0, "99384\n64\n4096\n0\n48\n", "", false),
        ("limits", 0, "16384\n64\nunlimited\n0\n48\n", "", false),
        ("environment", 0, "PATH\nHOME\nLANG\n_", "", true),
        ("environment", 0, "PATH\nANTHROPIC_API_KEY", "", false),
        ("environment", 0, "PATH\nsocket /var/run/docker.sock", "", false),
        ("environment", 127, "", "env: not found", false),
        ("git", 0, "git version 2.39.5", "", true),
        ("git", 128, "", "fatal: dubious ownership", false),
        ("limit of /tmp", 1, "", "head: write error: No space left on device", true),
        ("limit of /tmp", 0, "", "", false),
        ("limit of a file", 1, "", "dd: error writing: File too large", true),
        ("limit of a file", 0, "", "", false),
        ("limit of processes", 0, "refused at 45 all of 45", "", true),
        ("limit of processes", 0, " all of 192", "", false),
        ("limit of processes", 0, "refused at 100 all of 100", "", false),
        ("limit of memory", 137, "", "", true),
        ("limit of memory", 0, "survived", "", false),
    ];
    for (name, code, out, err, holds) in cases {
        let judged = asked(name, *code, out, err);
        assert_eq!(judged.is_ok(), *holds, "{name}: {out:?} {err:?} gives {judged:?}");
    }
    for probe in in_a_job_s().iter().chain(&of_limits(&ground().limits)) {
        let of = |wanted: bool| cases.iter().any(|case| case.0 == probe.name && case.4 == wanted);
        assert!(of(true) && of(false), "{} is asked here both ways", probe.name);
    }
}

#[test]
fn faults_say_how_to_mend_them() {
    let old = asked("files", 2, "", "ls: cannot access '/': Invalid argument").unwrap_err();
    assert!(old.contains("too old") && old.contains("runsc/trixie"), "{old}");
    let other = asked("kernel", 0, "kernel=6.1.0", "").unwrap_err();
    assert!(other.contains("not gVisor") && other.contains("daemon.json"), "{other}");
}

#[test]
fn runc_is_said_to_be_what_it_is_when_it_was_asked_for() {
    let ground = Ground { shares_kernel: true, runtime: "runc".into(), ..ground() };
    let seen = Seen { code: Some(0), out: "kernel=6.1.0".into(), err: String::new() };
    assert!(kernel(&seen, &ground).unwrap().contains("runc"));
}
