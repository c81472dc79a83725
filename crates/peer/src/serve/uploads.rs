//! What is being served just now, to whom, and no more of it at once than the machine bears.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use convite_core::{ContentHash, ErrorCode, Problem, UserName};
use convite_wire::v1::Transfer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most uploads at once, unless told otherwise: with `body`'s buffers about 700 MiB
/// if every one of them is slow, and far less in practice.
pub const UPLOADS_MAX: usize = 512;

/// All uploads of this peer.
pub struct Uploads {
    permits: Arc<Semaphore>,
    running: Mutex<HashMap<u64, Arc<Running>>>,
    next: AtomicU64,
    bytes: AtomicU64,
}

struct Running {
    name: String,
    hash: ContentHash,
    user: UserName,
    bytes: AtomicU64,
}

impl Uploads {
    /// At most `max` at once.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(max)),
            running: Mutex::default(),
            next: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        })
    }

    /// Begins one, listed until the result is dropped.
    ///
    /// # Errors
    /// `unavailable` if there are as many as there may be.
    pub fn begin(
        self: &Arc<Self>,
        name: &str,
        hash: ContentHash,
        user: UserName,
    ) -> Result<Upload, Problem> {
        let permit = self.permits.clone().try_acquire_owned().map_err(|_| {
            Problem::new(ErrorCode::Unavailable, "this peer serves as much as it can")
                .hint("try again in a moment, or another provider")
        })?;
        let running = Arc::new(Running {
            name: name.to_owned(),
            hash,
            user,
            bytes: AtomicU64::new(0),
        });
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.list().insert(id, running.clone());
        Ok(Upload {
            all: self.clone(),
            id,
            running,
            _permit: permit,
        })
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
            })
            .collect()
    }

    /// Bytes of files served since the start.
    pub fn bytes_served(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn list(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One upload, for as long as this lives.
pub struct Upload {
    all: Arc<Uploads>,
    id: u64,
    running: Arc<Running>,
    _permit: OwnedSemaphorePermit,
}

impl Upload {
    /// Counts bytes that went out.
    pub fn sent(&self, bytes: u64) {
        self.running.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.all.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.all.list().remove(&self.id);
    }
}
