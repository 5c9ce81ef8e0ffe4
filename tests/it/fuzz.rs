//! The checks of the fuzz targets, over their corpora: what once broke, and one of every shape that is known.

#[path = "../../fuzz/checks.rs"]
mod checks;

use std::path::Path;

fn run(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 5, "only {} inputs in {}", files.len(), folder.display());
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        check(&bytes);
        // Cut anywhere, and with a byte changed anywhere: near the shapes that are known, cheap, and always the same.
        for at in 0..bytes.len().min(2_000) {
            check(&bytes[..at]);
            let mut changed = bytes.clone();
            changed[at] ^= 0x15;
            check(&changed);
        }
    }
}

#[test]
fn sse() {
    run("sse", checks::sse);
}

#[test]
fn openai() {
    run("openai", checks::openai);
}

#[test]
fn anthropic() {
    run("anthropic", checks::anthropic);
}

#[test]
fn config() {
    run("config", checks::config);
}

#[test]
fn claude_code() {
    run("claude_code", checks::claude_code);
}

#[test]
fn codex() {
    run("codex", checks::codex);
}

#[test]
fn telegram() {
    run("telegram", checks::telegram);
}

#[test]
fn mux() {
    run("mux", checks::mux);
}

#[test]
fn gateway() {
    run("gateway", checks::gateway);
}

#[test]
fn markup() {
    run("markup", checks::markup);
}

#[test]
fn discord() {
    run("discord", checks::discord);
}
