//! What happens to a task is posted to its address: signed, again until it is taken, and only where it may go.

use std::sync::{Arc, Mutex};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{
    http::{Asked, HttpServer, Told},
    *,
};

const SECRET: &str = "channels: {webhook: {secret: s3cret}}";

async fn project(server: &Server, site: &Site) -> User {
    let owner = User::new(&server.base, &site.key("me", "owner"));
    crate::board::made(&owner, "/api/v1/projects", json!({"name": "App", "repoUrl": "/srv/app.git"})).await;
    owner
}

fn signed(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"s3cret").unwrap();
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_callback_goes_to_the_internet_unless_others_are_allowed() {
    for (config, private) in [("", 400), ("\njobs: {private_callbacks: true}", 201)] {
        let site = Site::new(&format!("llm: {{provider: rehearsal}}\n{SECRET}{config}"));
        let server = site.start();
        let owner = project(&server, &site).await;
        for (url, status) in [
            ("https://ci.example.org/hook", 201),
            ("http://127.0.0.1:9/hook", private),
            ("http://localhost/hook", private),
            ("ftp://ci.example.org", 400),
        ] {
            let body = json!({"projectId": "app", "instruction": "x", "callbackUrl": url});
            let (got, answer) = owner.post("/api/v1/tasks", body).await;
            assert_eq!(got, status, "{url}: {answer}");
        }
    }
}

#[tokio::test]
async fn without_a_secret_no_callback_is_taken() {
    let site = Site::new("llm: {provider: rehearsal}");
    let server = site.start();
    let owner = project(&server, &site).await;
    let body = json!({"projectId": "app", "instruction": "x", "callbackUrl": "https://ci.example.org/hook"});
    let (status, answer) = owner.post("/api/v1/tasks", body).await;
    assert!(status == 400 && answer.to_string().contains("channels.webhook.secret"), "{answer}");
}

#[tokio::test]
async fn the_end_of_a_task_is_posted_signed_until_it_is_taken_also_over_a_crash() {
    let heard: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let (hears, is_up) = (Arc::clone(&heard), Arc::new(Mutex::new(false)));
    let up = Arc::clone(&is_up);
    let receiver = HttpServer::start(move |asked| {
        hears.lock().unwrap().push(asked);
        match *up.lock().unwrap() {
            true => Told::Say(204, vec![], vec![]),
            false => Told::Say(503, vec![("retry-after".into(), "1".into())], vec![]),
        }
    });
    let config = "jobs: {private_callbacks: true}\nsandbox: {docker: /nonexistent/docker.sock}";
    let site = Site::new(&format!("llm: {{provider: rehearsal}}\n{SECRET}\n{config}"));
    let server = site.start();
    let owner = project(&server, &site).await;
    let url = format!("{}/hook?token=t0ken", receiver.url());
    let body = json!({"projectId": "app", "instruction": "mend it", "callbackUrl": url});
    let (status, made) = owner.post("/api/v1/tasks", body).await;
    assert_eq!(status, 201, "{made}");
    let task = format!("/api/v1/tasks/{}", made["jobId"].as_str().unwrap());
    until("it is parked without Docker", async || owner.get(&task).await.1["status"] == "parked").await;
    assert_eq!(owner.post(&format!("{task}/cancel"), json!({})).await.0, 200);
    until("it is posted", async || !heard.lock().unwrap().is_empty()).await;
    server.kill();
    *is_up.lock().unwrap() = true;
    let before = heard.lock().unwrap().len();
    let server = site.start();
    until("it is posted again", async || heard.lock().unwrap().len() > before).await;
    let heard = heard.lock().unwrap().clone();
    for asked in &heard {
        assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/hook"));
        assert_eq!(asked.header("x-signature"), signed(&asked.body));
        assert_eq!(asked.header("x-delivery-id"), heard[0].header("x-delivery-id"));
        assert!(asked.header("x-timestamp").parse::<i64>().unwrap() > 1_700_000_000);
        let told: Value = serde_json::from_slice(&asked.body).unwrap();
        let brief = (&told["type"], &told["status"], &told["jobId"]);
        assert_eq!(brief, (&json!("task:failed"), &json!("cancelled"), &made["jobId"]));
    }
    assert!(!site.log().contains("t0ken"), "the log holds what may be a secret");
    drop(server);
}
