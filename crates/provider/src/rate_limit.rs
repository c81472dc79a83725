//! The rate limit for the bytes that a download receives.
//!
//! A receiving task waits after each receipt; HTTP/2 flow control then slows down the senders.

use std::time::Duration;

use convite_swarm::TokenBucket;
use parking_lot::Mutex;
use tokio::time::Instant;

/// A token bucket with a clock, shared by all receiving tasks.
pub struct RateLimit {
    started: Instant,
    bucket: Mutex<TokenBucket>,
}

impl RateLimit {
    /// Creates a limit for all receiving tasks together.
    pub fn new(bytes_per_second: u64) -> Self {
        Self {
            started: Instant::now(),
            bucket: Mutex::new(TokenBucket::new(bytes_per_second)),
        }
    }

    /// Takes `bytes` from the bucket and returns how long to wait before receiving more.
    pub fn take(&self, bytes: u64) -> Duration {
        let mut bucket = self.bucket.lock();
        bucket.take(self.started.elapsed(), bytes)
    }
}
