//! What a review finds and what it leaves alone.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// A body of letters and digits that looks random. Put together here, so that no scanner stumbles over this file.
fn random(count: usize) -> String {
    (0..count).map(|at| char::from(b"aZ3kQ9xLw7RtB2mVhJ5cYfP8nGdS4uE6"[(at * 7 + at / 32) % 32])).collect()
}

fn file(path: &str) -> FileChange {
    FileChange {
        path: path.into(),
        new_mode: 0o100_644,
        lines: Some((1, 0)),
        bytes: 10,
        ..FileChange::default()
    }
}

fn found(files: Vec<FileChange>) -> Vec<(Severity, Rule)> {
    let change = Change { files, ..Change::default() };
    review(&change, &ReviewLimits::default()).into_iter().map(|one| (one.severity, one.rule)).collect()
}

#[test]
fn files_are_judged_by_what_they_are() {
    use Severity::{Flagged, Refused};
    let with = |path: &str, change: fn(&mut FileChange)| {
        let mut file = file(path);
        change(&mut file);
        file
    };
    for (file, expected) in [
        (file("src/main.rs"), vec![]),
        (file("a/.git/config"), vec![(Refused, Rule::NestedGit)]),
        (file(".github/workflows/x.yml"), vec![(Flagged, Rule::Ci)]),
        (file("CLAUDE.md"), vec![(Flagged, Rule::AgentConfig)]),
        (file(".husky/pre-push"), vec![(Flagged, Rule::Hooks)]),
        (file("Cargo.lock"), vec![(Flagged, Rule::LockFile)]),
        (file(".gitattributes"), vec![(Flagged, Rule::GitConfig)]),
        (file("a\u{1b}[2Kb"), vec![(Refused, Rule::OddName)]),
        (file("a\\b"), vec![(Refused, Rule::OddName)]),
        (with("a", |file| file.odd_name = true), vec![(Refused, Rule::OddName)]),
        (with("lib", |file| file.new_mode = SUBMODULE), vec![(Refused, Rule::Submodule)]),
        (
            with("lib", |file| (file.old_mode, file.new_mode) = (SUBMODULE, 0)),
            vec![(Refused, Rule::Submodule)],
        ),
        (with("big", |file| file.bytes = 11 << 20), vec![(Refused, Rule::TooLarge)]),
        (with("x.png", |file| (file.lines, file.bytes) = (None, 1 << 20)), vec![(Flagged, Rule::BigBinary)]),
        (with("x.png", |file| (file.lines, file.bytes) = (None, 1 << 10)), vec![]),
    ] {
        assert_eq!(found(vec![file.clone()]), expected, "{file:?}");
    }
    assert_eq!(
        found(vec![file(".gitmodules")]),
        [(Refused, Rule::Submodule), (Flagged, Rule::GitConfig)],
        "the worst comes first"
    );
    let allowed = ReviewLimits { submodules: true, ..ReviewLimits::default() };
    let change = Change { files: vec![with("lib", |file| file.new_mode = SUBMODULE)], ..Change::default() };
    assert_eq!(review(&change, &allowed)[0].severity, Flagged);
}

#[test]
fn many_files_and_many_bytes_are_refused() {
    let many = (0..501).map(|number| file(&format!("f{number}"))).collect();
    assert_eq!(found(many), [(Severity::Refused, Rule::TooManyFiles)]);
    let heavy = (0..6).map(|number| FileChange { bytes: 9 << 20, ..file(&format!("f{number}")) }).collect();
    assert_eq!(found(heavy), [(Severity::Refused, Rule::TooLarge)]);
}

#[test]
fn a_link_that_led_out_before_is_not_this_change_s_fault() {
    let links = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(path, target)| (path.to_string(), target.to_string())).collect()
    };
    let check = |before: &[(&str, &str)], after: &[(&str, &str)]| {
        let change = Change { links_before: links(before), links_after: links(after), ..Change::default() };
        review(&change, &ReviewLimits::default()).len()
    };
    assert_eq!(check(&[("a", "/etc")], &[("a", "/etc")]), 0);
    assert_eq!(check(&[("a", "/etc")], &[("a", "/root")]), 1);
    assert_eq!(check(&[("x", "d/../y")], &[("x", "d/../y"), ("d", "..")]), 2, "a new link turned an old one");
}

fn diff_of(path: &str, lines: &[&str]) -> String {
    let count = lines.len();
    let body: String = lines.iter().map(|line| format!("+{line}\n")).collect();
    format!("diff --git a/{path} b/{path}\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{count} @@\n{body}")
}

fn secrets(path: &str, line: &str) -> Vec<Finding> {
    scan_diff(&diff_of(path, &["fn main() {}", line]), &BTreeSet::new())
}

#[test]
fn secrets_are_found_by_their_shape_and_shown_in_part() {
    let hidden = random(40);
    for secret in [
        format!("{}{}", "AKIA", &random(16).to_uppercase()),
        format!("{}{}", "gh", "p_".to_owned() + &random(36)),
        format!("{}{}", "github_", "pat_".to_owned() + &random(82)),
        format!("{}{}", "gl", "pat-".to_owned() + &random(20)),
        format!("{}{}", "xo", "xb-".to_owned() + &random(30)),
        format!("{}{}", "sk", "_live_".to_owned() + &random(24)),
        format!("{}{}", "sk-", "ant-api03-".to_owned() + &random(90)),
        format!("{}{}", "sk-", random(48)),
        format!("{}{}", "AI", "za".to_owned() + &random(35)),
        format!("{}{}", "np", "m_".to_owned() + &random(36)),
        format!("{}{}", "h", "f_".to_owned() + &random(34)),
        format!("ey{}{}.eyJ{}.{}", "J", random(20), random(30), random(43)),
        format!("12345678{}{}{}", "9", ":", random(35)),
        format!("M{}.{}.{}", random(25), &random(6), random(38)),
    ] {
        for line in [format!("key = {secret}"), format!("\"{secret}\","), secret.clone()] {
            let found = secrets("a.txt", &line);
            assert_eq!(found.len(), 1, "in {line}: {found:?}");
            assert_eq!(
                (found[0].severity, found[0].rule, found[0].line),
                (Severity::Asks, Rule::Secret, Some(2))
            );
            assert!(!found[0].words.contains(&secret[8..]), "shown whole: {}", found[0].words);
            let masked = mask_text(&line);
            assert!(!masked.contains(&secret[8..]), "not masked: {masked}");
        }
    }
    for line in [
        format!("API_TOKEN={hidden}"),
        format!("  \"client_secret\": \"{hidden}\","),
        format!("config['password'] => '{hidden}'"),
        format!("let api_key = \"{hidden}\";"),
        format!("postgres://app:{hidden}@db.internal/x"),
        format!("password: {hidden}"),
        ["-----BEGIN OPENSSH ", "PRIVATE KEY-----"].concat(),
        ["-----BEGIN RSA ", "PRIVATE KEY-----"].concat(),
    ] {
        assert_eq!(secrets("a.txt", &line).len(), 1, "{line}");
        assert!(!mask_text(&line).contains(&hidden), "{line}");
    }
}

#[test]
fn what_is_no_secret_is_left_alone() {
    for line in [
        "let token = self.next_token();",
        "token: String,",
        "password = os.environ[\"DATABASE_PASSWORD_2\"]",
        "API_KEY=${API_KEY_FROM_VAULT_1}",
        "api_key: \"your-api-key-here-1234\"",
        "secret = \"xxxxxxxxxxxxxxxx1\"",
        "postgres://postgres:postgres@localhost/test1",
        "https://example.org/a:b@c",
        "use std::collections::BTreeMap as secret_map_of_1;",
        "sk-learn is a library",
        "skill_AKIAX = 1",
        "const task_id_prefix = \"task-risk-desk-mask\"",
        "  \"integrity\": \"sha512-aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5zA7bC9dE1fG3hI5jK7lM9nO1pQ3r==\"",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----",
        "if (password == other.password_of_user_2) {",
    ] {
        assert_eq!(secrets("a.txt", line), [], "{line}");
    }
    let random_name = format!("auth_token = \"{}\"", random(30));
    assert_eq!(secrets("yarn.lock", &random_name), [], "lock files are full of hashes");
    assert_eq!(secrets("a.txt", &random_name).len(), 1);
}

#[test]
fn only_added_lines_count_and_no_line_passes_for_a_head() {
    let key = format!("gh{}{}", "p_", random(36));
    let removed = format!("--- a/x\n+++ b/x\n@@ -1,2 +1,1 @@\n-{key}\n {key}\n");
    assert_eq!(scan_diff(&removed, &BTreeSet::new()), []);
    let tricked = diff_of("real.txt", &["++ b/other.lock", "@@ -0,0 +0,0 @@", &key]);
    let found = scan_diff(&tricked, &BTreeSet::new());
    assert_eq!((found[0].path.as_deref(), found[0].line), (Some("real.txt"), Some(3)));
    let two = diff_of("one", &["x"]) + &diff_of("two", &["y", &key]);
    let found = scan_diff(&two, &BTreeSet::new());
    assert_eq!((found[0].path.as_deref(), found[0].line), (Some("two"), Some(2)));
}

#[test]
fn a_key_of_many_lines_is_masked_whole_and_text_that_turns_around_is_flagged() {
    let body = random(60);
    let key = ["-----BEGIN ", "PRIVATE KEY-----"].concat();
    let diff = diff_of("id", &[&key, &body, &body, "-----END PRIVATE KEY-----", "after"]);
    let masked = mask_text(&diff);
    assert!(!masked.contains(&body[..20]) && masked.contains("+after"), "{masked}");
    assert_eq!(masked.lines().count(), diff.lines().count());
    let found = secrets("a.rs", "if ok { /* \u{202e} } \u{2066} */");
    assert_eq!((found[0].severity, found[0].rule), (Severity::Flagged, Rule::HiddenText));
}

#[test]
fn endless_findings_are_counted_and_not_listed() {
    let lines: Vec<String> = (0..200).map(|number| format!("{number} gh{}{}", "p_", random(36))).collect();
    let found =
        scan_diff(&diff_of("x", &lines.iter().map(String::as_str).collect::<Vec<_>>()), &BTreeSet::new());
    assert_eq!(found.len(), 51);
    assert_eq!(found[50].words, "there are more like this");
}

proptest! {
    #[test]
    fn a_secret_is_found_and_masked_wherever_it_stands(before in "[^\\pC]{0,30}[ \"'=(]", after in "([ \"',;)][^\\pC]{0,30})?") {
        let key = format!("gh{}{}", "p_", random(36));
        let line = format!("{before}{key}{after}");
        prop_assert!(secrets_in(&line, true).iter().any(|found| line[found.start..found.end].contains(&key)));
        prop_assert!(!mask_text(&line).contains(&key[8..]));
    }

    #[test]
    fn no_text_makes_a_scan_fall_and_ranges_are_in_order(text in "(\\PC|[=:\"'@./+-]|gh[p]_|AKIA|://|\n|@@ -1 \\+1,9 @@\n){0,80}") {
        let _ = scan_diff(&text, &BTreeSet::new());
        prop_assert_eq!(mask_text(&text).split('\n').count(), text.split('\n').count());
        for line in text.lines() {
            let mut end = 0;
            for one in secrets_in(line, true) {
                prop_assert!(one.start >= end && one.end >= one.start && one.end <= line.len());
                end = one.end;
                prop_assert!(line.is_char_boundary(one.start) && line.is_char_boundary(one.end));
            }
        }
    }

    #[test]
    fn names_are_shown_without_anything_that_acts(path in "(\\PC|\\pC){0,60}") {
        prop_assert!(shown(&path).chars().all(|c| !c.is_control() && !crate::domain::branch::hides(c)));
    }

    #[test]
    fn every_escaping_link_and_every_git_folder_is_refused(depth in 1usize..5, ups in 0usize..8, name in "[m-z]{1,4}") {
        let path = format!("{}l", "d/".repeat(depth));
        let target = format!("{}{name}", "../".repeat(ups));
        let change = Change { links_after: BTreeMap::from([(path.clone(), target)]), ..Change::default() };
        let refused = review(&change, &ReviewLimits::default()).iter().any(|one| one.rule == Rule::SymlinkOut);
        prop_assert_eq!(refused, ups > depth);
        let nested = file(&format!("{}.GiT/{name}", "d/".repeat(depth)));
        prop_assert_eq!(found(vec![nested]), vec![(Severity::Refused, Rule::NestedGit)]);
    }
}
