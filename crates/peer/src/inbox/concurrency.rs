//! Concurrency limits of the inbox: uploads in total, uploads per account, and one stream per
//! upload.

use std::sync::Arc;
use std::time::Duration;

use convite_core::{ErrorCode, Problem, UserName};
use convite_net::permits::{KeyedPermit, KeyedPermits};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The number of concurrent uploads. Each has up to four pieces in memory.
const UPLOADS_MAX: usize = 32;
/// The number of concurrent uploads per account, so that one account cannot block the others.
const UPLOADS_PER_ACCOUNT_MAX: usize = 8;
/// When to retry if a limit is reached.
const RETRY_DELAY: Duration = Duration::from_secs(2);

/// The uploads in progress.
pub(super) struct UploadSlots {
    slots: Arc<Semaphore>,
    accounts: KeyedPermits<UserName>,
    /// The ids of uploads with an active stream.
    busy: KeyedPermits<String>,
}

/// The right to upload a file, until this is dropped.
pub struct UploadSlot {
    _of_all: OwnedSemaphorePermit,
    _of_account: KeyedPermit<UserName>,
}

/// Exclusive access to an upload, until the last clone of the `Arc` is dropped.
pub(super) type UploadLock = KeyedPermit<String>;

impl Default for UploadSlots {
    fn default() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(UPLOADS_MAX)),
            accounts: KeyedPermits::default(),
            busy: KeyedPermits::default(),
        }
    }
}

impl UploadSlots {
    /// Reserves capacity for one upload of `user`.
    ///
    /// # Errors
    /// Returns `overloaded` if the total or the account's limit is reached.
    pub(super) fn turn(&self, user: &UserName) -> Result<UploadSlot, Problem> {
        let full = |what: String| {
            Problem::new(ErrorCode::Overloaded, what)
                .hint("try again in a moment")
                .retry_after(RETRY_DELAY)
        };
        let of_all = self.slots.clone().try_acquire_owned();
        let of_all =
            of_all.map_err(|_| full("this peer is receiving too many uploads".to_owned()))?;
        let of_account = self.accounts.acquire(user.clone(), UPLOADS_PER_ACCOUNT_MAX);
        let of_account = of_account.ok_or_else(|| {
            full(format!(
                "you have {UPLOADS_PER_ACCOUNT_MAX} uploads to this peer in progress"
            ))
        })?;
        Ok(UploadSlot {
            _of_all: of_all,
            _of_account: of_account,
        })
    }

    /// Takes exclusive access to an upload.
    ///
    /// # Errors
    /// Returns `unavailable` if it is in use.
    pub(super) fn lock_upload(&self, upload: &str) -> Result<Arc<UploadLock>, Problem> {
        let busy = self.busy.acquire(upload.to_owned(), 1);
        busy.map(Arc::new).ok_or_else(|| {
            Problem::new(
                ErrorCode::Unavailable,
                "the same upload is already in progress",
            )
            .hint("wait until it has finished")
            .retry_after(RETRY_DELAY)
        })
    }

    /// Returns whether an upload is in use.
    pub(super) fn is_busy(&self, upload: &str) -> bool {
        self.busy.held(&upload.to_owned()) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_cannot_take_all_upload_slots() {
        let turns = UploadSlots::default();
        let of = |user: &str| turns.turn(&user.parse().unwrap());
        let mut taken = Vec::new();
        for user in ["ana", "bob", "cleo", "dan"] {
            taken.extend((0..UPLOADS_PER_ACCOUNT_MAX).map(|_| of(user).unwrap()));
            assert!(of(user).is_err(), "{user}");
        }
        assert!(of("eve").is_err());
        // Ana's first upload has ended: one more is accepted, but not from bob, who has reached his
        // limit.
        taken.remove(0);
        assert!(of("bob").is_err());
        taken.push(of("eve").unwrap());
        assert!(of("ana").is_err());
        taken.clear();
        assert!(turns.accounts.is_empty());
        assert!(of("ana").is_ok());
    }
}
