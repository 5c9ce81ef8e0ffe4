//! Sandboxes as containers: gVisor through Docker, with no network, no rights, and limits that bite. The isolation
//! is shown by a self-test before anything is trusted to it.

mod advice;
mod body;
mod care;
mod checks;
mod connection;
mod disk;
mod exec;
mod folders;
mod image;
mod life;
mod maker;
mod self_test;
mod settings;
mod tar;

pub use image::DOCKERFILE;
pub use maker::DockerSandboxes;
pub use settings::SandboxSettings;
