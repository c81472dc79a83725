//! Request ids, which connect a response or problem document with the log lines of the request.
//!
//! The id is the client's `x-request-id` if it is safe to log, otherwise a random one. It is a task
//! local value of the request's task, because problems are encoded where the headers are not
//! available.

use std::future::Future;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::random;

/// The header of requests and responses, and the metadata key in gRPC.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The maximum length of a client's id, in characters.
const LENGTH_MAX: usize = 64;

tokio::task_local! {
    static CURRENT: RequestId;
}

/// A request id of 1 to 64 letters, digits, `.`, `_`, `:` or `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// Returns the id in these headers if it is valid, otherwise a new one of 16 hex digits.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let own = headers
            .get(&REQUEST_ID)
            .and_then(|value| value.to_str().ok());
        own.filter(|text| is_valid(text))
            .map_or_else(Self::random, |text| Self(text.to_owned()))
    }

    fn random() -> Self {
        // Without randomness TLS fails as well, and an id that is not unique does no harm.
        let bytes: [u8; 8] = random::bytes().unwrap_or_default();
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the header value for the response.
    pub fn value(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("none"))
    }

    /// Runs `work` with this id as [`current`].
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }
}

/// Returns the id of the request that the current task handles, if any.
pub fn current() -> Option<RequestId> {
    CURRENT.try_with(Clone::clone).ok()
}

fn is_valid(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._:-".contains(&b);
    (1..=LENGTH_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_headers(value: &[u8]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
        RequestId::from_headers(&headers).0
    }

    #[test]
    fn an_id_that_could_disturb_a_log_is_replaced() {
        assert_eq!(from_headers(b"trace-7:a.B_c"), "trace-7:a.B_c");
        assert_eq!(from_headers(&[b'a'; 64]), "a".repeat(64));
        for bad in [
            &b""[..],
            b"a b",
            b"a\tb",
            b"\xff",
            b"a\"b",
            b"a=b",
            &[b'a'; 65],
        ] {
            let made = from_headers(bad);
            assert!(
                made.len() == 16 && made.bytes().all(|b| b.is_ascii_hexdigit()),
                "{made}"
            );
        }
        assert_ne!(from_headers(b""), from_headers(b""));
    }

    #[tokio::test]
    async fn the_id_goes_with_the_work() {
        assert_eq!(current(), None);
        let id = RequestId("a".to_owned());
        let seen = id.clone().scope(async { current() }).await;
        assert_eq!(seen, Some(id));
    }
}
