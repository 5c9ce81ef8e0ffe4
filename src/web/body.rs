//! Bodies that may be left out. What is there must fit: an order that cannot be read is not carried out.

use actix_web::{Error, FromRequest, HttpRequest, dev::Payload, http::header, web::Json};
use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::ToSchema;

/// Nothing needs to be said.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// A JSON body, or what stands for none.
pub(super) struct Maybe<T>(pub(super) T);

impl<T: DeserializeOwned + Default + 'static> FromRequest for Maybe<T> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let length = request.headers().get(header::CONTENT_LENGTH);
        if matches!(payload, Payload::None) || length.is_some_and(|length| length == "0") {
            return Box::pin(std::future::ready(Ok(Self(T::default()))));
        }
        let body = Json::<T>::from_request(request, payload);
        Box::pin(async move { Ok(Self(body.await?.into_inner())) })
    }
}
