//! The demo: the second main job from end to end, by one command and with no key.

use crate::{sandbox::docker_socket, support::*};

#[test]
fn the_demo_of_coding_ends_with_a_pushed_commit_and_a_card_in_review() {
    let site = Site::new(&format!("sandbox: {{docker: '{}'}}", docker_socket().display()));
    let said = site.say(&["demo", "coding", "--yes"]);
    for part in [
        "took the story",
        "✓ python3 test.py",
        "+    return a + b",
        "── awaiting_approval",
        "── pushing",
        "The card is in Review now",
        "completed: Mend the failing test",
        "mender: Mend the failing test",
        "Atoll-Job: ",
    ] {
        assert!(said.contains(part), "{part}:\n{said}");
    }
    assert!(!said.contains("__pycache__"), "{said}");
    let left = site.home().join("demo/home/run/atoll.pid");
    assert!(!left.exists(), "its server runs on");
    let again = site.say(&["demo", "coding", "--yes"]);
    assert!(again.contains("The card is in Review now"), "a second one:\n{again}");
}
