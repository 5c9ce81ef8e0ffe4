//! What goes wrong at a forge is told with what to do about it, and never with the token.

use std::net::TcpListener;

use atoll::{
    domain::project::ForgeKind,
    domain::{remote::RemoteUrl, secret::Secret},
    forge::{ForgeConfig, forge},
    net::{Clients, install_tls},
    ports::forge::ForgeError,
};
use serde_json::{Value, json};

use super::{
    github::mock,
    mock::{TOKEN, branch, new},
};

const REPO: &str = "https://github.com/ann/app";

async fn told(status: u16, headers: &[(&str, &str)], body: Value) -> ForgeError {
    let mock = mock();
    let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    mock.state.lock().unwrap().planned.push(("/pulls/1".into(), (status, headers, body)));
    let error = mock.forge(ForgeKind::Github, "", REPO).state(1).await.unwrap_err();
    assert!(!error.to_string().contains(TOKEN), "{error}");
    error
}

#[tokio::test]
async fn errors_say_what_to_do() {
    let echo = json!({"message": format!("bad credentials: {TOKEN}")});
    for (status, words) in [
        (401, "make a new one"),
        (403, "needs to read and write pull requests"),
        (404, "check the project's address"),
        (301, "new address"),
        (422, "does not take this"),
        (500, "fault of its own"),
        (200, "bad credentials"),
    ] {
        let error = told(status, &[], echo.clone()).await;
        if status == 200 {
            assert!(matches!(error, ForgeError::Odd(_)), "{error}");
        } else {
            assert!(error.to_string().contains(words), "{status}: {error}");
        }
        assert_eq!(error.may_pass(), status == 500);
    }
    let html = told(200, &[], Value::Null).await;
    assert!(html.to_string().contains("api_url"), "{html}");
    let escapes = told(422, &[], json!({"message": "a\u{1b}[2Jb"})).await;
    assert!(!escapes.to_string().contains('\u{1b}'), "{escapes}");
}

#[tokio::test]
async fn too_many_calls_are_told_with_how_long_to_wait() {
    let wait = |after_ms| ForgeError::Wait { after_ms };
    assert_eq!(told(429, &[("retry-after", "7")], json!({})).await, wait(7_000));
    assert_eq!(told(403, &[("retry-after", "30")], json!({})).await, wait(30_000));
    assert_eq!(told(403, &[("x-ratelimit-remaining", "0")], json!({})).await, wait(600_000));
    assert!(wait(1).may_pass());
}

#[tokio::test]
async fn a_wrong_token_a_closed_door_and_a_refusal_without_one_there_are_errors() {
    let mock = mock();
    let wrong = mock.forge_with(ForgeKind::Github, "", REPO, "wrong-token-77");
    let error = wrong.open(new(false)).await.unwrap_err();
    assert!(matches!(&error, ForgeError::Denied(words) if !words.contains("wrong-token-77")), "{error}");
    let refused = json!({"message": "Validation Failed", "errors": [{"message": "Draft pull requests are not supported in this repository."}]});
    let plan = |state: &mut super::mock::State, body: Value| {
        state.planned.push(("/pulls".into(), (200, vec![], json!([]))));
        state.planned.push(("/pulls".into(), (422, vec![], body)));
    };
    plan(&mut mock.state.lock().unwrap(), refused);
    let error = mock.forge(ForgeKind::Github, "", REPO).open(new(true)).await.unwrap_err();
    assert!(
        matches!(&error, ForgeError::Refused(words) if words.contains("Draft pull requests are not")),
        "{error}"
    );
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    install_tls();
    let config = |repo: &str, api: Option<String>, token: &str| ForgeConfig {
        kind: ForgeKind::Gitea,
        remote: RemoteUrl::parse(repo).unwrap(),
        api_url: api,
        token: Secret::new(token),
    };
    let closed = forge(config(REPO, Some(format!("http://{free}")), "t"), &Clients::default()).unwrap();
    let error = closed.find(branch("a"), branch("b")).await.unwrap_err();
    assert!(error.may_pass(), "{error}");
    for (repo, api, token) in [
        ("/srv/x.git", None, "t"),
        ("https://h.org/only", None, "t"),
        ("https://h.org/a/b/c", None, "t"),
        (REPO, None, ""),
        (REPO, None, "two\nlines"),
        (REPO, Some("http://github.com/api".to_owned()), "t"),
        (REPO, Some("ftp://x/y".to_owned()), "t"),
    ] {
        assert!(forge(config(repo, api.clone(), token), &Clients::default()).is_err(), "{repo} {api:?}");
    }
}
