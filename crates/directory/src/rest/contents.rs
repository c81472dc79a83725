//! `/files/{hash}/content`: the file itself, for browsers and curl.
//!
//! The answer is that of RFC 9110 for a file that never changes: its `ETag` is its hash, single
//! ranges are served, conditions are honoured, several ranges at once are refused.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE, REFERRER_POLICY,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, response};
use axum::response::{IntoResponse, Response};
use convite_core::{ContentHash, ErrorCode, Problem};
use convite_wire::attachment::{
    CONTENT_POLICY, content_type, disposition, is_harmless, matches_any,
};
use convite_wire::range::{Asked, asked};
use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::{PathPart, Query};
use super::openapi::problems;
use super::{Answer, Refusal};
use crate::Service;
use crate::service::{Caller, Contents, Pass};

/// When to try again if no provider answers.
const AGAIN: Duration = Duration::from_secs(2);

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// To be shown rather than saved, if its kind is harmless.
    #[serde(default)]
    inline: bool,
}

problems!(
    ReadRefused,
    caller,
    InvalidArgument,
    PermissionDenied,
    NotFound,
    RangeNotSatisfiable,
    TooLarge,
    CorruptContents
);

/// The file itself, verified on its way: for browsers and curl. Single ranges are served.
#[utoipa::path(
    get, path = "/files/{hash}/content", operation_id = "readFile", tag = "files",
    params(
        ("hash" = ContentHash, Path),
        Parameters,
        ("Range" = Option<String>, Header, description = "Which bytes, as RFC 9110 says", example = "bytes=0-999"),
        ("If-Range" = Option<String>, Header, description = "The `ETag` that the range belongs to"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of what is there already"),
    ),
    responses(
        (status = 200, description = "The file; a body that breaks off before its `Content-Length` is not all of it",
            body = Vec<u8>, content_type = "*/*"),
        (status = 206, description = "The range", body = Vec<u8>, content_type = "*/*"),
        (status = 304, description = "It is there already"),
        ReadRefused,
    ),
    security(("session" = [])),
)]
pub(super) async fn read(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(hash): PathPart,
    Query(parameters): Query<Parameters>,
    method: Method,
    headers: HeaderMap,
) -> Answer<Response> {
    let hash = hash.parse()?;
    let contents = service.contents(&caller, &hash).await?;
    let reading = Reading {
        hash,
        inline: parameters.inline,
        method,
        headers,
        pass: None,
    };
    Ok(reading.answer(contents).await)
}

/// How a file is asked for.
pub(super) struct Reading {
    pub hash: ContentHash,
    pub inline: bool,
    pub method: Method,
    pub headers: HeaderMap,
    /// Spent when there is something to send; none for who has a session.
    pub pass: Option<Pass>,
}

impl Reading {
    pub(super) async fn answer(self, contents: Contents) -> Response {
        let claimed = contents.size();
        self.try_answer(contents)
            .await
            .unwrap_or_else(|problem| refusal(problem, claimed))
    }

    async fn try_answer(&self, contents: Contents) -> Result<Response, Problem> {
        let etag = format!("\"{}\"", self.hash);
        let response = Response::builder()
            .header(ETAG, &etag)
            .header(ACCEPT_RANGES, "bytes")
            // What a hash names never changes; who may have it does.
            .header(CACHE_CONTROL, self.caching())
            .header(VARY, "authorization, cookie")
            .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
            .header(REFERRER_POLICY, "no-referrer")
            .header(CONTENT_SECURITY_POLICY, CONTENT_POLICY);
        if self
            .text(&IF_NONE_MATCH)
            .is_some_and(|tags| matches_any(tags, &etag))
        {
            return finish(response.status(StatusCode::NOT_MODIFIED), Body::empty());
        }
        let name = contents.name();
        let kind = content_type(&name);
        let inline = self.inline && is_harmless(&kind);
        let response = response
            .header(CONTENT_TYPE, kind)
            .header(CONTENT_DISPOSITION, disposition(&name, inline));
        if self.method == Method::HEAD {
            // Ranges are defined for GET alone (RFC 9110, section 14.2).
            let response = response.header(CONTENT_LENGTH, contents.size());
            return finish(response, Body::empty());
        }
        let opened = contents.open().await?;
        let size = opened.size();
        // A condition that does not hold asks for the whole. Only our ETag can match: a date is
        // no strong validator.
        let wants_range = self.text(&IF_RANGE).is_none_or(|tag| tag == etag);
        let range = self.text(&RANGE).filter(|_| wants_range);
        let (response, range) = match asked(range, size) {
            Ok(Asked::Whole) => (response, 0..size),
            Ok(Asked::Part(part)) => {
                let value = format!("bytes {}-{}/{size}", part.start, part.end - 1);
                let response = response.status(StatusCode::PARTIAL_CONTENT);
                (response.header(CONTENT_RANGE, value), part)
            }
            Err(problem) => return Ok(refusal(problem, size)),
        };
        if let Some(pass) = &self.pass {
            pass.spend(range.start == 0).await?;
        }
        let response = response.header(CONTENT_LENGTH, range.end - range.start);
        let body = opened.stream(range).await?;
        finish(response, Body::new(body))
    }

    /// What a link gives is kept by nobody under the link's name.
    fn caching(&self) -> &'static str {
        match self.pass {
            Some(_) => "private, no-store",
            None => "private, max-age=31536000, immutable",
        }
    }

    fn text(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

fn finish(response: response::Builder, body: Body) -> Result<Response, Problem> {
    response
        .body(body)
        .map_err(|e| Problem::new(ErrorCode::Internal, format!("cannot answer: {e}")))
}

/// A problem document, with what a reader of files needs beside it.
fn refusal(problem: Problem, size: u64) -> Response {
    let code = problem.code;
    let problem = match code {
        ErrorCode::Unavailable => problem.retry_after(AGAIN),
        _ => problem,
    };
    let mut response = Refusal(problem).into_response();
    if code == ErrorCode::RangeNotSatisfiable
        && let Ok(value) = HeaderValue::try_from(format!("bytes */{size}"))
    {
        response.headers_mut().insert(CONTENT_RANGE, value);
    }
    response
}
