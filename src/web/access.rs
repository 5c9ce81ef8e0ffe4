//! Who calls: keys by their hash, compared in constant time, looked up at most once a second.

use std::{net::IpAddr, sync::PoisonError};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, http::StatusCode, http::header};
use subtle::ConstantTimeEq;

use crate::{
    actors::db::messages::{FindKey, TouchKey},
    domain::{
        access::{Principal, Role, hash_key},
        ids::UserId,
    },
};

use super::{
    error::{ApiError, ApiResult},
    kit::{Guards, WebKit},
};

/// How long a key that was found is trusted, in milliseconds: a revoked one works no longer than that.
const TRUSTED: i64 = 1_000;
/// How often the use of a key is noted, in milliseconds.
const NOTED: i64 = 60_000;
/// Most keys that are remembered.
const MOST: usize = 1_000;

/// The person behind a request, as the middleware found them.
pub(super) struct Caller(pub(super) Principal);

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = std::future::Ready<ApiResult<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let found = request.extensions().get::<Principal>().cloned();
        std::future::ready(found.map(Caller).ok_or_else(unauthorized))
    }
}

fn unauthorized() -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "send an API key: `Authorization: Bearer KEY` or `x-api-key: KEY` (`atoll keys create` makes one)",
    )
}

/// Finds out who calls.
pub(super) async fn authenticate(
    kit: &WebKit,
    headers: &header::HeaderMap,
    address: Option<IpAddr>,
) -> ApiResult<Principal> {
    let now = kit.clock.now();
    let place = address.map(|address| address.to_string()).unwrap_or_default();
    locked(guards(kit).lockout.check(now, &place))?;
    let Some(key) = shown_key(headers) else { return Err(unauthorized()) };
    let hash = hash_key(key);
    let principal = match known(kit, &hash, now) {
        Some(principal) => Some(principal),
        None => look_up(kit, &hash, address, now).await?,
    };
    let Some(principal) = principal else {
        if guards(kit).lockout.fail(now, &place) {
            tracing::warn!(address = place, "address is locked out after too many wrong keys");
        }
        return Err(unauthorized());
    };
    if principal.role != Role::Owner {
        let name = principal.key.as_ref().map(|id| id.as_str().to_owned()).unwrap_or_default();
        guards(kit).pace.take(now, &name).map_err(|wait| {
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_fast", "too many requests with this key")
                .wait(wait)
        })?;
    }
    Ok(principal)
}

/// The key of a request that was let in, to look at again as long as its answer is read.
pub(super) struct Shown {
    hash: Option<[u8; 32]>,
    address: Option<IpAddr>,
}

impl Shown {
    pub(super) fn by(request: &HttpRequest) -> Self {
        let hash = shown_key(request.headers()).map(hash_key);
        Self { hash, address: request.peer_addr().map(|peer| peer.ip()) }
    }

    /// True while the key is valid. A store that cannot say is no reason to go on.
    pub(super) async fn stands(&self, kit: &WebKit) -> bool {
        let Some(hash) = &self.hash else { return false };
        let now = kit.clock.now();
        known(kit, hash, now).is_some() || matches!(look_up(kit, hash, self.address, now).await, Ok(Some(_)))
    }
}

fn locked(checked: Result<(), u64>) -> ApiResult<()> {
    checked.map_err(|wait| {
        let message = "too many wrong keys from this address";
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "locked_out", message).wait(wait)
    })
}

fn shown_key(headers: &header::HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    bearer.or_else(|| headers.get("x-api-key")?.to_str().ok()).filter(|key| !key.is_empty())
}

fn known(kit: &WebKit, hash: &[u8; 32], now: i64) -> Option<Principal> {
    let guards = guards(kit);
    let (principal, looked, _) = guards.known.get(hash)?;
    (now - looked < TRUSTED).then(|| principal.clone())
}

async fn look_up(
    kit: &WebKit,
    hash: &[u8; 32],
    address: Option<IpAddr>,
    now: i64,
) -> ApiResult<Option<Principal>> {
    let local =
        bool::from(hash.ct_eq(&kit.local.hash)) && address.is_some_and(|address| address.is_loopback());
    if local {
        return Ok(Some(Principal {
            key: None,
            name: "local".into(),
            role: Role::Owner,
            user: UserId::default_user(),
            acts_for_others: true,
            channel: "terminal",
        }));
    }
    let found = kit.doors.db.read.find_key.ask(FindKey { hash: hash.to_vec() }).await?;
    let Some((key, stored)) = found else { return Ok(None) };
    if !bool::from(stored.as_slice().ct_eq(hash)) {
        return Ok(None);
    }
    let principal = Principal {
        key: Some(key.id.clone()),
        name: key.name,
        role: key.role,
        user: key.user_id,
        acts_for_others: key.acts_for_others,
        channel: "api",
    };
    if remember(&mut guards(kit), *hash, &principal, now) {
        // Of no consequence when it fails: the next use notes it.
        let _ = kit.doors.db.write.touch_key.try_send(TouchKey { id: key.id, now });
    }
    Ok(Some(principal))
}

/// Remembers a key; true when its use is to be noted.
fn remember(guards: &mut Guards, hash: [u8; 32], principal: &Principal, now: i64) -> bool {
    if guards.known.len() >= MOST {
        guards.known.retain(|_, (_, looked, _)| now - *looked < TRUSTED);
    }
    let noted = guards.known.get(&hash).map_or(0, |(_, _, noted)| *noted);
    let note = now - noted >= NOTED;
    guards.known.insert(hash, (principal.clone(), now, if note { now } else { noted }));
    note
}

/// Forgets what is remembered of keys: one was revoked.
pub(super) fn forget_keys(kit: &WebKit) {
    guards(kit).known.clear();
}

fn guards(kit: &WebKit) -> std::sync::MutexGuard<'_, Guards> {
    kit.guards.lock().unwrap_or_else(PoisonError::into_inner)
}
