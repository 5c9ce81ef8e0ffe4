//! What the documents say of the code is so: the table of keys, the tests behind the invariants, the files.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use atoll::config::{KEYS, Kind};

const BEGIN: &str = "<!-- config-table -->";
const END: &str = "<!-- /config-table -->";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn table() -> String {
    let mut text = String::from("| key | default | what it does |\n| --- | --- | --- |\n");
    for key in KEYS.iter().filter(|key| !matches!(key.kind, Kind::Planned)) {
        let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
        let choices = match key.kind {
            Kind::Choice(names) => format!(" (`{}`)", names.join("`, `")),
            _ => String::new(),
        };
        writeln!(text, "| `{}` | {default} | {}{choices} |", key.path, key.what.replace('|', "\\|")).unwrap();
    }
    text
}

/// `ATOLL_WRITE_DOCS=1` writes it anew.
#[test]
fn the_readme_has_the_table_of_all_keys() {
    let readme = read("README.md");
    let from = readme.find(BEGIN).expect("the marker before the table") + BEGIN.len();
    let to = readme.find(END).expect("the marker after the table");
    let fresh = format!("{}\n\n{}\n{}", &readme[..from], table(), &readme[to..]);
    if std::env::var_os("ATOLL_WRITE_DOCS").is_some() {
        std::fs::write(root().join("README.md"), &fresh).unwrap();
    } else {
        assert_eq!(readme, fresh, "README.md is behind the code: run `make docs`");
    }
}

fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            // Checks over a kind of stand, which a macro that lists them turns into a test on each.
            for check in text.split("\nasync fn ").skip(1) {
                let Some((name, rest)) = check.split_once("<S: ") else { continue };
                let is_listed = [format!("    {name},"), format!("    {name}:"), format!("!({name})")]
                    .iter()
                    .any(|entry| text.contains(entry));
                if is_listed && rest.split_once('>').is_some_and(|(_, rest)| rest.starts_with("()")) {
                    found.insert(name.to_owned());
                }
            }
            let mut is_test = false;
            for line in text.lines().map(str::trim) {
                is_test |= line.starts_with("#[test]")
                    || line.starts_with("#[tokio::test")
                    || line.starts_with("#[actix");
                let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
                if let (true, Some(name)) = (is_test, name) {
                    found.insert(name.split(['(', '<']).next().unwrap_or_default().to_owned());
                    is_test = false;
                }
            }
        }
    }
}

/// An invariant that no test holds is a wish.
#[test]
fn every_invariant_names_a_test_that_exists() {
    let mut tests = BTreeSet::new();
    collect(&root().join("src"), &mut tests);
    collect(&root().join("tests"), &mut tests);
    assert!(tests.len() > 150, "only {} tests were found", tests.len());
    let text = read("ARCHITECTURE.md");
    let invariants = text.split("\n## Invariants").nth(1).expect("a chapter `## Invariants`");
    let invariants = invariants.split("\n## ").next().unwrap_or_default();
    let items: Vec<&str> = invariants.split("\n1. ").skip(1).collect();
    assert!(items.len() >= 20, "only {} invariants were found", items.len());
    for item in items {
        let named =
            item.split("(test").nth(1).unwrap_or_else(|| panic!("an invariant without its test: {item}"));
        let names: Vec<&str> = named.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "an invariant without its test: {item}");
        for name in names {
            let name = name.rsplit("::").next().unwrap_or(name);
            assert!(tests.contains(name), "ARCHITECTURE.md names a test that does not exist: {name}");
        }
    }
}

#[test]
fn every_file_that_the_documents_name_exists() {
    let mut seen = 0;
    for document in ["README.md", "ARCHITECTURE.md", "SECURITY.md", "CONTRIBUTING.md"] {
        for word in read(document).split('`').skip(1).step_by(2) {
            let known = ["src/", "tests/", "benches/", "assets/", "scripts/", "fuzz/"];
            let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "/_.-".contains(c));
            if plain && known.iter().any(|start| word.starts_with(start)) {
                assert!(root().join(word).exists(), "{document} names `{word}`, which does not exist");
                seen += 1;
            }
        }
    }
    assert!(seen > 30, "only {seen} files were found in the documents");
}
