//! Codex as an engine: its `app-server`, JSON-RPC line by line over stdio, one process a run.
//!
//! Methods and shapes are those of 0.169.0, as `codex app-server generate-json-schema` writes them.

mod dialog;
mod stream;

use std::{collections::BTreeMap, sync::Arc};

pub use dialog::{CodexDialog, Opening};

use super::drive;
use crate::ports::{
    engine::{Engine, EngineHandle, EngineRun},
    sandbox::{ExecSpec, Sandbox},
};

/// Variable of the environment that holds the job's token.
const KEY: &str = "ATOLL_JOB_TOKEN";

/// The engine. Its program `codex` has to be in the image.
#[derive(Debug, Clone)]
pub struct Codex {
    home: String,
    workspace: String,
}

impl Codex {
    /// With these folders inside the sandbox; the home keeps sessions, so it has to outlive the sandbox.
    pub fn new(home: impl Into<String>, workspace: impl Into<String>) -> Self {
        Self { home: home.into(), workspace: workspace.into() }
    }
}

impl Engine for Codex {
    fn name(&self) -> &'static str {
        "codex"
    }

    fn start(&self, run: EngineRun, sandbox: Arc<dyn Sandbox>) -> EngineHandle {
        let spec =
            ExecSpec { argv: argv(&run, &self.workspace), env: env(&run, &self.home), ..ExecSpec::default() };
        let opening = Opening {
            prompt: run.prompt,
            system: run.system,
            session: run.session,
            model: run.model,
            approvals: run.approvals,
            workspace: self.workspace.clone(),
        };
        drive::start(sandbox, spec, run.limits, Box::new(CodexDialog::new(opening)))
    }
}

/// The command line. The work tree is told to be untrusted, so that its `.codex` folder is not read; Codex's own
/// sandbox is left out, because it cannot work inside ours.
pub fn argv(run: &EngineRun, workspace: &str) -> Vec<String> {
    let gateway = run.gateway.trim_end_matches('/');
    let provider = format!(
        "model_providers.atoll={{name=\"atoll\",base_url={},wire_api=\"responses\",env_key=\"{KEY}\",\
         request_max_retries=2,stream_max_retries=2}}",
        toml(&format!("{gateway}/openai/v1"))
    );
    let trust = format!("projects={{{}={{trust_level=\"untrusted\"}}}}", toml(workspace));
    let overrides = [
        "model_provider=\"atoll\"".to_owned(),
        provider,
        trust,
        "web_search=\"disabled\"".to_owned(),
        "check_for_update_on_startup=false".to_owned(),
        "analytics.enabled=false".to_owned(),
        // Its catalogues are looked for on the internet, each time, and nobody asked for them.
        "features.plugins=false".to_owned(),
        "features.apps=false".to_owned(),
    ];
    let mut argv = vec!["codex".to_owned(), "app-server".to_owned()];
    argv.extend(overrides.into_iter().flat_map(|value| ["-c".to_owned(), value]));
    argv
}

/// The environment. The key is the job's token, worth something at the gateway only.
pub fn env(run: &EngineRun, home: &str) -> BTreeMap<String, String> {
    [(KEY, run.token.reveal()), ("NO_PROXY", "127.0.0.1,localhost"), ("HOME", home)]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// A TOML string: what JSON writes is one as well.
fn toml(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::engine::Limits,
        ports::{
            engine::{Approvals, Session},
            gateway::JobToken,
        },
    };

    #[test]
    fn the_command_line_points_at_the_gateway_and_holds_no_prompt_and_no_token() {
        let run = EngineRun {
            prompt: "PROMPT".into(),
            system: "SYSTEM".into(),
            session: Session::New("u".into()),
            model: None,
            limits: Limits::default(),
            approvals: Approvals::Auto,
            gateway: "http://127.0.0.1:3128/llm".into(),
            token: JobToken::new([7; 32]),
        };
        let argv = argv(&run, "/workspace");
        let line = argv.join(" ");
        assert!(line.contains("base_url=\"http://127.0.0.1:3128/llm/openai/v1\""), "{line}");
        assert!(line.contains("projects={\"/workspace\"={trust_level=\"untrusted\"}}"), "{line}");
        for secret in ["PROMPT", "SYSTEM", run.token.reveal()] {
            assert!(!line.contains(secret), "{line}");
        }
        let env = env(&run, "/home/agent");
        assert_eq!((env[KEY].as_str(), env["HOME"].as_str()), (run.token.reveal(), "/home/agent"));
    }
}
