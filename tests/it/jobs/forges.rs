//! Pushes to a real git server over http with a token, and pull requests at stand-ins for each forge.

use serde_json::json;

use super::kit::*;
use crate::{
    forge::{TOKEN, gitea_mock, github_mock, gitlab_mock},
    git::GitServer,
    support::*,
};

#[tokio::test]
async fn what_is_approved_is_pushed_over_http_and_asked_to_be_merged_at_each_forge() {
    for (kind, forge, api, path) in [
        ("github", github_mock(), "", "ann/app"),
        ("gitea", gitea_mock(), "/api/v1", "ann/app"),
        ("gitlab", gitlab_mock(), "/api/v4", "g/s/app"),
    ] {
        let site = Site::new(&config("llm: {provider: rehearsal}", "")).env("FORGE_TOKEN", TOKEN);
        let user = if kind == "gitlab" { "oauth2" } else { "x-access-token" };
        let server = GitServer::start_for(user, site.beside(), TOKEN, |_| None);
        let remote = remote(site.beside(), path);
        sh("git --git-dir \"$1\" config http.receivepack true", &remote);
        let shop = Shop::at(site).await;
        let api = format!("{}{api}", forge.http.url());
        let forge_body = json!({"kind": kind, "apiUrl": api, "tokenEnv": "FORGE_TOKEN"});
        shop.project_at("app", &server.url(&format!("{path}.git")), json!({"forge": forge_body})).await;
        let id = shop.give("write `a.txt` with `one`").await;
        let done = shop.approve(&id).await;
        assert!(done["prUrl"].as_str().is_some_and(|url| url.starts_with("https://")), "{kind}: {done:#}");
        assert_eq!(git(&remote, &format!("show {}:a.txt", done["branch"].as_str().unwrap())), "one");
        assert_eq!(forge.state.lock().unwrap().posted.len(), 1, "{kind}");
        // Another one without a request, and one whose request is refused: both are pushed.
        let id = shop.give("write `b.txt` with `two`").await;
        shop.asked(&id).await;
        shop.tell(&id, "approve", json!({"withoutPullRequest": true})).await;
        let done = shop.wait(&id, &["done"]).await;
        assert_eq!(done["prUrl"], json!(null));
        assert_eq!(forge.state.lock().unwrap().posted.len(), 1, "{kind}");
        assert_eq!(branches(&remote).len(), 3);
        forge.is_content();
        let kept = shop.site.store();
        let token: i64 = kept
            .query_row("SELECT count(*) FROM job_journal WHERE instr(body, ?1) > 0", [TOKEN], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(token, 0);
        assert!(!shop.site.log().contains(TOKEN) && !shop.log(&id).await.contains(TOKEN));
    }
}
