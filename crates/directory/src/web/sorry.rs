//! What somebody with a browser reads who opened a link and gets no file: a small page in words, in
//! the language of the browser, where programs get a problem document.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::assets::{self, Coding};
use super::fields;

/// The languages that the page speaks; the first is for everybody else.
const LANGUAGES: [&str; 2] = ["en", "es"];

/// Puts words in place of a problem document if the reader is a browser. Says no more than the
/// status does; what is no failure of the link passes as it is.
pub(crate) fn in_words(answer: Response, asked: &HeaderMap) -> Response {
    let status = answer.status();
    let page = match status {
        StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => "over",
        StatusCode::TOO_MANY_REQUESTS => "later",
        status if status.is_server_error() => "later",
        _ => return answer,
    };
    if !reads_pages(asked) {
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
    fields(written);
    written.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let vary = HeaderValue::from_static("accept, accept-language");
    written.insert(header::VARY, vary);
    if let Some(pause) = answer.headers().get(header::RETRY_AFTER) {
        written.insert(header::RETRY_AFTER, pause.clone());
    }
    words
}

/// The items of a field that lists things with weights (RFC 9110, section 12.4.2), in lower case,
/// without those of no weight, the heaviest first.
fn weighed(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let lists = headers.get_all(name).iter();
    let mut items: Vec<(f32, String)> = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(|item| {
            let (item, parameters) = item.split_once(';').unwrap_or((item, ""));
            let mut parameters = parameters.split(';');
            let weight = parameters.find_map(|part| part.trim().strip_prefix("q="));
            let weight = weight.map_or(Ok(1.0), str::parse).unwrap_or(0.0);
            (weight, item.trim().to_ascii_lowercase())
        })
        .filter(|(weight, _)| *weight > 0.0)
        .collect();
    // Stable: of equal weight the first comes first.
    items.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    items.into_iter().map(|(_, item)| item).collect()
}

/// Browsers name HTML when an address is opened; programs take anything, or say what they take.
fn reads_pages(headers: &HeaderMap) -> bool {
    let kinds = weighed(headers, &header::ACCEPT);
    kinds.iter().any(|kind| kind == "text/html")
}

fn language(headers: &HeaderMap) -> &'static str {
    let wanted = weighed(headers, &header::ACCEPT_LANGUAGE);
    let spoken = wanted.iter().find_map(|tag| {
        let main = tag.split('-').next().unwrap_or_default();
        LANGUAGES.into_iter().find(|language| *language == main)
    });
    spoken.unwrap_or(LANGUAGES[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(accept: &'static str, language: &'static str) -> HeaderMap {
        HeaderMap::from_iter([
            (header::ACCEPT, HeaderValue::from_static(accept)),
            (header::ACCEPT_LANGUAGE, HeaderValue::from_static(language)),
        ])
    }

    #[test]
    fn only_who_names_pages_reads_them() {
        for (accept, is_browser) in [
            ("text/html,application/xhtml+xml,*/*;q=0.8", true),
            ("*/*", false),
            ("application/json", false),
            ("text/html;q=0, */*", false),
            ("", false),
        ] {
            assert_eq!(reads_pages(&headers(accept, "")), is_browser, "{accept}");
        }
        assert!(!reads_pages(&HeaderMap::new()));
    }

    #[test]
    fn the_language_is_the_one_wanted_most_of_those_there_are() {
        for (wanted, language_of) in [
            ("es-MX,es;q=0.9,en;q=0.8", "es"),
            ("de, es;q=0.5, en;q=0.7", "en"),
            ("de", "en"),
            ("", "en"),
            ("en;q=0, es", "es"),
        ] {
            assert_eq!(language(&headers("", wanted)), language_of, "{wanted}");
        }
    }

    #[test]
    fn each_language_has_each_page() {
        for page in ["over", "later"] {
            for language in LANGUAGES {
                let path = format!("link/{page}.{language}.html");
                assert!(assets::find(&path).is_some(), "{path}");
            }
        }
    }
}
