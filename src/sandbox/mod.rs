//! Sandboxes as containers: gVisor through Docker, with no network, no rights, and limits that bite. The isolation
//! is shown by a self-test before anything is trusted to it. The relay that runs inside them carries streams out, and
//! the gateway is their only way.

mod advice;
mod body;
mod cache;
mod care;
mod checks;
mod connection;
mod disk;
mod exec;
mod folders;
pub mod gateway;
mod image;
mod life;
mod maker;
pub mod mux;
mod relay;
mod relay_check;
mod self_test;
mod settings;
mod tar;
mod terminal;

pub use image::DOCKERFILE;
pub use maker::DockerSandboxes;
pub use relay::{RELAY, install_relay};
pub use settings::SandboxSettings;
