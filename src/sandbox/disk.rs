//! What the folders of a sandbox hold. There is no hard quota: they are measured from outside, again and again, and
//! whoever stores too much, or in a way that cannot be measured, is ended.

use std::{collections::HashSet, io::ErrorKind, os::unix::fs::MetadataExt, path::PathBuf};

/// Most files and folders of one sandbox.
const MOST_FILES: usize = 2_000_000;
/// What must stay free on the disk of the machine, in bytes.
const FREE: u64 = 256 << 20;

/// Why a sandbox with these folders is to be ended; `None` when it may go on.
pub(super) fn verdict(folders: &[PathBuf], most: u64) -> Option<String> {
    judge(folders, most, MOST_FILES).err().or_else(|| full(folders))
}

/// These folders hold more than so many bytes, or cannot be measured.
pub(super) fn holds_more(folders: &[PathBuf], bytes: u64) -> bool {
    judge(folders, bytes, MOST_FILES).is_err()
}

fn full(folders: &[PathBuf]) -> Option<String> {
    let low = folders.iter().filter_map(|folder| rustix::fs::statvfs(folder).ok());
    let low = low.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)).min()?;
    (low < FREE).then(|| format!("the disk of the machine is full: {} MiB are left", low >> 20))
}

fn judge(folders: &[PathBuf], most: u64, most_files: usize) -> Result<u64, String> {
    let mut bytes = 0_u64;
    let mut files = 0_usize;
    // Files with more than one name count once.
    let mut shared = HashSet::new();
    let mut open: Vec<PathBuf> = folders.to_vec();
    while let Some(folder) = open.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                forgive(&error)?;
                continue;
            }
        };
        for entry in entries {
            let Ok(entry) = entry else { break };
            let data = match entry.metadata() {
                Ok(data) => data,
                Err(error) => {
                    forgive(&error)?;
                    continue;
                }
            };
            files += 1;
            if files > most_files {
                return Err(format!("it keeps more than {most_files} files"));
            }
            if data.is_dir() {
                open.push(entry.path());
            } else if data.nlink() > 1 && !shared.insert((data.dev(), data.ino())) {
                continue;
            }
            bytes += data.blocks() * 512;
            if bytes > most {
                return Err(format!("its folders hold more than {} MiB", most >> 20));
            }
        }
    }
    Ok(bytes)
}

/// Some faults are nothing: what was there is gone, or only its owner may look. Others hide what is stored.
fn forgive(error: &std::io::Error) -> Result<(), String> {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::NotADirectory => Ok(()),
        ErrorKind::InvalidFilename => Err("its folders are nested too deeply to be measured".into()),
        _ => {
            tracing::warn!(%error, "a folder of a sandbox cannot be measured");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_measured_with_all_that_is_in_it_and_links_count_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("below")).unwrap();
        std::fs::write(at("below/one"), vec![1; 1 << 20]).unwrap();
        std::fs::hard_link(at("below/one"), at("two")).unwrap();
        std::os::unix::fs::symlink("/usr", at("out")).unwrap();
        let bytes = judge(&[folder.path().to_owned()], u64::MAX, usize::MAX).unwrap();
        assert!((1 << 20..(1 << 20) + 64 * 1024).contains(&bytes), "{bytes}");
    }

    #[test]
    fn too_much_too_many_and_too_deep_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let folders = [folder.path().to_owned()];
        for name in 0..20 {
            std::fs::write(folder.path().join(name.to_string()), vec![1; 100_000]).unwrap();
        }
        assert!(judge(&folders, 1 << 20, 100).unwrap_err().contains("1 MiB"));
        assert!(judge(&folders, 1 << 30, 10).unwrap_err().contains("10 files"));
        assert!(judge(&folders, 1 << 30, 100).is_ok());
        assert_eq!(verdict(&folders, 1 << 30), None);
        assert_eq!(verdict(&["/nowhere/at/all".into()], 1), None, "what is gone holds nothing");

        // Deeper than any path can say: made step by step, as a program inside would.
        let name = "d".repeat(200);
        use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
        let mut deepest = openat(CWD, folder.path(), OFlags::DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..30 {
            mkdirat(&deepest, &name, Mode::RWXU).unwrap();
            deepest = openat(&deepest, &name, OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        assert!(verdict(&folders, 1 << 30).unwrap().contains("deeply"));
        assert!(std::process::Command::new("rm").arg("-rf").arg(folder.path()).status().unwrap().success());
    }
}
