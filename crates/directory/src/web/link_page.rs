//! The page of a link: name, size and sender of the file, with a download button. Works without
//! scripts.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use convite_core::{UserName, display};

use super::assets::{self, Coding};
use super::page_headers::add_page_headers;
use super::user_agent::language;

/// The contents of the page.
pub(crate) struct LinkPage {
    /// The file name as given by the peer.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// The account that created the link.
    pub sender: UserName,
}

impl LinkPage {
    /// Returns the page in the client's language.
    pub(crate) fn answer(&self, asked: &HeaderMap) -> Response {
        let language = language(asked);
        let template = assets::find(&format!("link/file.{language}.html"));
        let (kind, template) = match template {
            Some(asset) => (asset.kind, asset.coded(Coding::Plain).1.clone()),
            None => return StatusCode::NOT_FOUND.into_response(),
        };
        let page = self.fill(&String::from_utf8_lossy(&template), language);
        let mut answer = (StatusCode::OK, [(header::CONTENT_TYPE, kind)], page).into_response();
        let written = answer.headers_mut();
        add_page_headers(written);
        written.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let vary = HeaderValue::from_static("accept, accept-language, user-agent, sec-fetch-mode");
        written.insert(header::VARY, vary);
        // A page with no referrer submits forms with `Origin: null`, which is refused.
        let own = HeaderValue::from_static("same-origin");
        written.insert(header::REFERRER_POLICY, own);
        answer
    }

    fn fill(&self, template: &str, language: &str) -> String {
        let mut size = display::format_bytes(self.size);
        if language == "es" {
            size = size.replace('.', ",");
        }
        let values = [
            ("{name}", text(&self.name)),
            ("{size}", text(&size)),
            ("{sender}", text(self.sender.as_str())),
        ];
        // In one pass, so that inserted values are not expanded.
        let mut page = String::with_capacity(template.len() + 512);
        let mut rest = template;
        while let Some(at) = rest.find('{') {
            let (before, after) = rest.split_at(at);
            page.push_str(before);
            let found = values.iter().find(|(key, _)| after.starts_with(key));
            let (value, length) = found.map_or(("{", 1), |(key, value)| (value, key.len()));
            page.push_str(value);
            rest = &after[length..];
        }
        page.push_str(rest);
        page
    }
}

/// Escapes untrusted text for HTML, and replaces invisible and direction-changing characters.
fn text(stranger: &str) -> String {
    let mut out = String::with_capacity(stranger.len());
    for (c, is_unsafe) in display::chars_with_safety(stranger) {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ if is_unsafe => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::user_agent::LANGUAGES;
    use super::*;

    #[test]
    fn a_file_name_is_never_markup() {
        let page = LinkPage {
            name: "<img src=x onerror=\"a\">&'\u{202e}{sender}.txt".to_owned(),
            size: 1536,
            sender: "ana".parse().unwrap(),
        };
        let filled = page.fill("<h1>{name}</h1>{size} {other} {sender}", "es");
        assert_eq!(
            filled,
            "<h1>&lt;img src=x onerror=&quot;a&quot;&gt;&amp;&#39;\u{fffd}{sender}.txt</h1>\
             1,5 KiB {other} ana"
        );
    }

    #[test]
    fn each_language_has_the_complete_link_page() {
        for language in LANGUAGES {
            let asset = assets::find(&format!("link/file.{language}.html")).unwrap();
            let page = String::from_utf8_lossy(asset.coded(Coding::Plain).1);
            for part in ["{name}", "{size}", "{sender}", "<form method=\"post\">"] {
                assert!(page.contains(part), "{language} lacks {part}");
            }
        }
    }
}
