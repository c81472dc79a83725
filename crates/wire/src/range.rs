//! HTTP range requests and the validation of their responses (RFC 9110, section 14).

use std::ops::Range;

use convite_core::{ErrorCode, Problem};
use http::{HeaderMap, Response, StatusCode, header};

/// The bytes that a `Range` header requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// The whole file: there is no range, or one that a server may ignore (RFC 9110, section 14.2).
    Whole,
    /// A range; never empty.
    Part(Range<u64>),
}

/// Parses a `Range` header for a file of `size` bytes.
///
/// Ignored, so that the response is the whole file: a header with another unit or of another form,
/// several ranges, and any range of an empty file. Empty list elements do not count (RFC 9110,
/// section 5.6.1.2).
///
/// # Errors
/// Returns `range_not_satisfiable` if the range contains no byte of the file.
pub fn asked(field: Option<&str>, size: u64) -> Result<Asked, Problem> {
    let Some(list) = field.and_then(|field| {
        let (unit, list) = field.split_once('=')?;
        unit.trim().eq_ignore_ascii_case("bytes").then_some(list)
    }) else {
        return Ok(Asked::Whole);
    };
    let mut ranges = list.split(',').map(str::trim).filter(|r| !r.is_empty());
    let (Some(range), None) = (ranges.next(), ranges.next()) else {
        return Ok(Asked::Whole);
    };
    let Some((first, last)) = range.split_once('-') else {
        return Ok(Asked::Whole);
    };
    let range = match (number(first), number(last)) {
        (None, Some(suffix)) if first.is_empty() => size.saturating_sub(suffix)..size,
        (Some(first), None) if last.is_empty() => first..size,
        (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
        _ => return Ok(Asked::Whole),
    };
    if size == 0 {
        return Ok(Asked::Whole);
    }
    if range.is_empty() {
        let outside = Problem::new(
            ErrorCode::RangeNotSatisfiable,
            "the range is outside the file",
        );
        return Err(outside.hint(format!("the file has {size} bytes, numbered from 0")));
    }
    Ok(Asked::Part(range))
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    // A number that does not fit is beyond the end of every file.
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Returns whether a response has the requested range: that part, or the whole file if the range
/// covers it (a server may ignore ranges: RFC 9110, section 14.2).
pub fn is_answer<B>(response: &Response<B>, range: &Range<u64>, size: u64) -> bool {
    let headers = response.headers();
    let is_range = match response.status() {
        StatusCode::PARTIAL_CONTENT => {
            let told = headers.get(header::CONTENT_RANGE);
            told.and_then(|value| value.to_str().ok())
                .is_some_and(|told| {
                    let part = format!("{}-{}", range.start, range.end - 1);
                    let told = told.strip_prefix("bytes ").and_then(|t| t.split_once('/'));
                    told.is_some_and(|(said, of)| {
                        said == part && (of == "*" || of == size.to_string())
                    })
                })
        }
        StatusCode::OK => *range == (0..size),
        _ => false,
    };
    is_range && !is_encoded(headers)
}

/// Returns whether the body is encoded, so that it differs from the bytes of the file.
pub fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|coding| coding != "identity")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        let part = |range| Ok(Asked::Part(range));
        for (field, size, want) in [
            ("bytes=0-0", 10, part(0..1)),
            ("bytes=2-4", 10, part(2..5)),
            ("BYTES=2-", 10, part(2..10)),
            ("bytes=-3", 10, part(7..10)),
            ("bytes=-30", 10, part(0..10)),
            ("bytes=5-99999999999999999999999", 10, part(5..10)),
            ("bytes=5-4", 10, Ok(Asked::Whole)),
            ("bytes=x-4", 10, Ok(Asked::Whole)),
            ("bytes=--4", 10, Ok(Asked::Whole)),
            ("bytes=+1-4", 10, Ok(Asked::Whole)),
            ("bytes=-", 10, Ok(Asked::Whole)),
            ("bytes", 10, Ok(Asked::Whole)),
            ("pieces=0-1", 10, Ok(Asked::Whole)),
            ("bytes=0-1,", 10, part(0..2)),
            ("bytes=, ,2-4 ,", 10, part(2..5)),
            ("bytes=,", 10, Ok(Asked::Whole)),
            ("bytes=0-1,3-4", 10, Ok(Asked::Whole)),
            ("bytes=0-1,20-", 10, Ok(Asked::Whole)),
            ("bytes=0-", 0, Ok(Asked::Whole)),
            ("bytes=-1", 0, Ok(Asked::Whole)),
            ("bytes=3-4", 0, Ok(Asked::Whole)),
        ] {
            assert_eq!(asked(Some(field), size), want, "{field}");
        }
        for (field, size) in [
            ("bytes=10-", 10),
            ("bytes=10-12", 10),
            ("bytes=-0", 10),
            ("bytes=99999999999999999999999-", 10),
        ] {
            let refused = asked(Some(field), size).unwrap_err();
            assert_eq!(refused.code, ErrorCode::RangeNotSatisfiable, "{field}");
        }
        assert_eq!(asked(None, 0), Ok(Asked::Whole));
    }

    fn answers(status: u16, headers: &[(&str, &str)]) -> bool {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        is_answer(&response.body(()).unwrap(), &(100..200), 1000)
    }

    #[test]
    fn only_the_range_asked_for_is_an_answer() {
        let range = ("content-range", "bytes 100-199/1000");
        assert!(answers(206, &[range]));
        assert!(answers(206, &[("content-range", "bytes 100-199/*")]));
        assert!(answers(206, &[range, ("content-encoding", "identity")]));

        assert!(!answers(206, &[]), "the response has no Content-Range");
        assert!(!answers(206, &[("content-range", "bytes 0-99/1000")]));
        assert!(!answers(206, &[("content-range", "bytes 100-198/1000")]));
        assert!(!answers(206, &[("content-range", "bytes 100-199/999")]));
        assert!(!answers(206, &[range, ("content-encoding", "gzip")]));
        assert!(!answers(200, &[]), "the whole file was not requested");
        assert!(!answers(503, &[range]));
    }

    #[test]
    fn the_whole_file_is_an_answer_to_whom_asked_for_all_of_it() {
        let whole = Response::new(());
        assert!(is_answer(&whole, &(0..1000), 1000));
        assert!(!is_answer(&whole, &(0..999), 1000));
    }
}
