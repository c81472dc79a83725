//! The web page: the files under `web/` are compiled into the program, so that no file is read from
//! the disk. `/` is the page; the other files are under `/web/`.
//!
//! All files are compressed once, on the first request. The `ETag` is a hash of the contents and
//! the names never change, so browsers cache every file and revalidate it.

mod assets;
mod link_error_page;
mod link_page;
mod page_headers;
mod user_agent;

use std::sync::Arc;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use convite_core::Problem;

use self::assets::{Asset, Coding};
use self::page_headers::add_page_headers;
use crate::Service;
use crate::answer::ProblemResponse;

pub(crate) use self::link_error_page::link_error_page;
pub(crate) use self::link_page::LinkPage;
pub(crate) use self::user_agent::is_browser_or_preview;

/// The file name of the page.
const PAGE: &str = "index.html";

/// Returns the path and the handler of the page's files; the page itself is described with the API.
pub(crate) fn files() -> (&'static str, MethodRouter<Arc<Service>>) {
    ("/web/{*path}", get(file))
}

/// Returns the web page.
#[utoipa::path(
    get, path = "/", operation_id = "showPage", tag = "about",
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of the client's copy")),
    responses(
        (status = 200, description = "HTML", body = String, content_type = "text/html"),
        (status = 304, description = "The client's copy is current"),
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
        return ProblemResponse(Problem::not_found("no such file")).into_response();
    };
    let coding = Coding::wanted(headers);
    let (tag, body) = asset.coded(coding);
    let mut answer = if is_current(headers, tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let kind = [(header::CONTENT_TYPE, asset.kind)];
        (kind, body.clone()).into_response()
    };
    let written = answer.headers_mut();
    add_page_headers(written);
    if let Ok(tag) = HeaderValue::from_str(tag) {
        written.insert(header::ETAG, tag);
    }
    if coding == Coding::Gzip && answer.status() == StatusCode::OK {
        let gzip = HeaderValue::from_static("gzip");
        answer.headers_mut().insert(header::CONTENT_ENCODING, gzip);
    }
    answer
}

/// Returns whether the client has the current version (RFC 9110, section 13.1.2: weak comparison).
fn is_current(headers: &HeaderMap, tag: &str) -> bool {
    let lists = headers.get_all(header::IF_NONE_MATCH).iter();
    lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|kept| kept == "*" || kept.strip_prefix("W/").unwrap_or(kept) == tag)
}
