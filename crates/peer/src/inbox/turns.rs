//! Who may work just now: so many files come in at once, few of them of one account, and on one upload
//! works one alone.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use convite_core::{ErrorCode, Problem, UserName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::lock;

/// Uploads that come in at once: each has up to four pieces in memory.
const AT_ONCE: usize = 32;
/// Those of one account, so that nobody keeps all others out.
const OF_ACCOUNT: usize = 8;
/// When to try again if there are as many.
const AGAIN: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Turns {
    slots: Arc<Semaphore>,
    /// How many are coming in of each account.
    accounts: Arc<Mutex<HashMap<UserName, usize>>>,
    /// Uploads that somebody works on.
    busy: Arc<Mutex<HashSet<String>>>,
}

/// The right to bring a file in.
pub(super) struct Turn {
    _slot: OwnedSemaphorePermit,
    user: UserName,
    accounts: Arc<Mutex<HashMap<UserName, usize>>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut accounts = lock(&self.accounts);
        if let Some(count) = accounts.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                accounts.remove(&self.user);
            }
        }
    }
}

/// The right to work on an upload, alone, until the last of those who share this is done.
pub(super) struct Busy {
    upload: String,
    busy: Arc<Mutex<HashSet<String>>>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        lock(&self.busy).remove(&self.upload);
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            accounts: Arc::default(),
            busy: Arc::default(),
        }
    }
}

impl Turns {
    /// Room to take a file of that account in.
    ///
    /// # Errors
    /// `overloaded` if as many come in as may at once, of all or of the account.
    pub(super) fn turn(&self, user: &UserName) -> Result<Turn, Problem> {
        let full = |what: String| {
            Problem::new(ErrorCode::Overloaded, what)
                .hint("try again in a moment")
                .retry_after(AGAIN)
        };
        let slot = self.slots.clone().try_acquire_owned();
        let slot = slot
            .map_err(|_| full("this peer takes in as many files as it may at once".to_owned()))?;
        let mut accounts = lock(&self.accounts);
        let count = accounts.entry(user.clone()).or_default();
        if *count >= OF_ACCOUNT {
            return Err(full(format!(
                "{OF_ACCOUNT} files of yours are on their way to this peer already"
            )));
        }
        *count += 1;
        Ok(Turn {
            _slot: slot,
            user: user.clone(),
            accounts: self.accounts.clone(),
        })
    }

    /// Has an upload to oneself.
    ///
    /// # Errors
    /// `unavailable` if somebody works on it.
    pub(super) fn occupy(&self, upload: &str) -> Result<Arc<Busy>, Problem> {
        let new = lock(&self.busy).insert(upload.to_owned());
        match new {
            true => Ok(Arc::new(Busy {
                upload: upload.to_owned(),
                busy: self.busy.clone(),
            })),
            false => Err(Problem::new(
                ErrorCode::Unavailable,
                "the same upload is under way already",
            )
            .hint("wait for it to end")
            .retry_after(AGAIN)),
        }
    }

    /// Whether somebody works on an upload.
    pub(super) fn is_busy(&self, upload: &str) -> bool {
        lock(&self.busy).contains(upload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_keeps_all_others_out() {
        let turns = Turns::default();
        let of = |user: &str| turns.turn(&user.parse().unwrap());
        let mut taken = Vec::new();
        for user in ["ana", "bob", "cleo", "dan"] {
            taken.extend((0..OF_ACCOUNT).map(|_| of(user).unwrap()));
            assert!(of(user).is_err(), "{user}");
        }
        assert!(of("eve").is_err());
        // Ana's first has ended: there is room again for one, of whomever, but not for bob.
        taken.remove(0);
        assert!(of("bob").is_err());
        taken.push(of("eve").unwrap());
        assert!(of("ana").is_err());
        taken.clear();
        assert!(lock(&turns.accounts).is_empty());
        assert!(of("ana").is_ok());
    }
}
