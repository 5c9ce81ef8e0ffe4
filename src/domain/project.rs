//! Projects: the repository that bots work on, what they may do with it, and who may say so.

mod check;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use super::branch::Strategy;

use super::{
    Millis,
    access::Role,
    board::{Refusal, check_text},
    engine::Approvals,
    ids::{ProjectId, UserId},
    remote::RemoteUrl,
};

/// Package registries that can be allowed by one word.
pub const PRESETS: [&str; 5] = ["npm", "pypi", "crates", "debian", "github"];

/// Which protocol a forge speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForgeKind {
    /// GitHub.
    Github,
    /// Gitea and Forgejo.
    Gitea,
    /// GitLab.
    Gitlab,
}

impl ForgeKind {
    /// The word that is typed and stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitea => "gitea",
            Self::Gitlab => "gitlab",
        }
    }

    /// Reads the word; Forgejo speaks as Gitea does.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "github" => Some(Self::Github),
            "gitea" | "forgejo" => Some(Self::Gitea),
            "gitlab" => Some(Self::Gitlab),
            _ => None,
        }
    }

    /// The forge behind a well-known host.
    pub fn guess(remote: &RemoteUrl) -> Option<Self> {
        match remote.host() {
            "github.com" => Some(Self::Github),
            "gitlab.com" => Some(Self::Gitlab),
            "codeberg.org" | "gitea.com" => Some(Self::Gitea),
            _ => None,
        }
    }
}

/// Where pull requests are opened. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgeSettings {
    /// What it speaks.
    pub kind: ForgeKind,
    /// Where its API is; `None` for the public one.
    pub api_url: Option<String>,
    /// The name of the server's environment variable that holds the token.
    pub token_env: Option<String>,
}

/// What jobs of a project may use.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Jobs at once.
    pub parallel_jobs: u32,
    /// How often work on a story may fail before it is blocked.
    pub max_failures: u32,
    /// How often failing checks go back to the engine.
    pub verify_rounds: u32,
    /// How long a job may take, in minutes.
    pub job_minutes: u32,
    /// Memory of its sandbox, in MiB.
    pub memory_mib: u32,
    /// Processors of its sandbox.
    pub cpus: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            parallel_jobs: 1,
            max_failures: 3,
            verify_rounds: 2,
            job_minutes: 60,
            memory_mib: 4_096,
            cpus: 2.0,
        }
    }
}

/// How a project is worked on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The repository.
    pub repo_url: String,
    /// The branch that jobs start from.
    pub default_branch: String,
    /// Where their commits go.
    pub strategy: Strategy,
    /// What must succeed before a job counts as done.
    pub verify_commands: Vec<String>,
    /// What makes a fresh workspace ready.
    pub setup_commands: Vec<String>,
    /// Hosts that engines may reach: `host.example` or `*.example`.
    pub allowed_hosts: Vec<String>,
    /// Registries that engines may reach.
    pub allowed_presets: Vec<String>,
    /// Hosts that set-up commands may reach beside these.
    pub setup_hosts: Vec<String>,
    /// Registries that set-up commands may reach beside these.
    pub setup_presets: Vec<String>,
    /// Approved commits are pushed.
    pub auto_push: bool,
    /// A pull request is opened for what is pushed.
    pub auto_create_pr: bool,
    /// Nothing leaves without a person's word.
    pub require_approval: bool,
    /// Comments at pull requests that call the bot, and checks that fail there, make a task go on.
    pub watch_requests: bool,
    /// When engines ask before they act.
    pub engine_approvals: Approvals,
    /// Work may change submodules.
    pub allow_submodules: bool,
    /// Where pull requests are opened.
    pub forge: Option<ForgeSettings>,
    /// The image of its sandboxes; `None` for the configured one.
    pub image: Option<String>,
    /// What its jobs may use.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            repo_url: String::new(),
            default_branch: "main".into(),
            strategy: Strategy::default(),
            verify_commands: vec![],
            setup_commands: vec![],
            allowed_hosts: vec![],
            allowed_presets: vec![],
            setup_hosts: vec![],
            setup_presets: vec![],
            auto_push: true,
            auto_create_pr: true,
            require_approval: true,
            watch_requests: false,
            engine_approvals: Approvals::default(),
            allow_submodules: false,
            forge: None,
            image: None,
            limits: Limits::default(),
        }
    }
}

/// A project.
#[derive(Debug, Clone, PartialEq)]
pub struct Project {
    /// Its id, short enough to type.
    pub id: ProjectId,
    /// What people call it.
    pub name: String,
    /// How it is worked on.
    pub settings: Settings,
    /// Who may do what in it, beside the owners of the place.
    pub members: BTreeMap<UserId, Role>,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub updated_at: Millis,
}

/// A change to a project; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProjectChange {
    /// What people call it.
    pub name: Option<String>,
    /// The repository.
    pub repo_url: Option<String>,
    /// The branch that jobs start from.
    pub default_branch: Option<String>,
    /// Where their commits go.
    pub strategy: Option<Strategy>,
    /// What must succeed.
    pub verify_commands: Option<Vec<String>>,
    /// What makes a workspace ready.
    pub setup_commands: Option<Vec<String>>,
    /// Hosts that engines may reach.
    pub allowed_hosts: Option<Vec<String>>,
    /// Registries that engines may reach.
    pub allowed_presets: Option<Vec<String>>,
    /// Hosts that set-up commands may reach.
    pub setup_hosts: Option<Vec<String>>,
    /// Registries that set-up commands may reach.
    pub setup_presets: Option<Vec<String>>,
    /// Approved commits are pushed.
    pub auto_push: Option<bool>,
    /// A pull request is opened.
    pub auto_create_pr: Option<bool>,
    /// Nothing leaves without a person's word.
    pub require_approval: Option<bool>,
    /// News at pull requests make tasks go on.
    pub watch_requests: Option<bool>,
    /// When engines ask before they act.
    pub engine_approvals: Option<Approvals>,
    /// Work may change submodules.
    pub allow_submodules: Option<bool>,
    /// Where pull requests are opened.
    pub forge: Option<Option<ForgeSettings>>,
    /// The image of its sandboxes.
    pub image: Option<Option<String>>,
    /// What its jobs may use.
    pub limits: Option<Limits>,
}

impl ProjectChange {
    /// True when it touches what reaches beyond the project: the server's environment, its network, its images and
    /// its power, or lets go of a person's word. Only an owner of the place may change these.
    pub fn reaches_out(&self) -> bool {
        self.repo_url.is_some()
            || self.allowed_hosts.is_some()
            || self.allowed_presets.is_some()
            || self.setup_hosts.is_some()
            || self.setup_presets.is_some()
            || self.forge.is_some()
            || self.image.is_some()
            || self.limits.is_some()
            || self.require_approval == Some(false)
            || self.watch_requests == Some(true)
            || self.allow_submodules == Some(true)
    }
}

impl Project {
    /// A project that was just made.
    ///
    /// # Errors
    /// [`Refusal::Bad`] with what does not fit.
    pub fn fresh(id: ProjectId, change: &ProjectChange, now: Millis) -> Result<Self, Refusal> {
        check::id(id.as_str())?;
        let settings = Settings::default();
        let blank = Self {
            id,
            name: String::new(),
            settings,
            members: BTreeMap::new(),
            created_at: now,
            updated_at: now,
        };
        blank.revise(change)
    }

    /// The project after a change.
    ///
    /// # Errors
    /// [`Refusal::Bad`] with what does not fit.
    pub fn revise(&self, change: &ProjectChange) -> Result<Self, Refusal> {
        fn set<T: Clone>(field: &mut T, value: &Option<T>) {
            if let Some(value) = value {
                field.clone_from(value);
            }
        }
        let mut next = self.clone();
        if let Some(name) = &change.name {
            name.trim().clone_into(&mut next.name);
        }
        let settings = &mut next.settings;
        set(&mut settings.repo_url, &change.repo_url);
        set(&mut settings.default_branch, &change.default_branch);
        set(&mut settings.strategy, &change.strategy);
        set(&mut settings.verify_commands, &change.verify_commands);
        set(&mut settings.setup_commands, &change.setup_commands);
        set(&mut settings.allowed_hosts, &change.allowed_hosts);
        set(&mut settings.allowed_presets, &change.allowed_presets);
        set(&mut settings.setup_hosts, &change.setup_hosts);
        set(&mut settings.setup_presets, &change.setup_presets);
        set(&mut settings.auto_push, &change.auto_push);
        set(&mut settings.auto_create_pr, &change.auto_create_pr);
        set(&mut settings.require_approval, &change.require_approval);
        set(&mut settings.watch_requests, &change.watch_requests);
        set(&mut settings.engine_approvals, &change.engine_approvals);
        set(&mut settings.allow_submodules, &change.allow_submodules);
        set(&mut settings.forge, &change.forge);
        set(&mut settings.image, &change.image);
        set(&mut settings.limits, &change.limits);
        check_text("name", &next.name, 1, 100, false)?;
        check::settings(&next.settings)?;
        Ok(next)
    }

    /// What somebody may do here: `None` when for them the project does not exist. `role` is their key's: an owner of
    /// the place may do everything, a viewer's key only looks, any other does what the member may.
    pub fn role_of(&self, user: &UserId, role: Role) -> Option<Role> {
        match role {
            Role::Owner => Some(Role::Owner),
            Role::Viewer => self.members.get(user).map(|_| Role::Viewer),
            Role::Developer => self.members.get(user).copied(),
        }
    }
}

/// A project's id out of its name: letters and digits in lower case, with hyphens between. Empty when the name has
/// none.
pub fn id_of(name: &str) -> String {
    let mut id = String::new();
    for c in name.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            id.push(c);
        } else if !id.is_empty() && !id.ends_with('-') {
            id.push('-');
        }
    }
    id.truncate(40);
    id.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests;
