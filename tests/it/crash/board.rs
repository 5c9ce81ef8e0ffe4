//! The process dies around each write about projects, boards, stories and bots: what was told is so, what was not
//! told is so as a whole or not at all, and the rest goes on.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::*;

/// Where it dies; before and after each commit.
pub(super) const KILLS: &[&str] = &[
    "commit:create_project",
    "commit:change_project",
    "commit:set_member",
    "commit:change_board",
    "commit:create_bot",
    "commit:change_bot",
    "commit:create_story",
    "commit:change_story",
    "commit:claim_story",
    "commit:renew_claim",
    "commit:add_entry",
    "commit:release_claim",
    "commit:remove_story",
    "commit:remove_bot",
    "commit:remove_project",
];

/// What must be so in the store after any crash: each statement counts what is wrong.
const WRONG: &[&str] = &[
    // Every version of a story is in its history, from the first to the last.
    "SELECT count(*) FROM stories WHERE version <> (SELECT count(*) FROM story_changes WHERE story_id = stories.id)",
    "SELECT count(*) FROM stories WHERE version <> (SELECT max(version) FROM story_changes WHERE story_id = stories.id)",
    // A project has its board with all roles.
    "SELECT count(*) FROM projects WHERE 5 <> (SELECT count(DISTINCT role) FROM boards JOIN board_columns
         ON board_id = boards.id WHERE project_id = projects.id)",
    // Who holds a story holds it in a column of work, under a token.
    "SELECT count(*) FROM stories JOIN board_columns AS c ON c.id = column_id
         WHERE claim_bot IS NOT NULL AND (c.role <> 'in_progress' OR token = 0 OR claim_until IS NULL)",
    // Every entry of a journal is in the index, and nothing else.
    "SELECT (SELECT count(*) FROM bot_journal) <> (SELECT count(*) FROM bot_journal_words)",
    "SELECT count(*) FROM pragma_foreign_key_check",
];

/// A server that dies once, and somebody who asks again until they are answered.
struct Life<'a> {
    site: &'a Site,
    server: Server,
    user: User,
    deaths: u32,
}

impl Life<'_> {
    /// Asks until there is an answer; true when the server died over it.
    async fn ask(&mut self, method: Method, path: &str, body: &Value) -> (StatusCode, Value, bool) {
        let mut died = false;
        loop {
            let request = self.user.request(method.clone(), path).json(body);
            if let Ok(response) = request.send().await {
                let status = response.status();
                return (status, response.json().await.unwrap_or(Value::Null), died);
            }
            until(path, async || self.server.is_dead()).await;
            check(self.site);
            self.server = self.site.start();
            self.user = User::new(&self.server.base, &self.user.key);
            self.deaths += 1;
            died = true;
        }
    }

    /// Asks for something that may have been done by a life that could not say so any more: `done` is what is said
    /// then.
    async fn sure(&mut self, method: &str, path: &str, body: Value, done: u16) -> Value {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let (status, answer, died) = self.ask(method, path, &body).await;
        assert!(status.is_success() || died && status == done, "{path}: {status} {answer}");
        answer
    }

    async fn look(&mut self, path: &str) -> Value {
        let (status, answer, _) = self.ask(Method::GET, path, &Value::Null).await;
        assert!(status.is_success(), "{path}: {status} {answer}");
        answer
    }
}

fn check(site: &Site) {
    for wrong in WRONG {
        assert_eq!(site.number(wrong), 0, "{wrong}");
    }
}

/// All of it, from a project that is made to one that is gone.
async fn play(life: &mut Life<'_>) {
    life.sure("POST", "/api/v1/projects", json!({"name": "App", "repoUrl": "/x"}), 409).await;
    life.sure("PATCH", "/api/v1/projects/app", json!({"verifyCommands": ["true"]}), 200).await;
    life.sure("PATCH", "/api/v1/projects/app/members/ann", json!({"role": "developer"}), 200).await;
    life.sure("PATCH", "/api/v1/projects/app/board", json!({"name": "Work"}), 200).await;
    life.sure("POST", "/api/v1/bots", json!({"projectId": "app", "name": "fixer"}), 409).await;
    let bot = life.look("/api/v1/bots").await["bots"][0]["id"].as_str().unwrap().to_owned();
    let bot = format!("/api/v1/bots/{bot}");
    life.sure("POST", &format!("{bot}/loop"), json!({"action": "start"}), 200).await;
    for title in ["one", "two"] {
        life.sure("POST", "/api/v1/projects/app/stories", json!({"title": title}), 201).await;
    }
    let board = life.look("/api/v1/projects/app/board").await;
    let todo = &board["board"]["columns"][1]["id"];
    let story = board["stories"][0]["id"].as_str().unwrap().to_owned();
    let story = format!("/api/v1/stories/{story}");
    let spare = board["stories"][1]["id"].as_str().unwrap().to_owned();
    life.sure("PATCH", &story, json!({"columnId": todo, "version": 1}), 409).await;
    assert_eq!(life.look(&story).await["version"], 2, "moved once");
    life.sure("POST", &format!("{bot}/claim"), json!({}), 200).await;
    let held = life.look(&story).await;
    assert!(held["claim"]["botId"].is_string(), "claimed, and by one: {held}");
    let renewed = life.sure("POST", &format!("{story}/renew"), json!({"token": 1, "jobId": "j1"}), 200).await;
    assert_eq!(renewed["story"]["jobId"], "j1");
    let entry = json!({"entryType": "learning", "summary": "it may die"});
    life.sure("POST", &format!("{bot}/journal"), entry, 201).await;
    assert!(!life.look(&format!("{bot}/journal?q=die")).await["entries"].as_array().unwrap().is_empty());
    let end = json!({"token": 1, "outcome": "finished"});
    life.sure("POST", &format!("{story}/release"), end, 409).await;
    let done = life.look(&story).await;
    assert_eq!((&done["columnId"], &done["claim"]), (&board["board"]["columns"][3]["id"], &Value::Null));
    life.sure("DELETE", &format!("/api/v1/stories/{spare}"), json!({}), 404).await;
    life.sure("DELETE", &bot, json!({}), 404).await;
    check(life.site);
    life.sure("DELETE", "/api/v1/projects/app", json!({}), 404).await;
}

#[tokio::test]
async fn projects_boards_stories_and_bots_survive() {
    for kill in KILLS.iter().flat_map(|kill| super::points::both(kill)) {
        let site = Site::new("llm: {provider: rehearsal}\njobs: {bots: false}");
        let key = site.key("me", "owner");
        let server = site.start_with(&[("ATOLL_FAULT", &kill)]);
        let user = User::new(&server.base, &key);
        let mut life = Life { site: &site, server, user, deaths: 0 };
        play(&mut life).await;
        assert_eq!(life.deaths, 1, "{kill}: it was to die there, once");
        check(&site);
        assert_eq!(site.number("SELECT count(*) FROM stories"), 0);
        assert_eq!(life.user.look("/api/v1/audit/verify").await["ok"], true, "{kill}");
        assert!(life.server.stop().success(), "{kill}");
    }
}
