//! Decoding for this door: bodies, queries, path parts and callers, refused as problem documents
//! where axum's own extractors would answer with plain text.

use std::error::Error;
use std::sync::Arc;

use axum::body::HttpBody;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use convite_core::{ErrorCode, Problem};
use convite_net::Connection;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::Refusal;
use crate::Service;
use crate::credentials::{SessionCookie, bearer};
use crate::service::{Caller, Seen};

/// The largest body, in bytes, where nothing else is said.
pub(super) const BODY_MAX: usize = 256 << 10;

/// A JSON body of at most `MAX` bytes. An empty one counts as an object without fields, and one
/// of no stated kind as JSON.
///
/// Another kind is refused: a page of another site can make a browser send those without asking.
pub(super) struct Json<T, const MAX: usize = BODY_MAX>(pub T);

impl<T: DeserializeOwned, const MAX: usize> FromRequest<Arc<Service>> for Json<T, MAX> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &Arc<Service>) -> Result<Self, Refusal> {
        let is_json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_none_or(says_json);
        let too_large = || {
            Problem::new(
                ErrorCode::TooLarge,
                format!("the body is larger than {MAX} bytes"),
            )
            .hint("send less at once; a large index goes through gRPC in batches")
        };
        // What says that it will be too large is not waited for.
        if request.body().size_hint().lower() > MAX as u64 {
            return Err(too_large().into());
        }
        let body = axum::body::to_bytes(request.into_body(), MAX)
            .await
            .map_err(|error| {
                let is_long = error
                    .source()
                    .is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
                match is_long {
                    true => too_large(),
                    false => Problem::invalid("the body did not arrive whole"),
                }
            })?;
        let body = match body.as_ref() {
            [] => b"{}",
            _ if !is_json => {
                let problem = Problem::new(
                    ErrorCode::UnsupportedMediaType,
                    "the body is not said to be JSON",
                );
                return Err(problem.hint("send `content-type: application/json`").into());
            }
            body => body,
        };
        // serde would take a list for an object, its items for the fields in their order.
        if body.trim_ascii_start().first() != Some(&b'{') {
            let problem = Problem::invalid("the body is not a JSON object");
            return Err(problem
                .hint("send JSON with the fields that this path takes")
                .into());
        }
        serde_json::from_slice(body).map(Self).map_err(|error| {
            Refusal(
                Problem::invalid(format!("the body is not valid: {error}"))
                    .hint("send JSON with the fields that this path takes"),
            )
        })
    }
}

/// Whether a `content-type` is that of JSON, whatever its parameters.
fn says_json(value: &HeaderValue) -> bool {
    let kind = value.to_str().unwrap_or_default().split(';').next();
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The query's parameters.
pub(super) struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Service>> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Service>) -> Result<Self, Refusal> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|error| {
                let reason = error.source().map_or_else(String::new, ToString::to_string);
                Refusal(Problem::invalid(format!(
                    "the query is not valid: {reason}"
                )))
            })
    }
}

/// Which page of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// The most on a page; 100 by default.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(nullable = false)]
    pub cursor: Option<String>,
}

/// The one part of the path that varies, as text.
pub(super) struct PathPart(pub String);

impl FromRequestParts<Arc<Service>> for PathPart {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<Service>) -> Result<Self, Refusal> {
        axum::extract::Path::<String>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(part)| Self(part))
            .map_err(|_| Refusal(Problem::invalid("the path is not UTF-8")))
    }
}

/// The two parts of the path that vary, as text.
pub(super) struct PathParts(pub String, pub String);

impl FromRequestParts<Arc<Service>> for PathParts {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<Service>) -> Result<Self, Refusal> {
        axum::extract::Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path((first, second))| Self(first, second))
            .map_err(|_| Refusal(Problem::invalid("the path is not UTF-8")))
    }
}

impl FromRequestParts<Arc<Service>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, Refusal> {
        // Whoever sends the header means that session, whatever a browser adds.
        let token = match parts.headers.get(header::AUTHORIZATION) {
            Some(value) => bearer(value.to_str().ok()),
            None => SessionCookie::of(service.is_encrypted()).token(&parts.headers),
        };
        let connection = parts.extensions.get::<Connection>();
        let seen = connection.map(|connection| Seen {
            remote: connection.remote,
        });
        Ok(service.authenticate(token, seen).await?)
    }
}

impl FromRequestParts<Arc<Service>> for Seen {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Service>) -> Result<Self, Refusal> {
        let connection = parts
            .extensions
            .get::<Connection>()
            .ok_or_else(|| Problem::new(ErrorCode::Internal, "the connection is not known"))?;
        Ok(Self {
            remote: connection.remote,
        })
    }
}
