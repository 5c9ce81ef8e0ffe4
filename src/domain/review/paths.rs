//! Places of a repository that do more than being read: what runs by itself, and what steers those who work on it.

/// What a file is, when changing it may have effects of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// What continuous integration runs.
    Ci,
    /// What steers coding agents.
    Agent,
    /// What git runs.
    Hooks,
    /// How git treats files.
    Git,
    /// What is installed.
    Lock,
}

const CI_FILES: &[&str] = &[
    ".gitlab-ci.yml",
    ".gitlab-ci.yaml",
    ".travis.yml",
    "jenkinsfile",
    "azure-pipelines.yml",
    "bitbucket-pipelines.yml",
    ".drone.yml",
    ".woodpecker.yml",
    ".woodpecker.yaml",
    ".cirrus.yml",
    "appveyor.yml",
    ".appveyor.yml",
    ".pre-commit-config.yaml",
    "codeowners",
    "dependabot.yml",
    "renovate.json",
];
const CI_FOLDERS: &[&str] =
    &[".github", ".gitea", ".forgejo", ".gitlab", ".circleci", ".buildkite", ".woodpecker"];
const AGENT_FILES: &[&str] = &[
    ".mcp.json",
    "mcp.json",
    "agents.md",
    "agents.override.md",
    "claude.md",
    "claude.local.md",
    "gemini.md",
    ".cursorrules",
    ".windsurfrules",
    ".clinerules",
    ".aider.conf.yml",
    "copilot-instructions.md",
];
const AGENT_FOLDERS: &[&str] = &[
    ".claude",
    ".codex",
    ".cursor",
    ".gemini",
    ".windsurf",
    ".agents",
    ".opencode",
    ".continue",
    ".aider",
    ".devcontainer",
    ".vscode",
];
const HOOK_FILES: &[&str] =
    &["lefthook.yml", ".lefthook.yml", "lefthook.yaml", ".huskyrc", ".huskyrc.json", ".envrc"];
const HOOK_FOLDERS: &[&str] = &[".husky", ".githooks", "githooks", ".git-hooks", ".lefthook"];
const GIT_FILES: &[&str] = &[".gitattributes", ".gitmodules", ".gitconfig", ".lfsconfig", ".mailmap"];
const LOCK_FILES: &[&str] = &[
    "package-lock.json",
    "npm-shrinkwrap.json",
    "pnpm-lock.yaml",
    "bun.lockb",
    "go.sum",
    "packages.lock.json",
    "gradle.lockfile",
    "requirements.txt",
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    "pip.conf",
    "cartfile.resolved",
    "package.resolved",
];

/// What the file at this path is, when it is more than a file. Wherever it lies: tools look for theirs in every folder.
pub fn place_of(path: &str) -> Option<Place> {
    let path = path.to_lowercase();
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", &path));
    let in_one_of = |names: &[&str]| folders.split('/').any(|folder| names.contains(&folder));
    // A file may also stand where a folder is looked for.
    let is_one_of = |files: &[&str], names: &[&str]| files.contains(&name) || names.contains(&name);
    if AGENT_FILES.contains(&name) || in_one_of(AGENT_FOLDERS) || AGENT_FOLDERS.contains(&name) {
        Some(Place::Agent)
    } else if is_one_of(CI_FILES, CI_FOLDERS) || in_one_of(CI_FOLDERS) {
        Some(Place::Ci)
    } else if is_one_of(HOOK_FILES, HOOK_FOLDERS) || in_one_of(HOOK_FOLDERS) {
        Some(Place::Hooks)
    } else if GIT_FILES.contains(&name) {
        Some(Place::Git)
    } else if LOCK_FILES.contains(&name) || name.ends_with(".lock") {
        Some(Place::Lock)
    } else {
        None
    }
}

/// True when a part of the path is `.git`, or what Windows or macOS takes for it: `.GIT`, `git~1`, `.git ` with dots or
/// blanks at its end, a stream of it, or letters that HFS+ does not see.
pub fn is_git_folder(path: &str) -> bool {
    path.split(['/', '\\']).any(|part| {
        let seen: String = part.chars().filter(|c| !super::super::branch::hides(*c)).collect();
        let seen = seen.to_lowercase();
        let name = seen.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ']);
        name == ".git" || name == "git~1"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_known_wherever_they_lie_and_however_they_are_written() {
        for (path, place) in [
            (".github/workflows/ci.yml", Some(Place::Ci)),
            (".GitHub/Workflows/ci.yml", Some(Place::Ci)),
            (".gitlab-ci.yml", Some(Place::Ci)),
            ("sub/Jenkinsfile", Some(Place::Ci)),
            (".claude/settings.json", Some(Place::Agent)),
            ("packages/a/CLAUDE.md", Some(Place::Agent)),
            (".claude", Some(Place::Agent)),
            (".github/copilot-instructions.md", Some(Place::Agent)),
            (".mcp.json", Some(Place::Agent)),
            (".codex/config.toml", Some(Place::Agent)),
            ("AGENTS.md", Some(Place::Agent)),
            (".husky/pre-commit", Some(Place::Hooks)),
            (".githooks/post-checkout", Some(Place::Hooks)),
            (".gitattributes", Some(Place::Git)),
            ("Cargo.lock", Some(Place::Lock)),
            ("web/package-lock.json", Some(Place::Lock)),
            ("yarn.lock", Some(Place::Lock)),
            ("src/main.rs", None),
            ("docs/claude.txt", None),
            ("github/x", None),
            (".gitignore", None),
        ] {
            assert_eq!(place_of(path), place, "{path}");
        }
    }

    #[test]
    fn what_some_file_system_takes_for_a_git_folder_is_found() {
        for bad in [
            ".git/config",
            "a/.git",
            "a/.GIT/hooks/x",
            "GIT~1/config",
            ".git./x",
            ".git /x",
            ".g\u{200c}it/x",
            ".git::$INDEX_ALLOCATION/x",
            "a\\.git\\x",
        ] {
            assert!(is_git_folder(bad), "{bad}");
        }
        for good in [".gitignore", "a.git/x", "git/x", ".github/x", "x.git"] {
            assert!(!is_git_folder(good), "{good}");
        }
    }
}
