//! Who may import whom, how big a file may be, what the domain may touch: held by reading the sources themselves.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a source that cannot be read fails the test")]

#[path = "architecture/planted.rs"]
mod planted;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

use std::path::Path;

use source::Source;

/// Fewer files or imports than this, and the scan missed most of the tree.
const FEWEST_FILES: usize = 150;
const FEWEST_IMPORTS: usize = 600;

#[test]
fn the_sources_keep_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = Source::read_all(root);
    let imports: usize = sources.iter().map(|source| source.paths.len()).sum();
    assert!(sources.len() >= FEWEST_FILES, "only {} files were read", sources.len());
    assert!(imports >= FEWEST_IMPORTS, "only {imports} imports were seen");
    for layer in rules::LAYERS {
        let count = sources.iter().filter(|source| source.layer() == Some(layer.name)).count();
        assert!(count > 0, "no file of the layer `{}` was read", layer.name);
    }
    for stage in rules::STAGES.iter().flat_map(|names| names.iter()) {
        let count = sources.iter().filter(|source| source.actor() == Some(*stage)).count();
        assert!(count >= 2, "no files of the actor `{stage}` were read");
    }
    let faults: Vec<String> = sources.iter().flat_map(rules::faults).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
