//! The web page: the files under `web/`, which lie in the program, so that nothing is read from the
//! disk and no path leads anywhere else. `/` is the page, the rest is under `/web/`.
//!
//! Each file is compressed once, when the first is asked for. Its `ETag` is of its contents and the
//! names never change, so browsers keep everything and ask whether it is still so.

mod assets;
mod sorry;

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use convite_core::Problem;

use self::assets::{Asset, Coding};
use crate::Service;
use crate::rest::Refusal;

pub(crate) use self::sorry::in_words;

/// The file that is the page.
const PAGE: &str = "index.html";

/// Content Security Policy: the page's own scripts and styles, its own server, and pictures that it
/// draws itself (QR codes). Nothing inline, nothing from elsewhere, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What goes with each of the page's files.
const FIELDS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    // Kept, and asked for again with its `ETag` each time.
    (header::CACHE_CONTROL, "no-cache"),
    (header::VARY, "accept-encoding"),
];

/// The page's files besides the page itself, which is described with the rest of the interface.
pub(crate) fn routes() -> Router<Arc<Service>> {
    Router::new().route("/web/{*path}", get(file))
}

/// The page itself.
#[utoipa::path(
    get, path = "/", operation_id = "showPage", tag = "about",
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of what is there already")),
    responses(
        (status = 200, description = "HTML", body = String, content_type = "text/html"),
        (status = 304, description = "It is there already"),
    ),
)]
pub(crate) async fn page(headers: HeaderMap) -> Response {
    answer(assets::find(PAGE), &headers)
}

async fn file(Path(path): Path<String>, headers: HeaderMap) -> Response {
    answer(assets::find(&path), &headers)
}

fn answer(asset: Option<&'static Asset>, headers: &HeaderMap) -> Response {
    let Some(asset) = asset else {
        return Refusal(Problem::not_found("the page has no such file")).into_response();
    };
    let coding = Coding::wanted(headers);
    let (tag, body) = asset.coded(coding);
    let mut answer = match is_kept(headers, tag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => {
            let kind = [(header::CONTENT_TYPE, asset.kind)];
            (kind, body.clone()).into_response()
        }
    };
    let written = answer.headers_mut();
    fields(written);
    if let Ok(tag) = HeaderValue::from_str(tag) {
        written.insert(header::ETAG, tag);
    }
    if coding == Coding::Gzip && answer.status() == StatusCode::OK {
        let gzip = HeaderValue::from_static("gzip");
        answer.headers_mut().insert(header::CONTENT_ENCODING, gzip);
    }
    answer
}

fn fields(headers: &mut HeaderMap) {
    for (name, value) in FIELDS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Whether the browser has this already (RFC 9110, section 13.1.2: the comparison is weak).
fn is_kept(headers: &HeaderMap, tag: &str) -> bool {
    let lists = headers.get_all(header::IF_NONE_MATCH).iter();
    lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|kept| kept == "*" || kept.strip_prefix("W/").unwrap_or(kept) == tag)
}
