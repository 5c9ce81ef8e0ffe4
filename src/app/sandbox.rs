//! Who looks after sandboxes: made here for the server and for the command line alike.

use std::sync::Arc;

use crate::{
    config,
    home::Home,
    ports::{sandbox::SandboxLimits, sandbox_care::SandboxCare},
    sandbox::{DockerSandboxes, SandboxSettings},
};

use super::clock::SystemClock;

/// The sandboxes of a home. Docker is not asked for anything before it is needed.
pub fn sandboxes(home: &Home, config: &config::Sandbox) -> Arc<dyn SandboxCare> {
    Arc::new(DockerSandboxes::new(settings(home, config), Arc::new(SystemClock)))
}

/// What a sandbox of this home may use when nobody says otherwise.
pub(super) fn sandbox_limits(home: &Home, config: &config::Sandbox) -> SandboxLimits {
    settings(home, config).limits
}

fn settings(home: &Home, config: &config::Sandbox) -> SandboxSettings {
    SandboxSettings::new(config, home.root(), home.sandbox())
}
