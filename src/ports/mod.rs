//! The traits at the edge: what the inside needs of the world, one file each.

pub mod channel;
pub mod clock;
pub mod engine;
pub mod files;
pub mod forge;
pub mod gateway;
pub mod job_files;
pub mod job_places;
pub mod metrics;
pub mod model;
pub mod origin;
pub mod persona;
pub mod platform;
pub mod repo;
pub mod sandbox;
pub mod sandbox_care;
pub mod tool;
pub mod transcriber;
