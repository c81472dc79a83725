//! The fill level of the inbox and the uploads in progress, for `convite status`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use convite_core::UserName;
use convite_wire::v1::{InboxStatus, Transfer};
use parking_lot::Mutex;
use tokio::time::Instant;
use walkdir::WalkDir;

/// The age after which the stored size is measured again on request: the owner may have removed
/// files.
const MEASURE_INTERVAL: Duration = Duration::from_secs(10);

/// The fill level of an inbox.
pub struct InboxUsage {
    folder: PathBuf,
    quota: u64,
    used: Mutex<Used>,
    coming: Mutex<BTreeMap<u64, Transfer>>,
    next: AtomicU64,
}

struct Used {
    bytes: u64,
    measured: Instant,
}

/// An upload in progress, listed until this is dropped.
pub(super) struct ListedUpload {
    level: Arc<InboxUsage>,
    number: u64,
}

impl InboxUsage {
    /// Creates the level of an inbox with this quota per account. Blocks to measure it.
    pub(super) fn new(folder: PathBuf, quota: u64) -> Arc<Self> {
        let level = Self {
            folder,
            quota,
            used: Mutex::new(Used {
                bytes: 0,
                measured: Instant::now(),
            }),
            coming: Mutex::default(),
            next: AtomicU64::new(0),
        };
        level.measure();
        Arc::new(level)
    }

    fn measure(&self) {
        let files = WalkDir::new(&self.folder).into_iter().flatten();
        let files = files.filter_map(|entry| entry.metadata().ok());
        let bytes = files
            .filter(|file| file.is_file())
            .map(|file| file.len())
            .sum();
        self.used.lock().bytes = bytes;
    }

    /// Adds an upload of a file of `size` bytes; 0 if the size is unknown.
    pub(super) fn begin_upload(
        self: &Arc<Self>,
        name: &str,
        user: &UserName,
        size: u64,
    ) -> ListedUpload {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let transfer = Transfer {
            name: name.to_owned(),
            user: user.to_string(),
            size,
            ..Transfer::default()
        };
        self.coming.lock().insert(number, transfer);
        ListedUpload {
            level: self.clone(),
            number,
        }
    }

    /// Returns the status. The stored size may be as old as the last call.
    pub(crate) fn status(self: &Arc<Self>) -> InboxStatus {
        let used = {
            let mut used = self.used.lock();
            if used.measured.elapsed() >= MEASURE_INTERVAL
                && let Ok(runtime) = tokio::runtime::Handle::try_current()
            {
                used.measured = Instant::now();
                let level = self.clone();
                runtime.spawn_blocking(move || level.measure());
            }
            used.bytes
        };
        InboxStatus {
            folder: self.folder.to_string_lossy().into_owned(),
            used,
            quota: self.quota,
            coming: self.coming.lock().values().cloned().collect(),
        }
    }
}

impl ListedUpload {
    /// Sets the number of bytes received.
    pub(super) fn set_received(&self, bytes: u64) {
        if let Some(transfer) = self.level.coming.lock().get_mut(&self.number) {
            transfer.bytes = bytes;
        }
    }

    /// Counts the complete file of `bytes` bytes as stored.
    pub(super) fn complete(&self, bytes: u64) {
        self.level.used.lock().bytes += bytes;
    }
}

impl Drop for ListedUpload {
    fn drop(&mut self) {
        self.level.coming.lock().remove(&self.number);
    }
}
