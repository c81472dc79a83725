//! Parser of the `Content-Disposition` of a form part (RFC 7578, section 4.2), tolerant of the
//! variants that clients send.

use std::borrow::Cow;

/// The names in the header of a form part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormPart {
    /// Name of the field; empty if missing.
    pub name: String,
    /// Name of the file; `None` if the field is not a file.
    pub file_name: Option<String>,
}

impl FormPart {
    /// Parses the value of a `Content-Disposition` header and ignores malformed parts.
    ///
    /// `filename*` (RFC 8187) has precedence over `filename`. Bytes that are not UTF-8 are read as
    /// Latin-1. `%22`, `%0D` and `%0A`, which browsers use as escapes, are not decoded.
    pub fn parse(value: &[u8]) -> Self {
        let mut part = Self::default();
        let mut plain = None;
        let mut extended = None;
        for (key, value) in parameters(value) {
            match &*key {
                "name" => part.name = text(&value).into_owned(),
                "filename" => plain = Some(text(&value).into_owned()),
                "filename*" => extended = decode_extended(&value),
                _ => {}
            }
        }
        part.file_name = extended.or(plain);
        part
    }
}

/// Returns the parameters after the disposition type, with lower-case keys and unquoted values.
fn parameters(value: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut rest = after(value, b';');
    while let Some(at) = rest.iter().position(|b| *b == b'=') {
        let (key, value) = (&rest[..at], &rest[at + 1..]);
        let key = text(key.trim_ascii()).to_ascii_lowercase();
        let value = value.trim_ascii_start();
        let (value, left) = match value.strip_prefix(b"\"") {
            Some(quoted) => unquote(quoted),
            None => {
                let end = value.iter().position(|b| *b == b';');
                let (token, left) = value.split_at(end.unwrap_or(value.len()));
                (token.trim_ascii().to_vec(), left)
            }
        };
        found.push((key, value));
        rest = after(left, b';');
    }
    found
}

/// Returns the bytes after the first `mark`.
fn after(bytes: &[u8], mark: u8) -> &[u8] {
    let at = bytes.iter().position(|b| *b == mark);
    at.map_or(&[], |at| &bytes[at + 1..])
}

/// Returns the text up to the closing quote, and the rest. A backslash escapes a quote or another
/// backslash (RFC 9110, section 5.6.4); elsewhere it is part of a Windows path.
fn unquote(quoted: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut text = Vec::new();
    let mut rest = quoted;
    while let Some((first, left)) = rest.split_first() {
        rest = left;
        match (first, left.first()) {
            (b'"', _) => break,
            (b'\\', Some(escaped @ (b'"' | b'\\'))) => {
                text.push(*escaped);
                rest = &left[1..];
            }
            (byte, _) => text.push(*byte),
        }
    }
    (text, rest)
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(latin1(bytes)),
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Decodes `charset'language'percent-encoded` (RFC 8187, section 3.2).
fn decode_extended(value: &[u8]) -> Option<String> {
    let mut parts = value.splitn(3, |b| *b == b'\'');
    let (charset, _language, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let mut bytes = Vec::new();
    let mut rest = encoded;
    while let Some((first, left)) = rest.split_first() {
        rest = left;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = left.get(..2)?;
        bytes.push(data_encoding::HEXLOWER_PERMISSIVE.decode(digits).ok()?[0]);
        rest = &left[2..];
    }
    if charset.eq_ignore_ascii_case(b"utf-8") {
        String::from_utf8(bytes).ok()
    } else if charset.eq_ignore_ascii_case(b"iso-8859-1") {
        Some(latin1(&bytes))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file_name(value: &[u8]) -> Option<String> {
        FormPart::parse(value).file_name
    }

    #[test]
    fn names_are_read_as_clients_write_them() {
        for (value, name) in [
            (
                &b"form-data; name=\"file\"; filename=\"a b.txt\""[..],
                "a b.txt",
            ),
            (b"form-data; name=file; filename=x.txt", "x.txt"),
            (b"form-data;name=\"file\";FileName=\"x\"; other=1", "x"),
            (
                b"form-data; filename=\"a;b=c.txt\"; name=\"file\"",
                "a;b=c.txt",
            ),
            // curl, RFC 9110, and an old browser on Windows.
            (b"form-data; filename=\"a\\\"b\\\\c\"", "a\"b\\c"),
            (b"form-data; filename=\"C:\\dir\\x.txt\"", "C:\\dir\\x.txt"),
            ("form-data; filename=\"ñ 文.txt\"".as_bytes(), "ñ 文.txt"),
            (b"form-data; filename=\"se\xf1or.txt\"", "señor.txt"),
            (
                b"form-data; filename=\"x\"; filename*=UTF-8''%c3%b1%20%E6%96%87",
                "ñ 文",
            ),
            (
                b"form-data; filename*=utf-8'es'se%C3%B1or; filename=\"x\"",
                "señor",
            ),
            (b"form-data; filename*=ISO-8859-1''se%F1or", "señor"),
            // If `filename*` cannot be decoded, `filename` is used.
            (b"form-data; filename=\"x\"; filename*=utf-16''%00x", "x"),
            (b"form-data; filename=\"x\"; filename*=UTF-8''%F1", "x"),
            (b"form-data; filename=\"x\"; filename*=UTF-8''%f", "x"),
            (b"form-data; filename=\"unclosed", "unclosed"),
        ] {
            assert_eq!(file_name(value).as_deref(), Some(name), "{}", text(value));
        }
    }

    #[test]
    fn a_field_without_a_file_name_is_no_file() {
        let part = FormPart::parse(b"form-data; name=\"file\"");
        assert_eq!((part.name.as_str(), part.file_name), ("file", None));
        assert_eq!(FormPart::parse(b""), FormPart::default());
        assert_eq!(file_name(b"form-data; filename*=UTF-8"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(value in prop::collection::vec(any::<u8>(), 0..200)) {
            FormPart::parse(&value);
        }

        #[test]
        fn a_quoted_name_survives(name in "[^\\x00-\\x1f\\x7f]{0,40}") {
            let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
            let value = format!("form-data; name=\"file\"; filename=\"{escaped}\"");
            prop_assert_eq!(file_name(value.as_bytes()), Some(name));
        }
    }
}
