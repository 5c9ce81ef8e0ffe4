//! Tasks over REST: what is taken, who may do what, what is shown, and the files that are left.

use reqwest::Method;

use super::*;

#[tokio::test]
async fn a_task_that_does_not_fit_is_refused_with_the_reason() {
    let (site, _server, owner) = begin().await;
    let db = site.store();
    db.execute("INSERT INTO files VALUES ('f1', 'eve', 'a.txt', 'text/plain', 1, 1)", []).unwrap();
    let dora = member(&site, &owner, "dora", "developer").await;
    let long = "x".repeat(100_001);
    for (more, says) in [
        (json!({"instruction": ""}), "instruction must have 1 to 100000 characters"),
        (json!({"instruction": long}), "instruction must have 1 to 100000 characters"),
        (json!({"instruction": "a\u{0}b"}), "control character"),
        (json!({"title": ""}), "title must have"),
        (json!({"title": "a\nb"}), "control character"),
        (json!({"engineType": "magic"}), "engineType must be native, claude-code or codex"),
        (json!({"model": ""}), "model must have"),
        (json!({"priority": "proactive"}), "priority must be interactive or scheduled"),
        (json!({"verbosity": "loud"}), "verbosity must be quiet, normal or verbose"),
        (json!({"metadata": 7}), "metadata must be an object"),
        (json!({"attachments": ["none"]}), "no file of yours"),
        (json!({"attachments": ["f1"]}), "no file of yours"),
        (json!({"attachments": [{"filename": "a", "mediaType": "x", "data": ""}]}), "mediaType"),
        (json!({"attachments": [{"filename": "a", "mediaType": "a/b", "data": "?"}]}), "no base64"),
        (json!({"attachments": vec!["f"; 11]}), "at most 10"),
        (json!({"surprise": 1}), "unknown field"),
    ] {
        let mut body = json!({"projectId": "app", "instruction": "mend it"});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        let (status, answer) = dora.post("/api/v1/tasks", body).await;
        assert_eq!((status.as_u16(), code_of(&answer)), (400, "bad_request"), "{more}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(says), "{more}: {answer}");
    }
    assert_eq!(dora.post("/api/v1/tasks", json!({"instruction": "x"})).await.0, 400);
    let body = json!({"projectId": "other", "instruction": "x"});
    assert_eq!(dora.post("/api/v1/tasks", body).await.0, 404);
    assert_eq!(site.number("SELECT count(*) FROM jobs"), 0);
}

#[tokio::test]
async fn a_form_with_files_is_read_as_json_is() {
    let (site, _server, owner) = begin().await;
    let send = async |fields: &[(&str, &str)], more: &str| {
        let mut body = String::new();
        for (name, value) in fields {
            body += &format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        body += &format!("{more}--B--\r\n");
        let request = owner.request(Method::POST, "/api/v1/tasks");
        let request = request.header("content-type", "multipart/form-data; boundary=B").body(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let good = [("projectId", "app"), ("instruction", "mend it"), ("metadata", "{\"a\": 1}")];
    let file = "--B\r\nContent-Disposition: form-data; name=\"x\"; filename=\"shot.png\"\r\n\
                Content-Type: image/png\r\n\r\n\u{1}\u{2}\r\n";
    let (status, answer) = send(&good, file).await;
    assert!(matches!(status, 201 | 503), "it fits, and goes on to the jobs: {answer}");
    let kept = "SELECT group_concat(name || ' ' || media_type || ' ' || size) FROM files";
    assert_eq!(site.text(kept), "shot.png image/png 2");
    for (fields, says) in [
        (vec![("projectId", "app")], "missing field `instruction`"),
        (vec![("projectId", "app"), ("instruction", "x"), ("instruction", "y")], "there twice"),
        (vec![("projectId", "app"), ("instruction", "x"), ("metadata", "{")], "metadata is no JSON"),
        (vec![("projectId", "app"), ("instruction", "x"), ("other", "x")], "unknown field"),
        (vec![("projectId", "app"), ("instruction", "x"), ("attachments", "none")], "no file of yours"),
    ] {
        let (status, answer) = send(&fields, "").await;
        assert_eq!(status, 400, "{fields:?}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(says), "{fields:?}: {answer}");
    }
    for (kind, body, status) in [
        ("multipart/form-data", "--B--".to_owned(), 400),
        ("multipart/form-data; boundary=B", "--B".to_owned(), 400),
        ("multipart/form-data; boundary=B", "x".repeat(21 * 1024 * 1024), 413),
        ("text/plain", "x".to_owned(), 415),
    ] {
        let request = owner.request(Method::POST, "/api/v1/tasks").header("content-type", kind).body(body);
        assert_eq!(request.send().await.unwrap().status().as_u16(), status, "{kind}");
    }
}

#[tokio::test]
async fn the_same_key_gives_the_same_task_and_no_other() {
    let (site, _server, owner) = begin().await;
    let ann = member(&site, &owner, "ann", "developer").await;
    // As it is stored when it came first.
    let id = {
        use sha2::{Digest, Sha256};
        let hash = Sha256::digest(b"task/ann/k1");
        let bits = hash.iter().take(16).fold(0, |bits: u128, byte| bits << 8 | u128::from(*byte));
        atoll::domain::ids::encode_short(bits)
    };
    put(&site, task(&id));
    let send = async |key: &str, instruction: &str| {
        let body = json!({"projectId": "app", "instruction": instruction});
        let request = ann.request(Method::POST, "/api/v1/tasks").header("idempotency-key", key).json(&body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json::<Value>().await.unwrap())
    };
    let (status, answer) = send("k1", "mend the test").await;
    assert_eq!((status, &answer["jobId"], &answer["task"]["id"]), (201, &json!(id), &json!(id)));
    let (status, answer) = send("k1", "something else").await;
    assert_eq!((status, code_of(&answer)), (422, "idempotency_key_reused"));
    assert_eq!(send(&"k".repeat(201), "x").await.0, 400);
    assert_eq!(site.number("SELECT count(*) FROM jobs"), 1);
}

#[tokio::test]
async fn members_see_and_answer_by_their_role_and_strangers_find_nothing() {
    let (site, _server, owner) = begin().await;
    put(&site, task("j1"));
    let asked = until_asked("q1");
    goes(&site, "j1", &[], asked);
    let looks = ["", "/artefacts", "/egress", "/journal", "/logs"];
    let orders = [
        ("cancel", json!({})),
        ("retry", json!({})),
        ("follow-up", json!({"instruction": "more"})),
        ("steer", json!({"text": "so"})),
    ];
    let stranger = User::new(&owner.base, &site.key("sam", "developer"));
    let viewer = member(&site, &owner, "vera", "viewer").await;
    let dora = member(&site, &owner, "dora", "developer").await;
    for look in looks {
        let path = format!("/api/v1/tasks/j1{look}");
        assert_eq!(stranger.get(&path).await.0, 404, "{look}");
        for user in [&viewer, &dora, &owner] {
            assert_eq!(user.get(&path).await.0, 200, "{look}");
        }
    }
    for (order, body) in &orders {
        let path = format!("/api/v1/tasks/j1/{order}");
        assert_eq!(stranger.post(&path, body.clone()).await.0, 404, "{order}");
        assert_eq!(viewer.post(&path, body.clone()).await.0, 403, "{order}");
    }
    for answer in ["/api/v1/tasks/j1/approve", "/api/v1/tasks/j1/reject"] {
        assert_eq!(stranger.post(answer, json!({})).await.0, 404);
        assert_eq!(viewer.post(answer, json!({})).await.0, 403);
    }
    for user in [&stranger, &viewer] {
        let (status, _) = user.post("/api/v1/approvals/q1/approve", json!({})).await;
        assert_eq!(status, 404, "a question of somebody else's is as good as none");
    }
    assert_eq!(stranger.look("/api/v1/tasks").await, json!({"tasks": [], "total": 0}));
    assert_eq!(viewer.look("/api/v1/tasks").await["total"], 1);
    // She is no owner of the place, and it is another's task: as a developer of the project she may answer.
    let body = json!({"withoutPullRequest": true, "reason": "fine"});
    let (status, _) = dora.post("/api/v1/tasks/j1/approve", body).await;
    assert_eq!(status, 200);
    let row = "SELECT decided_by || ' ' || choice || ' ' || reason FROM approvals";
    assert_eq!(site.text(row), "dora no_request fine");
    let (status, answer) = dora.post("/api/v1/tasks/j1/reject", json!({})).await;
    assert_eq!(status, 409, "{answer}");
}

#[tokio::test]
async fn answers_also_come_by_the_list_of_questions_and_from_a_conversation() {
    let (site, _server, owner) = begin().await;
    for number in 1..=3 {
        let id = format!("j{number}");
        put(&site, task(&id));
        goes(&site, &id, &[], until_asked(&format!("q{number}")));
    }
    let dora = member(&site, &owner, "dora", "developer").await;
    let listed = owner.look("/api/v1/approvals?status=pending").await;
    let first =
        &listed["approvals"].as_array().unwrap().iter().find(|one| one["id"] == "q1").unwrap().clone();
    assert_eq!(
        (&first["kind"], &first["jobId"], &first["action"]),
        (&json!("commit"), &json!("j1"), &json!("7ree"))
    );
    for (choice, status) in [("maybe", 400), ("project", 400), ("no_request", 200), ("plain", 409)] {
        let (got, answer) = dora.post("/api/v1/approvals/q1/approve", json!({"choice": choice})).await;
        assert_eq!(got, status, "{choice}: {answer}");
    }
    let (status, answer) = dora.post("/api/v1/approvals/q2/reject", json!({"reason": "keep the name"})).await;
    assert_eq!(
        (status.as_u16(), &answer["status"], &answer["choice"]),
        (200, &json!("rejected"), &json!("plain"))
    );
    assert_eq!(dora.ask("/approve q3").await, "Approved.");
    let rows =
        "SELECT group_concat(decided_by || ' ' || choice, ', ') FROM (SELECT * FROM approvals ORDER BY id)";
    assert_eq!(site.text(rows), "dora no_request, dora plain, dora plain");
    let nobody = json!({"id": "x"});
    assert_eq!(dora.post("/api/v1/approvals/q1/approve", nobody).await.0, 400);
}

#[tokio::test]
async fn a_task_is_shown_with_all_that_is_known_of_it() {
    let (site, _server, owner) = begin().await;
    put(&site, task("j1"));
    let fresh = owner.look("/api/v1/tasks/j1").await;
    assert_eq!((&fresh["status"], &fresh["evidence"]), (&json!("queued"), &json!([])));
    let (status, answer) = owner.post("/api/v1/tasks/j1/approve", json!({})).await;
    assert_eq!((status.as_u16(), code_of(&answer)), (409, "not_now"));
    let asked = until_asked("q1");
    goes(&site, "j1", &[], asked.clone());
    let shown = owner.look("/api/v1/tasks/j1").await;
    for (key, value) in [
        ("id", json!("j1")),
        ("projectId", json!("app")),
        ("userId", json!("ann")),
        ("title", json!("Mend it")),
        ("instruction", json!("mend the test")),
        ("status", json!("awaiting_approval")),
        ("engineType", json!("native")),
        ("model", json!(null)),
        ("priority", json!("interactive")),
        ("verbosity", json!("normal")),
        ("output", json!("it is mended")),
        ("error", json!(null)),
        ("branch", json!("atoll/1-mend")),
        ("commitSha", json!("c0ffee")),
        ("tree", json!("7ree")),
        ("stat", json!("1 file changed, 2 insertions(+)")),
        ("flags", json!(["changes .github/workflows/ci.yml"])),
        ("prUrl", json!(null)),
        ("approvalId", json!("q1")),
        ("inputTokens", json!(0)),
        ("costUsd", json!(0.0)),
        ("createdAt", json!("2026-09-21T14:13:20.000Z")),
        ("startedAt", json!("2026-09-21T14:14:20.000Z")),
        ("endedAt", json!(null)),
        ("durationMs", json!(null)),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
    let check = &shown["evidence"][1];
    assert_eq!((&check["command"], &check["exit"]), (&json!("npm run lint"), &json!(1)));
    let journal = owner.look("/api/v1/tasks/j1/journal").await;
    assert_eq!(journal["entries"].as_array().unwrap().len(), asked.len());
    assert_eq!(
        (&journal["entries"][1]["entry"], &journal["entries"][1]["branch"]),
        (&json!("prepared"), &json!("atoll/1-mend"))
    );
    goes(&site, "j1", &asked, vec![over(Outcome::Failed, "the disk is full")]);
    let shown = owner.look("/api/v1/tasks/j1").await;
    assert_eq!((&shown["status"], &shown["error"]), (&json!("failed"), &json!("the disk is full")));
    assert_eq!((&shown["durationMs"], &shown["approvalId"]), (&json!(0), &json!(null)));
}

#[tokio::test]
async fn tasks_are_found_by_project_status_and_page() {
    let (site, _server, owner) = begin().await;
    crate::board::made(&owner, "/api/v1/projects", json!({"name": "Other", "repoUrl": "/srv/o.git"})).await;
    for (number, project) in [(1, "app"), (2, "app"), (3, "other")] {
        let project = ProjectId::new(project);
        put(&site, NewTask { project, at: 1_790_000_000_000 + number, ..task(&format!("j{number}")) });
    }
    goes(&site, "j2", &[], vec![over(Outcome::Cancelled, "by ann")]);
    for (query, ids, total) in [
        ("", json!(["j3", "j2", "j1"]), 3),
        ("?projectId=app", json!(["j2", "j1"]), 2),
        ("?status=cancelled", json!(["j2"]), 1),
        ("?over=false", json!(["j3", "j1"]), 2),
        ("?limit=1&offset=1", json!(["j2"]), 3),
        ("?botId=none", json!([]), 0),
        ("?storyId=none", json!([]), 0),
    ] {
        let found = owner.look(&format!("/api/v1/tasks{query}")).await;
        let found_ids: Vec<_> =
            found["tasks"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
        assert_eq!((json!(found_ids), &found["total"]), (ids, &json!(total)), "{query}");
        assert!(found["tasks"].as_array().unwrap().iter().all(|one| one.get("evidence").is_none()));
    }
    for bad in ["?status=lost", "?limit=0", "?limit=501", "?colour=red"] {
        assert_eq!(owner.get(&format!("/api/v1/tasks{bad}")).await.0, 400, "{bad}");
    }
}

#[tokio::test]
async fn what_a_task_made_can_be_had_and_nothing_else() {
    let (site, _server, owner) = begin().await;
    put(&site, task("j1"));
    let (status, answer) = owner.get("/api/v1/tasks/j1/diff").await;
    assert_eq!((status.as_u16(), code_of(&answer)), (404, "no_diff"));
    let files = files(&site);
    let job = JobId::new("j1");
    for (name, text) in [("diff.patch", "--- a\n+++ b\n"), ("verify-1.txt", "<script>alert(1)</script>")] {
        files.keep(&job, name, text.as_bytes().to_vec().into()).await.unwrap();
    }
    files.keep(&JobId::new("j2"), "diff.patch", b"of another".to_vec().into()).await.unwrap();
    let listed = owner.look("/api/v1/tasks/j1/artefacts").await;
    assert_eq!(
        listed["artefacts"],
        json!([{"name": "diff.patch", "bytes": 12}, {"name": "verify-1.txt", "bytes": 25}])
    );
    let get =
        async |path: &str| owner.request(Method::GET, &format!("/api/v1/tasks/{path}")).send().await.unwrap();
    let diff = get("j1/diff").await;
    assert_eq!(diff.headers()["content-type"], "text/x-diff; charset=utf-8");
    assert_eq!(diff.text().await.unwrap(), "--- a\n+++ b\n");
    let file = get("j1/artefacts/verify-1.txt").await;
    for (header, value) in [
        ("content-type", "application/octet-stream"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox"),
        ("content-disposition", "attachment; filename=\"verify-1.txt\""),
    ] {
        assert_eq!(file.headers()[header], value, "{header}");
    }
    assert_eq!(file.text().await.unwrap(), "<script>alert(1)</script>");
    for bad in [
        "none",
        ".hidden",
        "..%2F..%2Fj2%2Fartefacts%2Fdiff.patch",
        "%2e%2e%2flog",
        "..%5C..%5Cx",
        "%2Fetc%2Fpasswd",
        "diff.patch%00",
        "%C3%A4",
    ] {
        assert_eq!(get(&format!("j1/artefacts/{bad}")).await.status(), 404, "{bad}");
    }
    for bad in ["..%2Fj1", "%2e%2e", "j1%00", "J1"] {
        for what in ["diff", "logs", "artefacts/diff.patch"] {
            assert_eq!(get(&format!("{bad}/{what}")).await.status(), 404, "{bad} {what}");
        }
    }
}

#[tokio::test]
async fn requests_of_a_sandbox_are_listed_the_newest_first() {
    use atoll::domain::gateway::{EgressKind, EgressRecord, Verdict};
    let (site, _server, owner) = begin().await;
    put(&site, task("j1"));
    let record = |at, kind, host: &str, verdict| EgressRecord {
        at,
        kind,
        host: host.into(),
        verdict,
        sent: 10,
        received: 20,
        ms: 30,
    };
    let refused = Verdict::Refused { why: "not on the list".into(), ask: true };
    let records = [
        record(0, EgressKind::Model, "anthropic", Verdict::Allowed),
        record(1_000, EgressKind::Tunnel, "evil.example", refused),
    ];
    let db = schema::open_writer(&site.home().join("atoll.db")).unwrap();
    jobs::add_egress(&db, &JobId::new("j1"), &records).unwrap();
    let found = owner.look("/api/v1/tasks/j1/egress").await;
    assert_eq!(found["total"], 2);
    assert_eq!(
        found["requests"][0],
        json!({"at": "1970-01-01T00:00:01.000Z", "kind": "tunnel", "host": "evil.example", "verdict": "refused",
               "why": "not on the list", "sent": 10, "received": 20, "ms": 30})
    );
    assert_eq!(
        owner.look("/api/v1/tasks/j1/egress?limit=1&offset=1").await["requests"][0]["verdict"],
        "allowed"
    );
}
