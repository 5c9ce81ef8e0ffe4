//! `/api/v1/projects`: repositories that bots work on, and who may say so.

use actix_web::{HttpResponse, delete, get, http::StatusCode, patch, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    actors::db::messages::{ChangeProject, CreateProject, ListProjects, ProjectOf, RemoveProject, SetMember},
    domain::{
        access::Role,
        board::Board,
        engine::Approvals,
        ids::{BoardId, ColumnId, ProjectId, UserId, encode, encode_short},
        project::{ForgeKind, ForgeSettings, Limits, Project, ProjectChange, Strategy, id_of},
    },
};

use super::{
    access::Caller,
    board_shapes::{PageQuery, ProjectShape},
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
    membership::{act, enter, limit, listed_for, nullable, word},
};

/// Where pull requests are opened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ForgeBody {
    /// `github`, `gitea`, `forgejo` or `gitlab`.
    kind: String,
    /// Where its API is; the public one by default.
    api_url: Option<String>,
    /// The name of the server's environment variable that holds the token. Never the token.
    token_env: Option<String>,
}

/// What jobs may use; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct LimitsBody {
    /// Jobs at once; 1 by default.
    parallel_jobs: Option<u32>,
    /// How often work on a story may fail before it is blocked; 3 by default.
    max_failures: Option<u32>,
    /// How often failing checks go back to the engine; 2 by default.
    verify_rounds: Option<u32>,
    /// How long a job may take; 60 by default.
    job_minutes: Option<u32>,
    /// Memory of a sandbox; 4096 by default.
    memory_mib: Option<u32>,
    /// Processors of a sandbox; 2 by default.
    cpus: Option<f64>,
}

/// A project, or a change to one; what is left out stays, or has its default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ProjectBody {
    /// A short name to type, of a fresh one only; made of the name by default.
    id: Option<String>,
    /// What people call it; needed for a fresh one.
    name: Option<String>,
    /// `https://`, `ssh://`, `user@host:path`, `file:///` or a path of the server; needed for a fresh one. For an owner
    /// of the place, as are the hosts, presets, forge, image and limits.
    repo_url: Option<String>,
    /// The branch that jobs start from; `main` by default.
    default_branch: Option<String>,
    /// `feature-per-job` (the default), `shared` or `main-only`.
    branch_strategy: Option<String>,
    /// What must succeed before a job counts as done.
    verify_commands: Option<Vec<String>>,
    /// What makes a fresh workspace ready.
    setup_commands: Option<Vec<String>>,
    /// Hosts that engines may reach: `host.example` or `*.example`.
    allowed_hosts: Option<Vec<String>>,
    /// Registries that engines may reach: `npm`, `pypi`, `crates`, `debian`, `github`.
    allowed_presets: Option<Vec<String>>,
    /// Hosts that set-up commands may reach beside these.
    setup_hosts: Option<Vec<String>>,
    /// Registries that set-up commands may reach beside these.
    setup_presets: Option<Vec<String>>,
    /// Approved commits are pushed; true by default.
    auto_push: Option<bool>,
    /// A pull request is opened for what is pushed; true by default.
    auto_create_pr: Option<bool>,
    /// Nothing leaves without a person's word; true by default.
    require_approval: Option<bool>,
    /// Comments at pull requests that name the bot or `@atoll`, and checks that fail there, make a task go on; false by
    /// default: whoever may comment there may then give work.
    watch_requests: Option<bool>,
    /// When engines ask a person before they act: `auto` (never, the default), `edits` (before each command) or `ask`
    /// (before each edit, too).
    engine_approvals: Option<String>,
    /// Work may change submodules; false by default.
    allow_submodules: Option<bool>,
    /// Where pull requests are opened; `null` for nowhere.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<ForgeBody>)]
    forge: Option<Option<ForgeBody>>,
    /// The image of its sandboxes; `null` for the configured one.
    #[serde(default, deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    image: Option<Option<String>>,
    /// What its jobs may use.
    limits: Option<LimitsBody>,
}

impl ProjectBody {
    fn change(self, now: Limits) -> ApiResult<ProjectChange> {
        let strategies = "feature-per-job, shared or main-only";
        Ok(ProjectChange {
            name: self.name,
            repo_url: self.repo_url,
            default_branch: self.default_branch,
            strategy: word("branchStrategy", self.branch_strategy.as_deref(), Strategy::parse, strategies)?,
            verify_commands: self.verify_commands,
            setup_commands: self.setup_commands,
            allowed_hosts: self.allowed_hosts,
            allowed_presets: self.allowed_presets,
            setup_hosts: self.setup_hosts,
            setup_presets: self.setup_presets,
            auto_push: self.auto_push,
            auto_create_pr: self.auto_create_pr,
            require_approval: self.require_approval,
            watch_requests: self.watch_requests,
            engine_approvals: word(
                "engineApprovals",
                self.engine_approvals.as_deref(),
                Approvals::parse,
                "auto, edits or ask",
            )?,
            allow_submodules: self.allow_submodules,
            forge: self.forge.map(|forge| forge.map(ForgeBody::settings).transpose()).transpose()?,
            image: self.image,
            limits: self.limits.map(|limits| limits.over(now)),
        })
    }
}

impl ForgeBody {
    fn settings(self) -> ApiResult<ForgeSettings> {
        let kind = ForgeKind::parse(&self.kind)
            .ok_or_else(|| ApiError::bad_request("forge.kind must be github, gitea, forgejo or gitlab"))?;
        Ok(ForgeSettings { kind, api_url: self.api_url, token_env: self.token_env })
    }
}

impl LimitsBody {
    fn over(self, now: Limits) -> Limits {
        Limits {
            parallel_jobs: self.parallel_jobs.unwrap_or(now.parallel_jobs),
            max_failures: self.max_failures.unwrap_or(now.max_failures),
            verify_rounds: self.verify_rounds.unwrap_or(now.verify_rounds),
            job_minutes: self.job_minutes.unwrap_or(now.job_minutes),
            memory_mib: self.memory_mib.unwrap_or(now.memory_mib),
            cpus: self.cpus.unwrap_or(now.cpus),
        }
    }
}

/// A member's role.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MemberBody {
    /// `owner`, `developer` or `viewer`.
    role: String,
}

/// Projects.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Projects {
    projects: Vec<ProjectShape>,
    /// How many there are.
    total: u64,
}

fn by_id(path: &str) -> (ProjectId, ProjectOf) {
    let id = ProjectId::new(path);
    (id.clone(), ProjectOf::Id(id))
}

/// Make a project, and its board. For owners of the place.
#[utoipa::path(
    request_body = ProjectBody,
    responses((status = 201, body = ProjectShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "projects",
)]
#[post("/api/v1/projects")]
pub(super) async fn create_project(
    kit: web::Data<WebKit>,
    caller: Caller,
    body: web::Json<ProjectBody>,
) -> ApiResult<HttpResponse> {
    caller.0.needs(Role::Owner)?;
    let mut body = body.into_inner();
    let id = match body.id.take() {
        Some(id) => id,
        None => id_of(body.name.as_deref().unwrap_or_default()),
    };
    let change = body.change(Limits::default())?;
    let now = kit.clock.now();
    let project = Project::fresh(ProjectId::new(id), &change, now)?;
    let columns = std::array::from_fn(|_| ColumnId::new(encode_short(kit.clock.fresh())));
    let board = Board::fresh(BoardId::new(encode(kit.clock.fresh())), project.id.clone(), columns);
    let act = act(&kit, &caller, "project.created", project.id.as_str(), project.settings.repo_url.clone());
    let made = kit.doors.db.write.create_project.ask(CreateProject { project, board, act }).await?;
    Ok(HttpResponse::Created().json(ProjectShape::from(made)))
}

/// List the projects that the key's user is in, by id; all of them for an owner of the place.
#[utoipa::path(
    params(PageQuery),
    responses((status = 200, body = Projects), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "projects",
)]
#[get("/api/v1/projects")]
pub(super) async fn list_projects(
    kit: web::Data<WebKit>,
    caller: Caller,
    query: web::Query<PageQuery>,
) -> ApiResult<web::Json<Projects>> {
    let member = listed_for(&caller)?;
    let (limit, offset) = (limit(query.limit, 100)?, query.offset.unwrap_or(0));
    let (found, total) = kit.doors.db.read.list_projects.ask(ListProjects { member, limit, offset }).await?;
    Ok(web::Json(Projects { projects: found.into_iter().map(ProjectShape::from).collect(), total }))
}

/// One project.
#[utoipa::path(
    params(("id" = String, Path, description = "the project")),
    responses((status = 200, body = ProjectShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "projects",
)]
#[get("/api/v1/projects/{id}")]
pub(super) async fn get_project(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
) -> ApiResult<web::Json<ProjectShape>> {
    let project = enter(&kit, &caller, by_id(&path).1, "project", Role::Viewer).await?;
    Ok(web::Json(project.into()))
}

/// Change a project. For its owners; what reaches beyond it (repository, hosts, presets, forge, image, limits) for
/// owners of the place.
#[utoipa::path(
    request_body = ProjectBody,
    params(("id" = String, Path, description = "the project")),
    responses((status = 200, body = ProjectShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "projects",
)]
#[patch("/api/v1/projects/{id}")]
pub(super) async fn change_project(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: web::Json<ProjectBody>,
) -> ApiResult<web::Json<ProjectShape>> {
    let (id, of) = by_id(&path);
    let project = enter(&kit, &caller, of, "project", Role::Owner).await?;
    let body = body.into_inner();
    if body.id.is_some() {
        return Err(ApiError::bad_request("a project keeps its id"));
    }
    let change = body.change(project.settings.limits)?;
    if change.reaches_out() && caller.0.role != Role::Owner {
        let message = "repoUrl, hosts, presets, forge, image and limits are for owners of the place, whose keys have \
                       the role owner";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", message));
    }
    let next = project.revise(&change)?;
    let act = act(&kit, &caller, "project.changed", id.as_str(), changed(&project, &next).join(" "));
    let changed = kit.doors.db.write.change_project.ask(ChangeProject { id, change, act }).await?;
    Ok(web::Json(changed.into()))
}

/// The names of the settings that differ, for the audit log.
fn changed(before: &Project, after: &Project) -> Vec<String> {
    let fields = |project: &Project| match serde_json::to_value(&project.settings) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (old, new) = (fields(before), fields(after));
    let name = (before.name != after.name).then(|| "name".to_owned());
    name.into_iter()
        .chain(new.into_iter().filter(|(key, to)| old.get(key) != Some(to)).map(|(key, _)| key))
        .collect()
}

/// Remove a project with its board, stories, bots and their journals. The repository stays as it is.
#[utoipa::path(
    params(("id" = String, Path, description = "the project")),
    responses((status = 204, description = "removed"), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "projects",
)]
#[delete("/api/v1/projects/{id}")]
pub(super) async fn remove_project(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
) -> ApiResult<HttpResponse> {
    let (id, of) = by_id(&path);
    enter(&kit, &caller, of, "project", Role::Owner).await?;
    let act = act(&kit, &caller, "project.removed", id.as_str(), String::new());
    kit.doors.db.write.remove_project.ask(RemoveProject { id, act }).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn set_member(
    kit: &WebKit,
    caller: &Caller,
    path: (String, String),
    role: Option<Role>,
) -> ApiResult<Project> {
    let (id, of) = by_id(&path.0);
    enter(kit, caller, of, "project", Role::Owner).await?;
    let user = UserId::parse(&path.1)?;
    let details = format!("{user} {}", role.map_or("none", Role::as_str));
    let act = act(kit, caller, "project.member", id.as_str(), details);
    Ok(kit.doors.db.write.set_member.ask(SetMember { id, user, role, act }).await?)
}

/// Give a user a role in a project.
#[utoipa::path(
    request_body = MemberBody,
    params(("id" = String, Path, description = "the project"), ("userId" = String, Path, description = "the user")),
    responses((status = 200, body = ProjectShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "projects",
)]
#[patch("/api/v1/projects/{id}/members/{userId}")]
pub(super) async fn change_member(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<(String, String)>,
    body: web::Json<MemberBody>,
) -> ApiResult<web::Json<ProjectShape>> {
    caller.0.needs(Role::Developer)?;
    let role = Role::parse(&body.role)
        .ok_or_else(|| ApiError::bad_request("role must be owner, developer or viewer"))?;
    Ok(web::Json(set_member(&kit, &caller, path.into_inner(), Some(role)).await?.into()))
}

/// Take a user's role in a project.
#[utoipa::path(
    params(("id" = String, Path, description = "the project"), ("userId" = String, Path, description = "the user")),
    responses((status = 204, description = "taken"), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "projects",
)]
#[delete("/api/v1/projects/{id}/members/{userId}")]
pub(super) async fn remove_member(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> ApiResult<HttpResponse> {
    set_member(&kit, &caller, path.into_inner(), None).await?;
    Ok(HttpResponse::NoContent().finish())
}
