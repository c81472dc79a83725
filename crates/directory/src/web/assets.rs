//! The page's files, loaded from the program and compressed once.

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

/// A file of the page.
pub(super) struct Asset {
    /// Its `content-type`.
    pub kind: &'static str,
    plain: (String, Bytes),
    gzip: (String, Bytes),
}

/// The content coding of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    Gzip,
}

impl Coding {
    /// Returns the smallest coding that the client accepts (RFC 9110, section 12.5.3).
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
        if takes_gzip { Self::Gzip } else { Self::Plain }
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

    /// Returns the `ETag` and the bytes in this coding.
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

/// Returns the `content-type` for a file name; `None` for an unknown extension.
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

/// Returns the file with this exact name.
pub(super) fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.get(path)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    /// Maximum compressed size of all files, in bytes.
    const ALL_MAX: usize = 200_000;

    fn texts() -> impl Iterator<Item = (String, String)> {
        Embedded::iter().map(|path| {
            let contents = Embedded::get(&path).unwrap().data;
            let text = String::from_utf8_lossy(&contents).into_owned();
            (path.into_owned(), text)
        })
    }

    #[test]
    fn every_asset_has_a_content_type_and_is_unchanged_after_decompression() {
        for path in Embedded::iter() {
            let asset = find(&path).unwrap_or_else(|| panic!("{path} has no content type"));
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

    /// Forbids code that turns names chosen by peers into markup or scripts, code that the policy
    /// blocks, and resources from other servers.
    #[test]
    fn scripts_create_no_markup_from_text_and_load_nothing_external() {
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
            // XML namespace names are not fetched.
            let text = text
                .replace("http://www.w3.org/2000/svg", "")
                .replace("http://www.w3.org/1999/xlink", "");
            let is_licence = path.ends_with(".txt");
            for scheme in ["http://", "https://"] {
                let foreign = text.split(scheme).skip(1).any(|after| {
                    // `https://${…}` and a bare scheme in prose are no addresses.
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
                assert!(!lower.contains("<style"), "{path} has an inline style");
                assert!(!lower.contains(" style="), "{path} has an inline style");
                let inline = lower.split("<script").skip(1).any(|script| {
                    let (tag, after) = script.split_once('>').unwrap_or((script, ""));
                    !tag.contains("src=") || !after.trim_start().starts_with("</script")
                });
                assert!(!inline, "{path} has an inline script");
            }
        }
    }

    #[test]
    fn compression_follows_accept_encoding() {
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
