//! Pull requests at three forges, against stand-ins over real sockets that take nothing but what the real ones take.

mod gitea;
mod github;
mod gitlab;
mod mock;
mod troubles;

pub(crate) use gitea::mock as gitea_mock;
pub(crate) use github::mock as github_mock;
pub(crate) use gitlab::mock as gitlab_mock;
pub(crate) use mock::TOKEN;
