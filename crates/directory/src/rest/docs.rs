//! `/docs`: the API reference as a page that is compiled into the program. It loads nothing from
//! other servers, and its policy forbids it.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::IntoResponse;

const PAGE: &str = include_str!("docs/index.html");
const SCRIPT: &str = include_str!("docs/reference.js");
const STYLE: &str = include_str!("docs/reference.css");

/// Content Security Policy: allows only the page's own script, style and API description.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let fields: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (fields, text)
}

/// Shows this API as a page.
#[utoipa::path(
    get, path = "/docs", operation_id = "showDocs", tag = "about",
    responses((status = 200, description = "HTML", body = String, content_type = "text/html")),
)]
pub(super) async fn page() -> impl IntoResponse {
    asset("text/html; charset=utf-8", PAGE)
}

/// Returns the script of that page.
#[utoipa::path(
    get, path = "/docs/reference.js", operation_id = "docsScript", tag = "about",
    responses((status = 200, description = "JavaScript", body = String, content_type = "text/javascript")),
)]
pub(super) async fn script() -> impl IntoResponse {
    asset("text/javascript; charset=utf-8", SCRIPT)
}

/// Returns the style of that page.
#[utoipa::path(
    get, path = "/docs/reference.css", operation_id = "docsStyle", tag = "about",
    responses((status = 200, description = "CSS", body = String, content_type = "text/css")),
)]
pub(super) async fn style() -> impl IntoResponse {
    asset("text/css; charset=utf-8", STYLE)
}
