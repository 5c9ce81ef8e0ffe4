//! Projects and their boards.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_project_is_made_with_its_board_read_changed_and_removed() {
    let (site, server, owner) = begin().await;
    let project = owner.look("/api/v1/projects/app").await;
    let expected = json!({
        "id": "app", "name": "App", "repoUrl": "/srv/app.git", "defaultBranch": "main",
        "branchStrategy": "feature-per-job", "autoPush": true, "autoCreatePr": true, "requireApproval": true,
        "verifyCommands": [], "setupCommands": [], "allowedHosts": [], "allowedPresets": [], "setupHosts": [],
        "setupPresets": [], "watchRequests": false, "engineApprovals": "auto", "allowSubmodules": false,
        "forge": null, "image": null,
        "limits": {"parallelJobs": 1, "maxFailures": 3, "verifyRounds": 2, "jobMinutes": 60, "memoryMib": 4096,
                   "cpus": 2.0},
        "members": [], "createdAt": project["createdAt"], "updatedAt": project["createdAt"],
    });
    assert_eq!(project, expected);
    let board = owner.look("/api/v1/projects/app/board").await;
    let columns: Vec<(&str, &str, &serde_json::Value)> = board["board"]["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| {
            (column["name"].as_str().unwrap(), column["role"].as_str().unwrap(), &column["isTerminal"])
        })
        .collect();
    let (no, yes) = (json!(false), json!(true));
    assert_eq!(
        columns,
        [
            ("Backlog", "backlog", &no),
            ("Todo", "todo", &no),
            ("In Progress", "in_progress", &no),
            ("Review", "review", &no),
            ("Done", "done", &yes)
        ]
    );
    let change = json!({
        "name": "The App", "verifyCommands": ["npm test"], "allowedPresets": ["npm"], "limits": {"jobMinutes": 5},
        "forge": {"kind": "forgejo", "apiUrl": "https://git.example/api/v1", "tokenEnv": "APP_FORGE_TOKEN"},
        "requireApproval": false,
    });
    let (status, changed) = owner.patch("/api/v1/projects/app", change).await;
    assert_eq!(status, 200, "{changed}");
    assert_eq!((&changed["forge"]["kind"], &changed["limits"]["jobMinutes"]), (&json!("gitea"), &json!(5)));
    assert_eq!(changed["limits"]["parallelJobs"], 1, "what is left out stays");
    drop(server);
    let server = site.start();
    let owner = User::new(&server.base, &owner.key);
    assert_eq!(owner.look("/api/v1/projects/app").await, changed);
    let (_, gone) = owner.patch("/api/v1/projects/app", json!({"forge": null})).await;
    assert_eq!(gone["forge"], json!(null));
    assert_eq!(owner.delete("/api/v1/projects/app").await.0, 204);
    assert_eq!(owner.get("/api/v1/projects/app").await.0, 404);
    assert_eq!(owner.get("/api/v1/projects/app/board").await.0, 404);
    let acts = owner.look("/api/v1/audit?limit=1000").await;
    let acts: Vec<(&str, &str)> = acts["rows"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["subject"] == "app")
        .map(|row| (row["action"].as_str().unwrap(), row["details"].as_str().unwrap()))
        .collect();
    assert_eq!(acts[0], ("project.created", "/srv/app.git"));
    assert_eq!(
        acts[1],
        ("project.changed", "name allowed_presets forge limits require_approval verify_commands")
    );
    assert_eq!((acts[2], acts[3]), (("project.changed", "forge"), ("project.removed", "")));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_says_what_to_do() {
    let (site, _server, owner) = begin().await;
    let base = |more: serde_json::Value| {
        let mut body = json!({"name": "Other", "repoUrl": "https://h.example/x.git"});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        body
    };
    for (body, status, code, word) in [
        (json!({"repoUrl": "/x"}), 400, "bad_request", "id"),
        (json!({"name": "x"}), 400, "bad_request", "repoUrl"),
        (base(json!({"id": "app"})), 409, "taken", "app"),
        (base(json!({"id": "../x"})), 400, "bad_request", "a-z"),
        (base(json!({"id": "constructor", "colour": 1})), 400, "bad_request", "colour"),
        (base(json!({"repoUrl": "https://u:geheim@h/x"})), 400, "bad_request", "tokenEnv"),
        (base(json!({"repoUrl": "ext::sh -c id"})), 400, "bad_request", "repoUrl"),
        (base(json!({"branchStrategy": "yolo"})), 400, "bad_request", "main-only"),
        (base(json!({"allowedHosts": ["169.254.169.254"]})), 400, "bad_request", "allowedHosts"),
        (base(json!({"forge": {"kind": "svn"}})), 400, "bad_request", "github"),
        (
            base(json!({"forge": {"kind": "github", "tokenEnv": "ghp_geheim"}})),
            400,
            "bad_request",
            "variable",
        ),
        (base(json!({"forge": {"kind": "github", "token": "geheim"}})), 400, "bad_request", "token"),
        (base(json!({"limits": {"cpus": 1000}})), 400, "bad_request", "cpus"),
    ] {
        let (got, answer) = owner.post("/api/v1/projects", body.clone()).await;
        assert_eq!((got.as_u16(), code_of(&answer)), (status, code), "{body}: {answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(word) && !message.contains("geheim"), "{body}: {message}");
    }
    assert_eq!(refused(&owner, "/api/v1/projects/app", json!({"id": "b"})).await.0, 400);
    for path in ["?limit=0", "?limit=501", "?limit=x", "?page=2"] {
        assert_eq!(owner.get(&format!("/api/v1/projects{path}")).await.0, 400, "{path}");
    }
    assert_eq!(site.number("SELECT count(*) FROM projects"), 1);
    assert!(!site.log().contains("geheim"));
}

#[tokio::test]
async fn projects_are_listed_by_pages() {
    let (_site, _server, owner) = begin().await;
    for name in ["b", "c", "d"] {
        made(&owner, "/api/v1/projects", json!({"name": name, "repoUrl": "/x"})).await;
    }
    let ids = async |query: &str| {
        let found = owner.look(&format!("/api/v1/projects{query}")).await;
        assert_eq!(found["total"], 4);
        found["projects"].as_array().unwrap().iter().map(id).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ids("").await, "app b c d");
    assert_eq!(ids("?limit=2").await, "app b");
    assert_eq!(ids("?limit=2&offset=3").await, "d");
    assert_eq!(ids("?offset=9").await, "");
}

#[tokio::test]
async fn columns_are_renamed_ordered_limited_added_and_removed() {
    let (_site, _server, owner) = begin().await;
    let path = "/api/v1/projects/app/board";
    let todo = story(&owner, "one", "todo", json!({})).await;
    let board = owner.look(path).await["board"].clone();
    let mut columns: Vec<serde_json::Value> = board["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| json!({"id": column["id"], "name": column["name"], "role": column["role"]}))
        .collect();
    columns[1]["name"] = json!("Bereit");
    columns[1]["wipLimit"] = json!(1);
    columns.swap(0, 1);
    columns.insert(4, json!({"name": "QA", "role": "review"}));
    let change = json!({"version": 1, "name": "Sprint", "columns": columns});
    let (status, changed) = owner.patch(path, change.clone()).await;
    assert_eq!(status, 200, "{changed}");
    let names: Vec<&str> = changed["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Bereit", "Backlog", "In Progress", "Review", "QA", "Done"]);
    assert_eq!((&changed["name"], &changed["version"]), (&json!("Sprint"), &json!(2)));
    assert_eq!(changed["columns"][0]["stories"], 1);
    assert_eq!(refused(&owner, path, change).await, (409, "stale".into()));
    assert_eq!(owner.look(&format!("/api/v1/stories/{todo}")).await["columnId"], columns[0]["id"]);
    let more = json!({"title": "two", "columnId": columns[0]["id"]});
    let (status, body) = owner.post("/api/v1/projects/app/stories", more).await;
    assert_eq!((status.as_u16(), code_of(&body)), (409, "wip_limit"));
    let without = |columns: &[Value], name: &str| {
        let left = columns.iter().filter(|column| column["name"] != name && column["name"] != "QA");
        json!({"columns": left.collect::<Vec<_>>()})
    };
    assert_eq!(
        refused(&owner, path, without(&columns, "Bereit")).await,
        (400, "bad_request".into()),
        "its role is needed"
    );
    columns[1]["role"] = json!("todo");
    columns[0]["role"] = json!("backlog");
    assert_eq!(refused(&owner, path, without(&columns, "QA")).await, (409, "column_in_use".into()));
    assert_eq!(owner.look(path).await["board"], changed, "what is refused changes nothing");
}
