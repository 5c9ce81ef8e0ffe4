//! Pull requests at GitHub (<https://docs.github.com/en/rest/pulls>).

use serde_json::{Value, json};

use crate::{
    domain::Millis,
    ports::forge::{CheckRun, CheckState, Comment, ForgeError, NewRequest, Request, RequestState},
};

use super::{
    api::{Api, Refusal, body, comment, encoded, in_order, moment, title},
    dialect::Dialect,
};

/// Items of a page.
const PAGE: usize = 100;

/// One repository at GitHub.
#[derive(Clone)]
pub(super) struct GitHub(pub(super) Api);

impl Dialect for GitHub {
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
        let merged = value["merged"] == true || value["merged_at"].is_string();
        let state = match api.text(value, "/state")?.as_str() {
            "open" => RequestState::Open,
            _ if merged => RequestState::Merged,
            _ => RequestState::Closed,
        };
        Ok(Request {
            number: api.number(value, "/number")?,
            url: api.text(value, "/html_url")?,
            title: api.text(value, "/title")?,
            state,
            draft: value["draft"] == true,
            head: api.text(value, "/head/ref")?,
            commit: api.text(value, "/head/sha")?,
            base: api.text(value, "/base/ref")?,
        })
    }

    async fn find_open(&self, head: &str, base: &str) -> Result<Option<Request>, ForgeError> {
        let owner = self.0.slug.split('/').next().unwrap_or_default();
        let (full, base_query) = (encoded(&format!("{owner}:{head}")), encoded(base));
        let path = self.path(&format!("/pulls?state=open&head={full}&base={base_query}&per_page={PAGE}"));
        let found = self.0.list(&path, PAGE, |_| false).await?;
        // An unknown filter would give all pull requests.
        let ours = found.iter().find(|one| one["head"]["ref"] == head && one["base"]["ref"] == base);
        ours.map(|one| self.request(one)).transpose()
    }

    fn fields(new: &NewRequest) -> Value {
        json!({
            "title": title(&new.title, ""), "head": new.head.as_str(), "base": new.base.as_str(),
            "body": body(&new.body), "draft": new.draft,
        })
    }

    fn is_open_already(refusal: &Refusal) -> bool {
        refusal.status.as_u16() == 422 && refusal.words.contains("already exists")
    }

    async fn all_checks(&self, commit: &str) -> Result<Vec<CheckRun>, ForgeError> {
        let commit = encoded(commit);
        let mut checks = Vec::new();
        let runs = self.0.get(&self.path(&format!("/commits/{commit}/check-runs?per_page={PAGE}"))).await?;
        for run in runs["check_runs"].as_array().into_iter().flatten() {
            let state = match (run["status"].as_str(), run["conclusion"].as_str()) {
                (Some("completed"), Some("success" | "neutral" | "skipped")) => CheckState::Passed,
                (Some("completed"), _) => CheckState::Failed,
                _ => CheckState::Pending,
            };
            let words =
                [&run["conclusion"], &run["output"]["title"]].map(|part| part.as_str().unwrap_or_default());
            checks.push(CheckRun {
                name: self.0.text(run, "/name")?,
                state,
                words: words.join(" ").trim().to_owned(),
                url: run["html_url"].as_str().map(str::to_owned),
            });
        }
        let status = self.0.get(&self.path(&format!("/commits/{commit}/status?per_page={PAGE}"))).await?;
        for status in status["statuses"].as_array().into_iter().flatten() {
            let state = match status["state"].as_str() {
                Some("success") => CheckState::Passed,
                Some("pending") => CheckState::Pending,
                _ => CheckState::Failed,
            };
            checks.push(CheckRun {
                name: self.0.text(status, "/context")?,
                state,
                words: status["description"].as_str().unwrap_or_default().to_owned(),
                url: status["target_url"].as_str().map(str::to_owned),
            });
        }
        Ok(checks)
    }

    async fn all_comments(&self, number: u64, since: Millis) -> Result<Vec<Comment>, ForgeError> {
        let from = encoded(&moment(since));
        let talk = self.path(&format!("/issues/{number}/comments?since={from}&per_page={PAGE}"));
        let lines = self.path(&format!("/pulls/{number}/comments?since={from}&per_page={PAGE}"));
        let reviews = self.path(&format!("/pulls/{number}/reviews?per_page={PAGE}"));
        let mut comments = Vec::new();
        for (path, at) in [
            (talk, ("comment", "/updated_at")),
            (lines, ("line", "/updated_at")),
            (reviews, ("review", "/submitted_at")),
        ] {
            let found = self.0.list(&path, PAGE, |_| false).await?;
            comments.extend(found.iter().filter_map(|one| comment(one, at, "/user/login", since)));
        }
        Ok(in_order(comments))
    }
}
