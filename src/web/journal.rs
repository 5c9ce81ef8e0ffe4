//! `/api/v1/bots/{id}/journal`: what a bot did, saw, decided and learned.

use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    actors::db::messages::{AddEntry, GetStory, ListEntries, ProjectOf, Recall},
    domain::{
        access::Role,
        bot::journal::{Entry, EntryKind},
        ids::{BotId, EntryId, StoryId, encode},
    },
};

use super::{
    access::Caller,
    board_shapes::EntryShape,
    error::{ApiError, ApiResult, ErrorBody},
    kit::WebKit,
    membership::{enter, limit, word},
};

const LISTED: usize = 20;
const MOST_TOKENS: u64 = 100_000;
const KINDS: &str = "started, completed, failed, observation, decision or learning";

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct JournalQuery {
    /// `started`, `completed`, `failed`, `observation`, `decision` or `learning`.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// With all these words, also in other forms.
    q: Option<String>,
    /// Older than the entry with this id.
    before: Option<String>,
    /// How many at most; 20 by default.
    limit: Option<usize>,
    /// Instead of all this: what the bot is reminded of within so many tokens, the oldest first.
    max_tokens: Option<u64>,
}

/// An entry to be written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EntryBody {
    /// `started`, `completed`, `failed`, `observation`, `decision` or `learning`.
    entry_type: String,
    /// In one line.
    summary: String,
    /// More of it.
    details: Option<String>,
    /// About which story of its project.
    story_id: Option<String>,
}

/// Entries.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Entries {
    entries: Vec<EntryShape>,
}

/// Read a bot's journal, the newest first.
#[utoipa::path(
    params(("id" = String, Path, description = "the bot"), JournalQuery),
    responses((status = 200, body = Entries), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "bots",
)]
#[get("/api/v1/bots/{id}/journal")]
pub(super) async fn read_journal(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    query: web::Query<JournalQuery>,
) -> ApiResult<web::Json<Entries>> {
    let bot = BotId::new(path.into_inner());
    enter(&kit, &caller, ProjectOf::Bot(bot.clone()), "bot", Role::Viewer).await?;
    let JournalQuery { kind, q, before, limit: wanted, max_tokens } = query.into_inner();
    let read = &kit.doors.db.read;
    let found = if let Some(max_tokens) = max_tokens {
        if kind.is_some() || q.is_some() || before.is_some() || wanted.is_some() {
            return Err(ApiError::bad_request("maxTokens goes with nothing else"));
        }
        if max_tokens > MOST_TOKENS {
            return Err(ApiError::bad_request(format!("maxTokens must be at most {MOST_TOKENS}")));
        }
        read.recall.ask(Recall { bot, max_tokens }).await?
    } else {
        let kind = word("type", kind.as_deref(), EntryKind::parse, KINDS)?;
        let (before, limit) = (before.map(EntryId::new), limit(wanted, LISTED)?);
        read.list_entries.ask(ListEntries { bot, kind, query: q, before, limit }).await?
    };
    Ok(web::Json(Entries { entries: found.into_iter().map(EntryShape::from).collect() }))
}

/// Write into a bot's journal.
#[utoipa::path(
    request_body = EntryBody,
    params(("id" = String, Path, description = "the bot")),
    responses((status = 201, body = EntryShape), (status = "4XX", body = ErrorBody)),
    security(("key" = [])), tag = "bots",
)]
#[post("/api/v1/bots/{id}/journal")]
pub(super) async fn write_journal(
    kit: web::Data<WebKit>,
    caller: Caller,
    path: web::Path<String>,
    body: web::Json<EntryBody>,
) -> ApiResult<HttpResponse> {
    let bot = BotId::new(path.into_inner());
    let project = enter(&kit, &caller, ProjectOf::Bot(bot.clone()), "bot", Role::Developer).await?;
    let body = body.into_inner();
    let kind = word("entryType", Some(&body.entry_type), EntryKind::parse, KINDS)?;
    let kind = kind.ok_or_else(|| ApiError::bad_request("entryType is missing"))?;
    let story = body.story_id.map(StoryId::new);
    if let Some(id) = &story {
        let found = kit.doors.db.read.get_story.ask(GetStory { id: id.clone() }).await?;
        if found.is_none_or(|story| story.project != project.id) {
            return Err(ApiError::bad_request(format!(
                "storyId names {id}, which is no story of this project"
            )));
        }
    }
    let entry = Entry {
        id: EntryId::new(encode(kit.clock.fresh())),
        bot,
        kind,
        summary: body.summary.trim().to_owned(),
        details: body.details.unwrap_or_default(),
        story,
        job: None,
        at: kit.clock.now(),
    };
    let written = kit.doors.db.write.add_entry.ask(AddEntry { entry }).await?;
    Ok(HttpResponse::Created().json(EntryShape::from(written)))
}
