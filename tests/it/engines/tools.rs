//! The tools of our own engine over a real folder and real programs.

use std::{os::unix::fs::symlink, path::Path, sync::Arc, time::Instant};

use atoll::{
    domain::engine::Change,
    engines::native::{Done, Toolbox},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::host::Host;
use crate::support::until;

struct Bench {
    host: Arc<Host>,
    tools: Toolbox,
}

impl Bench {
    fn new() -> Self {
        let host = Host::new(Path::new("/nowhere"), &[("CANARY", "in the environment")]);
        let tools = Toolbox::new(Arc::clone(&host) as _, host.workspace().display().to_string());
        Self { host, tools }
    }

    async fn call(&self, tool: &str, args: Value) -> Done {
        self.tools.call(tool, &args, &CancellationToken::new(), |_| {}).await
    }

    async fn fails(&self, tool: &str, args: Value, why: &str) {
        let done = self.call(tool, args.clone()).await;
        assert!(done.failed && done.output.contains(why), "{tool} {args}: {}", done.output);
        assert_eq!(done.changed, None);
    }
}

#[tokio::test]
async fn files_are_written_read_and_edited() {
    let bench = Bench::new();
    let done = bench.call("write", json!({"path": "src/a b.txt", "content": "one\ntwo\nthree\n"})).await;
    assert_eq!(done.changed, Some(("src/a b.txt".into(), Change::Added)), "{}", done.output);
    let done = bench.call("read", json!({"path": "src/a b.txt", "from": 2, "lines": 1})).await;
    assert!(
        done.output.starts_with("2\ttwo\n[more follows: read on from line 3; 14 bytes"),
        "{}",
        done.output
    );
    let done = bench.call("edit", json!({"path": "src/a b.txt", "old": "two", "new": "2"})).await;
    assert_eq!(done.changed, Some(("src/a b.txt".into(), Change::Changed)), "{}", done.output);
    assert_eq!(bench.host.read("src/a b.txt"), "one\n2\nthree\n");
    bench.fails("edit", json!({"path": "src/a b.txt", "old": "e\n", "new": "x"}), "2 times").await;
    bench.fails("edit", json!({"path": "src/a b.txt", "old": "four", "new": "x"}), "does not occur").await;
    bench.fails("edit", json!({"path": "missing", "old": "a", "new": "b"}), "no such file").await;
    let done = bench.call("edit", json!({"path": "src/a b.txt", "new": "all new"})).await;
    assert!(!done.failed, "{}", done.output);
    assert_eq!(bench.host.read("src/a b.txt"), "all new");
    // What a shell would read as its own is a name like any other.
    let odd = "$(touch pwned); `id` \"x\" 'y'\n.txt";
    let done = bench.call("write", json!({"path": odd, "content": "fine"})).await;
    assert!(!done.failed, "{}", done.output);
    assert_eq!(bench.host.read(odd), "fine");
    assert!(!bench.host.workspace().join("pwned").exists());
    bench.call("write", json!({"path": "-rf", "content": "dash"})).await;
    assert!(bench.call("read", json!({"path": "-rf"})).await.output.contains("1\tdash"));
}

#[tokio::test]
async fn paths_out_of_the_workspace_are_refused_however_they_lead_there() {
    let bench = Bench::new();
    let home = bench.host.home();
    std::fs::write(home.join("secret"), "s3cret").unwrap();
    symlink(&home, bench.host.workspace().join("out")).unwrap();
    symlink(home.join("secret"), bench.host.workspace().join("file")).unwrap();
    symlink(home.join("new"), bench.host.workspace().join("dangling")).unwrap();
    let absolute = home.join("secret").display().to_string();
    // A folder whose name begins like the workspace's is not in it.
    let beside = format!("{}-2/x", bench.host.workspace().display());
    for path in
        ["../home/secret", "out/secret", "file", "a/../../home/secret", &absolute, "/etc/passwd", &beside]
    {
        bench.fails("read", json!({"path": path}), "out of the workspace").await;
        bench.fails("edit", json!({"path": path, "new": "x"}), "out of the workspace").await;
        bench.fails("search", json!({"pattern": "s3", "path": path}), "out of the workspace").await;
        bench.fails("write", json!({"path": path, "content": "x"}), "out of the workspace").await;
    }
    bench.fails("write", json!({"path": "dangling", "content": "x"}), "out of the workspace").await;
    assert_eq!(std::fs::read_to_string(home.join("secret")).unwrap(), "s3cret");
    assert!(!home.join("new").exists());
    // Links that stay inside are followed.
    bench.host.write("real.txt", "inside");
    symlink("real.txt", bench.host.workspace().join("link")).unwrap();
    assert!(bench.call("read", json!({"path": "link"})).await.output.contains("inside"));
    let inside = bench.host.workspace().join("real.txt").display().to_string();
    assert!(!bench.call("read", json!({"path": inside})).await.failed);
}

#[tokio::test]
async fn gits_own_files_folders_and_pipes_are_not_written() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.host.workspace().join(".git/hooks")).unwrap();
    for path in [".git/hooks/pre-commit", "sub/.git/config", "x/../.git/config"] {
        bench.fails("write", json!({"path": path, "content": "x"}), "git's own").await;
    }
    bench.fails("write", json!({"path": ".", "content": "x"}), "a folder").await;
    bench.fails("read", json!({"path": "."}), "a folder").await;
    bench.call("bash", json!({"command": "mkfifo pipe"})).await;
    bench.fails("read", json!({"path": "pipe"}), "no plain file").await;
    bench.fails("write", json!({"path": "pipe", "content": "x"}), "no plain file").await;
    assert!(!bench.call("write", json!({"path": ".gitignore", "content": "x"})).await.failed);
}

#[tokio::test]
async fn huge_and_odd_files_are_read_within_bounds() {
    let bench = Bench::new();
    bench
        .call(
            "bash",
            json!({"command": "truncate -s 3G holes; yes 'a line of some length' | head -n 400000 > long"}),
        )
        .await;
    bench.fails("read", json!({"path": "holes"}), "no text").await;
    bench.fails("edit", json!({"path": "holes", "old": "a", "new": "b"}), "too many to edit").await;
    let done = bench.call("read", json!({"path": "long", "from": 399_990})).await;
    assert!(
        done.output.contains("400000\ta line") && !done.output.contains("more follows"),
        "{}",
        done.output
    );
    let done = bench.call("read", json!({"path": "long"})).await;
    assert!(done.output.len() < 40_000 && done.output.contains("more follows: read on from line"));
    bench.fails("read", json!({"path": "long", "from": 400_001}), "ends before line").await;
    bench.host.write("one-line", &"y".repeat(5_000_000));
    let done = bench.call("read", json!({"path": "one-line"})).await;
    assert!(done.output.len() < 3_000 && done.output.contains("[… cut]"), "{}", done.output.len());
    bench.host.write("empty", "");
    assert_eq!(bench.call("read", json!({"path": "empty"})).await.output, "empty is empty");
    std::fs::write(bench.host.workspace().join("latin"), b"caf\xe9\n").unwrap();
    assert!(bench.call("read", json!({"path": "latin"})).await.output.contains("caf\u{fffd}"));
    let done = bench.call("edit", json!({"path": "latin", "old": "caf", "new": "COF"})).await;
    assert!(!done.failed, "{}", done.output);
    assert_eq!(std::fs::read(bench.host.workspace().join("latin")).unwrap(), b"COF\xe9\n");
}

#[tokio::test]
async fn commands_end_in_time_with_their_code_and_a_bounded_output() {
    let bench = Bench::new();
    let done = bench.call("bash", json!({"command": "echo out; echo err >&2; exit 3"})).await;
    assert_eq!((done.output.as_str(), done.failed), ("out\nerr\n[exit code 3]", true));
    let done = bench.call("bash", json!({"command": "true"})).await;
    assert_eq!((done.output.as_str(), done.failed), ("[exit code 0, no output]", false));
    let done = bench.call("bash", json!({"command": "read x; echo got $x; pwd"})).await;
    assert_eq!(done.output, format!("got\n{}", bench.host.workspace().display()));
    let done = bench.call("bash", json!({"command": "yes | head -c 50000000; echo last words"})).await;
    assert!(done.output.len() < 40_000 && done.output.ends_with("last words"), "{}", done.output.len());
    let began = Instant::now();
    let done = bench.call("bash", json!({"command": "echo begun; sleep 1000", "timeout": 1})).await;
    assert!(done.failed && done.output.contains("begun") && done.output.contains("after 1 seconds"));
    // What stays behind with the output open is not waited for.
    let done = bench.call("bash", json!({"command": "sleep 1000 & echo fine"})).await;
    assert_eq!((done.output.as_str(), done.failed), ("fine", false));
    assert!(began.elapsed().as_secs() < 60);
}

#[tokio::test]
async fn a_command_that_is_stopped_is_gone_with_all_it_started() {
    let bench = Bench::new();
    let stop = CancellationToken::new();
    let args = json!({"command": "sleep 1234567 & echo $! > child; echo up; wait"});
    let (up, is_up) = tokio::sync::oneshot::channel();
    let mut up = Some(up);
    let work = bench.tools.call("bash", &args, &stop, |said| {
        if said.contains("up") {
            up.take().map(|up| up.send(()));
        }
    });
    let (done, ()) = tokio::join!(work, async {
        is_up.await.unwrap();
        stop.cancel();
    });
    assert!(done.failed && done.output.contains("stopped while it ran"), "{}", done.output);
    let child = bench.host.read("child").trim().to_owned();
    // Killed, it may for a moment still be listed, as a process that nobody waited for.
    until("the child is gone", async || {
        let state = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        state.is_empty() || state.contains(") Z ")
    })
    .await;
}

#[tokio::test]
async fn search_finds_what_git_would_show() {
    let bench = Bench::new();
    bench.host.write("src/a.rs", "fn one() {}\nfn two() {}\n");
    bench.host.write("b.txt", "fn three\n");
    bench.host.write(".git/x", "fn hidden\n");
    bench.host.write(".github/ci.yml", "fn ci\n");
    let done = bench.call("search", json!({"pattern": "^fn \\w+"})).await;
    let lines: Vec<&str> = done.output.lines().collect();
    assert_eq!(
        lines,
        [".github/ci.yml:1:fn ci", "b.txt:1:fn three", "src/a.rs:1:fn one() {}", "src/a.rs:2:fn two() {}"]
    );
    let done = bench
        .call("search", json!({"pattern": "FN", "glob": "*.rs", "ignore_case": true, "path": "src"}))
        .await;
    assert_eq!(done.output.lines().count(), 2, "{}", done.output);
    assert_eq!(bench.call("search", json!({"pattern": "nowhere"})).await.output, "nothing found");
    assert_eq!(bench.call("search", json!({"pattern": "--files"})).await.output, "nothing found");
    bench.fails("search", json!({"pattern": "("}), "unclosed group").await;
    bench.fails("search", json!({"pattern": "x", "path": "missing"}), "no such file or folder").await;
    bench.call("bash", json!({"command": "for i in $(seq 3000); do echo needle $i >> many; done; yes needle | head -c 3000000 | tr -d '\\n' > wide"})).await;
    let done = bench.call("search", json!({"pattern": "needle"})).await;
    assert!(done.output.len() < 40_000 && !done.failed, "{}", done.output.len());
}

#[tokio::test]
async fn arguments_are_checked_before_anything_runs() {
    let bench = Bench::new();
    for (tool, args) in [
        ("bash", json!({})),
        ("bash", json!({"command": "id", "timeout": 99_999_999})),
        ("bash", json!({"command": "id", "shell": "zsh"})),
        ("read", json!({"path": 7})),
        ("write", json!({"path": "x"})),
        ("todo", json!({"items": [{"text": "a", "status": "never"}]})),
        ("bash", json!("id")),
    ] {
        bench.fails(tool, args, "wrong arguments").await;
    }
    bench.fails("browse", json!({}), "there is no tool `browse`; there are bash, read").await;
    bench.fails("read", json!({"path": "a\u{0}b"}), "zero bytes").await;
    assert!(bench.host.started.lock().unwrap().is_empty());
    let items = json!({"items": [{"text": "a", "status": "done"}, {"text": "b", "status": "doing"}]});
    assert_eq!(bench.call("todo", items).await.output, "[x] a\n[>] b");
}

#[tokio::test]
async fn a_sandbox_that_dies_is_said_so() {
    let bench = Bench::new();
    bench.host.dies();
    bench.fails("bash", json!({"command": "id"}), "gone").await;
    bench.fails("read", json!({"path": "x"}), "gone").await;
}
