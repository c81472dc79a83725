//! The name of a request: in its answer, in each line of the log that it causes, and in a problem
//! document, so that a user's report leads to the cause.
//!
//! It is the caller's own (`x-request-id`) where that is harmless in a log, else one made here. It
//! travels with the task that works on the request, because problems are encoded far from headers.

use std::future::Future;

use http::{HeaderMap, HeaderName, HeaderValue};
use ring::rand::SecureRandom;

/// The field of requests and answers; over gRPC the metadata of that name.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken over, in characters.
const LENGTH_MAX: usize = 64;

tokio::task_local! {
    static CURRENT: RequestId;
}

/// An id of 1 to 64 letters, digits, `.`, `_`, `:` or `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// That of the request with these fields: its own, if it has one that is fit, else a new one
    /// of 16 hex digits.
    pub fn of(headers: &HeaderMap) -> Self {
        let own = headers
            .get(&REQUEST_ID)
            .and_then(|value| value.to_str().ok());
        own.filter(|text| is_fit(text))
            .map_or_else(Self::random, |text| Self(text.to_owned()))
    }

    fn random() -> Self {
        let mut bytes = [0u8; 8];
        // Without randomness TLS fails too; an id that is not unique does no harm.
        let _ = ring::rand::SystemRandom::new().fill(&mut bytes);
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value of [`REQUEST_ID`] in the answer.
    pub fn value(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).unwrap_or(HeaderValue::from_static("none"))
    }

    /// Runs what works on the request; meanwhile [`current`] is this id.
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }
}

/// The id of the request that this task works on; none outside of one.
pub fn current() -> Option<RequestId> {
    CURRENT.try_with(Clone::clone).ok()
}

fn is_fit(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._:-".contains(&b);
    (1..=LENGTH_MAX).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &[u8]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_bytes(value).unwrap());
        RequestId::of(&headers).0
    }

    #[test]
    fn an_id_that_could_disturb_a_log_is_replaced() {
        assert_eq!(of(b"trace-7:a.B_c"), "trace-7:a.B_c");
        assert_eq!(of(&[b'a'; 64]), "a".repeat(64));
        for bad in [
            &b""[..],
            b"a b",
            b"a\tb",
            b"\xff",
            b"a\"b",
            b"a=b",
            &[b'a'; 65],
        ] {
            let made = of(bad);
            assert!(
                made.len() == 16 && made.bytes().all(|b| b.is_ascii_hexdigit()),
                "{made}"
            );
        }
        assert_ne!(of(b""), of(b""));
    }

    #[tokio::test]
    async fn the_id_goes_with_the_work() {
        assert_eq!(current(), None);
        let id = RequestId("a".to_owned());
        let seen = id.clone().scope(async { current() }).await;
        assert_eq!(seen, Some(id));
    }
}
