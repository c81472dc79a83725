//! Fuzz targets of `convite-net`.

use convite_net::origin::Hosts;
use convite_net::proxy::{HeaderParse, Subnet, parse_header};
use http::{HeaderValue, Request, header};

/// The PROXY protocol: a header is not longer than the input, and a classification does not change
/// when more bytes follow.
pub fn proxy(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = text.parse::<Subnet>();
    }
    let mut clear: Option<HeaderParse> = None;
    for end in 0..=bytes.len().min(300) {
        let now = parse_header(&bytes[..end]);
        if let HeaderParse::Header(length, _) = now {
            assert!(length <= end, "a header of {length} bytes in {end} bytes");
        }
        match &clear {
            Some(before) => assert_eq!(&now, before, "after {end} bytes"),
            None if now != HeaderParse::Incomplete => clear = Some(now),
            None => {}
        }
    }
    let _ = parse_header(bytes);
}

/// `Host` and `Origin` headers: a foreign name is refused.
pub fn host(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let hosts = Hosts::new(["files.example".to_owned()]);
    let mut request = Request::new(());
    request.headers_mut().insert(header::HOST, value.clone());
    if hosts.check_host(&request).is_ok() {
        let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
        let is_known = ["files.example", "localhost"]
            .iter()
            .any(|name| text.contains(name));
        // A literal address contains digits or colons.
        let is_literal = text
            .bytes()
            .any(|byte| byte.is_ascii_digit() || byte == b':');
        assert!(is_known || is_literal, "'{text}' was accepted");
    }
    request.headers_mut().insert(header::ORIGIN, value);
    let _ = hosts.check_site(&request);
}
