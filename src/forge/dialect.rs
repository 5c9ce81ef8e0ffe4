//! What forges have in common, and what each says in its own way.

use std::future::Future;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::{
    domain::{Millis, branch::BranchName},
    ports::forge::{CheckRun, Comment, Forge, ForgeError, NewRequest, Opened, Request},
};

use super::api::{Api, Refusal, body};

/// One repository at a forge, in the forge's own way. Whatever speaks so is a [`Forge`].
pub(super) trait Dialect: Clone + Send + Sync + 'static {
    /// Where pull requests lie below the repository.
    const REQUESTS: &'static str;
    /// Where what can be talked about lies below the repository, and what was said below each.
    const TALK: (&'static str, &'static str);

    /// The calls.
    fn api(&self) -> &Api;

    /// A path below the repository.
    fn path(&self, rest: &str) -> String;

    /// Reads a pull request.
    fn request(&self, value: &Value) -> Result<Request, ForgeError>;

    /// What opens a pull request.
    fn fields(new: &NewRequest) -> Value;

    /// Somebody was faster, or an earlier call came through after all.
    fn is_open_already(refusal: &Refusal) -> bool;

    /// The open pull request of a branch of this repository into another.
    fn find_open(
        &self,
        head: &str,
        base: &str,
    ) -> impl Future<Output = Result<Option<Request>, ForgeError>> + Send;

    /// All checks of a commit.
    fn all_checks(&self, commit: &str) -> impl Future<Output = Result<Vec<CheckRun>, ForgeError>> + Send;

    /// What people wrote since a moment, in order.
    fn all_comments(
        &self,
        number: u64,
        since: Millis,
    ) -> impl Future<Output = Result<Vec<Comment>, ForgeError>> + Send;
}

async fn open_one<D: Dialect>(forge: D, new: NewRequest) -> Result<Opened, ForgeError> {
    let (head, base) = (new.head.as_str(), new.base.as_str());
    if let Some(request) = forge.find_open(head, base).await? {
        return Ok(Opened { request, existed: true });
    }
    let refusal = match forge.api().post(&forge.path(D::REQUESTS), &D::fields(&new)).await? {
        Ok(value) => return Ok(Opened { request: forge.request(&value)?, existed: false }),
        Err(refusal) => refusal,
    };
    if D::is_open_already(&refusal)
        && let Some(request) = forge.find_open(head, base).await?
    {
        return Ok(Opened { request, existed: true });
    }
    Err(refusal.into())
}

impl<D: Dialect> Forge for D {
    fn find(
        &self,
        head: BranchName,
        base: BranchName,
    ) -> BoxFuture<'static, Result<Option<Request>, ForgeError>> {
        let forge = self.clone();
        Box::pin(async move { forge.find_open(head.as_str(), base.as_str()).await })
    }

    fn open(&self, new: NewRequest) -> BoxFuture<'static, Result<Opened, ForgeError>> {
        Box::pin(open_one(self.clone(), new))
    }

    fn state(&self, number: u64) -> BoxFuture<'static, Result<Request, ForgeError>> {
        let forge = self.clone();
        Box::pin(async move {
            let path = forge.path(&format!("{}/{number}", D::REQUESTS));
            forge.request(&forge.api().get(&path).await?)
        })
    }

    fn checks(&self, commit: String) -> BoxFuture<'static, Result<Vec<CheckRun>, ForgeError>> {
        let forge = self.clone();
        Box::pin(async move { forge.all_checks(&commit).await })
    }

    fn comments(&self, number: u64, since: Millis) -> BoxFuture<'static, Result<Vec<Comment>, ForgeError>> {
        let forge = self.clone();
        Box::pin(async move { forge.all_comments(number, since).await })
    }

    fn comment(&self, number: u64, text: String) -> BoxFuture<'static, Result<(), ForgeError>> {
        let forge = self.clone();
        Box::pin(async move {
            let (above, below) = D::TALK;
            let path = forge.path(&format!("{above}/{number}{below}"));
            forge.api().post(&path, &json!({"body": body(&text)})).await??;
            Ok(())
        })
    }
}
