//! Classifies the client of a request: a browser, a program that shows a preview, or another
//! program; and selects the language.

use axum::http::{HeaderMap, HeaderName, header};

/// The languages of the page; the first is the default.
pub(super) const LANGUAGES: [&str; 2] = ["en", "es"];

/// Parts of the `user-agent` of browsers and of preview programs, in lower case. Most preview
/// programs call themselves bots, or link to a page about them.
const PREVIEW_AGENTS: [&str; 14] = [
    "mozilla/",
    "bot",
    "preview",
    "externalhit",
    "whatsapp",
    "viber",
    "crawl",
    "spider",
    "scrap",
    "unfurl",
    "embed",
    "scanner",
    "+http",
    "synapse",
];

/// Parses a header with weighted items (RFC 9110, section 12.4.2): returns the items in lower case,
/// without those of weight 0, highest weight first.
fn weighted_items(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
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
    // Stable: items of equal weight keep their order.
    items.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    items.into_iter().map(|(_, item)| item).collect()
}

/// Returns whether the client accepts HTML explicitly, as browsers do; programs accept anything, or
/// their own types.
pub(super) fn accepts_html(headers: &HeaderMap) -> bool {
    let kinds = weighted_items(headers, &header::ACCEPT);
    kinds.iter().any(|kind| kind == "text/html")
}

pub(super) fn language(headers: &HeaderMap) -> &'static str {
    let wanted = weighted_items(headers, &header::ACCEPT_LANGUAGE);
    let spoken = wanted.iter().find_map(|tag| {
        let main = tag.split('-').next().unwrap_or_default();
        LANGUAGES.into_iter().find(|language| *language == main)
    });
    spoken.unwrap_or(LANGUAGES[0])
}

/// Returns whether an address is opened for display: by a browser, by its prefetching, or by a
/// preview program. Download programs identify themselves, or send nothing.
pub(crate) fn is_browser_or_preview(headers: &HeaderMap) -> bool {
    let of_browsers = |name: &HeaderName| {
        let name = name.as_str();
        name.starts_with("sec-fetch-")
            || matches!(
                name,
                "sec-purpose" | "purpose" | "x-purpose" | "x-moz" | "upgrade-insecure-requests"
            )
    };
    let agent = headers.get(header::USER_AGENT);
    let agent = agent.map(|agent| String::from_utf8_lossy(agent.as_bytes()).to_lowercase());
    accepts_html(headers)
        || headers.keys().any(of_browsers)
        || agent.is_some_and(|agent| PREVIEW_AGENTS.iter().any(|part| agent.contains(part)))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(accept: &'static str, language: &'static str) -> HeaderMap {
        HeaderMap::from_iter([
            (header::ACCEPT, HeaderValue::from_static(accept)),
            (header::ACCEPT_LANGUAGE, HeaderValue::from_static(language)),
        ])
    }

    #[test]
    fn only_clients_that_accept_html_get_pages() {
        for (accept, is_browser) in [
            ("text/html,application/xhtml+xml,*/*;q=0.8", true),
            ("*/*", false),
            ("application/json", false),
            ("text/html;q=0, */*", false),
            ("", false),
        ] {
            assert_eq!(accepts_html(&headers(accept, "")), is_browser, "{accept}");
        }
        assert!(!accepts_html(&HeaderMap::new()));
    }

    #[test]
    fn the_most_preferred_supported_language_is_used() {
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
}
