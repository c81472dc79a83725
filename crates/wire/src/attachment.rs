//! Headers of a file sent as an HTTP response: name, content type and ETag. Used by the directory
//! and by peers.
//!
//! Shared files are untrusted, so a browser must neither guess their type nor run them. A response
//! has `X-Content-Type-Options: nosniff`, [`CONTENT_POLICY`] and the disposition `attachment`,
//! unless the request asks for display and [`is_harmless`] allows it.

use std::fmt::Write;

/// The `Content-Security-Policy` of every file. A shared page must not run scripts in the origin of
/// this server.
pub const CONTENT_POLICY: &str = "sandbox; default-src 'none'";

/// Returns whether `etag` is in an `If-None-Match` header, by weak comparison (RFC 9110, section
/// 13.1.2).
pub fn matches_any(tags: &str, etag: &str) -> bool {
    tags.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// Returns the content type for a file name, or `application/octet-stream` if unknown. Text is
/// declared as UTF-8.
pub fn content_type(name: &str) -> String {
    let kind = mime_guess::from_path(name).first_raw();
    let kind = kind.unwrap_or("application/octet-stream");
    if kind.starts_with("text/") {
        format!("{kind}; charset=utf-8")
    } else {
        kind.to_owned()
    }
}

/// Returns whether a browser may display this type: images without scripts, audio, video, plain
/// text.
pub fn is_harmless(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let (family, of) = kind.split_once('/').unwrap_or_default();
    match family {
        "audio" | "video" => true,
        "image" => matches!(of, "png" | "jpeg" | "gif" | "webp" | "avif" | "bmp"),
        _ => kind == "text/plain",
    }
}

/// Returns the `Content-Disposition` header with the file name in the old and the new form (RFC
/// 6266, section 4.3; RFC 8187 for non-ASCII names).
pub fn disposition(name: &str, inline: bool) -> String {
    let kind = if inline { "inline" } else { "attachment" };
    let plain: String = name
        .chars()
        .map(|c| match c {
            '"' | '\\' | '%' | '/' => '_',
            c if c == ' ' || c.is_ascii_graphic() => c,
            _ => '_',
        })
        .collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_a_header() {
        assert_eq!(
            disposition("a \"b\"\r\nñ.txt", false),
            "attachment; filename=\"a _b____.txt\"; filename*=UTF-8''a%20%22b%22%0D%0A%C3%B1.txt"
        );
        assert!(disposition("a.png", true).starts_with("inline; filename=\"a.png\";"));
    }

    #[test]
    fn kinds_follow_from_names_and_few_are_shown() {
        for (name, kind, harmless) in [
            ("a.txt", "text/plain; charset=utf-8", true),
            ("a.PNG", "image/png", true),
            ("a.mp4", "video/mp4", true),
            ("a.flac", "audio/flac", true),
            ("a.html", "text/html; charset=utf-8", false),
            ("a.svg", "image/svg+xml", false),
            ("a.pdf", "application/pdf", false),
            ("a.js", "text/javascript; charset=utf-8", false),
            ("a.png.html", "text/html; charset=utf-8", false),
            ("noend", "application/octet-stream", false),
            ("a.no-such-kind", "application/octet-stream", false),
        ] {
            assert_eq!(content_type(name), kind, "{name}");
            assert_eq!(is_harmless(kind), harmless, "{name}");
        }
    }

    #[test]
    fn etags_are_compared_weakly() {
        assert!(matches_any("\"x\", W/\"y\"", "\"y\""));
        assert!(matches_any("*", "\"y\""));
        assert!(!matches_any("\"yy\"", "\"y\""));
    }
}
