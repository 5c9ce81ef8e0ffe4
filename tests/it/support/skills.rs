//! A skill whose tools do all that can go wrong, what a model must say to use it, and what became of it.

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use super::{MockModel, Reply, Request, Site};

/// Configuration that lets the bench skill run.
pub(crate) const BENCH: &str = "skills: {bench: {run_on_host: true, colour: green, depth: {of: [1, 2]}}}\n";

/// What its tools do. They note every run in `ledger`, in the skill's folder.
const SCRIPT: &str = r#"
echo "$1 $2" >> ledger
case "$1" in
  bench_note) echo "noted $2" ;;
  bench_look) sleep 0.2; echo "looked $2" ;;
  bench_pay) echo "paid $2" ;;
  bench_fail) echo "it broke" >&2; exit 3 ;;
  bench_soft) echo "Error: no such thing" ;;
  bench_die) kill -9 $$ ;;
  bench_hang) sleep 1000 & echo "$$ $!" > pids; trap '' TERM; wait; sleep 1000 ;;
  bench_orphan) sleep 1000 & echo "$!" > pids; echo "left one behind" ;;
  bench_loud) yes "0123456789abcdef" | head -c 5000000; echo; echo "the end" ;;
  bench_meet)
    touch "here.$$"; tries=0
    while [ "$(ls here.* | wc -l)" -lt 3 ] && [ $tries -lt 200 ]; do sleep 0.05; tries=$((tries + 1)); done
    if [ "$(ls here.* | wc -l)" -ge 3 ]; then echo "met $2"; else echo "alone"; fi ;;
  bench_alone) mkdir lock && sleep 0.1 && rmdir lock && echo "alone $2" ;;
  bench_env) env; echo "cwd $(pwd)" ;;
  bench_big) truncate -s 60M "$HOME/big.bin"; echo "[NEW_FILES]"; echo big.bin; echo "[/NEW_FILES]" ;;
  bench_files)
    echo inside > "$HOME/inside.txt"; ln -sf /etc/passwd "$HOME/link.txt"; mkdir -p "$HOME/folder"
    echo "made some"
    echo "[NEW_FILES]"; echo inside.txt; echo /etc/hostname; echo ../../../config.yaml; echo link.txt; echo folder
    echo missing.txt; echo "[/NEW_FILES]" ;;
esac
"#;

impl Site {
    /// Puts the bench skill into the home.
    pub(crate) fn with_bench(self) -> Self {
        let object = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
        let tool = |name: &str, effect: &str| json!({"name": name, "description": "x", "effect": effect, "input_schema": object});
        let mut tools: Vec<Value> =
            ["note", "fail", "soft", "die", "hang", "orphan", "loud", "alone", "env", "files", "big"]
                .iter()
                .map(|name| tool(&format!("bench_{name}"), "once"))
                .collect();
        tools.push(tool("bench_look", "pure"));
        tools.push(tool("bench_meet", "pure"));
        let mut pay = tool("bench_pay", "once");
        pay["approval"] = true.into();
        tools.push(pay);
        let folder = self.bench();
        std::fs::create_dir_all(folder.join("scripts")).unwrap();
        std::fs::write(folder.join("SKILL.md"), "---\nname: bench\ndescription: For tests.\n---\nUse it.\n")
            .unwrap();
        std::fs::write(folder.join("tools.json"), json!({"tools": tools}).to_string()).unwrap();
        std::fs::write(folder.join("scripts/run.sh"), SCRIPT).unwrap();
        self
    }

    /// The skill's folder.
    pub(crate) fn bench(&self) -> std::path::PathBuf {
        self.home().join("skills/bench")
    }

    /// The runs of its tools so far.
    pub(crate) fn ledger(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.bench().join("ledger")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The processes that its tools left a note of; none until all are noted.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let text = std::fs::read_to_string(self.bench().join("pids")).unwrap_or_default();
        if !text.ends_with('\n') {
            return Vec::new();
        }
        text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }

    /// One value of the store.
    pub(crate) fn value<T: rusqlite::types::FromSql>(&self, sql: &str) -> T {
        self.store().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// One column of the store.
    pub(crate) fn column(&self, sql: &str) -> Vec<String> {
        let store = self.store();
        let mut statement = store.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

/// Moves the clock of the servers of a site that were started with `clock` ahead.
pub(crate) fn clock(site: &Site, ahead_ms: i64) -> String {
    let path = site.beside().join("clock");
    let fresh = site.beside().join("clock.new");
    std::fs::write(&fresh, ahead_ms.to_string()).unwrap();
    std::fs::rename(&fresh, &path).unwrap();
    path.display().to_string()
}

/// True when none of these processes lives any more.
pub(crate) fn gone(pids: &[u32]) -> bool {
    pids.iter().all(|pid| {
        let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
        stat.map_or(true, |stat| stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z')))
    })
}

/// A model that replies so, one after the other, then says "done".
pub(crate) fn in_turn(replies: Vec<Reply>) -> impl Fn(&Request) -> Reply + Send + Sync {
    let at = AtomicUsize::new(0);
    move |_| {
        let reply = replies.get(at.fetch_add(1, Ordering::SeqCst)).cloned();
        reply.unwrap_or_else(|| Reply::say("done"))
    }
}

/// A model that opens the bench skill, makes these calls in one answer, then says "done".
pub(crate) fn does(calls: &[(&str, Value)]) -> MockModel {
    let calls = calls.iter().map(|(tool, args)| ((*tool).to_owned(), args.clone())).collect();
    MockModel::start(in_turn(vec![
        Reply::call("activate_skill", json!({"skill_name": "bench"})),
        Reply::Call(String::new(), calls),
    ]))
}
