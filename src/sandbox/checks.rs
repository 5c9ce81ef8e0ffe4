//! What the self-test asks inside a sandbox, and what each answer means. Scripts and judgements, nothing else.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::ports::sandbox::SandboxLimits;

use super::{advice, body::USER};

/// What a script said and how it ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// `None` when it did not end by itself.
    pub(super) code: Option<i64>,
    pub(super) out: String,
    pub(super) err: String,
}

/// What is known beforehand.
#[derive(Debug, Clone)]
pub(super) struct Ground {
    pub(super) runtime: String,
    /// The kernel of the machine is what runs the guest, and this is what the configuration asks for.
    pub(super) shares_kernel: bool,
    /// The kernel of the machine.
    pub(super) kernel: String,
    pub(super) limits: SandboxLimits,
    /// Names that the image puts into the environment.
    pub(super) image_env: BTreeSet<String>,
}

/// What holds, or what is wrong.
pub(super) type Judged = Result<String, String>;

/// One question.
pub(super) struct Probe {
    pub(super) name: &'static str,
    pub(super) script: String,
    pub(super) judge: fn(&Seen, &Ground) -> Judged,
}

fn probe(name: &'static str, script: &str, judge: fn(&Seen, &Ground) -> Judged) -> Probe {
    Probe { name, script: script.to_owned(), judge }
}

/// Asked in a sandbox just like a job's.
pub(super) fn in_a_job_s() -> Vec<Probe> {
    vec![
        probe("kernel", "dmesg | head -n 3; echo \"kernel=$(uname -r)\"", kernel),
        probe("files", "ls -la / /usr /etc >/dev/null && stat / /etc/passwd >/dev/null && echo fine", files),
        probe("network", "cat /proc/net/dev", network),
        probe("unreachable", &reach(), unreachable),
        probe("user", "id -u; id -g; id -G", user),
        probe("rights", "grep -E '^(Cap|NoNewPrivs)' /proc/self/status", rights),
        probe("root", ROOT, root),
        probe("folders", FOLDERS, folders),
        probe(
            "limits",
            "df -k --output=size /tmp | tail -n 1; ulimit -n; ulimit -f; ulimit -c; ulimit -u",
            limits,
        ),
        probe("environment", ENVIRONMENT, environment),
        probe("git", GIT, git),
    ]
}

/// Asked in a sandbox with small limits, in this order: the last one ends it.
pub(super) fn of_limits(limits: &SandboxLimits) -> Vec<Probe> {
    let beyond = |bytes: u64| bytes / 1024 + 1024;
    vec![
        Probe {
            name: "limit of /tmp",
            // In pieces, so that no single file is what is too large.
            script: format!(
                "for at in $(seq {}); do head -c 1048576 /dev/zero > /tmp/$at || break; done; rm -f /tmp/*",
                beyond(limits.tmp_bytes) / 1024
            ),
            judge: |seen, _| says(seen, "No space left", "/tmp takes more than it may hold"),
        },
        Probe {
            name: "limit of a file",
            script: format!(
                "trap '' XFSZ; dd if=/dev/zero of=/tmp/file bs=1024 count={} status=none; rm -f /tmp/file",
                beyond(limits.file_bytes)
            ),
            judge: |seen, _| says(seen, "File too large", "a file grows beyond its limit"),
        },
        Probe {
            name: "limit of processes",
            script: format!(
                "perl -e '$| = 1; my ($most, @all) = ({}); for (1 .. 4 * $most) {{ my $pid = fork; if (!defined \
                 $pid) {{ print \"refused at \" . @all; last }} if (!$pid) {{ sleep 60; exit }} push @all, $pid }} \
                 kill 9, @all; waitpid $_, 0 for @all; print \" all of \" . @all'",
                limits.processes
            ),
            judge: processes,
        },
        Probe {
            name: "limit of memory",
            script: format!(
                "perl -e '$| = 1; my @all; for (1 .. {}) {{ push @all, \"x\" x (8 << 20) }} print \"survived\"'",
                limits.memory_bytes / (4 << 20)
            ),
            judge: memory,
        },
    ]
}

fn kernel(seen: &Seen, ground: &Ground) -> Judged {
    let own = seen.out.lines().find_map(|line| line.strip_prefix("kernel=")).unwrap_or_default();
    if ground.shares_kernel {
        return Ok(format!("{own}, the machine's own: `sandbox.runtime: runc` asks for it"));
    }
    if !seen.out.contains("Starting gVisor") || own.is_empty() || own == ground.kernel {
        return Err(format!("the kernel is {own:?}; {}", advice::not_gvisor(&ground.runtime)));
    }
    Ok(format!("gVisor: {own} inside, {} outside", ground.kernel))
}

fn files(seen: &Seen, ground: &Ground) -> Judged {
    if seen.code == Some(0) && seen.out.contains("fine") {
        return Ok("ls and stat work".into());
    }
    let why = first_line(&seen.err);
    Err(if ground.shares_kernel { why } else { format!("{why}: {}", advice::too_old()) })
}

fn network(seen: &Seen, _: &Ground) -> Judged {
    let names: Vec<&str> =
        seen.out.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).collect();
    if names == ["lo"] { Ok("only lo".into()) } else { Err(format!("devices: {}", names.join(", "))) }
}

/// Addresses of the world, of clouds, of the machine; and a name.
const PLACES: &[(&str, u16)] = &[
    ("1.1.1.1", 443),
    ("8.8.8.8", 53),
    ("169.254.169.254", 80),
    ("172.17.0.1", 22),
    ("10.0.0.1", 80),
    ("2606:4700:4700::1111", 443),
    ("host.docker.internal", 80),
    ("deb.debian.org", 80),
];

fn reach() -> String {
    let mut script = String::new();
    for (host, port) in PLACES {
        let _ = writeln!(
            script,
            "timeout 3 bash -c ': </dev/tcp/{host}/{port}' 2>/dev/null && echo 'reached {host}'"
        );
    }
    // A device of one's own would be a way around all that.
    script + "ls /sys/class/net 2>/dev/null | grep -v '^lo$' && echo 'reached a device'\necho asked"
}

fn unreachable(seen: &Seen, _: &Ground) -> Judged {
    let reached: Vec<&str> = seen.out.lines().filter_map(|line| line.strip_prefix("reached ")).collect();
    match (reached.is_empty(), seen.out.contains("asked")) {
        (true, true) => Ok(format!("none of {} places answers", PLACES.len())),
        (true, false) => Err(format!("could not be asked: {}", first_line(&seen.err))),
        _ => Err(format!("can be reached: {}", reached.join(", "))),
    }
}

fn user(seen: &Seen, _: &Ground) -> Judged {
    let ids: Vec<&str> = seen.out.split_whitespace().collect();
    let own = USER.to_string();
    if ids.len() >= 3 && ids.iter().all(|id| **id == own) {
        Ok(format!("uid {USER}"))
    } else {
        Err(format!("user and groups are {}", ids.join(" ")))
    }
}

fn rights(seen: &Seen, _: &Ground) -> Judged {
    let mut caps = 0;
    for line in seen.out.lines() {
        let (name, value) = line.split_once(':').unwrap_or_default();
        let value = value.trim();
        if name.starts_with("Cap") {
            caps += 1;
            if !value.trim_start_matches('0').is_empty() {
                return Err(format!("{name} is {value}"));
            }
        } else if value != "1" {
            return Err("programs may gain rights".into());
        }
    }
    if caps >= 4 { Ok("no capabilities".into()) } else { Err("capabilities are not told".into()) }
}

const ROOT: &str = "for at in / /usr /etc /var/tmp /opt /bin; do touch $at/.atoll 2>&1 && echo \"wrote $at\"; done; echo asked";

fn root(seen: &Seen, _: &Ground) -> Judged {
    let wrote: Vec<&str> = seen.out.lines().filter_map(|line| line.strip_prefix("wrote ")).collect();
    if !wrote.is_empty() {
        return Err(format!("can be written: {}", wrote.join(", ")));
    }
    says(
        &Seen { out: String::new(), err: seen.out.clone(), code: None },
        "Read-only file system",
        "it may be writable",
    )
    .map(|_| "read-only".into())
}

const FOLDERS: &str = "for at in /workspace /home/agent /tmp; do printf '#!/bin/sh\\necho ran\\n' > $at/.atoll-check \
                       && chmod +x $at/.atoll-check && [ \"$($at/.atoll-check)\" = ran ] && rm $at/.atoll-check && \
                       echo \"ok $at\"; done";

fn folders(seen: &Seen, _: &Ground) -> Judged {
    let fine = seen.out.lines().filter(|line| line.starts_with("ok ")).count();
    if fine == 3 {
        Ok("/workspace, /home/agent and /tmp take files and run programs".into())
    } else {
        Err(format!("of /workspace, /home/agent and /tmp only {fine} work: {}", first_line(&seen.err)))
    }
}

fn limits(seen: &Seen, ground: &Ground) -> Judged {
    let want = &ground.limits;
    let shown: Vec<&str> = seen.out.split_whitespace().collect();
    let mut all = vec![
        (want.tmp_bytes / 1024).to_string(),
        want.open_files.to_string(),
        (want.file_bytes / 1024).to_string(),
        "0".to_owned(),
    ];
    if !ground.shares_kernel {
        all.push(want.processes.to_string());
    }
    if shown.len() < all.len() || shown.iter().zip(&all).any(|(shown, wanted)| shown != wanted) {
        return Err(format!("expected {}, found {}", all.join(" "), shown.join(" ")));
    }
    Ok(format!(
        "/tmp {} MiB, {} open files, files to {} MiB, {} processes",
        want.tmp_bytes >> 20,
        want.open_files,
        want.file_bytes >> 20,
        want.processes
    ))
}

const ENVIRONMENT: &str = "env | cut -d= -f1; for at in /var/run/docker.sock /run/docker.sock /run/containerd \
                           /run/podman; do [ -e $at ] && echo \"socket $at\"; done; true";

/// Names that every shell and the engine make.
const USUAL: [&str; 7] = ["PATH", "HOME", "HOSTNAME", "PWD", "OLDPWD", "SHLVL", "_"];

fn environment(seen: &Seen, ground: &Ground) -> Judged {
    let strange: Vec<&str> =
        seen.out.lines().filter(|name| !USUAL.contains(name) && !ground.image_env.contains(*name)).collect();
    if seen.code != Some(0) {
        Err(first_line(&seen.err))
    } else if strange.is_empty() {
        Ok("nothing but what the image brings".into())
    } else {
        Err(format!("also has {}", strange.join(", ")))
    }
}

const GIT: &str = "set -e; cd /workspace; rm -rf .atoll-git .atoll-copy; git init -q .atoll-git; cd .atoll-git; echo one > file; \
                   git add file; git -c user.name=check -c user.email=check@localhost commit -qm one; git bundle \
                   create -q ../.atoll.bundle HEAD; git clone -q ../.atoll.bundle ../.atoll-copy 2>/dev/null; cmp file \
                   ../.atoll-copy/file; git -C ../.atoll-copy fsck --strict 2>/dev/null; cd ..; rm -rf .atoll-git \
                   .atoll-copy .atoll.bundle; git --version";

fn git(seen: &Seen, _: &Ground) -> Judged {
    if seen.code == Some(0) {
        Ok(first_line(&seen.out))
    } else {
        Err(format!("commit, bundle or clone does not work: {}", first_line(&seen.err)))
    }
}

fn processes(seen: &Seen, ground: &Ground) -> Judged {
    let refused = seen.out.strip_prefix("refused at ").and_then(|rest| rest.split(' ').next());
    match refused.and_then(|count| count.parse::<u64>().ok()) {
        Some(count) if count <= ground.limits.processes && seen.out.contains(" all of ") => {
            Ok(format!("number {} is refused", count + 1))
        }
        _ => {
            Err(format!("more than {} run: {} {}", ground.limits.processes, seen.out, first_line(&seen.err)))
        }
    }
}

fn memory(seen: &Seen, ground: &Ground) -> Judged {
    if seen.out.contains("survived") || seen.code == Some(0) {
        return Err(format!("twice as much as {} MiB is given", ground.limits.memory_bytes >> 20));
    }
    Ok(match seen.code {
        Some(code) => format!("a program that wants more is ended ({code})"),
        None => format!("a program that wants more is ended: {}", first_line(&seen.err)),
    })
}

fn says(seen: &Seen, wanted: &str, otherwise: &str) -> Judged {
    match seen.err.lines().find(|line| line.contains(wanted)) {
        Some(_) => Ok(wanted.to_lowercase()),
        None => Err(format!("{otherwise}: {}", first_line(&seen.err))),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or("it says nothing").chars().take(200).collect()
}

#[cfg(test)]
mod tests;
