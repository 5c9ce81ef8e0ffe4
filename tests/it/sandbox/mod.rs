//! Sandboxes in real gVisor: what holds, what bites, what is left behind. `scripts/services` starts what they need.

pub(crate) mod bench;
mod building;
mod caches;
mod configured;
mod isolation;
mod limits;
mod owners;
mod secrets;
mod streams;
mod way_out;

pub(crate) use bench::socket as docker_socket;
