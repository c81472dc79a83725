//! A limit on the bytes that a download receives.
//!
//! Who received waits as long as the bucket says; HTTP/2's windows then hold the senders back.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use convite_swarm::TokenBucket;
use tokio::time::Instant;

/// A token bucket with a clock, shared by all who receive.
pub(crate) struct RateLimit {
    started: Instant,
    bucket: Mutex<TokenBucket>,
}

impl RateLimit {
    /// At most `bytes_per_second` in all.
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        Self {
            started: Instant::now(),
            bucket: Mutex::new(TokenBucket::new(bytes_per_second)),
        }
    }

    /// How long it is until more may be received after `bytes` were.
    pub(crate) fn take(&self, bytes: u64) -> Duration {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(self.started.elapsed(), bytes)
    }
}
