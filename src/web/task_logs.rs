//! `/api/v1/tasks/{id}/logs` and its streams: what a task tells, from any place on, and live until it is over.

use std::{sync::Arc, time::Duration};

use actix_web::{HttpRequest, HttpResponse, get, http::StatusCode, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;
use utoipa::{IntoParams, ToSchema};

use crate::{
    actors::db::messages::ProjectOf,
    domain::{
        access::Role,
        engine::EngineEvent,
        job::{Task, Verbosity},
    },
    ports::job_files::{LogEvent, LogLine, LogPage},
};

use super::{
    access::{Caller, Shown},
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
    membership::{enter, limit, word},
    sse::{self, Events, HungUp},
    task_shapes::LineShape,
    tasks::{find, get},
};

/// Lines that are read at a time.
const PAGE: usize = 200;
/// Most pages that one request looks through for lines that are to be shown.
const PAGES: usize = 25;
/// How often a quiet stream looks whether the task is over.
const LOOK: Duration = Duration::from_secs(3);
/// How long the last lines of a task that is over are waited for.
const GRACE: Duration = Duration::from_secs(1);
/// How long somebody who could look may look on unasked, in milliseconds.
const TRUSTED: i64 = 1_000;
const VERBOSITIES: &str = "quiet, normal or verbose";

/// Which lines.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// From this number on; from the first that is kept by default.
    from: Option<u64>,
    /// How many at most; 200 by default.
    limit: Option<usize>,
    /// `quiet` (where it stands), `normal` or `verbose` (everything); the task's own by default.
    verbosity: Option<String>,
}

/// From where, and how much.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamQuery {
    /// From this number on; `Last-Event-ID` goes before it.
    from: Option<u64>,
    /// `quiet` (where it stands), `normal` or `verbose` (everything); the task's own by default.
    verbosity: Option<String>,
}

/// A piece of a log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Log {
    lines: Vec<LineShape>,
    /// The number to go on from. When it is what was asked for, there is no more for now.
    next: u64,
}

async fn read(kit: &WebKit, task: &Task, from: u64, most: usize) -> ApiResult<LogPage> {
    kit.job_files.read(&task.asked.id, from, most).await.map_err(|error| {
        tracing::error!(%error, job = %task.asked.id, "log of a task cannot be read");
        let message = "the log cannot be read; the server's own says why";
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "log_failed", message)
    })
}

/// A piece of a task's log.
#[utoipa::path(
    params(("id" = String, Path, description = "the task"), LogQuery),
    responses((status = 200, body = Log), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "tasks",
)]
#[get("/api/v1/tasks/{id}/logs")]
pub(super) async fn task_logs(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    query: web::Query<LogQuery>,
) -> ApiResult<web::Json<Log>> {
    let task = find(&kit, &caller, &path, Role::Viewer).await?;
    let wanted = word("verbosity", query.verbosity.as_deref(), Verbosity::parse, VERBOSITIES)?;
    let wanted = wanted.unwrap_or(task.asked.verbosity);
    let (most, mut next) = (limit(query.limit, PAGE)?, query.from.unwrap_or(0));
    let mut lines: Vec<LineShape> = Vec::new();
    for _ in 0..PAGES {
        let page = read(&kit, &task, next, most - lines.len()).await?;
        let shown = page.lines.iter().filter(|line| line.event.verbosity() <= wanted);
        lines.extend(shown.map(LineShape::from));
        let more = page.next > next;
        next = page.next;
        if !more || lines.len() >= most {
            break;
        }
    }
    Ok(web::Json(Log { lines, next }))
}

/// Follow a task's log: events `line`, each with its number as id, and `end` when the task is over and everything was
/// sent. `Last-Event-ID` goes on where a stream was cut off.
#[utoipa::path(
    params(
        ("id" = String, Path, description = "the task"), StreamQuery,
        ("Last-Event-ID" = Option<u64>, Header, description = "the last line that was read"),
    ),
    responses(
        (status = 200, description = "a stream of server-sent events", content_type = "text/event-stream"),
        (status = "4XX", body = ErrorBody),
    ),
    security(("key" = [])), tag = "tasks",
)]
#[get("/api/v1/tasks/{id}/logs/stream")]
pub(super) async fn stream_logs(
    kit: web::Data<WebKit>,
    caller: Caller,
    request: HttpRequest,
    path: web::Path<String>,
    query: web::Query<StreamQuery>,
) -> ApiResult<HttpResponse> {
    follow(kit, caller, &request, &path, &query, Style::Lines).await
}

/// Follow a task in few words: first an unnamed event `{"type": "connected"}`, then `task:started`, `task:progress`,
/// `task:output`, `task:approval_required`, and at the end `task:completed` or `task:failed`.
#[utoipa::path(
    params(
        ("id" = String, Path, description = "the task"), StreamQuery,
        ("Last-Event-ID" = Option<u64>, Header, description = "the last event that was read"),
    ),
    responses(
        (status = 200, description = "a stream of server-sent events", content_type = "text/event-stream"),
        (status = "4XX", body = ErrorBody),
    ),
    security(("key" = [])), tag = "tasks",
)]
#[get("/api/v1/tasks/{id}/stream")]
pub(super) async fn stream_task(
    kit: web::Data<WebKit>,
    caller: Caller,
    request: HttpRequest,
    path: web::Path<String>,
    query: web::Query<StreamQuery>,
) -> ApiResult<HttpResponse> {
    follow(kit, caller, &request, &path, &query, Style::Tasks).await
}

async fn follow(
    kit: web::Data<WebKit>,
    caller: Caller,
    request: &HttpRequest,
    path: &str,
    query: &StreamQuery,
    style: Style,
) -> ApiResult<HttpResponse> {
    let task = find(&kit, &caller, path, Role::Viewer).await?;
    let wanted = word("verbosity", query.verbosity.as_deref(), Verbosity::parse, VERBOSITIES)?;
    let wanted = wanted.unwrap_or(task.asked.verbosity);
    let from = match request.headers().get("last-event-id").map(|value| value.to_str().unwrap_or("?")) {
        None | Some("") => query.from.unwrap_or(0),
        Some(id) => id
            .parse::<u64>()
            .ok()
            .and_then(|id| id.checked_add(1))
            .ok_or_else(|| ApiError::bad_request("Last-Event-ID must be the number of a line"))?,
    };
    // Watch first, then read: no line falls between.
    let grown = kit.job_files.watch(&task.asked.id);
    let (events, response) = sse::stream(StatusCode::OK, kit.closing.clone());
    let checked = kit.clock.now();
    let shown = Shown::by(request);
    let kit = kit.into_inner();
    let follow = Follow { kit, caller, shown, checked, events, task, from, wanted, style, state: None };
    actix_web::rt::spawn(async move {
        let _ = follow.run(grown).await;
    });
    Ok(response)
}

/// What a stream looks like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Each line as it is.
    Lines,
    /// What becomes of the task.
    Tasks,
}

/// One client that follows one task.
struct Follow {
    kit: Arc<WebKit>,
    caller: Caller,
    shown: Shown,
    /// When they were last let in.
    checked: i64,
    events: Events,
    task: Task,
    from: u64,
    wanted: Verbosity,
    style: Style,
    /// The state that was told last.
    state: Option<String>,
}

impl Follow {
    async fn run(mut self, mut grown: watch::Receiver<u64>) -> Result<(), HungUp> {
        if self.style == Style::Tasks {
            self.events.send("", json!({"type": "connected", "jobId": self.task.asked.id})).await?;
        }
        let mut waited = false;
        loop {
            if !self.may_look().await {
                return Ok(());
            }
            let Ok(page) = read(&self.kit, &self.task, self.from, PAGE).await else { return Ok(()) };
            let more = page.next > self.from;
            self.from = page.next;
            for line in &page.lines {
                self.show(line).await?;
            }
            if more {
                continue;
            }
            let Ok(task) = get(&self.kit, self.task.asked.id.clone()).await else { return Ok(()) };
            self.task = task;
            let over = self.task.head.over;
            if over && (waited || self.state.as_ref() == Some(&self.task.head.state)) {
                return self.end().await;
            }
            waited = over;
            tokio::select! {
                grew = grown.changed() => if grew.is_err() {
                    return Ok(());
                },
                () = self.events.hung_up() => return Err(HungUp),
                () = self.kit.closing.cancelled() => return Ok(()),
                () = tokio::time::sleep(if over { GRACE } else { LOOK }) => {}
            }
        }
    }

    /// The key may have been revoked since, and the member may have gone.
    async fn may_look(&mut self) -> bool {
        let now = self.kit.clock.now();
        if now - self.checked < TRUSTED {
            return true;
        }
        self.checked = now;
        let of = ProjectOf::Job(self.task.asked.id.clone());
        self.shown.stands(&self.kit).await
            && enter(&self.kit, &self.caller, of, "task", Role::Viewer).await.is_ok()
    }

    async fn show(&mut self, line: &LogLine) -> Result<(), HungUp> {
        if let LogEvent::State { state, .. } = &line.event {
            self.state = Some(state.clone());
        }
        if line.event.verbosity() > self.wanted {
            return Ok(());
        }
        let id = i64::try_from(line.seq).ok();
        match self.style {
            Style::Lines => {
                let data = serde_json::to_value(LineShape::from(line)).unwrap_or_default();
                self.events.send_with_id("line", data, id).await
            }
            Style::Tasks => {
                if matches!(&line.event, LogEvent::State { state, .. } if state == WAITS)
                    && let Ok(task) = get(&self.kit, self.task.asked.id.clone()).await
                {
                    self.task = task;
                }
                let Some((name, data)) = told(&line.event, &self.task) else { return Ok(()) };
                self.events.send_with_id(name, data, id).await
            }
        }
    }

    async fn end(self) -> Result<(), HungUp> {
        let (name, data) = match self.style {
            Style::Lines => ("end", json!({"status": self.task.head.state, "text": self.task.head.text})),
            Style::Tasks => ending(&self.task),
        };
        self.events.send(name, data).await
    }
}

const WAITS: &str = "awaiting_approval";

/// A line as an event of its task; `None` for what is not told so.
fn told(event: &LogEvent, task: &Task) -> Option<(&'static str, Value)> {
    let job = &task.asked.id;
    let progress = |message: String| ("task:progress", json!({"jobId": job, "message": message}));
    Some(match event {
        LogEvent::State { state, .. } if state == "preparing" => {
            ("task:started", json!({"jobId": job, "status": state}))
        }
        LogEvent::State { state, text } if state == WAITS => {
            let candidate = task.head.candidate.as_ref();
            let data = json!({
                "jobId": job, "status": state, "message": text, "approvalId": task.head.approval,
                "stat": candidate.map(|candidate| &candidate.stat), "flags": candidate.map(|candidate| &candidate.flags),
            });
            ("task:approval_required", data)
        }
        LogEvent::State { state, text } => {
            ("task:progress", json!({"jobId": job, "status": state, "message": text}))
        }
        LogEvent::Note { text } => progress(text.clone()),
        LogEvent::Check(run) => {
            let came_to = if run.passed() { "passed" } else { "failed" };
            progress(format!("check {came_to}: {}", run.command))
        }
        LogEvent::Egress(record) => progress(format!("asked for {}", record.host)),
        LogEvent::Engine(event) => return engine(event, task),
    })
}

/// What an engine tells, as an event of its task.
fn engine(event: &EngineEvent, task: &Task) -> Option<(&'static str, Value)> {
    let job = &task.asked.id;
    let message = match event {
        EngineEvent::Text { text } => return Some(("task:output", json!({"jobId": job, "output": text}))),
        EngineEvent::ToolCall { name, .. } => format!("calls {name}"),
        EngineEvent::FileChange { path, .. } => format!("changes {path}"),
        EngineEvent::Question(question) => format!("asks: {}", question.preview),
        EngineEvent::Denied { tool, why } => format!("{tool} was not allowed: {why}"),
        EngineEvent::Error { message } => format!("error: {message}"),
        EngineEvent::Result(ending) if ending.ok => "the engine is through".to_owned(),
        EngineEvent::Result(ending) => format!("the engine ended: {}", ending.text),
        EngineEvent::Retry(retry) => format!("asks the model again: {}", retry.why),
        _ => return None,
    };
    Some(("task:progress", json!({"jobId": job, "message": message})))
}

/// How a task that is over is told.
fn ending(task: &Task) -> (&'static str, Value) {
    let (job, head) = (&task.asked.id, &task.head);
    if matches!(head.state.as_str(), "done" | "unchanged") {
        let data = json!({
            "jobId": job, "status": head.state, "output": head.claim, "branch": head.branch,
            "commitSha": head.candidate.as_ref().map(|candidate| &candidate.commit), "prUrl": head.url,
        });
        return ("task:completed", data);
    }
    ("task:failed", json!({"jobId": job, "status": head.state, "error": head.text}))
}
