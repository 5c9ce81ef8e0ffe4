//! The OpenAPI document and the routes are the same.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use crate::support::*;

/// Operations that need no key.
const PUBLIC: [&str; 4] =
    ["GET /api/files/{id}/shared", "GET /healthz", "GET /readyz", "POST /api/channels/telegram/webhook"];

/// All operations. One that is added, renamed or taken away shows here.
const OPERATIONS: &[&str] = &[
    "DELETE /api/v1/bots/{id}",
    "DELETE /api/v1/identities/{channel}/{id}",
    "DELETE /api/v1/keys/{id}",
    "DELETE /api/v1/memories/{id}",
    "DELETE /api/v1/projects/{id}",
    "DELETE /api/v1/projects/{id}/members/{userId}",
    "DELETE /api/v1/scheduled-tasks/{id}",
    "DELETE /api/v1/stories/{id}",
    "GET /api/events/{userId}",
    "GET /api/files/{id}",
    "GET /api/files/{id}/shared",
    "GET /api/skills",
    "GET /api/v1/actors",
    "GET /api/v1/actors/inspect",
    "GET /api/v1/approvals",
    "GET /api/v1/audit",
    "GET /api/v1/audit/verify",
    "GET /api/v1/bots",
    "GET /api/v1/bots/{id}",
    "GET /api/v1/bots/{id}/journal",
    "GET /api/v1/channels",
    "GET /api/v1/costs",
    "GET /api/v1/health",
    "GET /api/v1/identities",
    "GET /api/v1/keys",
    "GET /api/v1/memories",
    "GET /api/v1/memories/search",
    "GET /api/v1/memories/{id}",
    "GET /api/v1/openapi.json",
    "GET /api/v1/outbox",
    "GET /api/v1/pairings",
    "GET /api/v1/projects",
    "GET /api/v1/projects/{id}",
    "GET /api/v1/projects/{id}/board",
    "GET /api/v1/projects/{id}/bots",
    "GET /api/v1/projects/{id}/stories",
    "GET /api/v1/scheduled-tasks",
    "GET /api/v1/scheduled-tasks/{id}",
    "GET /api/v1/stories/{id}",
    "GET /api/v1/stories/{id}/history",
    "GET /api/v1/tasks",
    "GET /api/v1/tasks/{id}",
    "GET /api/v1/tasks/{id}/artefacts",
    "GET /api/v1/tasks/{id}/artefacts/{name}",
    "GET /api/v1/tasks/{id}/diff",
    "GET /api/v1/tasks/{id}/egress",
    "GET /api/v1/tasks/{id}/journal",
    "GET /api/v1/tasks/{id}/logs",
    "GET /api/v1/tasks/{id}/logs/stream",
    "GET /api/v1/tasks/{id}/stream",
    "GET /api/v1/users",
    "GET /healthz",
    "GET /metrics",
    "GET /readyz",
    "PATCH /api/v1/bots/{id}",
    "PATCH /api/v1/identities/{channel}/{id}",
    "PATCH /api/v1/memories/{id}",
    "PATCH /api/v1/projects/{id}",
    "PATCH /api/v1/projects/{id}/board",
    "PATCH /api/v1/projects/{id}/members/{userId}",
    "PATCH /api/v1/scheduled-tasks/{id}",
    "PATCH /api/v1/stories/{id}",
    "PATCH /api/v1/users/{id}",
    "POST /api/channels/telegram/webhook",
    "POST /api/chat",
    "POST /api/chat/cancel",
    "POST /api/chat/stop",
    "POST /api/session/clear",
    "POST /api/v1/actors/restart",
    "POST /api/v1/approvals/{id}/approve",
    "POST /api/v1/approvals/{id}/reject",
    "POST /api/v1/bots",
    "POST /api/v1/bots/{id}/claim",
    "POST /api/v1/bots/{id}/journal",
    "POST /api/v1/bots/{id}/loop",
    "POST /api/v1/keys",
    "POST /api/v1/link",
    "POST /api/v1/memories",
    "POST /api/v1/outbox/{id}/resend",
    "POST /api/v1/pairings/{id}",
    "POST /api/v1/projects",
    "POST /api/v1/projects/{id}/stories",
    "POST /api/v1/scheduled-tasks",
    "POST /api/v1/stories/{id}/release",
    "POST /api/v1/stories/{id}/renew",
    "POST /api/v1/tasks",
    "POST /api/v1/tasks/{id}/approve",
    "POST /api/v1/tasks/{id}/cancel",
    "POST /api/v1/tasks/{id}/follow-up",
    "POST /api/v1/tasks/{id}/reject",
    "POST /api/v1/tasks/{id}/retry",
    "POST /api/v1/tasks/{id}/steer",
];

async fn document() -> (Site, Server, User, Value) {
    let site = Site::new("llm: {provider: rehearsal}");
    let server = site.start();
    let user = User::new(&server.base, &site.key("me", "viewer"));
    let document = user.look("/api/v1/openapi.json").await;
    (site, server, user, document)
}

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), operation))
    });
    all.collect()
}

/// Routes as the source has them: the attributes above the handlers.
fn routes_in_the_source() -> BTreeSet<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/web");
    let mut routes = BTreeSet::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let source = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for line in source.lines() {
            for method in ["get", "post", "put", "patch", "delete"] {
                if let Some(rest) = line.strip_prefix(&format!("#[{method}(\"")) {
                    let path = rest.split('"').next().unwrap();
                    routes.insert(format!("{} {path}", method.to_uppercase()));
                }
            }
            assert!(
                !line.contains(".route(\"") && !line.contains("web::resource("),
                "an unlisted route: {line}"
            );
        }
    }
    routes
}

#[tokio::test]
async fn the_document_lists_every_route_and_no_other() {
    let (_site, _server, _user, document) = document().await;
    let listed: BTreeSet<String> = operations(&document).into_iter().map(|(name, _)| name).collect();
    let known: BTreeSet<String> = OPERATIONS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(listed, known);
    assert_eq!(listed, routes_in_the_source());
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document, serde_json::to_value(atoll::web::openapi()).unwrap());
}

#[tokio::test]
async fn every_operation_without_a_key_is_refused_but_the_public_ones() {
    let (_site, _server, user, document) = document().await;
    for (name, operation) in operations(&document) {
        let (method, path) = name.split_once(' ').unwrap();
        let path = path.replace("{id}", "x").replace("{userId}", "x");
        let request = user.bare(Method::from_bytes(method.as_bytes()).unwrap(), &path);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        if PUBLIC.contains(&name.as_str()) {
            // Updates are brought with a secret of their own, where they were asked for.
            let open = match path.rsplit('/').next() {
                // It is a link that opens a file.
                Some("webhook" | "shared") => 404,
                _ => 200,
            };
            assert_eq!((status, operation.get("security")), (open, None), "{name}");
        } else {
            assert_eq!(status, 401, "{name}");
            assert_eq!(operation["security"], serde_json::json!([{"key": []}]), "{name}");
            assert_eq!(code_of(&response.json().await.unwrap()), "unauthorized");
        }
    }
    let scheme = &document["components"]["securitySchemes"]["key"];
    assert_eq!((scheme["type"].as_str(), scheme["scheme"].as_str()), (Some("http"), Some("bearer")));
}

#[tokio::test]
async fn every_operation_has_a_name_of_its_own_words_and_its_errors() {
    let (_site, _server, _user, document) = document().await;
    let mut names = BTreeSet::new();
    for (name, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(names.insert(id.to_owned()), "two operations are called {id}");
        assert!(operation["summary"].as_str().is_some_and(|words| words.len() > 5), "{name} has no summary");
        assert!(!operation["tags"].as_array().unwrap().is_empty(), "{name}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name} never succeeds");
        if PUBLIC.contains(&name.as_str()) {
            continue;
        }
        let error = &responses["4XX"]["content"]["application/json"]["schema"]["$ref"];
        assert_eq!(error, "#/components/schemas/ErrorBody", "{name} hides its errors");
        for part in name.split('/').filter(|part| part.starts_with('{')) {
            let part = part.trim_matches(['{', '}']);
            let known = operation["parameters"].as_array().unwrap();
            assert!(
                known.iter().any(|known| known["name"] == part && known["in"] == "path"),
                "{name}: {part}"
            );
        }
        assert_eq!(
            operation.get("requestBody").is_some(),
            name.starts_with("POST") || name.starts_with("PATCH"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn every_reference_of_the_document_leads_somewhere() {
    let (_site, _server, _user, document) = document().await;
    let mut open = vec![&document];
    let mut seen = 0;
    while let Some(value) = open.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(reference)) = fields.get("$ref") {
                    let found = document.pointer(reference.strip_prefix('#').unwrap());
                    assert!(found.is_some_and(Value::is_object), "{reference} leads nowhere");
                    seen += 1;
                }
                open.extend(fields.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    assert!(seen > 40, "too little was looked at: {seen}");
}
