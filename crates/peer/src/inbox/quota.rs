//! How much of whom may be in the inbox: what is there, and what is promised to uploads under way.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use convite_core::{ErrorCode, Problem, UserName, display};
use walkdir::WalkDir;

use super::place::folder_of;

/// Free disk space is looked at again after so many bytes.
const LOOK_EVERY: u64 = 16 << 20;
/// What a file counts at least, in bytes: it takes a place on the disk, however little is in it.
const FILE_MIN: u64 = 4096;

pub(super) struct Quota {
    /// The inbox.
    folder: PathBuf,
    /// Bytes for each account.
    limit: u64,
    accounts: Mutex<HashMap<UserName, Account>>,
}

#[derive(Default)]
struct Account {
    /// What is in its folder; not known before somebody asks.
    stored: Option<u64>,
    reserved: u64,
}

impl Quota {
    pub(super) fn new(folder: PathBuf, limit: u64) -> Self {
        Self {
            folder,
            limit,
            accounts: Mutex::default(),
        }
    }

    /// Room for a file of so many bytes, until it is given back. Blocks the first time.
    ///
    /// # Errors
    /// `too_large` if the account has no more.
    pub(super) fn reserve(
        self: &Arc<Self>,
        user: &UserName,
        size: u64,
    ) -> Result<Reserved, Problem> {
        self.add(user, counted(size))?;
        Ok(self.reserved(user, size))
    }

    /// [`Self::reserve`], whether there is room or not.
    pub(super) fn reserve_anyway(self: &Arc<Self>, user: &UserName, size: u64) -> Reserved {
        let mut accounts = self.lock();
        accounts.entry(user.clone()).or_default().reserved += counted(size);
        drop(accounts);
        self.reserved(user, size)
    }

    fn reserved(self: &Arc<Self>, user: &UserName, size: u64) -> Reserved {
        Reserved {
            quota: self.clone(),
            user: user.clone(),
            size,
            bytes: counted(size),
            looked: 0,
        }
    }

    fn add(&self, user: &UserName, bytes: u64) -> Result<(), Problem> {
        let known = self.lock().get(user).and_then(|account| account.stored);
        if let Some(stored) = known
            && self.fits(user, stored, bytes)
        {
            return Ok(());
        }
        // Its owner may have made room.
        let stored = self.measure(user);
        if self.fits(user, stored, bytes) {
            return Ok(());
        }
        Err(Problem::new(
            ErrorCode::TooLarge,
            format!(
                "your part of this peer's inbox, {}, is full",
                display::bytes(self.limit)
            ),
        )
        .hint("ask its owner to make room there, or to raise `--upload-quota`"))
    }

    fn fits(&self, user: &UserName, stored: u64, bytes: u64) -> bool {
        let mut accounts = self.lock();
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

    /// A file of that size is in the account's folder now.
    pub(super) fn keep(&self, user: &UserName, size: u64) {
        if let Some(Account {
            stored: Some(stored),
            ..
        }) = self.lock().get_mut(user)
        {
            *stored += counted(size);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserName, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room that an upload has, until this is dropped.
pub(super) struct Reserved {
    quota: Arc<Quota>,
    user: UserName,
    /// Of the file so far.
    size: u64,
    /// What is reserved for it.
    bytes: u64,
    looked: u64,
}

impl Reserved {
    /// Room for more. Whether it is time to look at the disk.
    ///
    /// # Errors
    /// `too_large` if the account has no more.
    pub(super) fn grow(&mut self, bytes: u64) -> Result<bool, Problem> {
        let more = counted(self.size + bytes) - self.bytes;
        if more > 0 {
            self.quota.add(&self.user, more)?;
        }
        self.size += bytes;
        self.bytes += more;
        let is_time = self.bytes - self.looked >= LOOK_EVERY;
        if is_time {
            self.looked = self.bytes;
        }
        Ok(is_time)
    }
}

/// What a file of that size counts.
fn counted(size: u64) -> u64 {
    size.max(FILE_MIN)
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(account) = self.quota.lock().get_mut(&self.user) {
            account.reserved -= self.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_contents_cost_something_too() {
        let inbox = tempfile::tempdir().unwrap();
        let user: UserName = "ana".parse().unwrap();
        std::fs::create_dir(inbox.path().join("ana")).unwrap();
        std::fs::write(inbox.path().join("ana/empty"), "").unwrap();
        let quota = Arc::new(Quota::new(inbox.path().to_owned(), 3 * FILE_MIN));
        let mut first = quota.reserve(&user, 0).unwrap();
        let second = quota.reserve(&user, 1).unwrap();
        assert!(quota.reserve(&user, 0).is_err());
        // What it costs anyway is not counted twice when something comes.
        first.grow(FILE_MIN).unwrap();
        assert!(first.grow(1).is_err());
        drop(second);
        first.grow(1).unwrap();
        drop(first);
        assert!(quota.reserve(&user, 2 * FILE_MIN).is_ok());
    }
}
