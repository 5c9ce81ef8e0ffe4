//! What a project may be, and who may do what in it.

use super::*;

fn base() -> ProjectChange {
    ProjectChange {
        name: Some("Demo".into()),
        repo_url: Some("https://h.example/x.git".into()),
        ..Default::default()
    }
}

fn why(change: &ProjectChange) -> Option<String> {
    Project::fresh(ProjectId::new("demo"), change, 0).err().map(|refusal| refusal.to_string())
}

#[test]
fn repositories_run_nothing_and_hold_no_password() {
    for (url, fits) in [
        ("https://github.com/acme/app.git", true),
        ("http://127.0.0.1:3000/acme/app", true),
        ("ssh://git@host.example:22/acme/app.git", true),
        ("git@github.com:acme/app.git", true),
        ("file:///srv/app.git", true),
        ("/srv/app.git", true),
        ("", false),
        ("https://", false),
        ("https://user:secret@github.com/acme/app", false),
        ("https://token@github.com/acme/app", false),
        ("ssh://git:secret@host/x", false),
        ("ssh://-oProxyCommand=id/x", false),
        ("-oProxyCommand=id@host:x", false),
        ("git@-oProxyCommand=id:x", false),
        ("ext::sh -c id", false),
        ("ext::id", false),
        ("--upload-pack=id", false),
        ("github.com/acme/app", false),
        ("https://a b/c", false),
    ] {
        let change = ProjectChange { repo_url: Some(url.into()), ..base() };
        assert_eq!(why(&change).is_none(), fits, "{url}: {:?}", why(&change));
        assert!(!why(&change).unwrap_or_default().contains("secret"));
    }
}

#[test]
fn each_setting_is_checked_and_named() {
    let texts = |list: &[&str]| Some(list.iter().map(|text| (*text).to_owned()).collect());
    let forge = |api_url: Option<&str>, token_env: Option<&str>| ProjectChange {
        forge: Some(Some(ForgeSettings {
            kind: ForgeKind::Gitea,
            api_url: api_url.map(str::to_owned),
            token_env: token_env.map(str::to_owned),
        })),
        ..base()
    };
    for (change, word) in [
        (ProjectChange { name: Some(" ".into()), ..base() }, "name"),
        (ProjectChange { default_branch: Some("-x".into()), ..base() }, "defaultBranch"),
        (ProjectChange { default_branch: Some("a..b".into()), ..base() }, "defaultBranch"),
        (ProjectChange { default_branch: Some("a/.b".into()), ..base() }, "defaultBranch"),
        (ProjectChange { verify_commands: texts(&[""]), ..base() }, "verifyCommands"),
        (ProjectChange { setup_commands: texts(&["a\u{0}"]), ..base() }, "setupCommands"),
        (ProjectChange { allowed_hosts: texts(&["10.0.0.1"]), ..base() }, "allowedHosts"),
        (ProjectChange { allowed_hosts: texts(&["localhost"]), ..base() }, "allowedHosts"),
        (ProjectChange { setup_hosts: texts(&["*"]), ..base() }, "setupHosts"),
        (ProjectChange { setup_hosts: texts(&["a.*.example"]), ..base() }, "setupHosts"),
        (ProjectChange { setup_hosts: texts(&["Host.example"]), ..base() }, "setupHosts"),
        (ProjectChange { allowed_presets: texts(&["cpan"]), ..base() }, "npm, pypi"),
        (ProjectChange { image: Some(Some("-v".into())), ..base() }, "image"),
        (forge(Some("ftp://x"), None), "forge.apiUrl"),
        (forge(Some("https://u:p@x/api"), None), "forge.apiUrl"),
        (forge(None, Some("ghp_secretvalue")), "forge.tokenEnv"),
        (
            ProjectChange { limits: Some(Limits { parallel_jobs: 0, ..Default::default() }), ..base() },
            "parallelJobs",
        ),
        (ProjectChange { limits: Some(Limits { cpus: f64::NAN, ..Default::default() }), ..base() }, "cpus"),
    ] {
        let why = why(&change).unwrap_or_else(|| panic!("{change:?}"));
        assert!(why.contains(word), "{why}");
    }
    let fine = ProjectChange {
        allowed_hosts: texts(&["api.host.example", "*.host.example"]),
        allowed_presets: texts(&["npm", "crates"]),
        default_branch: Some("release/1.x".into()),
        ..forge(Some("http://127.0.0.1:3000/api/v1"), Some("ACME_FORGE_TOKEN"))
    };
    assert_eq!(why(&fine), None);
}

#[test]
fn ids_come_from_names() {
    for (name, id) in [("Atoll", "atoll"), ("  My App, v2! ", "my-app-v2"), ("äöü", ""), ("a--b", "a-b")] {
        assert_eq!(id_of(name), id, "{name}");
    }
    for id in ["", "-a", "a-", "A", "a b", "../x", &"a".repeat(41)] {
        assert!(Project::fresh(ProjectId::new(id), &base(), 0).is_err(), "{id}");
    }
}

#[test]
fn only_members_and_owners_of_the_place_see_a_project() {
    let mut project = Project::fresh(ProjectId::new("demo"), &base(), 0).unwrap();
    let (ann, bob, cid) = (UserId::new("ann"), UserId::new("bob"), UserId::new("cid"));
    project.members = BTreeMap::from([(ann.clone(), Role::Owner), (bob.clone(), Role::Viewer)]);
    for (user, key, may) in [
        (&ann, Role::Developer, Some(Role::Owner)),
        (&ann, Role::Viewer, Some(Role::Viewer)),
        (&bob, Role::Developer, Some(Role::Viewer)),
        (&bob, Role::Owner, Some(Role::Owner)),
        (&cid, Role::Developer, None),
        (&cid, Role::Viewer, None),
        (&cid, Role::Owner, Some(Role::Owner)),
    ] {
        assert_eq!(project.role_of(user, key), may, "{user} {key:?}");
    }
}

#[test]
fn what_reaches_out_is_known() {
    assert!(base().reaches_out(), "the repository");
    let quiet = ProjectChange {
        name: Some("x".into()),
        default_branch: Some("dev".into()),
        verify_commands: Some(vec![]),
        require_approval: Some(true),
        watch_requests: Some(false),
        ..Default::default()
    };
    assert!(!quiet.reaches_out());
    assert!(ProjectChange { forge: Some(None), ..quiet.clone() }.reaches_out());
    assert!(ProjectChange { limits: Some(Limits::default()), ..quiet.clone() }.reaches_out());
    // Nor does a person's word go away without an owner of the place.
    assert!(ProjectChange { require_approval: Some(false), ..quiet.clone() }.reaches_out());
    assert!(ProjectChange { watch_requests: Some(true), ..quiet.clone() }.reaches_out());
    assert!(ProjectChange { allow_submodules: Some(true), ..quiet }.reaches_out());
}

#[test]
fn stored_settings_of_an_older_program_are_read() {
    let settings: Settings = serde_json::from_str(r#"{"repo_url": "/x", "limits": {"cpus": 1.0}}"#).unwrap();
    assert_eq!((settings.default_branch.as_str(), settings.limits.max_failures), ("main", 3));
    assert!(settings.require_approval);
}
