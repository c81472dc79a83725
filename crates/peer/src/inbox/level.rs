//! How full the inbox is and what comes into it, for its owner to see.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use convite_core::UserName;
use convite_wire::v1::{InboxStatus, Transfer};
use tokio::time::Instant;
use walkdir::WalkDir;

use super::lock;

/// What is in it is measured anew when somebody asks after so long: its owner may have removed some.
const MEASURED_FOR: Duration = Duration::from_secs(10);

/// See the module.
pub struct Level {
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

/// A file that comes in, until this is dropped.
pub(super) struct Coming {
    level: Arc<Level>,
    number: u64,
}

impl Level {
    /// Of an inbox with that quota for each account. Blocks until it is measured.
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
        lock(&self.used).bytes = bytes;
    }

    /// A file of so many bytes begins to come in; 0 if nobody knows.
    pub(super) fn comes(self: &Arc<Self>, name: &str, user: &UserName, size: u64) -> Coming {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let transfer = Transfer {
            name: name.to_owned(),
            user: user.to_string(),
            size,
            ..Transfer::default()
        };
        lock(&self.coming).insert(number, transfer);
        Coming {
            level: self.clone(),
            number,
        }
    }

    /// What its owner is told. What it holds may be as old as the last time that somebody asked.
    pub(crate) fn status(self: &Arc<Self>) -> InboxStatus {
        let used = {
            let mut used = lock(&self.used);
            if used.measured.elapsed() >= MEASURED_FOR
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
            coming: lock(&self.coming).values().cloned().collect(),
        }
    }
}

impl Coming {
    /// So many bytes of it are here.
    pub(super) fn stands_at(&self, bytes: u64) {
        if let Some(transfer) = lock(&self.level.coming).get_mut(&self.number) {
            transfer.bytes = bytes;
        }
    }

    /// It is in, whole.
    pub(super) fn is_in(&self, bytes: u64) {
        lock(&self.level.used).bytes += bytes;
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        lock(&self.level.coming).remove(&self.number);
    }
}
