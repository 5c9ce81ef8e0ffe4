//! `atoll demo coding`: the second main job from end to end on this machine, with no key: a small repository with a
//! failing test, a story, a bot, a sandbox, an approval, a push.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};

use crate::{
    config,
    home::{Home, Lock},
    ports::sandbox_care::{BuildSpec, BuildStep, Readiness},
};

use super::{
    Args, CliError, CliResult, Surroundings,
    client::{Client, block_on, segment},
    process,
    sandbox::configuration,
    table::{field, say, say_piece},
    task_watch::{Look, Watch, plain},
};

/// A demonstration.
#[derive(Debug, ClapArgs)]
pub struct DemoArgs {
    /// Of what
    #[command(subcommand)]
    pub command: DemoCommand,
}

/// Of what.
#[derive(Debug, Subcommand)]
pub enum DemoCommand {
    /// A bot takes a story from its board, mends a failing test in a sandbox, asks, and pushes
    Coding(DemoCoding),
}

/// How.
#[derive(Debug, ClapArgs)]
pub struct DemoCoding {
    /// Approve its work without asking
    #[arg(long)]
    pub yes: bool,
}

/// The code, with its fault, and the test that shows it.
const CODE: &str = "def add(a, b):\n    return a - b\n";
const TEST: &str =
    "from calc import add\n\nassert add(2, 3) == 5, f\"2 + 3 gave {add(2, 3)}\"\nprint(\"all is well\")\n";
/// What the story asks for, in words that the scripted model follows.
const STORY: &str = "The test fails. Run `python3 test.py`, in `calc.py` replace `a - b` with `a + b`, then run `python3 test.py`.";
/// How often the bot is looked at until it has taken the story: 60 s.
const LOOKS: u32 = 240;
const LOOK: Duration = Duration::from_millis(250);

pub(super) fn run(
    args: &Args,
    home: &Home,
    wanted: &DemoCoding,
    surroundings: &dyn Surroundings,
) -> CliResult {
    let sandbox = configuration(args, home)?;
    let root = home.root().join("demo");
    let inner = Home::open(&root.join("home")).map_err(|error| CliError::said(error.to_string()))?;
    if Lock::is_held(&inner.lock_file()) {
        return Err(CliError::said(format!("another demo runs in {}: wait for its end", root.display())));
    }
    block_on(image(surroundings, &inner, &sandbox))??;
    fs::remove_dir_all(&root).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    let inner = Home::open(&root.join("home")).map_err(|error| CliError::said(error.to_string()))?;
    let remote = repository(&root)?;
    say(&format!("1. A small repository with a failing test: {}", remote.display()));
    fs::write(inner.root().join("config.yaml"), settings(&sandbox))?;
    let own =
        Args { home: None, config: Some(inner.root().join("config.yaml")), command: super::Command::Stop };
    process::start_daemon(&own, &inner)?;
    let shown = block_on(show(&inner, &remote, wanted.yes));
    process::stop(&inner)?;
    shown??;
    say("\nThis is what the remote has now:");
    git(&remote, &["log", "--stat", "--all", "--format=%h %an: %s%n%b"])?;
    say(&format!("\nEverything lies in {}; it is made anew with the next demo.", root.display()));
    Ok(())
}

/// Sees to it that sandboxes can be made; builds the image when it is all that is missing.
async fn image(surroundings: &dyn Surroundings, home: &Home, sandbox: &config::Sandbox) -> CliResult {
    let care = surroundings.sandboxes(home, sandbox);
    let look = care.look().await;
    if look.readiness == Readiness::Ready {
        return Ok(());
    }
    let lacks_image = look.details.contains(&sandbox.image);
    if !lacks_image {
        return Err(CliError::said(format!("{}\n{}", look.details, look.advice)));
    }
    say(&format!("0. The image {} is not there; building it (once)", sandbox.image));
    let said = |error: crate::ports::sandbox::SandboxError| CliError::said(error.to_string());
    let mut steps = care.build(BuildSpec::default()).await.map_err(said)?;
    while let Some(step) = steps.recv().await {
        match step {
            BuildStep::Output(text) => say_piece(&text),
            BuildStep::Done(_) => return Ok(()),
            BuildStep::Failed(why) => {
                return Err(CliError::said(format!("the image is not built: {}", why.trim())));
            }
        }
    }
    Err(CliError::said("the build of the image broke off"))
}

/// The configuration of the demo's own server: a scripted model, and the sandbox as it is configured here.
fn settings(sandbox: &config::Sandbox) -> String {
    let whole = json!({
        "server": {"port": 0},
        "llm": {"provider": "rehearsal"},
        "sandbox": {
            "runtime": sandbox.runtime, "docker": sandbox.docker, "image": sandbox.image,
            "memory_mib": sandbox.memory_mib, "cpus": sandbox.cpus, "processes": sandbox.processes,
            "tmp_mib": sandbox.tmp_mib, "disk_mib": sandbox.disk_mib,
        },
    });
    // JSON is YAML, too.
    whole.to_string()
}

/// A bare repository with one commit, whose test fails.
fn repository(root: &Path) -> Result<PathBuf, CliError> {
    let (work, remote) = (root.join("work"), root.join("calc.git"));
    fs::create_dir_all(&work)?;
    fs::write(work.join("calc.py"), CODE)?;
    fs::write(work.join("test.py"), TEST)?;
    git(&work, &["init", "-q", "-b", "main"])?;
    git(&work, &["add", "-A"])?;
    let author = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgSign=false"];
    git(&work, &[&author[..], &["commit", "-q", "-m", "A calculator"]].concat())?;
    git(root, &["clone", "-q", "--bare", "work", "calc.git"])?;
    Ok(remote)
}

fn git(folder: &Path, args: &[&str]) -> CliResult {
    let done = Command::new("git").arg("-C").arg(folder).args(["-c", "core.pager=cat"]).args(args).output();
    let done = done.map_err(|error| CliError::said(format!("git cannot be run: {error}; install it")))?;
    if !done.status.success() {
        let why = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        return Err(CliError::said(format!("git {} failed: {why}", args.join(" "))));
    }
    say_piece(&plain(&String::from_utf8_lossy(&done.stdout)));
    Ok(())
}

async fn show(home: &Home, remote: &Path, yes: bool) -> CliResult {
    let client = Client::find(home)?;
    let project = json!({
        "name": "Calc", "repoUrl": remote.display().to_string(), "verifyCommands": ["python3 test.py"],
    });
    let project = field(&client.post("/api/v1/projects", &project).await?, "id");
    let board = client.get(&format!("/api/v1/projects/{}/board", segment(&project))).await?;
    let todo =
        board["board"]["columns"].as_array().into_iter().flatten().find(|column| column["role"] == "todo");
    let todo = todo.map(|column| field(column, "id")).unwrap_or_default();
    let story = json!({
        "columnId": todo, "title": "Mend the failing test", "description": STORY, "priority": "high",
    });
    let story = client.post(&format!("/api/v1/projects/{}/stories", segment(&project)), &story).await?;
    let story = field(&story, "id");
    say("2. A project with a board, and on it a story: Mend the failing test");
    let bot =
        json!({"name": "mender", "projectId": project, "engineType": "native", "pollIntervalSeconds": 5});
    let bot = field(&client.post("/api/v1/bots", &bot).await?, "id");
    client.post(&format!("/api/v1/bots/{}/loop", segment(&bot)), &json!({"action": "start"})).await?;
    say("3. A bot, mender, looks for work on the board; its model is scripted and needs no key");
    let job = taken(&client, &story).await?;
    say(&format!("4. It took the story: task {job}. What follows happens in a sandbox without network\n"));
    let look = Look { verbosity: None, json: false, answers: true, yes };
    Watch::new(&client, &job, 0, look).until_over().await?;
    let story = client.get(&format!("/api/v1/stories/{}", segment(&story))).await?;
    let role = column_of(&board, &story);
    say(&format!("\n5. The card is in {role} now, and the bot wrote into its journal:"));
    let journal = client.get(&format!("/api/v1/bots/{}/journal", segment(&bot))).await?;
    for entry in journal["entries"].as_array().into_iter().flatten() {
        say(&format!("   {}: {}", field(entry, "entryType"), plain(&field(entry, "summary"))));
    }
    Ok(())
}

/// The job that works on a story, as soon as the bot has taken it.
async fn taken(client: &Client, story: &str) -> Result<String, CliError> {
    for _ in 0..LOOKS {
        let now: Value = client.get(&format!("/api/v1/stories/{}", segment(story))).await?;
        if let Some(job) = now["jobId"].as_str() {
            return Ok(job.to_owned());
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(CliError::said("the bot did not take the story in a minute: the demo's log says why"))
}

/// The name of the column that a story is in.
fn column_of(board: &Value, story: &Value) -> String {
    let columns = board["board"]["columns"].as_array().into_iter().flatten();
    let own = columns.into_iter().find(|column| column["id"] == story["columnId"]);
    own.map_or_else(|| "no column".into(), |column| field(column, "name"))
}
