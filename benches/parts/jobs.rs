//! What a coding job takes beside its engine: from the task's arrival until a person is asked, by the times in its log.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{containers::socket, stats::Times};
use crate::support::{Site, User};

const JOBS: usize = 12;
/// The states that a job passes on the way to its question.
const STATES: [&str; 4] = ["preparing", "running", "verifying", "committing"];

pub(crate) async fn outside_the_engine() {
    let config = format!(
        "log: {{level: warn}}\nllm: {{provider: rehearsal}}\nsandbox: {{docker: '{}'}}",
        socket().display()
    );
    let site = Site::new(&config);
    repository(site.beside());
    site.say(&["sandbox", "test"]);
    let server = site.start();
    let owner = User::new(&server.base, &site.key("me", "owner"));
    let project = json!({
        "name": "App", "repoUrl": site.beside().join("app.git").display().to_string(), "verifyCommands": ["true"],
    });
    assert_eq!(owner.post("/api/v1/projects", project).await.0, 201);
    let (mut whole, mut outside) = (Times::default(), Times::default());
    let mut phases: Vec<Times> = STATES.iter().map(|_| Times::default()).collect();
    for run in 0..=JOBS {
        let began = Instant::now();
        let task = json!({"projectId": "app", "instruction": "in `calc.py` replace `a - b` with `a + b`"});
        let (status, told) = owner.post("/api/v1/tasks", task).await;
        assert_eq!(status, 201, "{told}");
        let path = format!("/api/v1/tasks/{}", told["jobId"].as_str().unwrap());
        loop {
            let state = owner.look(&path).await["status"].as_str().unwrap().to_owned();
            if state == "awaiting_approval" {
                break;
            }
            assert!(STATES.contains(&state.as_str()) || state == "queued", "it is {state}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let took = began.elapsed();
        let log = owner.look(&format!("{path}/logs?verbosity=quiet")).await;
        let at = |state: &str| {
            let line = log["lines"].as_array().unwrap().iter().find(|line| line["event"]["state"] == state);
            chrono::DateTime::parse_from_rfc3339(line.unwrap()["at"].as_str().unwrap()).unwrap()
        };
        let mut times = STATES.map(at).to_vec();
        times.push(at("awaiting_approval"));
        let lengths: Vec<Duration> =
            times.windows(2).map(|two| (two[1] - two[0]).to_std().unwrap()).collect();
        owner.post(&format!("{path}/reject"), json!({})).await;
        // The first one makes the mirror.
        if run > 0 {
            whole.add(took);
            outside.add(took.saturating_sub(lengths[1]));
            phases.iter_mut().zip(&lengths).for_each(|(times, length)| times.add(*length));
        }
    }
    println!("task to question: {}", whole.show());
    println!("  outside the engine: {}", outside.show());
    for (state, times) in STATES.iter().zip(&mut phases) {
        println!("  {state}: {}", times.show());
    }
}

fn repository(beside: &Path) {
    let script = "git init -q --bare -b main app.git && git init -q -b main first && cd first && \
                  printf 'def add(a, b):\\n    return a - b\\n' > calc.py && git add -A && \
                  git -c user.name=x -c user.email=x@example.org commit -qm first && git push -q ../app.git main";
    assert!(Command::new("sh").args(["-c", script]).current_dir(beside).status().unwrap().success());
}
