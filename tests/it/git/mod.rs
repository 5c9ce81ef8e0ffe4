//! Git as it is: mirrors, workspaces, work that comes out of a sandbox, pushes; with real repositories on real disks.

mod flow;
mod hostile;
mod objects;
mod pushes;
mod remotes;
mod server;
pub(crate) mod world;

pub(crate) use remotes::start_sshd;
pub(crate) use server::GitServer;
pub(crate) use world::World;
