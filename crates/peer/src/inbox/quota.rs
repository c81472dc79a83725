//! The quota of each account in the inbox: bytes stored, and bytes reserved for uploads in
//! progress.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use convite_core::{ErrorCode, Problem, UserName, display};
use parking_lot::Mutex;
use walkdir::WalkDir;

use super::file_name::folder_of;

/// The free disk space is checked again after this many bytes.
const DISK_CHECK_BYTES: u64 = 16 << 20;
/// The minimum size in bytes that a file counts: even a small file occupies disk space.
const FILE_MIN: u64 = 4096;

pub(super) struct InboxQuota {
    /// The folder of the inbox.
    folder: PathBuf,
    /// The limit for each account in bytes.
    limit: u64,
    accounts: Mutex<HashMap<UserName, Account>>,
}

#[derive(Default)]
struct Account {
    /// Bytes stored in the account's folder; `None` until they are measured.
    stored: Option<u64>,
    reserved: u64,
}

impl InboxQuota {
    pub(super) fn new(folder: PathBuf, limit: u64) -> Self {
        Self {
            folder,
            limit,
            accounts: Mutex::default(),
        }
    }

    /// Reserves quota for a file of `size` bytes, until the result is dropped. Blocks at the first
    /// call.
    ///
    /// # Errors
    /// Returns `too_large` if the quota is exceeded.
    pub(super) fn reserve(
        self: &Arc<Self>,
        user: &UserName,
        size: u64,
    ) -> Result<QuotaReservation, Problem> {
        self.add(user, counted(size))?;
        Ok(self.reserved(user, size))
    }

    /// Reserves quota even if it is exceeded.
    pub(super) fn reserve_unchecked(
        self: &Arc<Self>,
        user: &UserName,
        size: u64,
    ) -> QuotaReservation {
        let mut accounts = self.accounts.lock();
        accounts.entry(user.clone()).or_default().reserved += counted(size);
        drop(accounts);
        self.reserved(user, size)
    }

    fn reserved(self: &Arc<Self>, user: &UserName, size: u64) -> QuotaReservation {
        QuotaReservation {
            quota: self.clone(),
            user: user.clone(),
            size,
            bytes: counted(size),
            looked: 0,
        }
    }

    fn add(&self, user: &UserName, bytes: u64) -> Result<(), Problem> {
        let known = self
            .accounts
            .lock()
            .get(user)
            .and_then(|account| account.stored);
        if let Some(stored) = known
            && self.fits(user, stored, bytes)
        {
            return Ok(());
        }
        // The owner may have removed files.
        let stored = self.measure(user);
        if self.fits(user, stored, bytes) {
            return Ok(());
        }
        Err(Problem::new(
            ErrorCode::TooLarge,
            format!(
                "your quota in this peer's inbox, {}, is full",
                display::format_bytes(self.limit)
            ),
        )
        .hint("ask its owner to remove files from it or to raise `--upload-quota`"))
    }

    fn fits(&self, user: &UserName, stored: u64, bytes: u64) -> bool {
        let mut accounts = self.accounts.lock();
        let account = accounts.entry(user.clone()).or_default();
        account.stored = Some(stored);
        let sum = stored
            .saturating_add(account.reserved)
            .saturating_add(bytes);
        if sum > self.limit {
            return false;
        }
        account.reserved += bytes;
        true
    }

    fn measure(&self, user: &UserName) -> u64 {
        let folder = folder_of(&self.folder, user);
        let files = WalkDir::new(folder).into_iter().flatten();
        files
            .filter_map(|entry| entry.metadata().ok())
            .filter(std::fs::Metadata::is_file)
            .map(|metadata| counted(metadata.len()))
            .sum()
    }

    /// Counts a file of `size` bytes as stored in the account's folder.
    pub(super) fn keep(&self, user: &UserName, size: u64) {
        if let Some(Account {
            stored: Some(stored),
            ..
        }) = self.accounts.lock().get_mut(user)
        {
            *stored += counted(size);
        }
    }
}

/// Quota reserved for an upload, until this is dropped.
pub(super) struct QuotaReservation {
    quota: Arc<InboxQuota>,
    user: UserName,
    /// The size of the file so far.
    size: u64,
    /// The number of reserved bytes.
    bytes: u64,
    looked: u64,
}

impl QuotaReservation {
    /// Reserves more bytes. Returns whether the free disk space should be checked.
    ///
    /// # Errors
    /// Returns `too_large` if the quota is exceeded.
    pub(super) fn grow(&mut self, bytes: u64) -> Result<bool, Problem> {
        let more = counted(self.size + bytes) - self.bytes;
        if more > 0 {
            self.quota.add(&self.user, more)?;
        }
        self.size += bytes;
        self.bytes += more;
        let is_time = self.bytes - self.looked >= DISK_CHECK_BYTES;
        if is_time {
            self.looked = self.bytes;
        }
        Ok(is_time)
    }
}

/// Returns the number of bytes that a file of `size` counts.
fn counted(size: u64) -> u64 {
    size.max(FILE_MIN)
}

impl Drop for QuotaReservation {
    fn drop(&mut self) {
        if let Some(account) = self.quota.accounts.lock().get_mut(&self.user) {
            account.reserved -= self.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_files_count_in_the_quota() {
        let inbox = tempfile::tempdir().unwrap();
        let user: UserName = "ana".parse().unwrap();
        std::fs::create_dir(inbox.path().join("ana")).unwrap();
        std::fs::write(inbox.path().join("ana/empty"), "").unwrap();
        let quota = Arc::new(InboxQuota::new(inbox.path().to_owned(), 3 * FILE_MIN));
        let mut first = quota.reserve(&user, 0).unwrap();
        let second = quota.reserve(&user, 1).unwrap();
        assert!(quota.reserve(&user, 0).is_err());
        // The minimum that a file counts is not added to its first bytes.
        first.grow(FILE_MIN).unwrap();
        assert!(first.grow(1).is_err());
        drop(second);
        first.grow(1).unwrap();
        drop(first);
        assert!(quota.reserve(&user, 2 * FILE_MIN).is_ok());
    }
}
