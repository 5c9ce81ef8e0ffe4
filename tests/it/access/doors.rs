//! What stands before the keys: the name that is addressed, the web page that asks, the size, the address.

use reqwest::{Method, Response};
use serde_json::json;

use super::begin;
use crate::support::*;

const PAGE: &str = "https://panel.example";

async fn with(user: &User, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = user.request(method, path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

fn cors(response: &Response) -> Vec<&str> {
    response
        .headers()
        .keys()
        .map(|name| name.as_str())
        .filter(|name| name.starts_with("access-control"))
        .collect()
}

#[tokio::test]
async fn a_name_that_is_not_ours_is_refused_before_the_key_is_looked_at() {
    let (_model, site, server) = begin("server: {port: 0, allowed_hosts: [atoll.example]}");
    let user = User::new(&server.base, &site.key("me", "owner"));
    for host in ["evil.example", "evil.example:7700", "127.0.0.1.evil.example", "localhost.evil.example"] {
        for path in ["/api/skills", "/healthz"] {
            let response = with(&user, Method::GET, path, &[("host", host)]).await;
            assert_eq!(response.status(), 421, "{host} {path}");
            assert_eq!(code_of(&response.json().await.unwrap()), "wrong_host");
        }
    }
    for host in ["localhost", "localhost:1", "127.0.0.1", "[::1]:7700", "ATOLL.example:443"] {
        assert_eq!(with(&user, Method::GET, "/api/skills", &[("host", host)]).await.status(), 200, "{host}");
    }
}

#[tokio::test]
async fn web_pages_are_shut_out_by_default() {
    let (_model, site, server) = begin("");
    let user = User::new(&server.base, &site.key("me", "owner"));
    for origin in [PAGE, "null", "http://localhost:3000", "http://127.0.0.1"] {
        for method in [Method::GET, Method::OPTIONS] {
            let response = with(&user, method, "/api/skills", &[("origin", origin)]).await;
            assert_eq!(response.status(), 403, "{origin}");
            assert_eq!(cors(&response), Vec::<&str>::new());
            assert_eq!(code_of(&response.json().await.unwrap()), "origin_not_allowed");
        }
    }
    let own = with(&user, Method::GET, "/api/skills", &[("origin", &server.base)]).await;
    assert_eq!((own.status().as_u16(), cors(&own)), (200, vec![]), "the server's own pages need no CORS");
    assert_eq!(own.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn an_allowed_web_page_may_ask_and_read_also_what_went_wrong() {
    let (model, site, server) = begin(&format!("server: {{port: 0, allowed_origins: ['{PAGE}']}}"));
    let user = User::new(&server.base, &site.key("me", "owner"));
    let ask = [("origin", PAGE), ("access-control-request-method", "POST")];
    let request =
        user.bare(Method::OPTIONS, "/api/chat").header(ask[0].0, ask[0].1).header(ask[1].0, ask[1].1);
    let preflight = request.send().await.unwrap();
    assert_eq!(preflight.status(), 204, "a browser asks first, without a key");
    let allowed = preflight.headers()["access-control-allow-headers"].to_str().unwrap();
    for header in ["authorization", "content-type", "idempotency-key", "last-event-id"] {
        assert!(allowed.contains(header), "{allowed}");
    }
    for (key, status) in [(user.key.as_str(), 200), ("atoll_wrong", 401)] {
        let response =
            with(&User::new(&server.base, key), Method::GET, "/api/skills", &[("origin", PAGE)]).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["access-control-allow-origin"], PAGE);
        assert_eq!(response.headers()["vary"], "origin");
        let shown = response.headers()["access-control-expose-headers"].to_str().unwrap();
        assert!(shown.contains("x-message-id") && shown.contains("retry-after"), "{shown}");
        assert!(!response.headers().contains_key("access-control-allow-credentials"));
    }
    for origin in ["https://panel.example.evil", "http://panel.example", "https://other.example"] {
        assert_eq!(
            with(&user, Method::GET, "/api/skills", &[("origin", origin)]).await.status(),
            403,
            "{origin}"
        );
    }
    assert_eq!(model.count(), 0);
}

#[tokio::test]
async fn a_body_beyond_the_cap_is_refused_whether_its_length_is_told_or_not() {
    let (model, site, server) =
        begin("server: {port: 0, max_body_mib: 1}\nagent: {max_input_length: 2000000}");
    let user = User::new(&server.base, &site.key("me", "owner"));
    let body = json!({"message": "x".repeat(1_100_000)}).to_string();
    let post = || user.request(Method::POST, "/api/chat").header("content-type", "application/json");
    let pieces: Vec<Result<Vec<u8>, std::io::Error>> =
        body.as_bytes().chunks(50_000).map(|piece| Ok(piece.to_vec())).collect();
    let chunked = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    for request in [post().body(body.clone()), post().body(chunked)] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 413);
        assert_eq!(code_of(&response.json().await.unwrap()), "body_too_large");
    }
    assert_eq!((model.count(), site.number("SELECT count(*) FROM inbound")), (0, 0));
    assert_eq!(user.ask(&"x".repeat(1_000_000)).await, "fine");
}

#[tokio::test]
async fn a_server_that_others_can_reach_needs_a_valid_key_first() {
    let model = MockModel::start(|_| Reply::say("never"));
    let site = Site::new(&with_model(&model, "server: {host: 0.0.0.0, port: 0}"));
    let refused = |site: &Site| {
        let log = site.try_start(&[]).err().expect("it must not come up");
        assert!(log.contains("0.0.0.0") && log.contains("atoll keys create"), "{log}");
    };
    refused(&site);
    site.key("me", "owner");
    drop(site.start());
    site.say(&["keys", "revoke", &site.text("SELECT id FROM keys")]);
    refused(&site);
    site.configure(&with_model(&model, "server: {host: '::1', port: 0}"));
    drop(site.start());
}
