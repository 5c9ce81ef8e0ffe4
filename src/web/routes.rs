//! The route table, and the specification that is generated from it.

use actix_web::{HttpResponse, get, web};
use utoipa::{
    OpenApi,
    openapi::{
        InfoBuilder,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_actix_web::{AppExt, service_config::ServiceConfig};

use crate::domain::access::Role;

use super::{
    access::Caller,
    actors, approvals, audit, boards, bots, channels, chat, claims, costs,
    error::{ApiResult, ErrorBody},
    events, files, health, journal, keys, memories, orders, outbox, people, projects, schedules, skills,
    stories, task_files, task_logs, task_orders, tasks, users,
};

/// All routes. What is not here does not exist, and what is here is in the specification.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(health::live)
        .service(health::ready)
        .service(health::metrics)
        .service(chat::chat)
        .service(orders::cancel)
        .service(orders::stop)
        .service(orders::clear)
        .service(skills::skills)
        .service(events::watch)
        .service(files::file)
        .service(files::shared)
        .service(memories::create_memory)
        .service(memories::list_memories)
        .service(memories::search_memories)
        .service(memories::get_memory)
        .service(memories::update_memory)
        .service(memories::delete_memory)
        .service(approvals::list_approvals)
        .service(approvals::approve)
        .service(approvals::reject)
        .service(actors::tree)
        .service(actors::inspect)
        .service(actors::restart)
        .service(costs::costs)
        .service(users::list_users)
        .service(users::change_user)
        .service(keys::list_keys)
        .service(keys::create_key)
        .service(keys::revoke_key)
        .service(audit::list_audit)
        .service(audit::verify_audit)
        .service(outbox::list_outbox)
        .service(outbox::resend)
        .service(health::report)
        .configure(chats)
        .service(specification)
        .configure(work);
}

/// Chat platforms, and who may write there.
fn chats(config: &mut ServiceConfig<'_>) {
    config
        .service(channels::list_channels)
        .service(channels::create_link)
        .service(channels::telegram_webhook)
        .service(people::list_pairings)
        .service(people::answer_pairing)
        .service(people::list_identities)
        .service(people::change_identity)
        .service(people::remove_identity);
}

/// What coding bots work on.
fn work(config: &mut ServiceConfig<'_>) {
    config
        .service(projects::create_project)
        .service(projects::list_projects)
        .service(projects::get_project)
        .service(projects::change_project)
        .service(projects::remove_project)
        .service(projects::change_member)
        .service(projects::remove_member)
        .service(boards::get_board)
        .service(boards::change_board)
        .service(stories::create_story)
        .service(stories::list_stories)
        .service(stories::get_story)
        .service(stories::change_story)
        .service(stories::remove_story)
        .service(stories::story_history)
        .service(claims::claim_story)
        .service(claims::renew_claim)
        .service(claims::release_claim)
        .service(bots::create_bot)
        .service(bots::list_bots)
        .service(bots::project_bots)
        .service(bots::get_bot)
        .service(bots::change_bot)
        .service(bots::remove_bot)
        .service(bots::bot_loop)
        .service(journal::read_journal)
        .service(journal::write_journal)
        .service(tasks::create_task)
        .service(tasks::list_tasks)
        .service(tasks::get_task)
        .service(task_orders::cancel_task)
        .service(task_orders::retry_task)
        .service(task_orders::follow_up)
        .service(task_orders::steer_task)
        .service(task_orders::approve_task)
        .service(task_orders::reject_task)
        .service(task_files::task_diff)
        .service(task_files::list_artefacts)
        .service(task_files::get_artefact)
        .service(task_files::task_egress)
        .service(task_files::task_journal)
        .service(task_logs::task_logs)
        .service(task_logs::stream_logs)
        .service(task_logs::stream_task)
        .service(schedules::create_schedule)
        .service(schedules::list_schedules)
        .service(schedules::get_schedule)
        .service(schedules::change_schedule)
        .service(schedules::remove_schedule);
}

/// This specification.
#[utoipa::path(
    responses((status = 200, description = "OpenAPI 3.1", body = Object), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "operation",
)]
#[get("/api/v1/openapi.json")]
pub(super) async fn specification(
    spec: web::Data<utoipa::openapi::OpenApi>,
    caller: Caller,
) -> ApiResult<HttpResponse> {
    caller.0.needs(Role::Viewer)?;
    Ok(HttpResponse::Ok().json(spec.get_ref()))
}

/// The specification of all routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi()]
    struct Base;
    let app = actix_web::App::new().into_utoipa_app().openapi(Base::openapi()).configure(routes);
    let (_, mut spec) = app.split_for_parts();
    spec.info = InfoBuilder::new()
        .title("Atoll")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "A self-hosted home for AI agents. Every route but /healthz, /readyz, Telegram's webhook and links to files needs a key.",
        ))
        .build();
    let components = spec.components.get_or_insert_default();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme("key", SecurityScheme::Http(bearer));
    spec
}
