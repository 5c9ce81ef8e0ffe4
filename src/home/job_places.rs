//! Folders of coding jobs in the home: what their sandboxes see as a home, what came with them, and what was set up.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{Home, files::plain_name};
use crate::{
    domain::ids::{JobId, ProjectId},
    ports::job_places::{ATTACHMENTS, JobPlaces},
};

/// What tools leave in a work tree, and what Atoll puts there: in git's own notation.
const LEFT_BEHIND: &[&str] = &[
    "/.atoll/",
    "__pycache__/",
    "*.pyc",
    ".pytest_cache/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".venv/",
    "node_modules/",
];
/// The file that says that the set-up of a job's workspace was done.
const SET_UP: &str = "set-up";

/// The folder that its sandboxes have as a home.
const HOME: &str = "home";

/// The folders of a home.
#[derive(Clone)]
pub struct HomeJobPlaces {
    home: Home,
}

impl HomeJobPlaces {
    /// Folders in this home.
    pub fn new(home: Home) -> Self {
        Self { home }
    }
}

impl JobPlaces for HomeJobPlaces {
    fn home(&self, job: &JobId) -> BoxFuture<'static, io::Result<PathBuf>> {
        let folder = self.home.job(job).join(HOME);
        Box::pin(async move {
            tokio::fs::create_dir_all(&folder).await?;
            Ok(folder)
        })
    }

    fn known(&self) -> BoxFuture<'static, io::Result<Vec<JobId>>> {
        let folder = self.home.jobs();
        let list = move || match fs::read_dir(folder) {
            Ok(entries) => {
                entries.map(|entry| Ok(JobId::new(entry?.file_name().to_string_lossy().as_ref()))).collect()
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        let listed = tokio::task::spawn_blocking(list);
        Box::pin(async move { listed.await.map_err(io::Error::other)? })
    }

    fn kept(&self, job: &JobId, all: bool) -> PathBuf {
        let folder = self.home.job(job);
        if all { folder } else { folder.join(HOME) }
    }

    fn cache(&self, project: &ProjectId) -> PathBuf {
        self.home.cache(project.as_str())
    }

    fn fit_out(&self, workspace: PathBuf, files: Vec<(String, Bytes)>) -> BoxFuture<'static, io::Result<()>> {
        let work = tokio::task::spawn_blocking(move || {
            ignore(&workspace)?;
            attach(&workspace, &files)
        });
        Box::pin(async move { work.await.map_err(io::Error::other)? })
    }

    fn is_set_up(&self, job: &JobId) -> bool {
        self.home.job(job).join(SET_UP).is_file()
    }

    fn set_up(&self, job: &JobId, done: bool) -> io::Result<()> {
        let folder = self.home.job(job);
        fs::create_dir_all(&folder)?;
        if done {
            return fs::write(folder.join(SET_UP), b"");
        }
        match fs::remove_file(folder.join(SET_UP)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Tells the workspace's git what is never work. The project's own list stays as it is, and what it has in git stays so.
fn ignore(workspace: &Path) -> io::Result<()> {
    let folder = workspace.join(".git/info");
    fs::create_dir_all(&folder)?;
    let mut file = fs::OpenOptions::new().create(true).append(true).open(folder.join("exclude"))?;
    LEFT_BEHIND.iter().try_for_each(|pattern| writeln!(file, "{pattern}"))
}

/// Writes files beside the work, under names of their own, where git ignores them.
fn attach(workspace: &Path, files: &[(String, Bytes)]) -> io::Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let folder = workspace.join(ATTACHMENTS);
    fs::create_dir_all(&folder)?;
    for (place, (name, bytes)) in files.iter().enumerate() {
        let name = plain_name(name);
        let taken = files[..place].iter().any(|(other, _)| plain_name(other) == name);
        let name = if taken { format!("{}-{name}", place + 1) } else { name };
        fs::write(folder.join(name), bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_lie_under_plain_names_of_their_own_and_are_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| (name.to_owned(), Bytes::from_static(b"x"));
        attach(folder.path(), &[file("a.png"), file("../../a.png"), file("a.png")]).unwrap();
        let mut names: Vec<_> = fs::read_dir(folder.path().join(ATTACHMENTS))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(names.iter().all(|name| !name.contains('/')));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something lies outside");
    }

    #[test]
    fn what_tools_leave_behind_is_ignored_beside_what_was_ignored_before() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(".git/info")).unwrap();
        let list = folder.path().join(".git/info/exclude");
        fs::write(&list, "own\n").unwrap();
        ignore(folder.path()).unwrap();
        let text = fs::read_to_string(list).unwrap();
        assert!(text.starts_with("own\n/.atoll/\n__pycache__/\n"), "{text}");
    }

    #[tokio::test]
    async fn a_set_up_is_remembered_until_it_is_to_be_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path()).unwrap();
        let (places, job) = (HomeJobPlaces::new(home), JobId::new("j1"));
        places.set_up(&job, false).unwrap();
        assert!(!places.is_set_up(&job));
        places.set_up(&job, true).unwrap();
        assert!(places.is_set_up(&job) && places.home(&job).await.unwrap().is_dir());
        assert_eq!(places.known().await.unwrap(), std::slice::from_ref(&job));
        assert_eq!(places.kept(&job, false), places.home(&job).await.unwrap());
        assert!(places.kept(&job, false).starts_with(places.kept(&job, true)));
        places.set_up(&job, false).unwrap();
        assert!(!places.is_set_up(&job));
    }
}
