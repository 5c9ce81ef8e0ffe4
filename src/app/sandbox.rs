//! Who looks after sandboxes: made here for the server and for the command line alike.

use std::sync::Arc;

use crate::{
    config,
    home::Home,
    ports::sandbox_care::SandboxCare,
    sandbox::{DockerSandboxes, SandboxSettings},
};

use super::clock::SystemClock;

/// The sandboxes of a home. Docker is not asked for anything before it is needed.
pub fn sandboxes(home: &Home, config: &config::Sandbox) -> Arc<dyn SandboxCare> {
    let settings = SandboxSettings::new(config, home.root(), home.sandbox());
    Arc::new(DockerSandboxes::new(settings, Arc::new(SystemClock)))
}
