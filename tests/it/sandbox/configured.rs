//! What the configuration says of sandboxes is so, by the real binary.

use serde_json::Value;

use super::bench::{docker, socket};
use crate::support::*;

/// A site whose sandboxes are configured so.
fn site(more: &str) -> Site {
    let socket = socket();
    Site::new(&format!("sandbox: {{docker: '{}', {more}}}\nllm: {{provider: rehearsal}}", socket.display()))
}

/// What `atoll sandbox test` shows.
fn tested(site: &Site) -> (bool, Value) {
    let output = site.run(&["sandbox", "test", "--json"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{errors}"));
    (output.status.success(), report)
}

fn seen<'r>(report: &'r Value, name: &str) -> &'r str {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap()["seen"].as_str().unwrap()
}

#[tokio::test]
async fn gvisor_is_used_unless_runc_is_asked_for_and_then_it_is_warned_of() {
    let gvisor = site("tmp_mib: 64");
    let (ok, report) = tested(&gvisor);
    assert!(ok && report["holds"] == true && report["runtime"] == "runsc", "{report:#}");
    assert!(seen(&report, "kernel").starts_with("gVisor"), "{report:#}");
    let server = gvisor.start();
    let user = User::new(&server.base, &gvisor.key("me", "owner"));
    let sandbox = health(&user).await;
    assert!(
        sandbox["status"] == "ok" && sandbox["details"].to_string().contains("self-test holds"),
        "{sandbox}"
    );
    assert!(gvisor.say(&["status"]).contains("the self-test holds"));
    drop(server);

    let runc = site("tmp_mib: 64, runtime: runc");
    let (ok, report) = tested(&runc);
    assert!(ok && seen(&report, "kernel").contains("machine's own"), "{report:#}");
    let server = runc.start();
    let sandbox = health(&User::new(&server.base, &runc.key("me", "owner"))).await;
    assert_eq!(sandbox["status"], "warning");
    assert!(sandbox["advice"].to_string().contains("kernel of this machine"), "{sandbox}");
}

#[tokio::test]
async fn status_has_the_sandbox_tested_when_nobody_did() {
    let fresh = site("tmp_mib: 64");
    let server = fresh.start();
    let before = health(&User::new(&server.base, &fresh.key("me", "owner"))).await;
    assert!(before["details"].to_string().contains("not tested yet"), "{before}");
    assert!(fresh.say(&["status"]).contains("the self-test holds"));
}

async fn health(user: &User) -> Value {
    let health = user.look("/api/v1/health").await;
    let checks = health["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == "sandbox").unwrap().clone()
}

#[tokio::test]
async fn a_sandbox_gets_what_the_configuration_gives_it() {
    let (_, usual) = tested(&site("tmp_mib: 1024"));
    assert_eq!(seen(&usual, "container"), "4096 MiB memory without swap, 2 processors");
    assert!(seen(&usual, "limits").starts_with("/tmp 1024 MiB"), "{usual:#}");
    assert!(seen(&usual, "limits").ends_with("512 processes"), "{usual:#}");
    assert!(seen(&usual, "disk").ends_with("ended beyond 10240 MiB"), "{usual:#}");
    let (ok, own) = tested(&site("memory_mib: 300, cpus: 0.5, processes: 40, tmp_mib: 20, disk_mib: 99"));
    assert!(ok, "{own:#}");
    assert_eq!(seen(&own, "container"), "300 MiB memory without swap, 0.5 processors");
    assert!(seen(&own, "limits").starts_with("/tmp 20 MiB"), "{own:#}");
    assert!(seen(&own, "limits").ends_with("40 processes"), "{own:#}");
    assert!(seen(&own, "disk").ends_with("ended beyond 99 MiB"), "{own:#}");
}

#[tokio::test]
async fn the_configured_image_is_the_one_that_is_used() {
    let lacking = site("image: 'atoll-nowhere:1'");
    let output = lacking.run(&["sandbox", "test"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("atoll-nowhere:1"), "{errors}");
    assert!(errors.contains("atoll sandbox build"), "{errors}");

    let docker = docker().await;
    let name = format!("atoll-test-{}:1", std::process::id());
    let (repo, tag) = name.split_once(':').unwrap();
    let options = bollard::query_parameters::TagImageOptionsBuilder::default().repo(repo).tag(tag).build();
    docker.tag_image("atoll-sandbox:latest", Some(options)).await.unwrap();
    let (ok, report) = tested(&site(&format!("image: '{name}', tmp_mib: 64")));
    let gone = docker.remove_image(&name, None::<bollard::query_parameters::RemoveImageOptions>, None).await;
    assert!(ok && seen(&report, "image").starts_with(&name), "{report:#}");
    gone.unwrap();
}

#[tokio::test]
async fn docker_is_looked_for_where_the_configuration_says_and_nobody_fails_without_it() {
    let lacking = Site::new("sandbox: {docker: /nowhere/docker.sock}\nllm: {provider: rehearsal}");
    let server = lacking.start();
    let user = User::new(&server.base, &lacking.key("me", "owner"));
    let sandbox = health(&user).await;
    assert_eq!(sandbox["status"], "ok", "it is off, not broken");
    let advice = sandbox["advice"].as_str().unwrap();
    assert!(advice.contains("/nowhere/docker.sock") && advice.contains("install"), "{sandbox}");
    assert!(lacking.say(&["status"]).contains("not set up"), "and the command line says so");
    let output = lacking.run(&["sandbox", "list"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("sandbox.docker"));
    assert!(site("tmp_mib: 64").say(&["sandbox", "list"]).contains("no sandboxes"));
}

#[tokio::test]
async fn what_was_left_behind_is_listed_and_cleaned_but_not_under_a_running_server() {
    let site = site("tmp_mib: 64");
    site.say(&["sandbox", "list"]);
    let config = atoll::config::parse(
        &format!("sandbox: {{docker: '{}', tmp_mib: 64}}", socket().display()),
        "",
        &|_: &str| None,
    );
    let home = atoll::home::Home::open(&site.home()).unwrap();
    let all = atoll::app::sandboxes(&home, &config.unwrap().sandbox);
    let spec = atoll::ports::sandbox::SandboxSpec {
        owner: atoll::ports::sandbox::Owner { kind: "skill".into(), id: "left-over".into() },
        image: None,
        limits: super::bench::limits(),
        mounts: Vec::new(),
        env: [].into(),
    };
    let sandbox = all.create(spec).await.unwrap();
    let list: Value = serde_json::from_str(&site.say(&["sandbox", "list", "--json"])).unwrap();
    let one = &list["sandboxes"][0];
    assert_eq!((&one["id"], &one["running"]), (&Value::from(sandbox.id()), &Value::from(true)));
    assert_eq!((&one["kind"], &one["owner"]), (&Value::from("skill"), &Value::from("left-over")));
    assert!(site.say(&["sandbox", "list"]).contains("left-over"));
    let server = site.start();
    let refused = site.run(&["sandbox", "clean"]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("atoll stop"));
    assert!(server.stop().success());
    assert_eq!(site.say(&["sandbox", "clean"]), "sandboxes ended: 1");
    assert!(!sandbox.died().await.is_empty());
    assert!(site.say(&["sandbox", "list"]).contains("no sandboxes"));
}
