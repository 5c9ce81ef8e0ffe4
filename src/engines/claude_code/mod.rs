//! Claude Code as an engine: its command line with `stream-json` in both directions, one process a run.
//!
//! Flags, lines and the control protocol are those of 2.1.329, as its `--help` and its behaviour show them.

mod dialog;
mod stream;

use std::{collections::BTreeMap, sync::Arc};

pub use dialog::ClaudeDialog;

use super::drive;
use crate::ports::{
    engine::{Approvals, Engine, EngineHandle, EngineRun, Session},
    sandbox::{ExecSpec, Sandbox},
};

/// Tools that reach into the internet by way of the model's provider or past the gateway's list of hosts.
const NO_TOOLS: &str = "WebSearch,WebFetch";
/// No hooks, no notes of the tool about itself in commits.
const SETTINGS: &str = r#"{"attribution":{"commit":"","pr":""}}"#;

/// The engine. Its program `claude` has to be in the image.
#[derive(Debug, Clone)]
pub struct ClaudeCode {
    home: String,
}

impl ClaudeCode {
    /// With this home folder inside the sandbox; it keeps sessions, so it has to outlive the sandbox.
    pub fn new(home: impl Into<String>) -> Self {
        Self { home: home.into() }
    }
}

impl Engine for ClaudeCode {
    fn name(&self) -> &'static str {
        "claude-code"
    }

    fn start(&self, run: EngineRun, sandbox: Arc<dyn Sandbox>) -> EngineHandle {
        let spec = ExecSpec { argv: argv(&run), env: env(&run, &self.home), ..ExecSpec::default() };
        let dialog = ClaudeDialog::new(run.prompt, run.system, run.approvals);
        drive::start(sandbox, spec, run.limits, Box::new(dialog))
    }
}

/// The command line. Holds neither the prompt nor a secret. Settings, hooks and MCP servers of the work tree
/// are shut out: a tree that nobody vouches for would run its own commands by them.
pub fn argv(run: &EngineRun) -> Vec<String> {
    let mode = match run.approvals {
        Approvals::Ask => "default",
        Approvals::Edits => "acceptEdits",
        Approvals::Auto => "bypassPermissions",
    };
    let mut argv: Vec<String> = [
        "claude",
        "-p",
        "--input-format",
        "stream-json",
        "--output-format",
        "stream-json",
        "--verbose",
        "--include-partial-messages",
        "--permission-prompt-tool",
        "stdio",
        "--permission-mode",
        mode,
        "--setting-sources",
        "",
        "--strict-mcp-config",
        "--disallowedTools",
        NO_TOOLS,
        "--settings",
        SETTINGS,
    ]
    .map(str::to_owned)
    .to_vec();
    let mut add = |flag: &str, value: &str| argv.extend([flag.to_owned(), value.to_owned()]);
    add("--max-turns", &run.limits.turns.to_string());
    if let Some(cost) = run.limits.cost_usd {
        add("--max-budget-usd", &format!("{cost:.4}"));
    }
    match &run.session {
        Session::New(id) => add("--session-id", id),
        Session::Resume(id) => add("--resume", id),
    }
    if let Some(model) = &run.model {
        add("--model", model);
    }
    argv
}

/// The environment. The key is the job's token, worth something at the gateway only.
pub fn env(run: &EngineRun, home: &str) -> BTreeMap<String, String> {
    [
        ("ANTHROPIC_BASE_URL", format!("{}/anthropic", run.gateway.trim_end_matches('/'))),
        ("ANTHROPIC_API_KEY", run.token.reveal().to_owned()),
        ("NO_PROXY", "127.0.0.1,localhost".into()),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".into()),
        ("DISABLE_AUTOUPDATER", "1".into()),
        // Unless told, it tries ten times, which takes minutes.
        ("CLAUDE_CODE_MAX_RETRIES", "2".into()),
        ("HOME", home.to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::engine::Limits, ports::engine::JobToken};

    fn run() -> EngineRun {
        EngineRun {
            prompt: "PROMPT of the story".into(),
            system: "SYSTEM of the bot".into(),
            session: Session::New("0199-uuid".into()),
            model: Some("claude-x".into()),
            limits: Limits { turns: 7, cost_usd: Some(1.5), ..Limits::default() },
            approvals: Approvals::Ask,
            gateway: "http://127.0.0.1:3128/llm/".into(),
            token: JobToken::new("job-token"),
        }
    }

    #[test]
    fn the_command_line_holds_no_prompt_and_no_token_and_shuts_the_tree_out() {
        let argv = argv(&run());
        let line = argv.join("\u{1}");
        assert!(!line.contains("PROMPT") && !line.contains("SYSTEM") && !line.contains("job-token"));
        let after = |flag: &str| argv[argv.iter().position(|arg| arg == flag).unwrap() + 1].as_str();
        assert_eq!(after("--setting-sources"), "");
        assert_eq!(after("--permission-prompt-tool"), "stdio");
        assert_eq!(after("--session-id"), "0199-uuid");
        assert_eq!((after("--max-turns"), after("--max-budget-usd")), ("7", "1.5000"));
        assert_eq!((after("--permission-mode"), after("--model")), ("default", "claude-x"));
        assert!(argv.contains(&"--strict-mcp-config".into()) && argv.contains(&"--verbose".into()));
    }

    #[test]
    fn a_resumed_session_has_no_new_name_and_the_mode_follows_the_policy() {
        let mut run = run();
        run.session = Session::Resume("old".into());
        for (approvals, mode) in [
            (Approvals::Ask, "default"),
            (Approvals::Edits, "acceptEdits"),
            (Approvals::Auto, "bypassPermissions"),
        ] {
            run.approvals = approvals;
            let argv = argv(&run);
            assert!(argv.contains(&mode.to_owned()) && !argv.contains(&"--session-id".to_owned()));
            assert!(argv.windows(2).any(|pair| pair == ["--resume", "old"]));
        }
    }

    #[test]
    fn the_gateway_is_all_that_it_knows_of_the_world() {
        let env = env(&run(), "/home/agent");
        assert_eq!(env["ANTHROPIC_BASE_URL"], "http://127.0.0.1:3128/llm/anthropic");
        assert_eq!((env["ANTHROPIC_API_KEY"].as_str(), env["HOME"].as_str()), ("job-token", "/home/agent"));
        assert!(!format!("{:?}", run()).contains("job-token"));
    }
}
