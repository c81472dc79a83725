//! Memory for what is read and not yet sent, used again, and bounded over all uploads together.
//!
//! Large buffers come out of a budget of [`BUDGET`]. When it is used up, by hundreds of slow
//! receivers at once, every upload still has one small buffer of its own, so that nobody who
//! stalls stops anybody else.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A large buffer, in bytes: what is read at once, and goes out as one message.
pub(crate) const LARGE: usize = 256 << 10;
/// A small one.
const SMALL: usize = 64 << 10;
/// Bytes of large buffers in use at once.
const BUDGET: usize = 64 << 20;
/// Large buffers kept for use again.
const POOL_MAX: usize = 128;

static BUDGET_LEFT: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(BUDGET / LARGE)));
static POOL: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// One upload's access to buffers.
pub(crate) struct Buffers {
    /// The small buffer of its own.
    own: Arc<Semaphore>,
}

impl Buffers {
    pub(crate) fn new() -> Self {
        Self {
            own: Arc::new(Semaphore::new(1)),
        }
    }

    /// Room for up to `wanted` bytes, as soon as there is some; perhaps for fewer.
    pub(crate) async fn room(&self, wanted: usize) -> Option<Room> {
        if let Some(room) = self.room_now(wanted) {
            return Some(room);
        }
        // The semaphores are never closed.
        let (permit, len) = tokio::select! {
            permit = BUDGET_LEFT.clone().acquire_owned() => (permit, LARGE),
            permit = self.own.clone().acquire_owned() => (permit, SMALL),
        };
        Some(Room {
            len: wanted.min(len),
            permit: permit.ok()?,
        })
    }

    /// Room, if there is some now.
    pub(crate) fn room_now(&self, wanted: usize) -> Option<Room> {
        let large = || {
            let permit = BUDGET_LEFT.clone().try_acquire_owned().ok()?;
            Some((permit, LARGE))
        };
        let own = || Some((self.own.clone().try_acquire_owned().ok()?, SMALL));
        // What fits into its own small buffer leaves the others theirs.
        let (permit, len) = match wanted <= SMALL {
            true => own().or_else(large),
            false => large().or_else(own),
        }?;
        Some(Room {
            len: wanted.min(len),
            permit,
        })
    }
}

/// The right to use a buffer.
pub(crate) struct Room {
    len: usize,
    permit: OwnedSemaphorePermit,
}

impl Room {
    /// How many bytes fit.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Has `fill` fill the first `len` bytes, at most [`Self::len`], of a buffer, which goes back
    /// when the network has let go of the bytes.
    pub(crate) fn fill<E>(
        self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Bytes, E> {
        let pooled = if len > SMALL {
            POOL.lock().unwrap_or_else(PoisonError::into_inner).pop()
        } else {
            Some(vec![0; len])
        };
        let mut buffer = Buffer {
            bytes: pooled.unwrap_or_else(|| vec![0; LARGE]),
            len,
            _permit: self.permit,
        };
        fill(&mut buffer.bytes[..len])?;
        Ok(Bytes::from_owner(buffer))
    }
}

struct Buffer {
    bytes: Vec<u8>,
    len: usize,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.bytes.len() == LARGE {
            let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
            if pool.len() < POOL_MAX {
                pool.push(std::mem::take(&mut self.bytes));
            }
        }
    }
}
