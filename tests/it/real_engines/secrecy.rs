//! The provider's key is the host's alone, and the job's token is the sandbox's alone.

use std::{fmt::Write as _, path::Path};

use base64::Engine as _;

use super::site::{CLAUDE, CODEX, Shop};
use crate::engines::models::Step;

/// Takes along everything that can be seen inside, into the home, where the host can look through it.
const TAKE_ALONG: &str = "env > $HOME/seen-env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline > $HOME/seen-proc 2>/dev/null; \
    tar -cf $HOME/seen.tar /tmp /run /etc /var/tmp /opt/atoll /workspace 2>/dev/null; echo made > /workspace/made.txt";

#[tokio::test]
async fn the_key_stays_outside_and_the_token_inside() {
    let shop = Shop::open("").await;
    for (engine, key) in [CLAUDE, CODEX] {
        shop.models.becomes(vec![Step::Shell(TAKE_ALONG.into()), Step::Say("Taken along.".into())]);
        let before = shop.models.requests().len();
        let id = shop.task(engine, "take along what you see").await;
        shop.stands(&id, "awaiting_approval").await;

        let home = shop.folder(&id).join("home");
        let env = std::fs::read_to_string(home.join("seen-env")).unwrap();
        let values = env.lines().filter_map(|line| Some(line.split_once('=')?.1));
        let token = values.into_iter().find(|value| value.starts_with("atoll-job-"));
        let token = token.unwrap_or_else(|| panic!("{engine} has no token: {env}"));
        assert!(token.len() > 40, "{token}");
        let requests = shop.models.requests();
        for request in &requests[before..] {
            assert_eq!(request.key, key);
            assert!(!request.head.contains(token), "the token leaves the gateway: {}", request.head);
            assert!(!request.body.to_string().contains(token), "the token is told to the model");
        }
        assert!(std::fs::metadata(home.join("seen.tar")).unwrap().len() > 100_000);
        assert!(!shop.site.log().contains(token), "the token is logged");
    }
    let needles = [encoded(CLAUDE.1), encoded(CODEX.1)].concat();
    // The home holds the store, the logs, the artefacts, and what both sandboxes could write.
    assert_eq!(holding(&shop.site.home(), &needles), Vec::<String>::new());
    assert!(!needles.iter().any(|needle| shop.site.log().contains(needle)), "a key is logged");
    // The search finds what is there.
    let planted = shop.site.beside().join("planted");
    std::fs::create_dir(&planted).unwrap();
    for needle in &needles {
        std::fs::write(planted.join("file"), format!("x{needle}y")).unwrap();
        assert_eq!(holding(&planted, &needles).len(), 1, "{needle}");
    }
}

/// A text as it is, backwards, in hexadecimal digits, and in base64 wherever it may begin in what is encoded.
fn encoded(text: &str) -> Vec<String> {
    let hex = text.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let mut all = vec![text.to_owned(), text.chars().rev().collect(), hex.to_uppercase(), hex];
    for before in 0..3 {
        let shifted = [&b"xx"[..before], text.as_bytes()].concat();
        let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(shifted);
        // The letters at both ends are made of what stands beside it too.
        all.push(base64[4..base64.len() - 4].to_owned());
    }
    all
}

/// The files below a folder that hold one of these.
fn holding(folder: &Path, needles: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type().unwrap())).unwrap();
        if kind.is_dir() {
            all.extend(holding(&path, needles));
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            if needles.iter().any(|needle| text.contains(needle)) {
                all.push(path.display().to_string());
            }
        }
    }
    all
}
