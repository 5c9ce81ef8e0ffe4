//! A repository and an agent that mean harm: whatever they plant, nothing of it runs on the host, and nothing of it leaves.

use std::{fs, path::Path};

use atoll::{
    domain::review::{ReviewLimits, Rule, Severity},
    forge::RepoLimits,
    ports::repo::{BundleFile, Pushed, RepoError, Repos},
};

use super::world::{World, quoted, rules, run};

/// Everything that makes git run a program, as an agent or the machine's own set-up could have it.
fn booby_trapped(trap: &Path) -> String {
    let trap = trap.display();
    format!(
        "for key in core.fsmonitor core.editor core.pager core.askPass core.sshCommand core.gitProxy core.alternateRefsCommand \
             diff.external diff.evil.command diff.evil.textconv filter.evil.clean filter.evil.smudge filter.evil.process \
             filter.lfs.smudge merge.evil.driver credential.helper gpg.program uploadpack.packObjectsHook sequence.editor \
             interactive.diffFilter init.templateDir; do git config $key {trap}; done; \
         git config filter.evil.required true; git config commit.gpgSign false; git config core.hooksPath ''; \
         mkdir -p .git/hooks; \
         for hook in pre-commit post-commit post-checkout reference-transaction pre-push post-index-change pre-receive update \
             post-receive post-update fsmonitor-watchman proc-receive push-to-checkout pre-auto-gc; do \
             cp {trap} .git/hooks/$hook; done"
    )
}

#[tokio::test]
async fn nothing_that_a_repository_or_an_agent_plants_runs_on_the_host() {
    let world = World::new();
    let (trap, canary) = world.trap();
    world.theirs(
        "printf '* filter=evil diff=evil merge=evil text=auto\\n' > .gitattributes; \
         printf '[submodule \"x\"]\\n\\tpath = x\\n\\turl = https://example.org/x\\n\\tupdate = none\\n' > .gitmodules; \
         mkdir hooks; cp ../trap.sh hooks/post-checkout; git config --file .gitconfig core.fsmonitor ../trap.sh; \
         git update-index --add --cacheinfo 160000,1111111111111111111111111111111111111111,x",
    );
    let workspace = world.prepared("j1").await;
    world.agent(&workspace, &booby_trapped(&trap));
    world
        .agent(&workspace, "git config --unset filter.evil.process; git config --unset core.fsmonitor; true");
    world.agent(&workspace, "echo changed > README.md; echo x > new");
    let imported = world.import("j1", &workspace).await.unwrap();
    let sealed = world.repos.seal(world.seal("j1", &imported)).await.unwrap();
    let atoll::ports::repo::Sealed::Commit(commit) = sealed else { panic!() };
    world.repos.inspect("j1".into(), commit.clone(), ReviewLimits::default()).await.unwrap();
    world.repos.diff("j1".into(), commit.clone(), 100_000).await.unwrap();
    assert_eq!(world.pushed("j1", &workspace, &commit).await.unwrap(), Pushed::Now);
    let mut again = world.asks("j2");
    again.branch = workspace.branch;
    world.repos.update(world.project()).await.unwrap();
    world.repos.prepare(again).await.unwrap();
    world.repos.remove("j1".into()).await.unwrap();
    assert!(!canary.exists(), "this ran on the host: {}", fs::read_to_string(&canary).unwrap());
    // The trap itself works: git run in that tree by the host would have sprung it.
    world.agent(&world.prepared("j3").await, &booby_trapped(&trap));
    let there = world.root().join("jobs/j3/workspace");
    run(&there, "git status; git add -A; git commit -qm x", &[]);
    assert!(canary.exists(), "the trap does not work");
}

#[tokio::test]
async fn symlinks_that_lead_out_submodules_and_odd_names_are_refused() {
    let world = World::new();
    let inner = "git init -q inner; git -C inner commit -q --allow-empty -m x";
    for (job, script, rule) in [
        ("j1", "ln -s /etc/passwd link", Rule::SymlinkOut),
        ("j2", "mkdir d; ln -s ../../x d/link", Rule::SymlinkOut),
        ("j3", "mkdir -p d/e; ln -s ../.. d/e/up; ln -s d/e/up/../x link", Rule::SymlinkOut),
        ("j4", inner, Rule::Submodule),
        (
            "j5",
            "printf '[submodule \"x\"]\\n path = x\\n url = https://example.org/x\\n' > .gitmodules",
            Rule::Submodule,
        ),
        ("j6", "touch \"$(printf 'a\\033[2Jb')\"", Rule::OddName),
        ("j7", "touch \"$(printf 'a\\377b')\"", Rule::OddName),
        ("j8", "touch 'a\\b'", Rule::OddName),
        ("j9", "head -c 12000000 /dev/zero > zeros", Rule::TooLarge),
        ("j10", "for i in $(seq 1 600); do echo $i > f$i; done", Rule::TooManyFiles),
    ] {
        let seen = world.inspected(job, script).await;
        let refused = seen.findings.iter().any(|one| one.rule == rule && one.severity == Severity::Refused);
        assert!(refused, "`{script}` was let through: {:?}", rules(&seen.findings));
        let text = format!("{:?}", seen.findings);
        assert!(!text.contains('\u{1b}'), "{text}");
    }
    let seen = world.inspected("j11", "mkdir d; ln -s ../README.md d/link; ln -s d/link again").await;
    assert_eq!(seen.findings, [], "links that stay inside are fine");
}

#[tokio::test]
async fn a_bundle_is_read_as_a_plain_file_and_through_no_link() {
    let limits = RepoLimits { bundle_bytes: 200_000, ..RepoLimits::default() };
    let world = World::with(limits);
    let workspace = world.prepared("j1").await;
    world.agent(&workspace, "echo x > x");
    let good = world.hand_over(&workspace);
    let bundle = |file: &str| BundleFile { file: file.into(), ..good.clone() };
    world.agent(
        &workspace,
        "cp .atoll-out.bundle real; ln -s real link; mkdir in; mv real in/real; ln -s in way; mkfifo pipe; mkdir folder; \
         ln -s /dev/zero endless; head -c 300000 /dev/urandom > large; touch nothing; echo PACK > text; \
         head -c 150 in/real > cut; cp in/real flipped; \
         printf '\\377' | dd of=flipped bs=1 seek=$(($(stat -c %s flipped) - 30)) conv=notrunc 2>/dev/null",
    );
    for file in [
        "link",
        "way/real",
        "pipe",
        "folder",
        "endless",
        "nothing",
        "text",
        "cut",
        "flipped",
        "missing",
        "in/../in/real",
        "/etc/passwd",
        "",
    ] {
        let error = world.repos.import("j1".into(), bundle(file)).await.unwrap_err();
        assert!(matches!(error, RepoError::Broken(_)), "{file}: {error:?}");
    }
    let error = world.repos.import("j1".into(), bundle("large")).await.unwrap_err();
    assert!(matches!(error, RepoError::TooLarge(_)), "{error:?}");
    for reference in ["refs/heads/other", "", "HEAD~1", "--all"] {
        let asked = BundleFile { reference: reference.into(), ..good.clone() };
        assert!(
            matches!(world.repos.import("j1".into(), asked).await, Err(RepoError::Broken(_))),
            "{reference}"
        );
    }
    let imported = world.repos.import("j1".into(), good.clone()).await.unwrap();
    assert_eq!(world.repos.import("j1".into(), bundle("in/real")).await.unwrap(), imported);
    let refs = world.sh(world.repo_of("j1"), "git for-each-ref --format='%(refname)'");
    assert_eq!(refs, "refs/atoll/base\nrefs/atoll/import", "only Atoll's own refs");
}

#[tokio::test]
async fn odd_refs_of_a_remote_are_no_options_and_no_paths() {
    let world = World::new();
    let (trap, canary) = world.trap();
    let tip = world.remote_tip("main");
    for name in ["--upload-pack=x", "-x", "a'b", "$(touch${IFS}x)", "x;y", "@", "HEAD", "main.txt|sh"] {
        let script = format!("git update-ref {} {tip}", quoted(&format!("refs/heads/{name}")));
        world.sh(world.path("remote.git"), &script);
    }
    world.sh(
        world.path("remote.git"),
        &format!("cp {} hooks/post-upload-pack; echo 'ref: refs/heads/main' > HEAD", trap.display()),
    );
    let branches = world.repos.branches(world.remote()).await.unwrap();
    let names: Vec<&str> = branches.all.iter().map(|branch| branch.name.as_str()).collect();
    assert_eq!(names, ["main"]);
    world.prepared("j1").await;
    assert!(!canary.exists());
}

#[tokio::test]
async fn a_remote_that_points_its_head_at_nothing_or_is_empty_is_told() {
    let world = World::new();
    world.sh(world.path(""), "git init -q --bare -b main empty.git");
    let mut project = world.project();
    project.remote.url =
        atoll::domain::remote::RemoteUrl::parse(world.path("empty.git").to_str().unwrap()).unwrap();
    let branches = world.repos.update(project.clone()).await.unwrap();
    assert_eq!(branches.all, []);
    let error = world.repos.prepare(world.asks("j1")).await.unwrap_err();
    assert!(matches!(&error, RepoError::NotThere(words) if words.contains("first commit")), "{error}");
    project.remote.url =
        atoll::domain::remote::RemoteUrl::parse(world.path("nowhere.git").to_str().unwrap()).unwrap();
    let error = world.repos.update(project).await.unwrap_err();
    assert!(matches!(error, RepoError::NotThere(_)), "{error}");
}
