//! The `Date` header of responses (RFC 9110, section 6.6.1).
//!
//! Clients and peers read the directory's clock from it. hyper caches the date until its clock
//! passes the cached second, so after a clock was set back it would repeat a wrong date for as long
//! as the clock had been ahead. This header is made for each response.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

/// The last second of the year 9999, which is the last year that an HTTP date can express.
pub(crate) const DATE_MAX_SECS: u64 = 253_402_300_799;

/// Formats `seconds` since 1970 as an HTTP date; later times as the end of the year 9999.
pub(crate) fn http_date(seconds: u64) -> String {
    let since = Duration::from_secs(seconds.min(DATE_MAX_SECS));
    httpdate::fmt_http_date(UNIX_EPOCH + since)
}

/// Returns the value of a `Date` header at `now`; a time before 1970 as 1970.
pub(crate) fn date_header(now: SystemTime) -> Option<HeaderValue> {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    HeaderValue::try_from(http_date(since.as_secs())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_has_a_date() {
        let day = Duration::from_secs(86_400);
        for (time, date) in [
            (UNIX_EPOCH + 20_000 * day, "Fri, 04 Oct 2024 00:00:00 GMT"),
            (UNIX_EPOCH - day, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (
                UNIX_EPOCH + 4_000_000 * day,
                "Fri, 31 Dec 9999 23:59:59 GMT",
            ),
        ] {
            assert_eq!(date_header(time).unwrap(), date);
        }
    }
}
