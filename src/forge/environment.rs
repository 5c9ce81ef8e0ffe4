//! The environment that git runs in: everything off that a repository could use to run something, and the credentials of
//! one remote at most.

use std::path::Path;

use tokio::process::Command;

use crate::{
    domain::remote::Scheme,
    ports::repo::{Auth, Remote},
};

/// The tree without entries: attributes are read from it, which is from nowhere.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
/// Answers git's question for name and password, for the one origin that they are for. It holds no secret itself.
pub(super) const ASKPASS: &str = "#!/bin/sh\ncase \"$1\" in\n\
    \"Username for '$ATOLL_GIT_ORIGIN'\"*) printf '%s\\n' \"$ATOLL_GIT_USER\" ;;\n\
    \"Password for '$ATOLL_GIT_ASKED'\"*) printf '%s\\n' \"$ATOLL_GIT_TOKEN\" ;;\n\
    *) exit 1 ;;\nesac\n";

/// What git may not do, whatever a repository, a tree or the machine's configuration says.
const CONFIG: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.untrackedCache", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    ("core.quotePath", "false"),
    ("core.autocrlf", "false"),
    // Notes of what was fetched would carry paths of the host into a workspace.
    ("core.logAllRefUpdates", "false"),
    ("core.bigFileThreshold", "32m"),
    ("core.packedGitWindowSize", "64m"),
    ("core.packedGitLimit", "512m"),
    ("pack.threads", "2"),
    ("pack.windowMemory", "256m"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("push.recurseSubmodules", "no"),
    ("push.gpgSign", "false"),
    ("push.followTags", "false"),
    ("commit.gpgSign", "false"),
    ("log.showSignature", "false"),
    ("transfer.fsckObjects", "true"),
    ("fetch.fsckObjects", "true"),
    ("receive.fsckObjects", "true"),
    // Slips of old tools that are in the history of many projects and harm nobody.
    ("fetch.fsck.zeroPaddedFilemode", "ignore"),
    ("fetch.fsck.badTimezone", "ignore"),
    ("fetch.fsck.missingSpaceBeforeDate", "ignore"),
    ("fetch.fsck.missingSpaceBeforeEmail", "ignore"),
    ("fetch.fsck.missingNameBeforeEmail", "ignore"),
    ("fetch.unpackLimit", "1"),
    ("transfer.bundleURI", "false"),
    ("transfer.credentialsInUrl", "die"),
    ("protocol.version", "2"),
    ("http.followRedirects", "false"),
    ("http.lowSpeedLimit", "1"),
    ("http.lowSpeedTime", "60"),
    ("credential.helper", ""),
    ("credential.useHttpPath", "false"),
    ("diff.renames", "false"),
    ("init.templateDir", ""),
    ("init.defaultBranch", "main"),
    ("advice.detachedHead", "false"),
];

/// An environment without anything of Atoll's own. Attributes are read for a work tree only, for its line ends.
pub(super) fn set(command: &mut Command, home: &Path, has_tree: bool) {
    command
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_PAGER", "cat")
        .env("GIT_EDITOR", "false")
        .env("GIT_CEILING_DIRECTORIES", "/");
    if !has_tree {
        command.env("GIT_ATTR_SOURCE", EMPTY_TREE);
    }
    command.env("GIT_CONFIG_COUNT", CONFIG.len().to_string());
    for (at, (key, value)) in CONFIG.iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{at}"), key).env(format!("GIT_CONFIG_VALUE_{at}"), value);
    }
}

/// Lets git speak with one remote, or none, and gives it the credentials for that.
pub(super) fn open_way(command: &mut Command, remote: Option<&Remote>, askpass: &Path) {
    let scheme = remote.map_or(Scheme::File, |remote| remote.url.scheme());
    command.env("GIT_ALLOW_PROTOCOL", scheme.as_str());
    command.env("GIT_ASKPASS", "/bin/false").env("GIT_SSH_COMMAND", "/bin/false");
    match remote.map(|remote| (&remote.auth, remote)) {
        Some((Auth::Token { user, token }, remote)) if matches!(scheme, Scheme::Https | Scheme::Http) => {
            let origin = remote.url.origin();
            let asked = origin.replacen("://", &format!("://{}@", in_url(user)), 1);
            command
                .env("GIT_ASKPASS", askpass)
                .env("ATOLL_GIT_ORIGIN", origin)
                .env("ATOLL_GIT_ASKED", asked)
                .env("ATOLL_GIT_USER", user)
                .env("ATOLL_GIT_TOKEN", token.reveal());
        }
        Some((Auth::Key { key, known_hosts }, _)) if scheme == Scheme::Ssh => {
            command.env("GIT_SSH_VARIANT", "ssh").env("GIT_SSH_COMMAND", ssh(key, known_hosts));
        }
        _ => {}
    }
}

/// A name as git writes it into the address of its question.
fn in_url(user: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    user.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") })
        .collect()
}

/// The whole call of ssh, for the shell that git gives it to.
fn ssh(key: &Path, known_hosts: &Path) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    // Inside of ssh a path in quotes may hold blanks, and a per cent sign begins a token.
    let path = |path: &Path| format!("\"{}\"", path.to_string_lossy().replace('%', "%%"));
    let options = [
        format!("IdentityFile={}", path(key)),
        format!("UserKnownHostsFile={}", path(known_hosts)),
        "GlobalKnownHostsFile=/dev/null".into(),
        "IdentitiesOnly=yes".into(),
        "IdentityAgent=none".into(),
        "BatchMode=yes".into(),
        "StrictHostKeyChecking=yes".into(),
        "UpdateHostKeys=no".into(),
        "PreferredAuthentications=publickey".into(),
        "ClearAllForwardings=yes".into(),
        "ForwardAgent=no".into(),
        "PermitLocalCommand=no".into(),
        "ProxyCommand=none".into(),
        "ConnectTimeout=20".into(),
        "ServerAliveInterval=15".into(),
        "ServerAliveCountMax=4".into(),
    ];
    let options: Vec<String> = options.iter().map(|option| format!("-o {}", quoted(option))).collect();
    format!("ssh -F /dev/null -a -x -T {}", options.join(" "))
}
