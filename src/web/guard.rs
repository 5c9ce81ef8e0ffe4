//! What stands before every handler: the host that is addressed, the origin that asks, the key.

use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse, ResponseError,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderMap, HeaderValue},
    },
    middleware::Next,
    web::Data,
};

use super::{
    access::authenticate,
    channels::TELEGRAM_WEBHOOK,
    error::{ApiError, ApiResult},
    kit::WebKit,
};

/// Paths that need no key.
const OPEN: &[&str] = &["/healthz", "/readyz", TELEGRAM_WEBHOOK];
/// What a browser of an allowed origin may send.
const ALLOWED_HEADERS: &str = "authorization, content-type, idempotency-key, last-event-id, x-api-key";
/// Headers of answers that its scripts may read.
const SHOWN_HEADERS: &str = "x-message-id, retry-after, content-disposition";

/// Checks a request, then lets it through.
pub(super) async fn guard<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let Some(kit) = request.app_data::<Data<WebKit>>().cloned() else {
        return Ok(refuse(request.into_parts().0, &ApiError::unavailable("starting"), None));
    };
    let origin = match check_origin(&kit, request.headers()) {
        Ok(origin) => origin,
        Err(error) => return Ok(refuse(request.into_parts().0, &error, None)),
    };
    if request.method() == Method::OPTIONS && origin.is_some() {
        let response = allow(HttpResponse::NoContent().finish(), origin.as_deref());
        return Ok(request.into_response(response).map_into_right_body());
    }
    if !is_open(request.path()) {
        let address = request.peer_addr().map(|peer| peer.ip());
        match authenticate(&kit, request.headers(), address).await {
            Ok(principal) => drop(request.extensions_mut().insert(principal)),
            Err(error) => return Ok(refuse(request.into_parts().0, &error, origin.as_deref())),
        }
    }
    let (request, response) = next.call(request).await?.into_parts();
    let response = allow(response, origin.as_deref());
    Ok(ServiceResponse::new(request, response).map_into_left_body())
}

fn refuse<B>(
    request: HttpRequest,
    error: &ApiError,
    origin: Option<&str>,
) -> ServiceResponse<EitherBody<B, BoxBody>> {
    let response = allow(error.error_response(), origin);
    ServiceResponse::new(request, response).map_into_right_body()
}

/// Refuses requests that a page of another site could have made: by a name that points here (DNS rebinding),
/// or from an origin that is not allowed. Gives the origin back when answers to it may be read.
fn check_origin(kit: &WebKit, headers: &HeaderMap) -> ApiResult<Option<String>> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let server = &kit.settings.server;
    let host = text(header::HOST).unwrap_or_default();
    if !host_is_ours(host, &server.allowed_hosts) {
        let message = format!(
            "this server is not `{}`; add the name to `server.allowed_hosts` if it is",
            host.chars().take(100).collect::<String>()
        );
        return Err(ApiError::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", message));
    }
    let Some(origin) = text(header::ORIGIN) else { return Ok(None) };
    if server.allowed_origins.iter().any(|allowed| allowed == origin) {
        return Ok(Some(origin.to_owned()));
    }
    let same = origin.split_once("://").is_some_and(|(_, authority)| authority == host);
    if same {
        return Ok(None);
    }
    let message = "requests from this web origin are not allowed; see `server.allowed_origins`";
    Err(ApiError::new(StatusCode::FORBIDDEN, "origin_not_allowed", message))
}

/// What answers without a key: [`OPEN`], and links to files, which carry their own permission.
fn is_open(path: &str) -> bool {
    let shared = path.strip_prefix("/api/files/").and_then(|rest| rest.strip_suffix("/shared"));
    OPEN.contains(&path) || shared.is_some_and(|id| !id.contains('/'))
}

/// Addresses cannot be re-pointed by somebody's DNS; names can, so they must be known.
fn host_is_ours(host: &str, allowed: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.parse::<std::net::IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || allowed.iter().any(|ours| ours.eq_ignore_ascii_case(name))
}

/// Lets a browser of an allowed origin read the answer.
fn allow<B>(mut response: HttpResponse<B>, origin: Option<&str>) -> HttpResponse<B> {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let Some(origin) = origin.and_then(|origin| HeaderValue::from_str(origin).ok()) else { return response };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(SHOWN_HEADERS));
    let methods = HeaderValue::from_static("GET, POST, PATCH, PUT, DELETE, OPTIONS");
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_ours_are_refused() {
        let allowed = ["atoll.example.org".to_owned()];
        for host in ["127.0.0.1:7700", "localhost", "[::1]:7700", "Atoll.example.org:443", "192.168.1.5"] {
            assert!(host_is_ours(host, &allowed), "{host}");
        }
        for host in ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil"] {
            assert!(!host_is_ours(host, &allowed), "{host}");
        }
    }
}
