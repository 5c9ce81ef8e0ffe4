//! Git on the host, and the servers where pull requests live.

mod api;
mod bundles;
mod dialect;
mod environment;
mod explain;
mod gitea;
mod github;
mod gitlab;
mod inspect;
mod listing;
mod mirrors;
mod places;
mod process;
mod pushes;
mod repos;
mod workspaces;

pub use api::{ForgeConfig, forge};
pub use repos::{GitRepos, RepoLimits};
