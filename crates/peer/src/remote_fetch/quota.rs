//! The quota for files that a peer downloads at the request of other accounts.
//!
//! `HOME/peer/loaded.json` records the requester of each file. A file that was removed or has
//! another size now does not count. The owner's own requests do not count: for those only the
//! reserved free disk space applies (`download::disk_space`).

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use convite_client::home::write_private;
use convite_core::{ErrorCode, Problem, UserName, display};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::download::QuotaCheck;
use crate::home::disk;

/// The minimum size in bytes that a file counts: even a small file occupies disk space.
const FILE_MIN: u64 = 4096;

/// The quota per account and its use.
pub(super) struct FetchQuota {
    noted: PathBuf,
    /// The limit for each account in bytes.
    limit: u64,
    books: Mutex<QuotaRecord>,
}

#[derive(Default)]
struct QuotaRecord {
    loaded: BTreeMap<PathBuf, RecordedFile>,
    /// Bytes of remote fetches in progress.
    reserved: HashMap<UserName, u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct RecordedFile {
    user: UserName,
    size: u64,
}

impl FetchQuota {
    /// Reads the record at `noted`; a damaged record counts as empty.
    pub(super) fn open(noted: PathBuf, limit: u64) -> Arc<Self> {
        let loaded = fs::read(&noted).ok();
        let loaded = loaded.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Arc::new(Self {
            noted,
            limit,
            books: Mutex::new(QuotaRecord {
                loaded: loaded.unwrap_or_default(),
                reserved: HashMap::new(),
            }),
        })
    }

    /// Returns the quota check for a file requested by `user`; `None` if that is the owner.
    pub(super) fn admission(
        self: &Arc<Self>,
        user: &UserName,
        owner: Option<&UserName>,
    ) -> Option<QuotaCheck> {
        if owner == Some(user) {
            return None;
        }
        let (quota, user) = (self.clone(), user.clone());
        Some(Arc::new(move |size| {
            let reserved = quota.reserve(&user, size)?;
            Ok(Box::new(reserved) as Box<dyn Send>)
        }))
    }

    fn reserve(self: &Arc<Self>, user: &UserName, size: u64) -> Result<QuotaReservation, Problem> {
        let bytes = size.max(FILE_MIN);
        let mut books = self.books.lock();
        let stored = books.stored(user);
        let reserved = books.reserved.entry(user.clone()).or_default();
        let sum = stored.saturating_add(*reserved).saturating_add(bytes);
        if sum > self.limit {
            let (limit, taken) = (self.limit, stored.saturating_add(*reserved));
            return Err(Problem::new(
                ErrorCode::TooLarge,
                format!(
                    "your remote download quota on this peer is {}: {} are in use, and the file has {}",
                    display::format_bytes(limit),
                    display::format_bytes(taken),
                    display::format_bytes(size)
                ),
            )
            .hint("ask its owner to remove some of your files or to raise `--load-quota`"));
        }
        *reserved += bytes;
        Ok(QuotaReservation {
            quota: self.clone(),
            user: user.clone(),
            bytes,
        })
    }

    /// Records a file that was downloaded for `user`. Blocks.
    ///
    /// # Errors
    /// Fails as the file system does.
    pub(super) fn keep(&self, user: &UserName, path: &Path, size: u64) -> Result<(), Problem> {
        let mut books = self.books.lock();
        let loaded = RecordedFile {
            user: user.clone(),
            size,
        };
        books.loaded.insert(path.to_owned(), loaded);
        books.loaded.retain(|path, loaded| is_there(path, loaded));
        let noted = serde_json::to_vec(&books.loaded).map_err(std::io::Error::other);
        noted
            .and_then(|bytes| write_private(&self.noted, &bytes))
            .map_err(|error| disk(&self.noted, &error))
    }
}

impl QuotaRecord {
    fn stored(&self, user: &UserName) -> u64 {
        let own = self.loaded.iter().filter(|(_, file)| file.user == *user);
        let there = own.filter(|(path, file)| is_there(path, file));
        there.map(|(_, file)| file.size.max(FILE_MIN)).sum()
    }
}

fn is_there(path: &Path, loaded: &RecordedFile) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_file() && about.len() == loaded.size)
}

/// Quota reserved for a remote fetch in progress, until this is dropped.
struct QuotaReservation {
    quota: Arc<FetchQuota>,
    user: UserName,
    bytes: u64,
}

impl Drop for QuotaReservation {
    fn drop(&mut self) {
        let mut books = self.quota.books.lock();
        if let Some(reserved) = books.reserved.get_mut(&self.user) {
            *reserved = reserved.saturating_sub(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_and_running_fetches_share_the_quota() {
        let place = tempfile::tempdir().unwrap();
        let noted = place.path().join("loaded.json");
        let (ana, ben): (UserName, UserName) = ("ana".parse().unwrap(), "ben".parse().unwrap());
        let quota = FetchQuota::open(noted.clone(), 3 * FILE_MIN);
        let first = quota.reserve(&ana, FILE_MIN).unwrap();
        let second = quota.reserve(&ana, FILE_MIN).unwrap();
        let refused = quota.reserve(&ana, 2 * FILE_MIN).err().unwrap();
        assert_eq!(refused.code, ErrorCode::TooLarge);
        assert!(quota.reserve(&ben, 3 * FILE_MIN).is_ok());
        drop((first, second));

        // A downloaded file also counts after a restart, while it exists.
        let file = place.path().join("file");
        fs::write(&file, vec![0; 2 * FILE_MIN as usize]).unwrap();
        quota.keep(&ana, &file, 2 * FILE_MIN).unwrap();
        let quota = FetchQuota::open(noted, 3 * FILE_MIN);
        assert!(quota.reserve(&ana, 2 * FILE_MIN).is_err());
        assert!(quota.reserve(&ana, 1).is_ok());
        fs::remove_file(&file).unwrap();
        assert!(quota.reserve(&ana, 3 * FILE_MIN).is_ok());
        assert!(quota.admission(&ana, Some(&ana)).is_none());
        assert!(quota.admission(&ana, Some(&ben)).is_some());
    }
}
