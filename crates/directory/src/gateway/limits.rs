//! Limits of the gateway: the number of transfers, and their rate.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use convite_core::{ErrorCode, Problem};
use convite_net::permits::{KeyedPermit, KeyedPermits};
use convite_store::AccountId;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// `Retry-After` if there is no free slot.
pub(super) const AGAIN: Duration = Duration::from_secs(2);

/// The slots for transfers.
#[derive(Clone)]
pub(super) struct TransferSlots {
    all: Arc<Semaphore>,
    accounts: KeyedPermits<AccountId>,
    per_account: usize,
}

/// The right to one transfer; released when dropped.
pub(super) struct TransferSlot {
    _of_all: OwnedSemaphorePermit,
    _of_account: KeyedPermit<AccountId>,
}

impl TransferSlots {
    pub(super) fn new(all: usize, per_account: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all.min(Semaphore::MAX_PERMITS))),
            accounts: KeyedPermits::default(),
            per_account,
        }
    }

    /// Takes a slot.
    ///
    /// # Errors
    /// Returns `overloaded` if none is free.
    pub(super) fn take(&self, account: AccountId) -> Result<TransferSlot, Problem> {
        let full = |message| {
            Problem::new(ErrorCode::Overloaded, message)
                .hint("try again in a moment, or fetch the file from its peers with `convite get`")
                .retry_after(AGAIN)
        };
        let of_account = self.accounts.acquire(account, self.per_account);
        let of_account = of_account.ok_or_else(|| {
            full("this account has reached its limit of concurrent transfers through the directory")
        })?;
        let of_all = Arc::clone(&self.all).try_acquire_owned();
        let of_all = of_all
            .map_err(|_| full("the directory has reached its limit of concurrent transfers"))?;
        Ok(TransferSlot {
            _of_all: of_all,
            _of_account: of_account,
        })
    }
}

/// A rate limit shared by all senders: each chunk gets its own time slot.
pub(super) struct RateLimiter {
    bytes_per_second: NonZeroU64,
    /// The next free time.
    next: Mutex<Instant>,
}

impl RateLimiter {
    pub(super) fn new(bytes_per_second: NonZeroU64) -> Self {
        Self {
            bytes_per_second,
            next: Mutex::new(Instant::now()),
        }
    }

    /// Waits until `bytes` may be sent.
    pub(super) async fn wait(&self, bytes: usize) {
        let turn = self.reserve(bytes, Instant::now());
        tokio::time::sleep_until(turn).await;
    }

    /// Returns when `bytes` may be sent; unused time is not accumulated.
    fn reserve(&self, bytes: usize, now: Instant) -> Instant {
        let seconds = bytes as f64 / self.bytes_per_second.get() as f64;
        let mut next = self.next.lock();
        let turn = (*next).max(now);
        *next = turn + Duration::from_secs_f64(seconds);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_limited_per_account_and_in_total() {
        let slots = TransferSlots::new(3, 2);
        let (ana, ben) = (AccountId(1), AccountId(2));
        let first = slots.take(ana).unwrap();
        let second = slots.take(ana).unwrap();
        assert!(slots.take(ana).is_err());
        let third = slots.take(ben).unwrap();
        assert!(slots.take(ben).is_err());
        drop(first);
        let again = slots.take(ben).unwrap();
        drop((second, third, again));
        assert!(slots.accounts.is_empty());
    }

    #[test]
    fn the_rate_limit_does_not_accumulate() {
        let limiter = RateLimiter::new(NonZeroU64::new(1000).unwrap());
        let start = Instant::now() + Duration::from_secs(60);
        let millis = |at: Instant| (at - start).as_millis();
        assert_eq!(millis(limiter.reserve(500, start)), 0);
        assert_eq!(millis(limiter.reserve(500, start)), 500);
        assert_eq!(millis(limiter.reserve(1, start)), 1000);
        let later = start + Duration::from_secs(100);
        assert_eq!(millis(limiter.reserve(1000, later)), 100_000);
        assert_eq!(millis(limiter.reserve(1, later)), 101_000);
    }
}
