//! Pull requests at Gitea and Forgejo (<https://docs.gitea.com/api/>).

use serde_json::{Value, json};

use crate::{
    domain::Millis,
    ports::forge::{CheckRun, CheckState, Comment, ForgeError, NewRequest, Request, RequestState},
};

use super::{
    api::{Api, Refusal, body, comment, encoded, in_order, is_new, moment, title},
    dialect::Dialect,
};

/// Items of a page; servers give no more than 50 unless they are told to.
const PAGE: usize = 50;
/// What marks a draft.
const DRAFT: &str = "WIP: ";

/// One repository at Gitea or Forgejo.
#[derive(Clone)]
pub(super) struct Gitea(pub(super) Api);

impl Dialect for Gitea {
    const REQUESTS: &'static str = "/pulls";
    const TALK: (&'static str, &'static str) = ("/issues", "/comments");

    fn api(&self) -> &Api {
        &self.0
    }

    fn path(&self, rest: &str) -> String {
        format!("/repos/{}{rest}", self.0.slug)
    }

    fn request(&self, value: &Value) -> Result<Request, ForgeError> {
        let api = &self.0;
        let title = api.text(value, "/title")?;
        let state = match api.text(value, "/state")?.as_str() {
            "open" => RequestState::Open,
            _ if value["merged"] == true => RequestState::Merged,
            _ => RequestState::Closed,
        };
        Ok(Request {
            number: api.number(value, "/number")?,
            url: api.text(value, "/html_url")?,
            state,
            draft: value["draft"] == true || title.starts_with(DRAFT),
            title,
            head: api.text(value, "/head/ref")?,
            commit: api.text(value, "/head/sha")?,
            base: api.text(value, "/base/ref")?,
        })
    }

    async fn find_open(&self, head: &str, base: &str) -> Result<Option<Request>, ForgeError> {
        // The list has no filter for branches. Those of forks may have the same name.
        let is_ours = |one: &Value| {
            one["head"]["ref"] == head
                && one["base"]["ref"] == base
                && one["head"]["repo_id"] == one["base"]["repo_id"]
        };
        let path = self.path(&format!("/pulls?state=open&sort=recentupdate&limit={PAGE}"));
        let found = self.0.list(&path, PAGE, is_ours).await?;
        found.iter().find(|one| is_ours(one)).map(|one| self.request(one)).transpose()
    }

    fn fields(new: &NewRequest) -> Value {
        let title = title(&new.title, if new.draft { DRAFT } else { "" });
        json!({
            "title": title, "head": new.head.as_str(), "base": new.base.as_str(), "body": body(&new.body),
        })
    }

    fn is_open_already(refusal: &Refusal) -> bool {
        refusal.status.as_u16() == 409
    }

    async fn all_checks(&self, commit: &str) -> Result<Vec<CheckRun>, ForgeError> {
        let path = self.path(&format!("/commits/{}/status?limit={PAGE}", encoded(commit)));
        let status = self.0.get(&path).await?;
        let statuses = status["statuses"].as_array().into_iter().flatten();
        let check = |status: &Value| {
            let state = match status["status"].as_str() {
                Some("success" | "warning" | "skipped") => CheckState::Passed,
                Some("pending") => CheckState::Pending,
                _ => CheckState::Failed,
            };
            Ok(CheckRun {
                name: self.0.text(status, "/context")?,
                state,
                words: status["description"].as_str().unwrap_or_default().to_owned(),
                url: status["target_url"].as_str().filter(|url| !url.is_empty()).map(str::to_owned),
            })
        };
        statuses.map(check).collect()
    }

    async fn all_comments(&self, number: u64, since: Millis) -> Result<Vec<Comment>, ForgeError> {
        let from = encoded(&moment(since));
        // This list has no pages.
        let talk = self.0.get(&self.path(&format!("/issues/{number}/comments?since={from}"))).await?;
        let talk = talk.as_array().cloned().unwrap_or_default();
        let mut comments: Vec<Comment> = talk
            .iter()
            .filter_map(|one| comment(one, ("comment", "/updated_at"), "/user/login", since))
            .collect();
        let reviews = self
            .0
            .list(&self.path(&format!("/pulls/{number}/reviews?limit={PAGE}")), PAGE, |_| false)
            .await?;
        for review in &reviews {
            comments.extend(comment(review, ("review", "/submitted_at"), "/user/login", since));
            let is_new = is_new(&review["submitted_at"], since).is_some();
            if is_new && review["comments_count"].as_u64() != Some(0) {
                let id = self.0.number(review, "/id")?;
                let lines = self.0.get(&self.path(&format!("/pulls/{number}/reviews/{id}/comments"))).await?;
                for one in lines.as_array().into_iter().flatten() {
                    let line = one["position"].as_u64().filter(|line| *line > 0);
                    let found = comment(one, ("line", "/updated_at"), "/user/login", since);
                    comments.extend(found.map(|found| Comment { line, ..found }));
                }
            }
        }
        Ok(in_order(comments))
    }
}
