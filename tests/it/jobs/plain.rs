//! The way of a job when all goes well, and what people say to it.

use serde_json::json;

use super::kit::*;
use crate::support::*;

#[tokio::test]
async fn a_task_becomes_a_pushed_commit_that_says_who_made_it_and_why() {
    let shop = Shop::open().await;
    let remote = shop.project(json!({"verifyCommands": ["python3 test.py"]})).await;
    let first = git(&remote, "rev-parse main");
    let id = shop.give_with(MEND, json!({"title": "Mend the sum"})).await;
    let asked = shop.asked(&id).await;
    assert_eq!(branches(&remote), ["main"], "pushed before anybody said so");
    let branch = asked["branch"].as_str().unwrap().to_owned();
    assert_eq!(branch, format!("atoll/{id}-mend-the-sum"));
    assert_eq!(asked["evidence"][0]["exit"], 0, "{asked:#}");
    assert_eq!(asked["stat"], "1 file, 1 line added, 1 removed");
    let commit = asked["commitSha"].as_str().unwrap();
    let question = shop.owner().look("/api/v1/approvals?status=pending").await;
    let preview = question["approvals"][0]["preview"].as_str().unwrap_or_default().to_owned();
    assert!(preview.contains(&branch) && preview.contains("`python3 test.py`: passed"), "{question:#}");
    let done = shop.approve(&id).await;
    assert_eq!(done["text"], "pushed");
    assert_eq!(git(&remote, &format!("rev-parse {branch}")), commit, "exactly what was shown");
    assert_eq!(git(&remote, &format!("rev-parse {branch}^{{tree}}")), asked["tree"].as_str().unwrap());
    assert_eq!(git(&remote, &format!("rev-parse {branch}^")), first);
    assert_eq!(git(&remote, &format!("show {branch}:calc.py")), "def add(a, b):\n    return a + b");
    let told = git(&remote, &format!("log -1 --format='%an <%ae>%n%s%n%(trailers)' {branch}"));
    assert!(told.starts_with("Atoll <atoll@localhost>\nMend the sum\n"), "{told}");
    assert!(told.contains(&format!("Atoll-Job: {id}")), "{told}");
    assert_eq!(git(&remote, "rev-parse main"), first, "nobody else's branch is touched");
    let diff = shop.owner().request(reqwest::Method::GET, &format!("/api/v1/tasks/{id}/diff"));
    assert!(diff.send().await.unwrap().text().await.unwrap().contains("+    return a + b"));
}

#[tokio::test]
async fn the_whole_work_can_be_fetched_by_those_who_may_change_it() {
    let shop = Shop::open().await;
    let remote = shop.project(json!({})).await;
    let id = shop.give_with(MEND, json!({"title": "Mend the sum"})).await;
    let asked = shop.asked(&id).await;
    let path = format!("/api/v1/tasks/{id}/artefacts/work.bundle");
    let viewer = User::new(&shop.owner().base, &shop.site.key("vera", "developer"));
    assert_eq!(
        shop.owner().patch("/api/v1/projects/app/members/vera", json!({"role": "viewer"})).await.0,
        200
    );
    assert_eq!(viewer.get(&path).await.0, 403, "it holds what the diff masks");
    let bundle = shop.owner().request(reqwest::Method::GET, &path).send().await.unwrap();
    let file = shop.site.beside().join("work.bundle");
    std::fs::write(&file, bundle.bytes().await.unwrap()).unwrap();
    git(&remote, &format!("fetch -q '{}' refs/atoll/sealed:refs/heads/taken", file.display()));
    assert_eq!(git(&remote, "rev-parse taken"), asked["commitSha"].as_str().unwrap());
}
