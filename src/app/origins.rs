//! What opens the places that projects come from: tokens of the environment, keys of the home.

use std::{path::PathBuf, sync::Arc};

use crate::{
    config::{Env, Secret},
    domain::{
        project::{ForgeKind, Project},
        remote::{RemoteUrl, Scheme},
    },
    forge::{ForgeConfig, forge},
    net::Clients,
    ports::{
        forge::Forge,
        origin::Origins,
        repo::{Auth, Remote},
    },
};

/// Where keys and tokens are.
pub(super) struct HostOrigins {
    env: Arc<dyn Env + Send + Sync>,
    ssh_key: PathBuf,
    known_hosts: PathBuf,
    clients: Arc<Clients>,
}

impl HostOrigins {
    /// Tokens from this environment, and this key for ssh.
    pub(super) fn new(
        env: Arc<dyn Env + Send + Sync>,
        ssh_key: PathBuf,
        known_hosts: PathBuf,
        clients: Arc<Clients>,
    ) -> Self {
        Self { env, ssh_key, known_hosts, clients }
    }

    /// The token of a project; `None` when it names none.
    fn token(&self, project: &Project) -> Result<Option<Secret>, String> {
        let Some(name) = project.settings.forge.as_ref().and_then(|forge| forge.token_env.as_ref()) else {
            return Ok(None);
        };
        let token = self.env.get(name).filter(|token| !token.is_empty());
        let missing = format!(
            "the environment of Atoll has no variable {name}, in which the token of the project {} is to be: set it \
             and start Atoll again",
            project.id
        );
        token.map(|token| Some(Secret::new(token))).ok_or(missing)
    }
}

impl Origins for HostOrigins {
    fn remote(&self, project: &Project) -> Result<Remote, String> {
        let url = RemoteUrl::parse(&project.settings.repo_url).map_err(|error| error.to_string())?;
        let auth = match url.scheme() {
            Scheme::Ssh => Auth::Key { key: self.ssh_key.clone(), known_hosts: self.known_hosts.clone() },
            Scheme::Https | Scheme::Http => match self.token(project)? {
                Some(token) => Auth::Token { user: user_of(project).to_owned(), token },
                None => Auth::None,
            },
            Scheme::File => Auth::None,
        };
        Ok(Remote { url, auth })
    }

    fn forge(&self, project: &Project) -> Result<Option<Arc<dyn Forge>>, String> {
        let Some(settings) = &project.settings.forge else { return Ok(None) };
        let remote = RemoteUrl::parse(&project.settings.repo_url).map_err(|error| error.to_string())?;
        let token = self.token(project)?.ok_or_else(|| {
            format!(
                "the project {} names no variable for the token of its forge (forge.tokenEnv)",
                project.id
            )
        })?;
        let config = ForgeConfig { kind: settings.kind, remote, api_url: settings.api_url.clone(), token };
        forge(config, &self.clients).map(Some).map_err(|error| error.to_string())
    }
}

/// The name that goes with a token, as each forge has it by custom.
fn user_of(project: &Project) -> &'static str {
    match project.settings.forge.as_ref().map(|forge| forge.kind) {
        Some(ForgeKind::Gitlab) => "oauth2",
        _ => "x-access-token",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        ids::ProjectId,
        project::{ForgeSettings, ProjectChange},
    };

    fn origins() -> HostOrigins {
        crate::net::install_tls();
        let env: Arc<dyn Env + Send + Sync> =
            Arc::new(|name: &str| (name == "GOOD").then(|| "t0ken".to_owned()));
        HostOrigins::new(env, "/k".into(), "/h".into(), Arc::new(Clients::default()))
    }

    fn project(url: &str, token_env: Option<&str>) -> Project {
        let forge =
            ForgeSettings { kind: ForgeKind::Github, api_url: None, token_env: token_env.map(str::to_owned) };
        let change = ProjectChange {
            name: Some("P".into()),
            repo_url: Some(url.into()),
            forge: Some(Some(forge)),
            ..Default::default()
        };
        Project::fresh(ProjectId::new("p"), &change, 0).unwrap()
    }

    #[test]
    fn a_token_comes_from_the_variable_that_the_project_names_and_is_in_no_error() {
        let origins = origins();
        let remote = origins.remote(&project("https://github.com/a/b", Some("GOOD"))).unwrap();
        assert!(matches!(&remote.auth, Auth::Token { token, .. } if token.reveal() == "t0ken"));
        let error = origins.remote(&project("https://github.com/a/b", Some("ABSENT"))).unwrap_err();
        assert!(error.contains("ABSENT") && !error.contains("t0ken"), "{error}");
        assert!(origins.forge(&project("https://github.com/a/b", Some("GOOD"))).unwrap().is_some());
        let Err(error) = origins.forge(&project("https://github.com/a/b", None)) else { panic!() };
        assert!(error.contains("tokenEnv"), "{error}");
    }

    #[test]
    fn a_key_is_for_ssh_and_nothing_for_a_folder() {
        let origins = origins();
        let remote = origins.remote(&project("git@example.org:a/b", None)).unwrap();
        assert_eq!(remote.auth, Auth::Key { key: "/k".into(), known_hosts: "/h".into() });
        assert_eq!(origins.remote(&project("/srv/git/b", Some("ABSENT"))).unwrap().auth, Auth::None);
    }
}
