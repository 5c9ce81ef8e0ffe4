//! Projects, boards, stories, bots and journals: over REST and on the command line, with the real binary.

mod bots;
mod claims;
mod cli;
mod members;
mod projects;
mod stories;

use serde_json::{Value, json};

use crate::support::*;

/// A quiet site with the project `app`, and its owner.
pub(crate) async fn begin() -> (Site, Server, User) {
    let site = Site::new("llm: {provider: rehearsal}\njobs: {bots: false}");
    let server = site.start();
    let owner = User::new(&server.base, &site.key("me", "owner"));
    made(&owner, "/api/v1/projects", json!({"name": "App", "repoUrl": "/srv/app.git"})).await;
    (site, server, owner)
}

/// Makes something, and gives it.
pub(crate) async fn made(user: &User, path: &str, body: Value) -> Value {
    let (status, made) = user.post(path, body.clone()).await;
    assert_eq!(status, 201, "POST {path} {body}: {made}");
    made
}

/// Makes a story in the column with this role, and gives its id.
async fn story(user: &User, title: &str, role: &str, more: Value) -> String {
    let mut body = json!({"title": title, "columnId": column(user, role).await});
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    id(&made(user, "/api/v1/projects/app/stories", body).await)
}

/// The id of the first column with this role.
async fn column(user: &User, role: &str) -> Value {
    let found = user.look("/api/v1/projects/app/board").await;
    let columns = found["board"]["columns"].as_array().unwrap();
    columns.iter().find(|column| column["role"] == role).unwrap()["id"].clone()
}

fn id(thing: &Value) -> String {
    thing["id"].as_str().unwrap().to_owned()
}

/// A user of a key of this role, who has this role in the project.
async fn member(site: &Site, owner: &User, name: &str, key: &str, role: &str) -> User {
    let user = User::new(&owner.base, &site.key(name, key));
    let path = format!("/api/v1/projects/app/members/{name}");
    let (status, body) = owner.patch(&path, json!({"role": role})).await;
    assert_eq!(status, 200, "{body}");
    user
}

/// Changes something that must be refused, and gives the status and the code.
async fn refused(user: &User, path: &str, body: Value) -> (u16, String) {
    let (status, answer) = user.patch(path, body).await;
    (status.as_u16(), code_of(&answer).to_owned())
}

/// The titles of stories, in order.
fn titles(found: &Value) -> Vec<&str> {
    found["stories"].as_array().unwrap().iter().map(|story| story["title"].as_str().unwrap()).collect()
}
