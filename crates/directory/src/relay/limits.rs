//! How many files are relayed at once, and how fast.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use convite_core::{ErrorCode, Problem};
use convite_store::AccountId;
use tokio::time::Instant;

/// When to try again if there is no slot.
pub(super) const AGAIN: Duration = Duration::from_secs(2);

/// The relays under way, counted.
#[derive(Clone)]
pub(super) struct Slots {
    all: usize,
    per_account: usize,
    taken: Arc<Mutex<HashMap<AccountId, usize>>>,
}

/// The right to relay one file; given back when dropped.
pub(super) struct Slot {
    account: AccountId,
    slots: Slots,
}

impl Slots {
    pub(super) fn new(all: usize, per_account: usize) -> Self {
        Self {
            all,
            per_account,
            taken: Arc::default(),
        }
    }

    /// # Errors
    /// `overloaded` if there is none.
    pub(super) fn take(&self, account: AccountId) -> Result<Slot, Problem> {
        let mut taken = self.taken();
        let own = taken.get(&account).copied().unwrap_or(0);
        let message = if own >= self.per_account {
            "this account reads as many files through the directory as it may at once"
        } else if taken.values().sum::<usize>() >= self.all {
            "the directory hands on as many files as it may at once"
        } else {
            taken.insert(account, own + 1);
            return Ok(Slot {
                account,
                slots: self.clone(),
            });
        };
        Err(Problem::new(ErrorCode::Overloaded, message)
            .hint("try again in a moment, or fetch from the peers with `convite get`")
            .retry_after(AGAIN))
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<AccountId, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken();
        if let Some(count) = taken.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.account);
            }
        }
    }
}

/// A rate shared by all who send: each run of bytes has its time, one after the other.
pub(super) struct Pace {
    bytes_per_second: NonZeroU64,
    /// When the next bytes may go.
    next: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new(bytes_per_second: NonZeroU64) -> Self {
        Self {
            bytes_per_second,
            next: Mutex::new(Instant::now()),
        }
    }

    /// Returns when it is time to send `bytes`.
    pub(super) async fn wait(&self, bytes: usize) {
        let turn = self.book(bytes, Instant::now());
        tokio::time::sleep_until(turn).await;
    }

    /// When `bytes` may go; what was not used before is not saved up.
    fn book(&self, bytes: usize, now: Instant) -> Instant {
        let seconds = bytes as f64 / self.bytes_per_second.get() as f64;
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(now);
        *next = turn + Duration::from_secs_f64(seconds);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_bounded_for_each_and_for_all_and_come_back() {
        let slots = Slots::new(3, 2);
        let (ana, ben) = (AccountId(1), AccountId(2));
        let first = slots.take(ana).unwrap();
        let second = slots.take(ana).unwrap();
        assert!(slots.take(ana).is_err());
        let third = slots.take(ben).unwrap();
        assert!(slots.take(ben).is_err());
        drop(first);
        let again = slots.take(ben).unwrap();
        drop((second, third, again));
        assert!(slots.taken().is_empty());
    }

    #[test]
    fn a_rate_is_kept_over_all_and_not_saved_up() {
        let pace = Pace::new(NonZeroU64::new(1000).unwrap());
        let start = Instant::now() + Duration::from_secs(60);
        let millis = |at: Instant| (at - start).as_millis();
        assert_eq!(millis(pace.book(500, start)), 0);
        assert_eq!(millis(pace.book(500, start)), 500);
        assert_eq!(millis(pace.book(1, start)), 1000);
        let later = start + Duration::from_secs(100);
        assert_eq!(millis(pace.book(1000, later)), 100_000);
        assert_eq!(millis(pace.book(1, later)), 101_000);
    }
}
