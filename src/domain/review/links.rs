//! Where symlinks of a tree lead, followed through all the others as a file system would.

use std::collections::BTreeMap;

/// As many links as Linux follows for one name.
const MOST_STEPS: usize = 40;

/// True when the symlink at `path` leads out of the tree, or in circles. `links` are all symlinks of the tree with their
/// targets: a path through another link may go up further than it looks.
pub fn leaves_tree(path: &str, links: &BTreeMap<String, String>) -> bool {
    let mut steps = 0;
    // What is still to be walked, the next part last.
    let mut ahead: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
    let mut here: Vec<String> = Vec::new();
    while let Some(part) = ahead.pop() {
        match part.as_str() {
            "" | "." => {}
            ".." => {
                if here.pop().is_none() {
                    return true;
                }
            }
            _ => {
                here.push(part);
                let Some(target) = links.get(&here.join("/")) else { continue };
                steps += 1;
                if steps > MOST_STEPS || target.starts_with('/') || target.is_empty() {
                    return true;
                }
                here.pop();
                ahead.extend(target.split('/').rev().map(str::to_owned));
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn links(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(path, target)| (path.to_string(), target.to_string())).collect()
    }

    #[test]
    fn links_are_followed_through_each_other() {
        let check = |path: &str, pairs: &[(&str, &str)], out: bool| {
            assert_eq!(leaves_tree(path, &links(pairs)), out, "{path} in {pairs:?}");
        };
        check("a", &[("a", "b")], false);
        check("d/a", &[("d/a", "../b/c")], false);
        check("a", &[("a", "/etc/passwd")], true);
        check("a", &[("a", "../x")], true);
        check("d/a", &[("d/a", "../../x")], true);
        check("a", &[("a", "x/../../y")], true);
        check("a", &[("a", ".")], false);
        // Each looks fine alone; one through the other goes up once more.
        check("x", &[("x", "d/e/up/../secret"), ("d/e/up", "../..")], true);
        check("x", &[("x", "d/../y"), ("d", "a/b")], false);
        check("a", &[("a", "b"), ("b", "a")], true);
        check("a", &[("a", "")], true);
        // A link whose own folder is a link is walked from where that leads.
        check("d/l", &[("d", "deep/er"), ("d/l", "x")], false);
    }

    proptest! {
        #[test]
        fn a_link_that_stays_stays_on_a_real_disk_too(
            pairs in proptest::collection::btree_map("[ab](/[ab]){0,2}", "(\\.\\./){0,3}[ab](/[ab]|/\\.\\.){0,3}", 1..5),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().canonicalize().unwrap().join("one/two/tree");
            std::fs::create_dir_all(&root).unwrap();
            for name in ["a/a", "a/b", "b/a", "b/b"] {
                // A place that a link takes is none for a folder.
                let is_free = |name: &str| !pairs.keys().any(|link| name == link || name.starts_with(&format!("{link}/")));
                if is_free(name) {
                    std::fs::create_dir_all(root.join(name)).unwrap();
                }
            }
            let mut made = BTreeMap::new();
            for (path, target) in &pairs {
                let below_link = pairs.keys().any(|link| path.starts_with(&format!("{link}/")));
                if !below_link && !root.join(path).exists() {
                    std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
                    if std::os::unix::fs::symlink(target, root.join(path)).is_ok() {
                        made.insert(path.clone(), target.clone());
                    }
                }
            }
            for path in made.keys() {
                if let (false, Ok(real)) = (leaves_tree(path, &made), root.join(path).canonicalize()) {
                    prop_assert!(real.starts_with(&root), "{path} of {made:?} leads to {real:?}");
                }
            }
        }
    }
}
