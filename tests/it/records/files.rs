//! The download route: own files, harmless headers, no way out of the folder.

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{Method, Response};
use serde_json::json;

use super::begin;
use crate::support::*;

/// Sends a file with a message and gives its id.
async fn upload(site: &Site, user: &User, name: &str, media_type: &str, bytes: &[u8]) -> String {
    let file = json!({"filename": name, "mediaType": media_type, "data": STANDARD.encode(bytes)});
    user.ask_as(json!({"message": "look", "attachments": [file]})).await;
    site.text("SELECT id FROM files ORDER BY id DESC LIMIT 1")
}

async fn download(user: &User, id: &str) -> Response {
    user.request(Method::GET, &format!("/api/files/{id}")).send().await.unwrap()
}

#[tokio::test]
async fn a_file_comes_back_as_it_was_under_its_name_and_cannot_act_in_a_browser() {
    let (_model, site, _server, user) = begin("", |_| Reply::say("fine"));
    let page = b"<script>alert(1)</script>\0\xff";
    let id = upload(&site, &user, "../../page.html", "text/html", page).await;
    let response = download(&user, &id).await;
    assert_eq!(response.status(), 200);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-disposition"), r#"attachment; filename="page.html""#);
    assert_eq!(header("content-type"), "text/html");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("content-security-policy"), "sandbox");
    assert_eq!(header("content-length"), page.len().to_string());
    assert_eq!(response.bytes().await.unwrap(), page.as_slice());
    let id = upload(&site, &user, "отчёт \"1\".txt", "text/plain", b"x").await;
    let response = download(&user, &id).await;
    let disposition = response.headers()["content-disposition"].to_str().unwrap();
    assert!(
        disposition.starts_with("attachment; filename=\"_____ 1.txt\"; filename*=UTF-8''"),
        "{disposition}"
    );
    assert!(disposition.contains("%D0%BE%D1%82%D1%87%D1%91%D1%82%201.txt"), "{disposition}");
}

#[tokio::test]
async fn a_file_is_given_to_its_user_and_to_those_who_may_act_for_them() {
    let (_model, site, server, owner) = begin("", |_| Reply::say("fine"));
    let ann = User::new(&server.base, &site.key("ann", "developer"));
    let bob = User::new(&server.base, &site.key("bob", "developer"));
    let id = upload(&site, &ann, "a.txt", "text/plain", b"ann's").await;
    assert_eq!(site.text("SELECT user_id FROM files"), "ann");
    for (user, status) in [(&ann, 200), (&owner, 200), (&bob, 404)] {
        assert_eq!(download(user, &id).await.status(), status);
    }
    let strange = download(&bob, &id).await.json::<serde_json::Value>().await.unwrap();
    let none = download(&bob, "no-such-file").await.json::<serde_json::Value>().await.unwrap();
    assert_eq!(strange, none, "whether it exists is not told");
    assert_eq!(ann.bare(Method::GET, &format!("/api/files/{id}")).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn no_path_leads_out_of_the_folder() {
    let (_model, site, _server, user) = begin("", |_| Reply::say("fine"));
    let id = upload(&site, &user, "a.txt", "text/plain", b"fine").await;
    let shelf = &id[id.len() - 2..];
    for path in [
        "..%2F..%2Fatoll.db",
        "..%2f..%2f..%2fconfig.yaml",
        "%2Fetc%2Fpasswd",
        &format!("{shelf}%2F{id}"),
        &format!(".{id}"),
        &format!("{id}%00"),
        &id.to_uppercase(),
        "..%5C..%5Catoll.db",
        "%2e%2e",
        "x%27%20OR%201=1",
    ] {
        let response = download(&user, path).await;
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(code_of(&response.json().await.unwrap()), "not_found");
    }
    assert_eq!(download(&user, &id).await.bytes().await.unwrap(), "fine");
    let path = site.home().join("files").join(shelf).join(&id);
    std::fs::remove_file(path).unwrap();
    let gone = download(&user, &id).await;
    assert_eq!(gone.status(), 404, "a file whose bytes are gone is no server error");
}
