//! What is being served just now, to whom, and no more of it at once than the machine bears.
//!
//! An upload has one of the [`Slots`], or waits for one, first come, first served; who waited too
//! long or finds even the waiting room full is told so. A slot is free again when the upload's
//! [`Upload`] is dropped, and goes to the next in the same moment.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use convite_core::activity::Direction;
use convite_core::{ContentHash, ErrorCode, Problem, UserName};
use convite_swarm::{Admission, Slots};
use convite_wire::v1::Transfer;
use tokio::sync::{oneshot, watch};

pub use super::limits::UploadLimits;
use super::limits::{Limiter, Pace};
use crate::activity::{Meter, Moving};

/// How many may wait, for each that is served.
const WAITING_PER_SLOT: usize = 4;

/// All uploads of this peer.
pub struct Uploads {
    limits: UploadLimits,
    limiter: Limiter,
    queue: Mutex<Queue>,
    waiting: watch::Sender<usize>,
    running: Mutex<HashMap<u64, Arc<Running>>>,
    next: AtomicU64,
    bytes: AtomicU64,
    meter: Arc<Meter>,
}

struct Queue {
    slots: Slots<u64>,
    /// How those who wait hear of their turn.
    turns: HashMap<u64, oneshot::Sender<()>>,
}

struct Running {
    name: String,
    hash: ContentHash,
    user: UserName,
    bytes: AtomicU64,
}

impl Uploads {
    /// None yet, and never more than `limits` say.
    pub fn new(limits: UploadLimits) -> Arc<Self> {
        let room = limits.slots.max(1).saturating_mul(WAITING_PER_SLOT);
        Arc::new(Self {
            limits,
            limiter: Limiter::new(limits),
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

    /// Measures what this peer does.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Begins one of a file of `size` bytes, to `user` at `remote`, as soon as there is a slot; listed until the result is
    /// dropped. Dropping the future gives up the place in the queue.
    ///
    /// # Errors
    /// `unavailable` if its turn does not come in [`UploadLimits::patience`], with its place, or
    /// if there is no room to wait.
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
        let running = Arc::new(Running {
            name: name.to_owned(),
            hash,
            user,
            bytes: AtomicU64::new(0),
        });
        self.list().insert(slot.id, running.clone());
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
            let mut queue = self.queue();
            match queue.slots.ask(id) {
                Admission::Served => (None, 0),
                Admission::Waiting(place) => {
                    let (tell, turn) = oneshot::channel();
                    queue.turns.insert(id, tell);
                    self.tell_waiting(&queue);
                    (Some(turn), place)
                }
                Admission::Refused => {
                    let waiting = queue.turns.len();
                    return Err(Problem::new(
                        ErrorCode::Unavailable,
                        "this peer serves as much as it can, and has no room to wait",
                    )
                    .hint(format!(
                        "{waiting} are before you: try another provider, or again in a moment"
                    )));
                }
            }
        };
        // From here on, whatever becomes of this request, its place is given back.
        let slot = Slot {
            all: self.clone(),
            id,
        };
        let Some(turn) = turn else {
            return Ok(slot);
        };
        if let Ok(Ok(())) = tokio::time::timeout(self.limits.patience, turn).await {
            return Ok(slot);
        }
        // Its turn may have come in this very moment.
        let place = self.queue().slots.position(id);
        let Some(place) = place else {
            return Ok(slot);
        };
        Err(Problem::new(
            ErrorCode::Unavailable,
            format!(
                "this peer serves as much as it can: place {place} in its queue, {first} at first"
            ),
        )
        .hint(format!(
            "{} are before you: try another provider, or again in a moment",
            place - 1
        )))
    }

    /// How many requests wait for a slot, now and as it changes.
    pub fn waiting(&self) -> watch::Receiver<usize> {
        self.waiting.subscribe()
    }

    /// What is being served just now.
    pub fn transfers(&self) -> Vec<Transfer> {
        let list = self.list();
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

    /// Bytes of files served since the start.
    pub fn bytes_served(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn tell_waiting(&self, queue: &Queue) {
        self.waiting.send_replace(queue.turns.len());
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list(&self) -> MutexGuard<'_, HashMap<u64, Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A slot, or a place in the queue for one.
struct Slot {
    all: Arc<Uploads>,
    id: u64,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut queue = self.all.queue();
        let waited = queue.turns.remove(&self.id).is_some();
        let next = queue.slots.end(self.id);
        let turn = next.and_then(|next| queue.turns.remove(&next));
        if waited || turn.is_some() {
            self.all.tell_waiting(&queue);
        }
        drop(queue);
        if let Some(turn) = turn {
            // Who is not there any more gives the slot on when it is dropped itself.
            let _ = turn.send(());
        }
    }
}

/// One upload, for as long as this lives.
pub struct Upload {
    running: Arc<Running>,
    moving: Moving,
    pace: Option<Pace>,
    slot: Slot,
}

impl Upload {
    /// Counts bytes that went out.
    pub fn sent(&self, bytes: u64) {
        self.moving.add(bytes);
        self.running.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.slot.all.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How fast it may go; none if it may go as fast as it can.
    pub(super) fn pace(&self) -> Option<Pace> {
        self.pace.clone()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.slot.all.list().remove(&self.slot.id);
    }
}
