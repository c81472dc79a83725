//! Reusable read buffers, bounded over all uploads together.
//!
//! Large buffers come from a budget of [`BUDGET`]. When hundreds of slow receivers have used it up,
//! every upload still has one small buffer, so that stalled receivers do not block others.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The size of a large buffer in bytes: one read, sent as one message.
pub(crate) const LARGE: usize = 256 << 10;
/// The size of a small buffer in bytes.
const SMALL: usize = 64 << 10;
/// The maximum number of bytes in large buffers that are in use.
const BUDGET: usize = 64 << 20;
/// The number of large buffers kept for reuse.
const POOL_MAX: usize = 128;

static BUDGET_LEFT: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(BUDGET / LARGE)));
static POOL: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// The access of one upload to buffers.
pub(crate) struct UploadBuffers {
    /// The permit for this upload's small buffer.
    own: Arc<Semaphore>,
}

impl UploadBuffers {
    pub(crate) fn new() -> Self {
        Self {
            own: Arc::new(Semaphore::new(1)),
        }
    }

    /// Waits for a buffer for up to `wanted` bytes. It may be smaller.
    pub(crate) async fn acquire(&self, wanted: usize) -> Option<BufferPermit> {
        if let Some(room) = self.try_acquire(wanted) {
            return Some(room);
        }
        // The semaphores are never closed.
        let (permit, len) = tokio::select! {
            permit = BUDGET_LEFT.clone().acquire_owned() => (permit, LARGE),
            permit = self.own.clone().acquire_owned() => (permit, SMALL),
        };
        Some(BufferPermit {
            len: wanted.min(len),
            permit: permit.ok()?,
        })
    }

    /// Returns a buffer if one is free now.
    pub(crate) fn try_acquire(&self, wanted: usize) -> Option<BufferPermit> {
        let large = || {
            let permit = BUDGET_LEFT.clone().try_acquire_owned().ok()?;
            Some((permit, LARGE))
        };
        let own = || Some((self.own.clone().try_acquire_owned().ok()?, SMALL));
        // If the small buffer suffices, leave the large ones to other uploads.
        let (permit, len) = if wanted <= SMALL {
            own().or_else(large)
        } else {
            large().or_else(own)
        }?;
        Some(BufferPermit {
            len: wanted.min(len),
            permit,
        })
    }
}

/// The right to use a buffer.
pub(crate) struct BufferPermit {
    len: usize,
    permit: OwnedSemaphorePermit,
}

impl BufferPermit {
    /// Returns the capacity in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Calls `fill` on the first `len` bytes of a buffer (at most [`Self::len`]). The buffer is
    /// released when the network has sent the bytes.
    pub(crate) fn fill<E>(
        self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Bytes, E> {
        let pooled = if len > SMALL {
            POOL.lock().pop()
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
            let mut pool = POOL.lock();
            if pool.len() < POOL_MAX {
                pool.push(std::mem::take(&mut self.bytes));
            }
        }
    }
}
