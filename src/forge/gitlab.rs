//! Merge requests at GitLab (<https://docs.gitlab.com/api/merge_requests/>).

use serde_json::{Value, json};

use crate::{
    domain::Millis,
    ports::forge::{CheckRun, CheckState, Comment, ForgeError, NewRequest, Request, RequestState},
};

use super::{
    api::{Api, Refusal, body, comment, encoded, in_order, is_new, title},
    dialect::Dialect,
};

/// Items of a page.
const PAGE: usize = 100;
/// What marks a draft.
const DRAFT: &str = "Draft: ";

/// One repository at GitLab.
#[derive(Clone)]
pub(super) struct GitLab(pub(super) Api);

impl Dialect for GitLab {
    const REQUESTS: &'static str = "/merge_requests";
    const TALK: (&'static str, &'static str) = ("/merge_requests", "/notes");

    fn api(&self) -> &Api {
        &self.0
    }

    fn path(&self, rest: &str) -> String {
        format!("/projects/{}{rest}", encoded(&self.0.slug))
    }

    fn request(&self, value: &Value) -> Result<Request, ForgeError> {
        let api = &self.0;
        let state = match api.text(value, "/state")?.as_str() {
            "opened" | "locked" => RequestState::Open,
            "merged" => RequestState::Merged,
            _ => RequestState::Closed,
        };
        Ok(Request {
            number: api.number(value, "/iid")?,
            url: api.text(value, "/web_url")?,
            title: api.text(value, "/title")?,
            state,
            draft: value["draft"] == true || value["work_in_progress"] == true,
            head: api.text(value, "/source_branch")?,
            // GitLab counts the commits after it has answered.
            commit: value["sha"].as_str().unwrap_or_default().to_owned(),
            base: api.text(value, "/target_branch")?,
        })
    }

    async fn find_open(&self, head: &str, base: &str) -> Result<Option<Request>, ForgeError> {
        let branches = format!("source_branch={}&target_branch={}", encoded(head), encoded(base));
        let path = self.path(&format!("/merge_requests?state=opened&{branches}&per_page={PAGE}"));
        let found = self.0.list(&path, PAGE, |_| false).await?;
        let is_ours = |one: &&Value| {
            let here = one["source_project_id"] == one["target_project_id"];
            one["source_branch"] == head && one["target_branch"] == base && here
        };
        found.iter().find(is_ours).map(|one| self.request(one)).transpose()
    }

    fn fields(new: &NewRequest) -> Value {
        json!({
            "source_branch": new.head.as_str(), "target_branch": new.base.as_str(),
            "title": title(&new.title, if new.draft { DRAFT } else { "" }), "description": body(&new.body),
        })
    }

    fn is_open_already(refusal: &Refusal) -> bool {
        refusal.status.as_u16() == 409
    }

    async fn all_checks(&self, commit: &str) -> Result<Vec<CheckRun>, ForgeError> {
        let path = self.path(&format!("/repository/commits/{}/statuses?per_page={PAGE}", encoded(commit)));
        let statuses = self.0.list(&path, PAGE, |_| false).await?;
        let check = |status: &Value| {
            let state = match status["status"].as_str() {
                Some("success" | "skipped" | "manual") => CheckState::Passed,
                Some("failed" | "canceled") if status["allow_failure"] == true => CheckState::Passed,
                Some("failed" | "canceled") => CheckState::Failed,
                _ => CheckState::Pending,
            };
            let words =
                [&status["status"], &status["description"]].map(|part| part.as_str().unwrap_or_default());
            Ok(CheckRun {
                name: self.0.text(status, "/name")?,
                state,
                words: words.join(" ").trim().to_owned(),
                url: status["target_url"].as_str().map(str::to_owned),
            })
        };
        statuses.iter().map(check).collect()
    }

    async fn all_comments(&self, number: u64, since: Millis) -> Result<Vec<Comment>, ForgeError> {
        let path = self
            .path(&format!("/merge_requests/{number}/notes?sort=desc&order_by=updated_at&per_page={PAGE}"));
        // The newest come first, so that what is older need not be read.
        let is_old = |note: &Value| is_new(&note["updated_at"], since).is_none();
        let notes = self.0.list(&path, PAGE, is_old).await?;
        let said = notes.iter().filter(|note| note["system"] != true);
        let read = |note: &Value| {
            let found = comment(note, ("note", "/updated_at"), "/author/username", since)?;
            let position = &note["position"];
            let path = position["new_path"].as_str().or(position["old_path"].as_str()).map(str::to_owned);
            let line = position["new_line"].as_u64().or(position["old_line"].as_u64());
            Some(Comment { path, line, ..found })
        };
        Ok(in_order(said.filter_map(read).collect()))
    }
}
