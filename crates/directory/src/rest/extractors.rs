//! Extractors for bodies, queries, path parts and callers. They refuse with problem documents,
//! where axum's own extractors answer with plain text.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;

use axum::body::HttpBody;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use convite_core::{ErrorCode, Problem};
use convite_net::ConnectionInfo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::decode_errors;
use crate::Service;
use crate::answer::ProblemResponse;
use crate::credentials::{SessionCookie, bearer, join_token};
use crate::service::{Caller, ClientAddress};

/// Default maximum size of a body, in bytes.
pub(super) const BODY_MAX: usize = 256 << 10;

/// Number of items that every body may have, whatever its length.
const ITEMS_MAX: usize = 100_000;
/// A body may have one further item per this number of bytes.
const ITEM_BYTES: usize = 20;

/// A JSON body of at most `MAX` bytes. An empty body counts as an object without fields, and a body
/// without a content type as JSON.
///
/// Other content types are refused: a page of another site can send them without a preflight
/// request.
pub(super) struct Json<T, const MAX: usize = BODY_MAX>(pub T);

impl<T: DeserializeOwned, const MAX: usize> FromRequest<Arc<Service>> for Json<T, MAX> {
    type Rejection = ProblemResponse;

    async fn from_request(request: Request, _: &Arc<Service>) -> Result<Self, ProblemResponse> {
        let is_json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_none_or(says_json);
        let too_large = || {
            Problem::new(
                ErrorCode::TooLarge,
                format!("the body is larger than {MAX} bytes"),
            )
            .hint("send smaller batches; send a large index with gRPC")
        };
        // Refuse a body that announces its excessive length immediately.
        if request.body().size_hint().lower() > MAX as u64 {
            return Err(too_large().into());
        }
        let body = axum::body::to_bytes(request.into_body(), MAX)
            .await
            .map_err(|error| {
                let is_long = error
                    .source()
                    .is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
                if is_long {
                    too_large()
                } else {
                    Problem::invalid("the body is incomplete")
                }
            })?;
        let body = match body.as_ref() {
            [] => b"{}",
            _ if !is_json => {
                let problem = Problem::new(
                    ErrorCode::UnsupportedMediaType,
                    "the content type is not JSON",
                );
                return Err(problem.hint("send `content-type: application/json`").into());
            }
            body => body,
        };
        // serde accepts an array as an object, with its items as the fields in order.
        if body.trim_ascii_start().first() != Some(&b'{') {
            let problem = Problem::invalid("the body is not a JSON object");
            return Err(problem
                .hint("send JSON with the fields of this path: see /docs")
                .into());
        }
        check_items(body)?;
        Ok(Self(decode_errors::from_json(body)?))
    }
}

/// Refuses a body with very many small items before it is decoded: an item of a few bytes takes
/// dozens of bytes in memory. Bodies with items of usual length always pass.
fn check_items(body: &[u8]) -> Result<(), Problem> {
    let most = ITEMS_MAX + body.len() / ITEM_BYTES;
    // Commas in strings count too, which only lowers the limit.
    let items = body.iter().filter(|byte| **byte == b',').count();
    if items <= most {
        return Ok(());
    }
    Err(Problem::new(
        ErrorCode::TooLarge,
        format!("the body has more than {most} items"),
    )
    .hint("send smaller batches; send a large index with gRPC"))
}

/// Returns whether a `content-type` is JSON, with any parameters.
fn says_json(value: &HeaderValue) -> bool {
    let kind = value.to_str().unwrap_or_default().split(';').next();
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The query's parameters.
pub(super) struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Service>> for Query<T> {
    type Rejection = ProblemResponse;

    async fn from_request_parts(
        parts: &mut Parts,
        _: &Arc<Service>,
    ) -> Result<Self, ProblemResponse> {
        // `parameters` has already refused unknown parameters.
        let query = parts.uri.query().unwrap_or_default();
        let decoder = serde_html_form::Deserializer::from_bytes(query.as_bytes());
        serde_path_to_error::deserialize(decoder)
            .map(Self)
            .map_err(|error| {
                let name = error.path().to_string();
                decode_errors::decode_error("parameter", &name, &error.into_inner().to_string())
                    .into()
            })
    }
}

/// The page of a list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// Maximum number of items; 100 by default.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    pub limit: Option<u32>,
    /// `next_cursor` of the previous page.
    #[param(nullable = false)]
    pub cursor: Option<String>,
}

/// The variable part of the path, as text.
pub(super) struct PathPart(pub String);

impl FromRequestParts<Arc<Service>> for PathPart {
    type Rejection = ProblemResponse;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &Arc<Service>,
    ) -> Result<Self, ProblemResponse> {
        axum::extract::Path::<String>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(part)| Self(part))
            .map_err(|_| ProblemResponse(Problem::invalid("the path is not UTF-8")))
    }
}

/// The two variable parts of the path, as text.
pub(super) struct PathParts(pub String, pub String);

impl FromRequestParts<Arc<Service>> for PathParts {
    type Rejection = ProblemResponse;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &Arc<Service>,
    ) -> Result<Self, ProblemResponse> {
        axum::extract::Path::<(String, String)>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path((first, second))| Self(first, second))
            .map_err(|_| ProblemResponse(Problem::invalid("the path is not UTF-8")))
    }
}

impl FromRequestParts<Arc<Service>> for Caller {
    type Rejection = ProblemResponse;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, ProblemResponse> {
        // An explicit header takes precedence over cookies that a browser adds.
        let token = match parts.headers.get(header::AUTHORIZATION) {
            Some(value) => bearer(value.to_str().ok()).map(Cow::Borrowed),
            None => {
                let cookie = SessionCookie::of(service.is_encrypted()).token(&parts.headers);
                join_token(cookie, &parts.headers).map(Cow::Owned)
            }
        };
        let connection = parts.extensions.get::<ConnectionInfo>();
        let seen = connection.map(|connection| ClientAddress {
            remote: connection.remote,
        });
        Ok(service.authenticate(token.as_deref(), seen).await?)
    }
}

/// A caller with the permission to share, checked before the body is read.
pub(super) struct SharingCaller(pub Caller);

impl FromRequestParts<Arc<Service>> for SharingCaller {
    type Rejection = ProblemResponse;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, ProblemResponse> {
        let caller = Caller::from_request_parts(parts, service).await?;
        caller.require_sharing_role()?;
        Ok(Self(caller))
    }
}

impl FromRequestParts<Arc<Service>> for ClientAddress {
    type Rejection = ProblemResponse;

    async fn from_request_parts(
        parts: &mut Parts,
        _: &Arc<Service>,
    ) -> Result<Self, ProblemResponse> {
        let connection = parts
            .extensions
            .get::<ConnectionInfo>()
            .ok_or_else(|| Problem::new(ErrorCode::Internal, "the connection is unknown"))?;
        Ok(Self {
            remote: connection.remote,
        })
    }
}
