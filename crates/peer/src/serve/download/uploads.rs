//! The files that are being sent, to which account, and the limit on concurrent uploads.
//!
//! An upload takes one of the [`Slots`] or waits for one, in order of arrival. It fails if it waits
//! too long or if the queue is full. The slot is passed to the next upload when the [`Upload`] is
//! dropped.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use convite_core::activity::Direction;
use convite_core::{ContentHash, ErrorCode, Problem, UserName};
use convite_swarm::{Admission, Slots};
use convite_wire::v1::Transfer;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use crate::activity::{TransferGuard, TransferMeter};
pub use crate::serve::download::rate_limits::UploadLimits;
use crate::serve::download::rate_limits::{RateLimiter, UploadPace};

/// The number of requests that may wait per slot.
const WAITING_PER_SLOT: usize = 4;

/// All uploads of this peer.
pub struct Uploads {
    limits: UploadLimits,
    limiter: RateLimiter,
    queue: Mutex<Queue>,
    waiting: watch::Sender<usize>,
    running: Mutex<HashMap<u64, Arc<ActiveUpload>>>,
    next: AtomicU64,
    bytes: AtomicU64,
    meter: Arc<TransferMeter>,
}

struct Queue {
    slots: Slots<u64>,
    /// Notifies waiting requests of their turn.
    turns: HashMap<u64, oneshot::Sender<()>>,
}

struct ActiveUpload {
    name: String,
    hash: ContentHash,
    user: UserName,
    bytes: AtomicU64,
}

impl Uploads {
    /// Creates an empty list with the given limits.
    pub fn new(limits: UploadLimits) -> Arc<Self> {
        let room = limits.slots.max(1).saturating_mul(WAITING_PER_SLOT);
        Arc::new(Self {
            limits,
            limiter: RateLimiter::new(limits),
            queue: Mutex::new(Queue {
                slots: Slots::new(limits.slots, room),
                turns: HashMap::new(),
            }),
            waiting: watch::Sender::default(),
            running: Mutex::default(),
            next: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            meter: Arc::default(),
        })
    }

    /// Returns the meter of this peer's transfers.
    pub fn meter(&self) -> &Arc<TransferMeter> {
        &self.meter
    }

    /// Begins an upload of a file of `size` bytes to `user` at `remote`, as soon as a slot is free.
    /// The upload is listed until the result is dropped. Dropping the future gives up the place in
    /// the queue.
    ///
    /// # Errors
    /// Returns `unavailable`, with the position in the queue, if no slot becomes free within
    /// [`UploadLimits::queue_timeout`], and if the queue is full.
    pub async fn begin(
        self: &Arc<Self>,
        name: &str,
        hash: ContentHash,
        size: u64,
        user: UserName,
        remote: Option<IpAddr>,
    ) -> Result<Upload, Problem> {
        let slot = self.slot().await?;
        let pace = self.limiter.pace((user.clone(), remote));
        let to = Some(user.clone());
        let moving = self.meter.begin(Direction::Sending, hash, to, size, 0);
        let running = Arc::new(ActiveUpload {
            name: name.to_owned(),
            hash,
            user,
            bytes: AtomicU64::new(0),
        });
        self.running.lock().insert(slot.id, running.clone());
        Ok(Upload {
            running,
            moving,
            pace,
            slot,
        })
    }

    async fn slot(self: &Arc<Self>) -> Result<Slot, Problem> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (turn, first) = {
            let mut queue = self.queue.lock();
            match queue.slots.ask(id) {
                Admission::Served => (None, 0),
                Admission::Waiting(place) => {
                    let (tell, turn) = oneshot::channel();
                    queue.turns.insert(id, tell);
                    self.notify_waiting(&queue);
                    (Some(turn), place)
                }
                Admission::Refused => {
                    let waiting = queue.turns.len();
                    return Err(Problem::new(
                        ErrorCode::Unavailable,
                        "this peer is busy and its queue is full",
                    )
                    .hint(format!(
                        "requests ahead in the queue: {waiting}; try another source, or try again in a moment"
                    )));
                }
            }
        };
        // From here on the place is returned, however the request ends.
        let slot = Slot {
            all: self.clone(),
            id,
        };
        let Some(turn) = turn else {
            return Ok(slot);
        };
        if let Ok(Ok(())) = tokio::time::timeout(self.limits.queue_timeout, turn).await {
            return Ok(slot);
        }
        // The turn may have come just now.
        let place = self.queue.lock().slots.position(id);
        let Some(place) = place else {
            return Ok(slot);
        };
        Err(Problem::new(
            ErrorCode::Unavailable,
            format!("this peer is busy: position {place} in its queue, {first} at the start"),
        )
        .hint(format!(
            "requests ahead in the queue: {}; try another source, or try again in a moment",
            place - 1
        )))
    }

    /// Returns a receiver for the number of requests that wait for a slot.
    pub fn waiting(&self) -> watch::Receiver<usize> {
        self.waiting.subscribe()
    }

    /// Returns the current uploads.
    pub fn transfers(&self) -> Vec<Transfer> {
        let list = self.running.lock();
        let mut transfers: Vec<_> = list.iter().collect();
        transfers.sort_unstable_by_key(|(id, _)| **id);
        transfers
            .into_iter()
            .map(|(_, running)| Transfer {
                name: running.name.clone(),
                hash: convite_wire::convert::hash_bytes(&running.hash),
                user: running.user.to_string(),
                bytes: running.bytes.load(Ordering::Relaxed),
                ..Transfer::default()
            })
            .collect()
    }

    /// Returns the number of bytes sent since the start.
    pub fn bytes_served(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn notify_waiting(&self, queue: &Queue) {
        self.waiting.send_replace(queue.turns.len());
    }
}

/// A slot, or a place in the queue for one.
struct Slot {
    all: Arc<Uploads>,
    id: u64,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut queue = self.all.queue.lock();
        let waited = queue.turns.remove(&self.id).is_some();
        let next = queue.slots.end(self.id);
        let turn = next.and_then(|next| queue.turns.remove(&next));
        if waited || turn.is_some() {
            self.all.notify_waiting(&queue);
        }
        drop(queue);
        if let Some(turn) = turn {
            // If that request is gone, dropping its slot passes the slot on.
            let _ = turn.send(());
        }
    }
}

/// An upload in progress, until this is dropped.
pub struct Upload {
    running: Arc<ActiveUpload>,
    moving: TransferGuard,
    pace: Option<UploadPace>,
    slot: Slot,
}

impl Upload {
    /// Counts bytes that were sent.
    pub fn sent(&self, bytes: u64) {
        self.moving.add(bytes);
        self.running.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.slot.all.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Returns the pace of the upload; `None` if it is not limited.
    pub(crate) fn pace(&self) -> Option<UploadPace> {
        self.pace.clone()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.slot.all.running.lock().remove(&self.slot.id);
    }
}
