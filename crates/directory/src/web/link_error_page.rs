//! Error pages of links: browsers get a small page in their language, other clients a problem
//! document.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::assets::{self, Coding};
use super::page_headers::add_page_headers;
use super::user_agent::{accepts_html, language};

/// Replaces a problem document with a page if the client is a browser. The page says no more than
/// the status; other responses are returned unchanged.
pub(crate) fn link_error_page(answer: Response, asked: &HeaderMap) -> Response {
    let status = answer.status();
    let page = match status {
        StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => "invalid",
        StatusCode::TOO_MANY_REQUESTS => "unavailable",
        status if status.is_server_error() => "unavailable",
        _ => return answer,
    };
    if !accepts_html(asked) {
        return answer;
    }
    let page = format!("link/{page}.{}.html", language(asked));
    let Some(asset) = assets::find(&page) else {
        return answer;
    };
    let (_, body) = asset.coded(Coding::Plain);
    let kind = [(header::CONTENT_TYPE, asset.kind)];
    let mut words = (status, kind, body.clone()).into_response();
    let written = words.headers_mut();
    add_page_headers(written);
    written.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let vary = HeaderValue::from_static("accept, accept-language");
    written.insert(header::VARY, vary);
    if let Some(pause) = answer.headers().get(header::RETRY_AFTER) {
        written.insert(header::RETRY_AFTER, pause.clone());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::user_agent::LANGUAGES;
    use super::*;

    #[test]
    fn each_language_has_each_page() {
        for page in ["invalid", "unavailable"] {
            for language in LANGUAGES {
                let path = format!("link/{page}.{language}.html");
                assert!(assets::find(&path).is_some(), "{path}");
            }
        }
    }
}
