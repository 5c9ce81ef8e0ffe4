//! What a project's settings may be: names, addresses and limits, each with what to do about it.

use super::{ForgeSettings, Limits, PRESETS, Settings};
use crate::domain::board::{Refusal, check_text};

/// Checks what a project is typed as.
pub(super) fn id(id: &str) -> Result<(), Refusal> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if id.is_empty() || id.len() > 40 || !id.chars().all(fine) || id.starts_with('-') || id.ends_with('-') {
        let why = "a project's id must have 1 to 40 of a-z, 0-9 and hyphens between them";
        return Err(Refusal::Bad(why.into()));
    }
    Ok(())
}

fn bad(why: impl Into<String>) -> Result<(), Refusal> {
    Err(Refusal::Bad(why.into()))
}

/// Checks all settings together.
pub(super) fn settings(settings: &Settings) -> Result<(), Refusal> {
    repository(&settings.repo_url)?;
    branch(&settings.default_branch)?;
    for (what, commands) in
        [("verifyCommands", &settings.verify_commands), ("setupCommands", &settings.setup_commands)]
    {
        if commands.len() > 20 {
            return bad(format!("{what} has more than 20 commands: put them into a script"));
        }
        commands.iter().try_for_each(|command| check_text(what, command, 1, 2_000, true))?;
    }
    for (what, hosts) in [("allowedHosts", &settings.allowed_hosts), ("setupHosts", &settings.setup_hosts)] {
        if hosts.len() > 100 || !hosts.iter().all(|host| is_host_pattern(host)) {
            return bad(format!(
                "{what} must be up to 100 names such as host.example or *.example, in lower case, no addresses"
            ));
        }
    }
    for presets in [&settings.allowed_presets, &settings.setup_presets] {
        if let Some(odd) = presets.iter().find(|name| !PRESETS.contains(&name.as_str())) {
            return bad(format!("there is no preset `{odd}`; there are {}", PRESETS.join(", ")));
        }
    }
    if let Some(forge) = &settings.forge {
        self::forge(forge)?;
    }
    if settings.image.as_ref().is_some_and(|image| !is_image(image)) {
        return bad("image must be a name such as registry.example/tools:1 or name@sha256:...");
    }
    limits(&settings.limits)
}

/// Addresses that git understands and that run nothing: no `ext::`, no options, no password inside.
fn repository(url: &str) -> Result<(), Refusal> {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if url.is_empty() || url.len() > 500 || url.contains(odd) || url.contains("::") {
        return bad("repoUrl must be an address such as https://host/owner/name.git, without spaces");
    }
    let login = |rest: &str| rest.split('/').next().unwrap_or_default().contains('@');
    if let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) {
        if login(rest) {
            return bad(
                "repoUrl must not hold a name or a password: name the token's variable in forge.tokenEnv",
            );
        }
        return if rest.starts_with('/') || rest.is_empty() { bad("repoUrl names no host") } else { Ok(()) };
    }
    let host = |rest: &str| {
        let host = rest.rsplit('@').next().unwrap_or_default();
        let login = rest.rsplit_once('@').map_or("", |(login, _)| login);
        !host.is_empty() && !host.starts_with('-') && !login.starts_with('-') && !login.contains(':')
    };
    if let Some(rest) = url.strip_prefix("ssh://") {
        let place = rest.split('/').next().unwrap_or_default();
        return if host(place) {
            Ok(())
        } else {
            bad("repoUrl must be ssh://user@host/path, without a password")
        };
    }
    if url.starts_with("file:///") || url.starts_with('/') {
        return Ok(());
    }
    match url.split_once(':') {
        Some((place, path))
            if place.contains('@') && host(place) && !path.is_empty() && !place.contains('/') =>
        {
            Ok(())
        }
        _ => bad("repoUrl must begin with https://, ssh://, file:/// or /, or be user@host:path"),
    }
}

/// What git takes as the name of a branch, and a little less
/// (<https://git-scm.com/docs/git-check-ref-format>).
fn branch(name: &str) -> Result<(), Refusal> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._/-+".contains(c);
    let part = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && !part.ends_with('.') && !part.ends_with(".lock")
    };
    let fits = name.len() <= 200
        && name.chars().all(fine)
        && name.split('/').all(part)
        && !name.contains("..")
        && !name.starts_with('-');
    if fits { Ok(()) } else { bad("defaultBranch is no branch's name") }
}

fn is_host_pattern(pattern: &str) -> bool {
    let name = pattern.strip_prefix("*.").unwrap_or(pattern);
    let label = |label: &str| {
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (1..=63).contains(&label.len())
            && label.chars().all(fine)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits alone is an address.
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253
        && name.contains('.')
        && name.split('.').all(label)
        && !last.chars().all(|c| c.is_ascii_digit())
}

fn forge(forge: &ForgeSettings) -> Result<(), Refusal> {
    if let Some(url) = &forge.api_url {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == '?' || c == '#';
        if host.is_empty() || host.contains('@') || url.len() > 500 || url.contains(odd) {
            return bad(
                "forge.apiUrl must be an address such as https://host/api/v1, with no name or password",
            );
        }
    }
    let Some(name) = &forge.token_env else { return Ok(()) };
    let fine = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let starts = name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_');
    if name.len() > 100 || !starts || !name.chars().all(fine) {
        return bad("forge.tokenEnv must be the name of an environment variable, such as ACME_FORGE_TOKEN");
    }
    Ok(())
}

fn is_image(name: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._/:@-".contains(c);
    (1..=255).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(fine)
}

fn limits(limits: &Limits) -> Result<(), Refusal> {
    for (what, value, least, most) in [
        ("parallelJobs", limits.parallel_jobs, 1, 16),
        ("maxFailures", limits.max_failures, 1, 20),
        ("verifyRounds", limits.verify_rounds, 0, 10),
        ("jobMinutes", limits.job_minutes, 1, 1_440),
        ("memoryMib", limits.memory_mib, 256, 262_144),
    ] {
        if !(least..=most).contains(&value) {
            return bad(format!("limits.{what} must be from {least} to {most}"));
        }
    }
    if (0.1..=64.0).contains(&limits.cpus) { Ok(()) } else { bad("limits.cpus must be from 0.1 to 64") }
}
