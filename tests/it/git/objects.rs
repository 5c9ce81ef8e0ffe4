//! Objects that no sane git would make, sent as a bundle all the same.

use atoll::ports::repo::{BundleFile, RepoError, Repos, Workspace};

use super::world::World;

/// A bundle of a commit on a tree that a script makes; the script prints the tree's id.
fn bundle_of(world: &World, workspace: &Workspace, tree_script: &str) -> BundleFile {
    let script = format!(
        "tree=$( {tree_script} ) && commit=$(git commit-tree $tree -p HEAD -m odd </dev/null) && \
         git update-ref refs/heads/odd $commit && rm -f odd.bundle && git bundle create -q odd.bundle refs/heads/odd ^{}",
        workspace.base
    );
    world.agent(workspace, &script);
    BundleFile {
        folder: workspace.folder.clone(),
        file: "odd.bundle".into(),
        reference: "refs/heads/odd".into(),
    }
}

#[tokio::test]
async fn trees_that_would_write_into_git_folders_or_elsewhere_are_refused() {
    let world = World::new();
    let workspace = world.prepared("j1").await;
    world.agent(&workspace, "echo evil | git hash-object -w --stdin > blob-id");
    let entry = |name: &str| format!("printf '100644 blob %s\\t{name}\\n' $(cat blob-id) | git mktree");
    let literal = |name: &str| {
        format!(
            "(printf '100644 {name}\\000'; cat blob-id | tr -d '\\n' | perl -ne 'print pack(\"H*\", $_)') | \
             git hash-object -w -t tree --literally --stdin"
        )
    };
    let nested =
        format!("inner=$( {} ); printf '040000 tree %s\\tdeep\\n' $inner | git mktree", entry(".git"));
    let twice = "(for i in 1 2; do printf '100644 same\\000'; cat blob-id | tr -d '\\n' | perl -ne 'print pack(\"H*\", $_)'; done) | \
                 git hash-object -w -t tree --literally --stdin";
    let modules_link = "link=$(printf /etc/passwd | git hash-object -w --stdin); printf '120000 blob %s\\t.gitmodules\\n' $link | git mktree";
    let modules_url = "bad=$(printf '[submodule \"x\"]\\npath = x\\nurl = -u./payload\\n' | git hash-object -w --stdin); \
                       printf '100644 blob %s\\t.gitmodules\\n' $bad | git mktree";
    let modules_name = "bad=$(printf '[submodule \"../../x\"]\\npath = x\\nurl = https://x\\n' | git hash-object -w --stdin); \
                        printf '100644 blob %s\\t.gitmodules\\n' $bad | git mktree";
    let missing =
        "printf '100644 blob 1234567890123456789012345678901234567890\\tgone\\n' | git mktree --missing";
    let scripts = [
        entry(".git"),
        entry(".GIT"),
        entry("git~1"),
        entry(".."),
        entry("."),
        literal("a/b"),
        literal("../x"),
        nested,
        twice.to_owned(),
        modules_link.to_owned(),
        modules_url.to_owned(),
        modules_name.to_owned(),
    ];
    for script in scripts {
        let bundle = bundle_of(&world, &workspace, &script);
        let error = world.repos.import("j1".into(), bundle).await.expect_err(&script);
        assert!(matches!(error, RepoError::Broken(_)), "{script}: {error:?}");
    }
    // Git itself makes no bundle with a hole, so the hole is cut afterwards: the object is in no pack that was sent.
    let whole = bundle_of(&world, &workspace, &entry("fine"));
    world.repos.import("j1".into(), whole).await.unwrap();
    let script = format!(
        "tree=$( {missing} ); commit=$(git commit-tree $tree -p HEAD -m hole </dev/null); \
         (printf '# v2 git bundle\\n-{base} \\n%s refs/heads/odd\\n\\n' $commit; \
          printf '%s\\n%s\\n' $commit $tree | git pack-objects --stdout -q) > odd.bundle",
        base = workspace.base
    );
    world.agent(&workspace, &script);
    let holed = BundleFile {
        folder: workspace.folder.clone(),
        file: "odd.bundle".into(),
        reference: "refs/heads/odd".into(),
    };
    let error = world.repos.import("j1".into(), holed).await.unwrap_err();
    assert!(matches!(error, RepoError::Broken(_)), "{error:?}");
    let refs = world.sh(world.repo_of("j1"), "git log -1 --format=%s refs/atoll/import");
    assert_eq!(refs, "odd", "what was refused was noted");
}

#[tokio::test]
async fn a_branch_that_is_no_commit_is_refused() {
    let world = World::new();
    let workspace = world.prepared("j1").await;
    let blob = "echo x | git hash-object -w --stdin";
    world.agent(
        &workspace,
        &format!("id=$( {blob} ); (printf '# v2 git bundle\\n%s HEAD\\n\\n' $id; echo $id | git pack-objects --stdout -q) > odd.bundle"),
    );
    let bundle =
        BundleFile { folder: workspace.folder.clone(), file: "odd.bundle".into(), reference: "HEAD".into() };
    let error = world.repos.import("j1".into(), bundle).await.unwrap_err();
    assert!(matches!(&error, RepoError::Broken(words) if words.contains("commit")), "{error:?}");
}

#[tokio::test]
async fn a_small_bundle_that_unfolds_without_end_is_stopped() {
    let world = World::new();
    let workspace = world.prepared("j1").await;
    // Ten folders of ten folders of …: a hundred million files in a dozen objects.
    let bomb = "id=$(echo x | git hash-object -w --stdin); \
         tree=$(for i in 0 1 2 3 4 5 6 7 8 9; do printf '100644 blob %s\\tf%s\\n' $id $i; done | git mktree); \
         for level in 1 2 3 4 5 6 7; do \
             tree=$(for i in 0 1 2 3 4 5 6 7 8 9; do printf '040000 tree %s\\td%s\\n' $tree $i; done | git mktree); done; \
         echo $tree";
    let bundle = bundle_of(&world, &workspace, bomb);
    let error = world.repos.import("j1".into(), bundle).await.unwrap_err();
    assert!(matches!(error, RepoError::TooLarge(_)), "{error:?}");
    let refs = world.sh(world.repo_of("j1"), "git for-each-ref --format='%(refname)'");
    assert_eq!(refs, "refs/atoll/base", "what was refused was noted");
    // The same as a project: it is refused before it is on the disk.
    world.sh(
        world.path("remote.git"),
        &format!("git fetch -q {} refs/heads/odd:refs/heads/bomb", workspace.folder.display()),
    );
    world.repos.update(world.project()).await.unwrap();
    let mut ask = world.asks("j2");
    ask.base = super::world::branch("bomb");
    let error = world.repos.prepare(ask).await.unwrap_err();
    assert!(matches!(error, RepoError::TooLarge(_)), "{error:?}");
}

#[tokio::test]
async fn a_remote_with_broken_objects_reaches_no_mirror() {
    let world = World::new();
    let good = world.repos.update(world.project()).await.unwrap();
    let script = "blob=$(echo evil | git hash-object -w --stdin); \
         tree=$(printf '100644 blob %s\\t.git\\n' $blob | git mktree); \
         git update-ref refs/heads/evil $(git commit-tree $tree -m evil </dev/null)";
    world.sh(world.path("remote.git"), script);
    let error = world.repos.update(world.project()).await.unwrap_err();
    assert!(matches!(error, RepoError::Broken(_)), "{error:?}");
    let refs = world.sh(world.root().join("mirrors/p1.git"), "git for-each-ref --format='%(refname:short)'");
    assert_eq!(refs, "main");
    world.remote_git("update-ref -d refs/heads/evil");
    assert_eq!(world.repos.update(world.project()).await.unwrap(), good);
}
