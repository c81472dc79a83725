//! Upload rate limits: in total and per receiver.
//!
//! A sender reserves bytes first and waits as long as the reservation requires ([`TokenBucket`],
//! which grants bytes in request order). Each upload reserves one chunk at a time and the next only
//! after sending it, so concurrent uploads alternate and share a limit equally. No upload holds a
//! thread or a buffer while it waits.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use convite_core::UserName;
use convite_swarm::TokenBucket;
use parking_lot::Mutex;

/// The largest chunk under a limit is the number of bytes sent in this time in seconds...
const CHUNK_TIME: f64 = 0.02;
/// ...but at least this many bytes.
const CHUNK_MIN: usize = 16 << 10;

/// Upload limits of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// The total limit in bytes per second; `None` for no limit.
    pub total: Option<u64>,
    /// The limit in bytes per second for one account at one IP address; `None` for no limit.
    pub per_peer: Option<u64>,
    /// The number of concurrent uploads; four times as many may wait.
    pub slots: usize,
    /// The longest time that a request waits for a slot.
    pub queue_timeout: Duration,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self {
            total: None,
            per_peer: None,
            slots: 512,
            queue_timeout: Duration::from_secs(30),
        }
    }
}

/// A receiver: two accounts at one address are two receivers, and so is one account at two
/// addresses.
pub(crate) type Receiver = (UserName, Option<IpAddr>);

/// The limits of a peer with their current use.
pub(crate) struct RateLimiter {
    began: Instant,
    limits: UploadLimits,
    total: Option<Arc<Mutex<TokenBucket>>>,
    per_peer: Mutex<HashMap<Receiver, Weak<Mutex<TokenBucket>>>>,
}

impl RateLimiter {
    pub(crate) fn new(limits: UploadLimits) -> Self {
        Self {
            began: Instant::now(),
            limits,
            total: limits.total.map(bucket),
            per_peer: Mutex::default(),
        }
    }

    /// Returns the pace of an upload to `receiver`, shared with its other uploads; `None` if
    /// nothing is limited.
    pub(crate) fn pace(&self, receiver: Receiver) -> Option<UploadPace> {
        let slowest = self.limits.total.into_iter().chain(self.limits.per_peer);
        let chunk = (slowest.min()? as f64 * CHUNK_TIME) as usize;
        let own = self.limits.per_peer.map(|rate| {
            let mut all = self.per_peer.lock();
            let known = all.get(&receiver).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                all.retain(|_, bucket| bucket.strong_count() > 0);
                let bucket = bucket(rate);
                all.insert(receiver, Arc::downgrade(&bucket));
                bucket
            })
        });
        Some(UploadPace {
            began: self.began,
            // The receiver's limit first: while waiting for it, the upload takes nothing from the
            // total.
            buckets: own.into_iter().chain(self.total.clone()).collect(),
            chunk: chunk.max(CHUNK_MIN),
        })
    }
}

fn bucket(rate: u64) -> Arc<Mutex<TokenBucket>> {
    Arc::new(Mutex::new(TokenBucket::new(rate)))
}

/// The rate limits of one upload.
#[derive(Clone)]
pub(crate) struct UploadPace {
    began: Instant,
    buckets: Vec<Arc<Mutex<TokenBucket>>>,
    chunk: usize,
}

impl UploadPace {
    /// Returns the maximum number of bytes to send at once.
    pub(crate) fn chunk(&self) -> usize {
        self.chunk
    }

    /// Waits until `bytes` may be sent.
    pub(crate) async fn wait(&self, bytes: usize) {
        for bucket in &self.buckets {
            let pause = bucket.lock().take(self.began.elapsed(), bytes as u64);
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }
}
