//! Reading what git lists: refs of a remote, changed files, entries of a tree.

use std::collections::BTreeMap;

use crate::{
    domain::{
        branch::BranchName,
        bundle::is_id,
        review::{FileChange, SYMLINK},
    },
    ports::repo::{Branch, Branches},
};

/// What `ls-remote --symref` gives: `ref: refs/heads/main\tHEAD`, `<id>\t<ref>`.
pub(super) fn refs(text: &str) -> Branches {
    let mut branches = Branches::default();
    for line in text.lines() {
        let Some((what, name)) = line.split_once('\t') else { continue };
        if let (Some(target), "HEAD") = (what.strip_prefix("ref: refs/heads/"), name) {
            branches.main = BranchName::parse(target).ok();
        } else if let (true, Some(name)) = (is_id(what), name.strip_prefix("refs/heads/"))
            && let Ok(name) = BranchName::parse(name)
        {
            branches.all.push(Branch { name, commit: what.to_owned() });
        }
    }
    branches.all.sort_by(|one, two| one.name.cmp(&two.name));
    branches
}

/// A changed file, and the object that it is now.
pub(super) struct Changed {
    pub(super) file: FileChange,
    pub(super) object: Option<String>,
}

/// What `diff-tree -r -z --raw --numstat --no-renames` gives: first all files with their modes and objects, then all files
/// with their lines.
pub(super) fn changes(out: &[u8]) -> Option<Vec<Changed>> {
    let mut parts = out.split(|byte| *byte == 0).peekable();
    let mut files: Vec<Changed> = Vec::new();
    let mut places: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    while let Some(head) = parts.next_if(|part| part.starts_with(b":")) {
        let head = std::str::from_utf8(head).ok()?;
        let mut words = head.trim_start_matches(':').split(' ');
        let old_mode = u32::from_str_radix(words.next()?, 8).ok()?;
        let new_mode = u32::from_str_radix(words.next()?, 8).ok()?;
        let object = words.nth(1).filter(|id| is_id(id))?;
        let object = (new_mode != 0).then(|| object.to_owned());
        let path = parts.next()?;
        places.insert(path.to_owned(), files.len());
        let odd_name = std::str::from_utf8(path).is_err();
        let path = String::from_utf8_lossy(path).into_owned();
        let file = FileChange { path, odd_name, old_mode, new_mode, ..FileChange::default() };
        files.push(Changed { file, object });
    }
    for part in parts.filter(|part| !part.is_empty()) {
        let mut words = part.splitn(3, |byte| *byte == b'\t');
        let mut number = || std::str::from_utf8(words.next()?).ok();
        let (added, removed) = (number()?, number()?);
        let at = *places.get(words.next()?)?;
        files[at].file.lines = added.parse().ok().zip(removed.parse().ok());
    }
    Some(files)
}

/// What a tree holds.
#[derive(Default)]
pub(super) struct Tree {
    /// Names and objects of its symlinks.
    pub(super) links: Vec<(String, String)>,
    /// How many entries it has.
    pub(super) entries: usize,
    /// All its files together, in bytes.
    pub(super) bytes: u64,
}

/// What `ls-tree -r -l -z` gives: `<mode> <type> <id> <size>\t<path>`.
pub(super) fn tree(out: &[u8]) -> Option<Tree> {
    let mut tree = Tree::default();
    for entry in out.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
        let tab = entry.iter().position(|byte| *byte == b'\t')?;
        let (head, path) = (std::str::from_utf8(&entry[..tab]).ok()?, &entry[tab + 1..]);
        let mut words = head.split_ascii_whitespace();
        let mode = u32::from_str_radix(words.next()?, 8).ok()?;
        let object = words.nth(1).filter(|id| is_id(id))?;
        // A submodule has no size.
        tree.bytes = tree.bytes.saturating_add(words.next()?.parse().unwrap_or(0));
        tree.entries += 1;
        if mode == SYMLINK {
            tree.links.push((String::from_utf8_lossy(path).into_owned(), object.to_owned()));
        }
    }
    Some(tree)
}

/// What `cat-file --batch` gives for these objects, in their order: `<id> <type> <size>\n<bytes>\n`.
pub(super) fn objects(mut out: &[u8], count: usize) -> Option<Vec<String>> {
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let end = out.iter().position(|byte| *byte == b'\n')?;
        let size: usize = std::str::from_utf8(&out[..end]).ok()?.rsplit(' ').next()?.parse().ok()?;
        let body = out.get(end + 1..end + 1 + size)?;
        all.push(String::from_utf8_lossy(body).into_owned());
        out = out.get(end + 2 + size..)?;
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refs_of_a_remote_are_read_and_odd_names_left_out() {
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        let text = format!(
            "ref: refs/heads/main\tHEAD\n{one}\tHEAD\n{two}\trefs/heads/z\n{one}\trefs/heads/main\n{one}\trefs/heads/-x\n\
             {one}\trefs/heads/a b\n{one}\trefs/tags/v1\nshort\trefs/heads/y\n"
        );
        let branches = refs(&text);
        let names: Vec<&str> = branches.all.iter().map(|branch| branch.name.as_str()).collect();
        assert_eq!((branches.main.unwrap().as_str(), names), ("main", vec!["main", "z"]));
        assert!(refs("").main.is_none());
    }

    #[test]
    fn changed_files_are_read_with_their_lines() {
        let (old, new, none) = ("1".repeat(40), "2".repeat(40), "0".repeat(40));
        let out = format!(
            ":100644 100755 {old} {new} M\0a b\0:000000 120000 {none} {new} A\0l\0:100644 000000 {old} {none} D\0gone\0\
             3\t1\ta b\0-\t-\tl\0002\t9\tgone\0"
        );
        let files = changes(out.as_bytes()).unwrap();
        let lines: Vec<_> =
            files.iter().map(|one| (one.file.path.as_str(), one.file.new_mode, one.file.lines)).collect();
        assert_eq!(
            lines,
            [("a b", 0o100_755, Some((3, 1))), ("l", SYMLINK, None), ("gone", 0, Some((2, 9)))]
        );
        assert_eq!((files[0].object.as_deref(), files[2].object.as_deref()), (Some(new.as_str()), None));
        let odd = changes(format!(":000000 100644 {none} {new} A\0a").as_bytes()).unwrap();
        assert!(!odd[0].file.odd_name);
        assert!(changes(b":nonsense\0a\0").is_none());
        assert!(changes(b"").unwrap().is_empty());
    }

    #[test]
    fn entries_and_objects_are_read() {
        let id = "3".repeat(40);
        let out = format!(
            "100644 blob {id}      12\ta\0120000 blob {id}       4\td/l\0160000 commit {id}       -\tsub\0"
        );
        let tree = tree(out.as_bytes()).unwrap();
        assert_eq!((tree.entries, tree.bytes, tree.links), (3, 16, vec![("d/l".to_owned(), id.clone())]));
        let batch = format!("{id} blob 3\na\nb\n{id} blob 0\n\n");
        assert_eq!(objects(batch.as_bytes(), 2).unwrap(), ["a\nb", ""]);
        assert!(objects(batch.as_bytes(), 3).is_none());
        assert!(objects(format!("{id} missing\n").as_bytes(), 1).is_none());
    }
}
