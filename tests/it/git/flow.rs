//! The way of a job's work, from the mirror to the remote.

use std::{fs, os::unix::fs::MetadataExt};

use atoll::{
    domain::review::{ReviewLimits, Rule},
    forge::RepoLimits,
    ports::repo::{Pushed, RepoError, Repos, Sealed},
};

use super::world::{World, branch, files_below, rules};

#[tokio::test]
async fn work_goes_out_as_one_commit_of_the_host_on_the_base() {
    let world = World::new();
    let base = world.remote_tip("main");
    let secret = format!("gh{}{}", "p_", "aZ3kQ9xLw7RtB2mVhJ5cYfP8nGdS4uE6Qw1z");
    let work = format!(
        "echo '{secret}' > oops.txt; git add -A; git commit -qm one; rm oops.txt; echo 'hello, world' > README.md; \
         git rm -q src/main.rs; git commit -qam two; echo new > new.txt"
    );
    let (workspace, commit) = world.sealed("j1", &work).await;
    assert_eq!((workspace.base.as_str(), workspace.remote.as_deref()), (base.as_str(), None));
    assert_eq!(world.repos.base("j1".into()).await.unwrap(), base);

    let seen = world.repos.inspect("j1".into(), commit.clone(), ReviewLimits::default()).await.unwrap();
    let paths: Vec<&str> = seen.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["README.md", "new.txt", "src/main.rs"]);
    assert_eq!((seen.added, seen.removed, seen.base.as_str()), (2, 2, base.as_str()));
    assert_eq!(seen.findings, []);
    let diff = world.repos.diff("j1".into(), commit.clone(), 100_000).await.unwrap();
    assert!(
        diff.text.contains("+hello, world") && diff.text.contains("-fn main() {}") && !diff.cut,
        "{}",
        diff.text
    );
    let short = world.repos.diff("j1".into(), commit.clone(), 300).await.unwrap();
    assert!(short.cut && short.text.len() <= 300 && short.text.ends_with('\n'), "{}", short.text);

    assert_eq!(world.pushed("j1", &workspace, &commit).await.unwrap(), Pushed::Now);
    assert_eq!(world.remote_tip("atoll/j1"), commit);
    assert_eq!(world.remote_tip("main"), base);
    assert_eq!(world.remote_git(&format!("rev-parse {commit}^")), base, "the agent's own commits went out");
    let said = world.remote_git(&format!(
        "log -1 --format='%an <%ae>|%cn|%ct|%(trailers:key=Atoll-Job,valueonly)|%s' {commit}"
    ));
    assert_eq!(said.replace('\n', ""), "Coder <coder@bots.example>|Coder|1700000000|j1|Say hello properly");
    let all = world.remote_git("cat-file --batch-all-objects --batch --buffer | grep -ac aZ3kQ9xLw7 || true");
    assert_eq!(all, "0", "what was committed and taken back reached the remote");
}

#[tokio::test]
async fn an_unchanged_tree_is_told_and_makes_no_commit() {
    let world = World::new();
    let workspace = world.prepared("j1").await;
    world.agent(&workspace, "echo x > x; git add -A; git commit -qm on; git rm -q x; git commit -qm off");
    let imported = world.import("j1", &workspace).await.unwrap();
    assert_eq!(world.repos.seal(world.seal("j1", &imported)).await.unwrap(), Sealed::Unchanged);
}

#[tokio::test]
async fn the_same_seal_makes_the_same_commit_and_another_tree_is_refused() {
    let world = World::new();
    let workspace = world.prepared("j1").await;
    world.agent(&workspace, "echo one > README.md");
    let first = world.import("j1", &workspace).await.unwrap();
    let one = world.repos.seal(world.seal("j1", &first)).await.unwrap();
    assert_eq!(world.repos.seal(world.seal("j1", &first)).await.unwrap(), one);
    // The agent goes on: what was imported before is not what is there now.
    world.agent(&workspace, "echo two > README.md");
    let second = world.import("j1", &workspace).await.unwrap();
    assert_ne!(first.tree, second.tree);
    assert!(matches!(world.repos.seal(world.seal("j1", &first)).await, Err(RepoError::Invalid(_))));
    assert_ne!(world.repos.seal(world.seal("j1", &second)).await.unwrap(), one);
}

#[tokio::test]
async fn a_job_goes_on_from_the_branch_that_an_earlier_one_pushed() {
    let world = World::new();
    let (workspace, first) = world.sealed("j1", "echo one > README.md").await;
    world.pushed("j1", &workspace, &first).await.unwrap();
    world.repos.update(world.project()).await.unwrap();
    let mut ask = world.asks("j2");
    ask.branch = branch("atoll/j1");
    let next = world.repos.prepare(ask).await.unwrap();
    assert_eq!((next.base.as_str(), next.remote.as_deref()), (first.as_str(), Some(first.as_str())));
    assert_eq!(fs::read_to_string(next.folder.join("README.md")).unwrap(), "one\n");
    world.agent(&next, "echo two >> README.md");
    let imported = world.import("j2", &next).await.unwrap();
    let Sealed::Commit(second) = world.repos.seal(world.seal("j2", &imported)).await.unwrap() else {
        panic!()
    };
    assert_eq!(world.pushed("j2", &next, &second).await.unwrap(), Pushed::Now);
    assert_eq!(world.remote_git("rev-list --count main..atoll/j1"), "2");
}

#[tokio::test]
async fn a_workspace_shares_nothing_with_the_mirror_and_knows_no_remote() {
    let world = World::new();
    let workspace = world.prepared("j1").await;
    for file in files_below(&workspace.folder) {
        assert_eq!(fs::symlink_metadata(&file).unwrap().nlink(), 1, "{} is linked", file.display());
    }
    assert!(!workspace.folder.join(".git/objects/info/alternates").exists());
    let config = fs::read_to_string(workspace.folder.join(".git/config")).unwrap();
    assert!(!config.contains("remote") && config.contains("Coder"), "{config}");
    let text = files_below(&workspace.folder.join(".git"))
        .iter()
        .map(|file| fs::read(file).unwrap())
        .collect::<Vec<_>>();
    let root = world.root().display().to_string();
    assert!(
        !text.iter().any(|bytes| String::from_utf8_lossy(bytes).contains(&root)),
        "a path of the host is inside"
    );
    // The agent sees where it stands and what it will be compared with.
    assert_eq!(world.sh(&workspace.folder, "git status --porcelain; git branch --show-current"), "atoll/j1");
    assert_eq!(world.sh(&workspace.folder, "git rev-parse origin/main"), workspace.base);
    world.sh(
        &workspace.folder,
        "mkdir .atoll; echo x > .atoll/picture.png; test -z \"$(git status --porcelain)\"",
    );
}

#[tokio::test]
async fn what_is_prepared_again_stays_and_what_was_cut_off_is_made_anew() {
    let world = World::new();
    let workspace = world.prepared("j1").await;
    world.agent(&workspace, "echo mine > README.md");
    world.theirs("echo theirs > README.md");
    world.repos.update(world.project()).await.unwrap();
    let again = world.repos.prepare(world.asks("j1")).await.unwrap();
    assert!(again.existed);
    assert_eq!((again.base, again.folder.clone()), (workspace.base.clone(), workspace.folder));
    assert_eq!(fs::read_to_string(again.folder.join("README.md")).unwrap(), "mine\n");
    // As if the process had died before the workspace was whole: it comes back as it was meant, on the old base.
    fs::rename(&again.folder, again.folder.with_extension("new")).unwrap();
    let anew = world.repos.prepare(world.asks("j1")).await.unwrap();
    assert!(!anew.existed);
    assert_eq!(
        (anew.base, fs::read_to_string(anew.folder.join("README.md")).unwrap()),
        (workspace.base, "hello\n".into())
    );
    assert!(!anew.folder.with_extension("new").exists());
}

#[tokio::test]
async fn a_mirror_follows_the_remote_forgets_what_is_gone_and_survives_a_killed_fetch() {
    let world = World::new();
    let first = world.repos.update(world.project()).await.unwrap();
    assert_eq!(first.main, Some(branch("main")));
    world.theirs("git checkout -q -b feature; echo f > f");
    let second = world.repos.update(world.project()).await.unwrap();
    assert_eq!(second.all.len(), 2);
    assert_eq!(second.commit(&branch("feature")), Some(world.remote_tip("feature").as_str()));
    let mirror = world.root().join("mirrors/p1.git");
    for lock in ["packed-refs.lock", "refs/heads/main.lock", "HEAD.lock", "config.lock"] {
        fs::write(mirror.join(lock), "").unwrap();
    }
    world.remote_git("branch -q -D feature");
    world.theirs("git checkout -q main; echo more > m");
    let third = world.repos.update(world.project()).await.unwrap();
    assert_eq!(third.all.len(), 1);
    assert_eq!(third.commit(&branch("main")), Some(world.remote_tip("main").as_str()));
    assert_eq!(world.repos.branches(world.remote()).await.unwrap(), third);
}

#[tokio::test]
async fn many_fetches_do_not_leave_many_packs() {
    let world = World::new();
    for number in 0..45 {
        world.theirs(&format!("echo {number} > n"));
        world.repos.update(world.project()).await.unwrap();
    }
    let packs = files_below(&world.root().join("mirrors/p1.git/objects/pack"));
    let count = packs.iter().filter(|path| path.extension().is_some_and(|end| end == "pack")).count();
    assert!(count < 40, "{count} packs");
    world.sh(world.root().join("mirrors/p1.git"), "git fsck --full --strict");
}

#[tokio::test]
async fn many_jobs_of_one_project_do_not_meet() {
    let world = World::new();
    world.repos.update(world.project()).await.unwrap();
    let jobs: Vec<String> = (0..6).map(|number| format!("j{number}")).collect();
    let one = async |job: &String| {
        let (update, prepare) =
            tokio::join!(world.repos.update(world.project()), world.repos.prepare(world.asks(job)));
        update.unwrap();
        let workspace = prepare.unwrap();
        world.agent(&workspace, &format!("echo {job} > README.md"));
        let imported = world.import(job, &workspace).await.unwrap();
        let Sealed::Commit(commit) = world.repos.seal(world.seal(job, &imported)).await.unwrap() else {
            panic!()
        };
        world.pushed(job, &workspace, &commit).await.unwrap()
    };
    let done = futures_util::future::join_all(jobs.iter().map(one)).await;
    assert_eq!(done, [Pushed::Now; 6]);
    for job in &jobs {
        assert_eq!(world.remote_git(&format!("show atoll/{job}:README.md")), *job);
    }
}

#[tokio::test]
async fn what_is_removed_is_gone_whatever_an_agent_did_to_it() {
    let world = World::new();
    let workspace = world.prepared("j1").await;
    world.agent(
        &workspace,
        "mkdir -p locked/in; touch locked/in/file; chmod 000 locked/in locked; ln -s / root; \
         perl -e 'for (1..1500) { mkdir \"deep-deep\"; chdir \"deep-deep\" }'",
    );
    let outside = world.path("theirs/README.md");
    world.repos.remove("j1".into()).await.unwrap();
    assert!(!world.root().join("jobs/j1").exists());
    assert!(outside.exists());
    world.repos.remove("j1".into()).await.unwrap();
    world.repos.forget("p1".into()).await.unwrap();
    assert!(!world.root().join("mirrors/p1.git").exists());
}

#[tokio::test]
async fn a_workspace_belongs_to_the_user_of_the_sandbox() {
    let world = World::new();
    world.theirs("ln -s /etc/hostname link");
    world.repos.update(world.project()).await.unwrap();
    let mut ask = world.asks("j1");
    ask.owner = Some((1_001, 1_002));
    let outside = fs::metadata("/etc/hostname").unwrap().uid();
    match world.repos.prepare(ask).await {
        Ok(workspace) => {
            for file in files_below(&workspace.folder).into_iter().chain([workspace.folder.clone()]) {
                let about = fs::symlink_metadata(&file).unwrap();
                assert_eq!((about.uid(), about.gid()), (1_001, 1_002), "{}", file.display());
            }
        }
        // Only root gives files away.
        Err(error) => {
            assert!(!rustix::process::getuid().is_root(), "{error}");
            assert!(error.to_string().contains("sandbox's user"), "{error}");
        }
    }
    assert_eq!(fs::metadata("/etc/hostname").unwrap().uid(), outside, "a link was followed");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_words() {
    let world = World::new();
    world.repos.update(world.project()).await.unwrap();
    for id in ["", "..", "a/b", "-x", "a.b", &"x".repeat(65)] {
        let mut ask = world.asks("j1");
        ask.job = id.into();
        assert!(matches!(world.repos.prepare(ask).await, Err(RepoError::Invalid(_))), "{id}");
    }
    let mut ask = world.asks("j1");
    ask.base = branch("nowhere");
    let error = world.repos.prepare(ask).await.unwrap_err();
    assert!(matches!(&error, RepoError::NotThere(words) if words.contains("nowhere")), "{error}");
    for commit in ["HEAD", "--output=/tmp/x", &"0".repeat(40)] {
        let found = world.repos.inspect("j1".into(), commit.into(), ReviewLimits::default()).await;
        assert!(found.is_err(), "{commit}");
    }
    assert!(matches!(world.repos.base("j1".into()).await, Err(RepoError::NotThere(_))));
}

#[tokio::test]
async fn a_project_that_would_fill_the_disk_is_refused_before_it_is_checked_out() {
    let limits = RepoLimits { checkout_files: 100, checkout_bytes: 10_000, ..RepoLimits::default() };
    let world = World::with(limits);
    world.theirs("for i in $(seq 1 150); do echo $i > f$i; done");
    world.repos.update(world.project()).await.unwrap();
    let error = world.repos.prepare(world.asks("j1")).await.unwrap_err();
    assert!(matches!(error, RepoError::TooLarge(_)), "{error}");
    assert!(!world.root().join("jobs/j1/workspace").exists());
}

#[tokio::test]
async fn a_person_is_told_of_everything_that_weighs() {
    let world = World::new();
    let key = format!("gh{}{}", "p_", "aZ3kQ9xLw7RtB2mVhJ5cYfP8nGdS4uE6Qw1z");
    let seen = world
        .inspected(
            "j1",
            &format!(
                "mkdir -p .github/workflows .claude; echo x > .github/workflows/ci.yml; echo {{}} > .claude/settings.json; \
                 echo x > Cargo.lock; printf 'a\\nkey {key}\\n' > key.txt; head -c 600000 /dev/urandom > blob.bin; \
                 printf '*.txt -diff\\n*.txt binary\\n' > .gitattributes; printf 'x\\000{key}' > hidden.dat"
            ),
        )
        .await;
    let found = rules(&seen.findings);
    for rule in [Rule::Secret, Rule::Ci, Rule::AgentConfig, Rule::LockFile, Rule::BigBinary, Rule::GitConfig]
    {
        assert!(found.contains(&rule), "{rule:?} is missing in {:?}", seen.findings);
    }
    let secrets: Vec<_> = seen.findings.iter().filter(|one| one.rule == Rule::Secret).collect();
    let paths: Vec<_> = secrets.iter().map(|one| (one.path.as_deref().unwrap(), one.line)).collect();
    assert_eq!(paths, [("hidden.dat", Some(1)), ("key.txt", Some(2))], "a file's attributes hide nothing");
    assert!(!format!("{:?}", seen.findings).contains(&key[8..]));
    let diff = world.repos.diff("j1".into(), seen.commit, 1 << 20).await.unwrap();
    assert!(diff.text.contains("+key ghp_…") && !diff.text.contains(&key[8..]), "{}", diff.text);
}
