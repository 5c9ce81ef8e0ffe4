//! The rules. Each fault names its file, what is wrong, and what to do.

use crate::source::Source;

/// Longest file before its tests, longest file of tests, longest function: in lines.
const FILE: usize = 400;
const TEST_FILE: usize = 600;
const FUNCTION: usize = 80;

/// A folder of `src` and the folders that it may import from, beside itself.
pub(crate) struct Layer {
    pub(crate) name: &'static str,
    may: &'static [&'static str],
}

const fn layer(name: &'static str, may: &'static [&'static str]) -> Layer {
    Layer { name, may }
}

/// All layers. What imports everything (`app`, `main`) and what all may have (`lib`) is told apart in [`imports`].
pub(crate) const LAYERS: &[Layer] = &[
    layer("domain", &[]),
    layer("ports", &["domain"]),
    layer("config", &["domain"]),
    layer("net", &["domain", "ports"]),
    layer("store", &["domain"]),
    layer("channels", &["domain", "ports", "config", "net"]),
    layer("llm", &["domain", "ports", "config", "net"]),
    layer("engines", &["domain", "ports", "config", "net"]),
    layer("skills", &["domain", "ports", "config", "net"]),
    layer("sandbox", &["domain", "ports", "config", "net"]),
    layer("forge", &["domain", "ports", "config", "net"]),
    layer("home", &["domain", "ports", "config"]),
    layer("actors", &["domain", "ports", "config"]),
    layer("web", &["domain", "ports", "config", "net", "actors"]),
    layer("cli", &["domain", "ports", "config", "net", "home", "actors"]),
    layer("telemetry", &["config"]),
];

/// The actors' stages: one sends only to those of a later stage, through their messages.
pub(crate) const STAGES: &[&[&str]] = &[
    &["root"],
    &["reception"],
    &["intake", "scheduler"],
    &["bots"],
    &["jobs"],
    &["router"],
    &["session"],
    &["sandbox"],
    &["llm_pool", "skill_host"],
    &["outbox"],
    &["delivery"],
    &["event_hub"],
    &["db"],
];

/// What the pure parts may not name: whatever waits, reads the world, or is a framework.
const IMPURE: &[&str] = &[
    "actix",
    "actix_rt",
    "actix_web",
    "tokio",
    "tokio_util",
    "futures_util",
    "rusqlite",
    "reqwest",
    "tracing",
    "getrandom",
    "rustix",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::env",
    "std::io",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// Crates that one part of the house keeps to itself.
const KEPT: &[(&str, &[&str])] = &[
    ("rusqlite", &["src/store/", "src/actors/db/"]),
    ("rusqlite_migration", &["src/store/"]),
    (
        "reqwest",
        &["src/net/", "src/llm/", "src/cli/", "src/app/", "src/channels/", "src/sandbox/", "src/forge/"],
    ),
    ("teloxide", &["src/channels/telegram/"]),
    ("actix_web", &["src/web/"]),
    ("tokio_cron_scheduler", &["src/app/"]),
    ("bollard", &["src/sandbox/"]),
    ("clap", &["src/cli/", "src/main.rs"]),
    ("serde_saphyr", &["src/config/", "src/skills/", "src/llm/"]),
];

/// Everything that is wrong with a file.
pub(crate) fn faults(source: &Source) -> Vec<String> {
    let rules = [headers, sizes, layers, stages, purity, kept, routes];
    rules.iter().flat_map(|rule| rule(source)).map(|fault| format!("{}: {fault}", source.file)).collect()
}

fn headers(source: &Source) -> Vec<String> {
    let first = source.text.lines().next().unwrap_or_default();
    let says = first.strip_prefix("//! ").is_some_and(|words| words.len() >= 8);
    if says { Vec::new() } else { vec!["begin with a `//!` line that says what it is for".into()] }
}

fn sizes(source: &Source) -> Vec<String> {
    let is_test = !source.file.starts_with("src/") || source.file.ends_with("tests.rs");
    let (lines, most) = (source.lines(), if is_test { TEST_FILE } else { FILE });
    let file = (lines > most).then(|| format!("{lines} lines, most are {most}: split it by concern"));
    let functions = source.functions.iter().filter(|(_, lines)| *lines > FUNCTION);
    let long = functions.map(|(name, lines)| format!("`{name}` has {lines} lines, most are {FUNCTION}"));
    file.into_iter().chain(long).collect()
}

/// The second part of a path of this crate, when it is one.
fn target(path: &[String]) -> Option<&str> {
    (path.first()? == "crate").then(|| path.get(1).map(String::as_str)).flatten()
}

fn layers(source: &Source) -> Vec<String> {
    let Some(from) = source.layer() else { return Vec::new() };
    if matches!(from, "app" | "main" | "lib") {
        return Vec::new();
    }
    let Some(layer) = LAYERS.iter().find(|layer| layer.name == from) else {
        return vec![format!("`{from}` is no known layer: say in rules.rs what it may import")];
    };
    let mut faults = Vec::new();
    for path in &source.paths {
        let Some(to) = target(path) else { continue };
        let is_known = LAYERS.iter().any(|layer| layer.name == to) || to == "app";
        let from_db = to == "store" && source.file.starts_with("src/actors/db/");
        if is_known && to != from && !layer.may.contains(&to) && !from_db {
            faults.push(format!("`{from}` may not import `{}`", path.join("::")));
        }
        let is_contract = path.get(3).is_some_and(|part| part == "messages")
            || path.get(2).is_some_and(|actor| actor == "kernel");
        if matches!(from, "web" | "cli") && to == "actors" && !is_contract {
            faults
                .push(format!("`{from}` talks to actors by their messages only, not `{}`", path.join("::")));
        }
    }
    faults
}

fn stage(actor: &str) -> Option<usize> {
    STAGES.iter().position(|names| names.contains(&actor))
}

fn stages(source: &Source) -> Vec<String> {
    let Some(actor) = source.actor() else { return Vec::new() };
    let own = stage(actor);
    if own.is_none() && actor != "kernel" {
        return vec![format!("the actor `{actor}` has no stage: give it one in rules.rs")];
    }
    let mut faults = Vec::new();
    for path in &source.paths {
        let (Some("actors"), Some(other)) = (target(path), path.get(2)) else { continue };
        if other == actor || other == "kernel" {
            continue;
        }
        let Some(later) = stage(other) else { continue };
        if own.is_none_or(|own| later <= own) {
            faults
                .push(format!("`{actor}` may not send to `{other}`: it is of an earlier or the same stage"));
        }
        if path.get(3).is_none_or(|part| part != "messages") {
            faults.push(format!("`{other}` is reached through its messages only, not `{}`", path.join("::")));
        }
    }
    faults
}

fn purity(source: &Source) -> Vec<String> {
    if source.layer() != Some("domain") {
        return Vec::new();
    }
    let mut faults = Vec::new();
    if source.waits {
        faults.push("the domain is not async: return an effect, come back as an event".into());
    }
    for path in &source.paths {
        let path = path.join("::");
        if IMPURE.iter().any(|bad| path == *bad || path.starts_with(&format!("{bad}::"))) {
            faults.push(format!("the domain is pure: `{path}` is not; pass in what it would give"));
        }
    }
    faults
}

fn kept(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    for path in &source.paths {
        let Some(first) = path.first() else { continue };
        for (name, places) in KEPT.iter().filter(|(name, _)| name == first) {
            let inside =
                !source.file.starts_with("src/") || places.iter().any(|place| source.file.starts_with(place));
            if !inside {
                faults.push(format!("`{name}` stays in {}", places.join(", ")));
            }
        }
    }
    faults.dedup();
    faults
}

fn routes(source: &Source) -> Vec<String> {
    let is_table = source.file == "src/web/routes.rs";
    let hidden = source.layer() == Some("web") && source.methods.iter().any(|method| method == "route");
    if hidden && !is_table {
        vec!["routes are listed in web/routes.rs alone, so that all are documented".into()]
    } else {
        Vec::new()
    }
}
