//! The web page as a browser receives it.

use std::io::Read;

use crate::apis::{Running, http_with, rest};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_compressed_cached_and_has_a_strict_policy() {
    let running = Running::start(|_| {}).await;
    let api = rest(running.get());
    for path in ["/", "/web/index.html"] {
        let fields = [("accept-encoding", "gzip, br")];
        let (parts, body) = http_with(&api, "GET", path, None, &fields, Vec::new()).await;
        assert_eq!(parts.status.as_u16(), 200, "{path}");
        let field = |name: &str| parts.headers[name].to_str().unwrap().to_owned();
        assert_eq!(field("content-type"), "text/html; charset=utf-8");
        assert_eq!(field("content-encoding"), "gzip");
        assert_eq!(
            field("content-security-policy"),
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
             img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        );
        assert_eq!(field("x-content-type-options"), "nosniff");
        assert_eq!(field("referrer-policy"), "no-referrer");
        assert_eq!(field("cross-origin-opener-policy"), "same-origin");
        assert_eq!(field("cross-origin-resource-policy"), "same-origin");
        assert_eq!(field("cache-control"), "no-cache");
        assert_eq!(field("vary"), "accept-encoding");
        let mut unpacked = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(&body[..]);
        decoder.read_to_end(&mut unpacked).unwrap();
        let (plain, body) = http_with(&api, "GET", path, None, &[], Vec::new()).await;
        assert!(!plain.headers.contains_key("content-encoding"));
        assert_eq!(body, unpacked);
        assert_ne!(plain.headers["etag"], parts.headers["etag"]);
        for (kept, status) in [
            (field("etag"), 304),
            (format!("\"other\", W/{}", field("etag")), 304),
            ("\"other\"".to_owned(), 200),
        ] {
            let fields = [("accept-encoding", "gzip"), ("if-none-match", &*kept)];
            let (parts, body) = http_with(&api, "GET", path, None, &fields, Vec::new()).await;
            assert_eq!(parts.status.as_u16(), status, "{kept}");
            assert_eq!(body.is_empty(), status == 304);
            assert!(parts.headers.contains_key("content-security-policy"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_escapes_the_pages_folder() {
    let running = Running::start(|_| {}).await;
    let api = rest(running.get());
    for path in [
        "/web/",
        "/web",
        "/web/none.js",
        "/web/../Cargo.toml",
        "/web/%2e%2e/Cargo.toml",
        "/web/..%2fsrc%2flib.rs",
        "/web//etc/passwd",
        "/web/%2fetc%2fpasswd",
        "/web/index.html%00",
        "/index.html",
    ] {
        let (parts, body) = http_with(&api, "GET", path, None, &[], Vec::new()).await;
        assert_eq!(parts.status.as_u16(), 404, "{path}");
        assert_eq!(parts.headers["content-type"], "application/problem+json");
        let text = String::from_utf8(body).unwrap();
        assert!(text.contains("not_found"), "{path}: {text}");
    }
    let (parts, _) = http_with(&api, "POST", "/web/index.html", None, &[], Vec::new()).await;
    assert_eq!(parts.status.as_u16(), 405);
}
