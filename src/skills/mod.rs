//! Skills: folders with instructions, and perhaps tools that run as scripts.

mod folder;
mod loader;
mod process;

pub use folder::{FolderSkills, SkillPlaces};
pub use process::end_strays;
