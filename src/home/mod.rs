//! What lies in the home folder: its lock, the files of people, tools and jobs, the personas.

mod files;
mod job_files;
mod job_places;
mod lock;
mod paths;
mod personas;

pub use files::HomeFiles;
pub use job_files::HomeJobFiles;
pub use job_places::HomeJobPlaces;
pub use lock::{Lock, LockFault};
pub use paths::{Home, HomeFault};
pub use personas::HomePersonas;
