//! How fast this peer sends: in all, and to each of those it sends to.
//!
//! Whoever is to send asks first and waits as long as it is told ([`TokenBucket`], which hands
//! out bytes in the order they were asked for). As every upload asks for one chunk at a time and
//! asks again only after it has sent it, uploads that run at once take turns, and share a limit
//! equally. Nobody holds a thread or a buffer while it waits.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use convite_core::UserName;
use convite_swarm::TokenBucket;

/// The most that is sent at once under a limit: so many seconds' worth of it...
const CHUNK_TIME: f64 = 0.02;
/// ...but this many bytes at least.
const CHUNK_MIN: usize = 16 << 10;

/// How much a peer uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// Bytes per second in all; none for no limit.
    pub in_all: Option<u64>,
    /// Bytes per second to one account at one IP address; none for no limit.
    pub per_peer: Option<u64>,
    /// Uploads at once; four times as many may wait.
    pub slots: usize,
    /// The longest that a request waits for a slot.
    pub patience: Duration,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self {
            in_all: None,
            per_peer: None,
            slots: 512,
            patience: Duration::from_secs(30),
        }
    }
}

/// To whom bytes go: two accounts behind one address are two, and so is one account at two.
pub(super) type Receiver = (UserName, Option<IpAddr>);

/// The limits of a peer, at work.
pub(super) struct Limiter {
    began: Instant,
    limits: UploadLimits,
    in_all: Option<Arc<Mutex<TokenBucket>>>,
    per_peer: Mutex<HashMap<Receiver, Weak<Mutex<TokenBucket>>>>,
}

impl Limiter {
    pub(super) fn new(limits: UploadLimits) -> Self {
        Self {
            began: Instant::now(),
            limits,
            in_all: limits.in_all.map(bucket),
            per_peer: Mutex::default(),
        }
    }

    /// The pace of an upload to `receiver`, shared with its other uploads; none if nothing is
    /// limited.
    pub(super) fn pace(&self, receiver: Receiver) -> Option<Pace> {
        let slowest = self.limits.in_all.into_iter().chain(self.limits.per_peer);
        let chunk = (slowest.min()? as f64 * CHUNK_TIME) as usize;
        let own = self.limits.per_peer.map(|rate| {
            let mut all = self.per_peer.lock().unwrap_or_else(PoisonError::into_inner);
            let known = all.get(&receiver).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                all.retain(|_, bucket| bucket.strong_count() > 0);
                let bucket = bucket(rate);
                all.insert(receiver, Arc::downgrade(&bucket));
                bucket
            })
        });
        Some(Pace {
            began: self.began,
            // Its own limit first: what waits for that takes nothing from the others.
            buckets: own.into_iter().chain(self.in_all.clone()).collect(),
            chunk: chunk.max(CHUNK_MIN),
        })
    }
}

fn bucket(rate: u64) -> Arc<Mutex<TokenBucket>> {
    Arc::new(Mutex::new(TokenBucket::new(rate)))
}

/// How fast one upload may go.
#[derive(Clone)]
pub(super) struct Pace {
    began: Instant,
    buckets: Vec<Arc<Mutex<TokenBucket>>>,
    chunk: usize,
}

impl Pace {
    /// The most bytes to send at once.
    pub(super) fn chunk(&self) -> usize {
        self.chunk
    }

    /// Waits until `bytes` may be sent.
    pub(super) async fn wait(&self, bytes: usize) {
        for bucket in &self.buckets {
            let pause = bucket
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(self.began.elapsed(), bytes as u64);
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }
}
