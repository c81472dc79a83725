//! The page's files as they are sent: read out of the program and compressed, once.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::LazyLock;

use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "web"]
struct Embedded;

/// One file of the page.
pub(super) struct Asset {
    /// Its `content-type`.
    pub kind: &'static str,
    plain: (String, Bytes),
    gzip: (String, Bytes),
}

/// In which form a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    Gzip,
}

impl Coding {
    /// The smallest form that the browser takes (RFC 9110, section 12.5.3).
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let lists = headers.get_all(header::ACCEPT_ENCODING).iter();
        let mut codings = lists
            .filter_map(|list| list.to_str().ok())
            .flat_map(|list| list.split(','));
        let takes_gzip = codings.any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let weight = weight.trim().strip_prefix("q=").map(str::parse::<f32>);
            let name = name.trim();
            let is_refused = matches!(weight, Some(Ok(weight)) if weight <= 0.0);
            (name.eq_ignore_ascii_case("gzip") || name == "*") && !is_refused
        });
        match takes_gzip {
            true => Self::Gzip,
            false => Self::Plain,
        }
    }
}

impl Asset {
    fn new(path: &str, contents: &[u8]) -> Option<Self> {
        let kind = kind(path)?;
        let hash = blake3::hash(contents).to_hex();
        let hash = hash.get(..32).unwrap_or_default();
        let gzip = compress(contents).ok()?;
        Some(Self {
            kind,
            plain: (format!("\"{hash}\""), Bytes::copy_from_slice(contents)),
            gzip: (format!("\"{hash}-gzip\""), gzip.into()),
        })
    }

    /// Its tag and its bytes in this form.
    pub(super) fn coded(&self, coding: Coding) -> (&str, &Bytes) {
        let (tag, bytes) = match coding {
            Coding::Plain => &self.plain,
            Coding::Gzip => &self.gzip,
        };
        (tag, bytes)
    }
}

fn compress(contents: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(contents)?;
    encoder.finish()
}

/// The `content-type` of a file of that name; none for what the page does not consist of.
fn kind(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    Some(match extension {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "txt" => "text/plain; charset=utf-8",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        _ => return None,
    })
}

static ASSETS: LazyLock<HashMap<String, Asset>> = LazyLock::new(|| {
    let asset = |path: std::borrow::Cow<'static, str>| {
        let contents = Embedded::get(&path)?.data;
        let asset = Asset::new(&path, &contents)?;
        Some((path.into_owned(), asset))
    };
    Embedded::iter().filter_map(asset).collect()
});

/// The file of exactly that name.
pub(super) fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.get(path)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    /// The most that all of the page may be, compressed, in bytes.
    const ALL_MAX: usize = 200_000;

    fn texts() -> impl Iterator<Item = (String, String)> {
        Embedded::iter().map(|path| {
            let contents = Embedded::get(&path).unwrap().data;
            let text = String::from_utf8_lossy(&contents).into_owned();
            (path.into_owned(), text)
        })
    }

    #[test]
    fn every_file_has_a_kind_and_comes_out_as_it_went_in() {
        for path in Embedded::iter() {
            let asset = find(&path).unwrap_or_else(|| panic!("{path} has no kind"));
            let contents = Embedded::get(&path).unwrap().data;
            let mut back = Vec::new();
            let (_, gzip) = asset.coded(Coding::Gzip);
            GzDecoder::new(&gzip[..]).read_to_end(&mut back).unwrap();
            assert_eq!(back, contents.as_ref(), "{path}");
            assert_eq!(asset.coded(Coding::Plain).1, contents.as_ref(), "{path}");
        }
        assert!(find("index.html").is_some());
    }

    #[test]
    fn the_first_load_is_small() {
        let sizes = ASSETS.values().map(|asset| asset.gzip.1.len());
        let all: usize = sizes.sum();
        assert!(all < ALL_MAX, "{all} bytes compressed");
    }

    /// What lets a name that a peer chose become markup or code, what the policy would keep from
    /// working, and what would come from elsewhere.
    #[test]
    fn nothing_makes_markup_of_text_or_comes_from_elsewhere() {
        let forbidden = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "createContextualFragment",
            "DOMParser",
            "srcdoc",
            "eval(",
            "new Function",
            "javascript:",
            "localStorage.setItem(\"token",
            "@import",
            "url(http",
            "url(//",
            "\"//",
            "'//",
        ];
        for (path, text) in texts() {
            for word in forbidden {
                assert!(!text.contains(word), "{path} has {word}");
            }
            // Names of XML's vocabularies are no addresses to fetch from.
            let text = text
                .replace("http://www.w3.org/2000/svg", "")
                .replace("http://www.w3.org/1999/xlink", "");
            let is_licence = path.ends_with(".txt");
            for scheme in ["http://", "https://"] {
                let foreign = text.split(scheme).skip(1).any(|after| {
                    // `https://${…}` and a bare scheme in prose name nobody.
                    after.starts_with(|c: char| c.is_ascii_alphanumeric())
                });
                assert!(is_licence || !foreign, "{path} has a {scheme} address");
            }
            if path.ends_with(".html") || path.ends_with(".svg") {
                let lower = text.to_ascii_lowercase();
                let handler = lower.split_ascii_whitespace().find(|word| {
                    let name = word.split('=').next().unwrap_or_default();
                    word.contains('=')
                        && name.strip_prefix("on").is_some_and(|rest| {
                            !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase())
                        })
                });
                assert!(handler.is_none(), "{path} has {handler:?}");
                assert!(!lower.contains("<style"), "{path} has a style inline");
                assert!(!lower.contains(" style="), "{path} has a style inline");
                let inline = lower.split("<script").skip(1).any(|script| {
                    let (tag, after) = script.split_once('>').unwrap_or((script, ""));
                    !tag.contains("src=") || !after.trim_start().starts_with("</script")
                });
                assert!(!inline, "{path} has a script inline");
            }
        }
    }

    #[test]
    fn compression_is_for_whoever_asks() {
        for (fields, coding) in [
            (&[][..], Coding::Plain),
            (&["gzip, deflate, br"], Coding::Gzip),
            (&["br", "GZIP;q=0.5"], Coding::Gzip),
            (&["*"], Coding::Gzip),
            (&["identity"], Coding::Plain),
            (&["gzip;q=0"], Coding::Plain),
            (&["gzip;q=0.000, br"], Coding::Plain),
        ] {
            let headers: HeaderMap = fields
                .iter()
                .map(|value| (header::ACCEPT_ENCODING, value.parse().unwrap()))
                .collect();
            assert_eq!(Coding::wanted(&headers), coding, "{fields:?}");
        }
    }

    #[test]
    fn only_the_pages_own_names_are_known() {
        for path in [
            "",
            "/index.html",
            "../Cargo.toml",
            "web/index.html",
            "./index.html",
            "index.html/",
        ] {
            assert!(find(path).is_none(), "{path}");
        }
    }
}
