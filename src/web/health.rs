//! `/healthz`, `/readyz`, `/api/v1/health`, `/metrics`.

use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    actors::{db::messages::Health, kernel::Standing, llm_pool::messages::Providers},
    domain::{access::Role, records::OutboxHealth},
    ports::sandbox_care::Readiness,
};

use super::{
    access::Caller,
    channels::reports,
    error::{ApiResult, ErrorBody},
    kit::WebKit,
    shapes::time,
};

/// The process lives.
#[utoipa::path(responses((status = 200, description = "it lives")), tag = "operation")]
#[get("/healthz")]
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

/// The process can work: the store answers and nothing that it needs is down.
#[utoipa::path(
    responses((status = 200, description = "it can work"), (status = 503, description = "it cannot, yet or any more")),
    tag = "operation",
)]
#[get("/readyz")]
pub(super) async fn ready(kit: web::Data<WebKit>) -> HttpResponse {
    let down: Vec<String> = kit
        .registry
        .tree()
        .into_iter()
        .filter(|signs| signs.parent == "root" && signs.state != Standing::Running)
        .map(|signs| signs.name)
        .collect();
    if down.is_empty() && !kit.closing.is_cancelled() {
        HttpResponse::Ok().json(json!({"status": "ready"}))
    } else {
        HttpResponse::ServiceUnavailable().json(json!({"status": "not ready", "down": down}))
    }
}

/// One thing that was checked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Check {
    /// What was checked.
    name: String,
    /// `ok`, `warning` or `failed`.
    status: &'static str,
    /// What was found.
    details: String,
    /// What to do about it; empty when it is well.
    advice: String,
}

/// How everything is doing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HealthReport {
    /// `healthy`, `degraded` or `failing`.
    status: &'static str,
    version: &'static str,
    timestamp: String,
    checks: Vec<Check>,
    #[schema(value_type = Object)]
    store: Value,
    #[schema(value_type = Vec<Object>)]
    providers: Vec<Value>,
}

fn check(name: &str, status: &'static str, details: impl Into<String>, advice: impl Into<String>) -> Check {
    Check { name: name.to_owned(), status, details: details.into(), advice: advice.into() }
}

/// How everything is doing, and what to do about what is not well.
#[utoipa::path(
    responses((status = 200, body = HealthReport), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "operation",
)]
#[get("/api/v1/health")]
pub(super) async fn report(kit: web::Data<WebKit>, caller: Caller) -> ApiResult<web::Json<HealthReport>> {
    caller.0.needs(Role::Viewer)?;
    let mut checks = vec![actors(&kit)];
    let store = store(&kit, &mut checks).await;
    let providers = providers(&kit, &mut checks).await;
    let look = kit.sandboxes.look().await;
    let status = if look.readiness == Readiness::Doubtful { "warning" } else { "ok" };
    checks.push(check("sandbox", status, look.details, look.advice));
    channels(&kit, &mut checks).await;
    if !kit.settings.planned.is_empty() {
        let details = format!("given and without effect: {}", kit.settings.planned.join(", "));
        checks.push(check("configuration", "warning", details, "these parts are not built yet"));
    }
    let status = if checks.iter().any(|check| check.status == "failed") {
        "failing"
    } else if checks.iter().any(|check| check.status == "warning") {
        "degraded"
    } else {
        "healthy"
    };
    let timestamp = time(kit.clock.now());
    let version = env!("CARGO_PKG_VERSION");
    Ok(web::Json(HealthReport { status, version, timestamp, checks, store, providers }))
}

fn actors(kit: &WebKit) -> Check {
    let tree = kit.registry.tree();
    let bad: Vec<String> = tree
        .iter()
        .filter(|signs| !matches!(signs.state, Standing::Running | Standing::Stopped))
        .map(|signs| format!("{} ({:?})", signs.name, signs.state).to_lowercase())
        .collect();
    if bad.is_empty() {
        check("actors", "ok", format!("{} run", tree.len()), "")
    } else {
        check(
            "actors",
            "failed",
            bad.join(", "),
            "see `atoll actors`; restart a parked one with `atoll actors restart NAME`",
        )
    }
}

async fn store(kit: &WebKit, checks: &mut Vec<Check>) -> Value {
    match kit.doors.db.read.health.ask(Health {}).await {
        Ok(health) => {
            let details = format!("schema {}, {} KiB", health.schema, health.bytes / 1024);
            checks.push(check("store", "ok", details, ""));
            checks.push(outbox(&health.outbox));
            if health.keys == 0 {
                let advice = "make one with `atoll keys create --name me --role owner`";
                checks.push(check("keys", "warning", "there is no API key", advice));
            }
            if health.approvals > 0 {
                let details = format!("{} wait for an answer", health.approvals);
                checks.push(check("approvals", "ok", details, ""));
            }
            serde_json::to_value(health).unwrap_or_default()
        }
        Err(error) => {
            let advice = "is the disk full, or the home not writable? The log says more";
            checks.push(check("store", "failed", error.to_string(), advice));
            Value::Null
        }
    }
}

fn outbox(health: &OutboxHealth) -> Check {
    let stuck = [
        (health.dead, "were given up"),
        (health.unknown, "may not have arrived"),
        (health.parked, "are parked: their chats cannot be reached"),
    ];
    let found: Vec<String> =
        stuck.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if found.is_empty() {
        return check("outbox", "ok", format!("{} wait", health.waiting), "");
    }
    let advice = "see `atoll outbox`; `atoll outbox resend ID` sends one again";
    check("outbox", "warning", found.join("; "), advice)
}

async fn providers(kit: &WebKit, checks: &mut Vec<Check>) -> Vec<Value> {
    let list = kit.doors.providers.send(Providers).await.unwrap_or_default();
    for provider in &list {
        let name = format!("model {}", provider.name);
        let (status, advice) = match provider.state {
            "up" if provider.name == "rehearsal" => {
                ("warning", "this is a script and no model: give Atoll one under `llm:` in config.yaml")
            }
            "up" if !provider.priced => {
                ("warning", "its price is not known: money budgets do not see it; add it under `prices:`")
            }
            "up" => ("ok", ""),
            "out" => ("failed", "mend its key in config.yaml, then restart"),
            _ => ("warning", "it is tried again by itself"),
        };
        let why = provider.why.clone().map(|why| format!(": {why}")).unwrap_or_default();
        let details = format!("{} is {}{why} ({} calls)", provider.model, provider.state, provider.calls);
        checks.push(check(&name, status, details, advice));
    }
    list.into_iter().filter_map(|provider| serde_json::to_value(provider).ok()).collect()
}

async fn channels(kit: &WebKit, checks: &mut Vec<Check>) {
    for (name, _, found) in reports(kit).await.into_iter().filter(|(_, enabled, _)| *enabled) {
        let what = format!("channel {name}");
        let Some(channel) = found else {
            let advice = "see `atoll actors`; restart a parked one with `atoll actors restart NAME`";
            checks.push(check(&what, "failed", "nobody listens", advice));
            continue;
        };
        let why = channel.last_error.map(|why| format!(": {why}")).unwrap_or_default();
        let since = time(channel.since);
        checks.push(match channel.state.as_str() {
            "up" => {
                let account = channel.account.unwrap_or_default();
                check(&what, "ok", format!("connected as {account} since {since}"), "")
            }
            "refused" => {
                let advice = format!(
                    "what it says has to be mended there; or put a valid token into channels.{name}.token; then `atoll restart`"
                );
                check(&what, "failed", format!("refused since {since}{why}"), advice)
            }
            state => {
                check(&what, "warning", format!("{state} since {since}{why}"), "it is tried again by itself")
            }
        });
    }
    if let Some(warning) = &kit.settings.open_warning {
        let advice = "set the policy to pairing or allowlist, unless it is meant so";
        checks.push(check("channels", "warning", warning.clone(), advice));
    }
}

/// Counters in the Prometheus text format.
#[utoipa::path(
    responses((status = 200, description = "counters", content_type = "text/plain"), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "operation",
)]
#[get("/metrics")]
pub(super) async fn metrics(kit: web::Data<WebKit>, caller: Caller) -> ApiResult<HttpResponse> {
    caller.0.needs(Role::Viewer)?;
    for signs in kit.registry.tree().iter().filter(|signs| signs.parent == "root") {
        let depth = i64::try_from(signs.mailbox_depth).unwrap_or(i64::MAX);
        kit.metrics.mailbox_depth.with_label_values(&[&signs.name]).set(depth);
    }
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(kit.metrics.render()))
}
