//! Where projects come from: what opens their remotes, and the forges where their pull requests live.

use std::sync::Arc;

use crate::{
    domain::project::Project,
    ports::{forge::Forge, repo::Remote},
};

/// Opens the places that projects come from. Errors say what to do; none holds a secret.
pub trait Origins: Send + Sync {
    /// The project's repository with what opens it.
    ///
    /// # Errors
    /// When its address cannot be used, or what is to open it is not there.
    fn remote(&self, project: &Project) -> Result<Remote, String>;

    /// Where the project's pull requests live; `None` when it has no such place.
    ///
    /// # Errors
    /// As above.
    fn forge(&self, project: &Project) -> Result<Option<Arc<dyn Forge>>, String>;
}
