//! Limits on reports of wrong pieces: per account, per file, and at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use convite_core::{ContentHash, ErrorCode, Problem, UserName};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The number of reports accepted from an account per [`WINDOW`].
const REPORTS_PER_ACCOUNT: u32 = 30;
/// The number of reports accepted for a content hash per [`WINDOW`], from all accounts.
const REPORTS_PER_FILE: u32 = 10;
/// The length of the window for rate limits.
const WINDOW: Duration = Duration::from_secs(60);
/// The maximum number of accounts and hashes counted. Beyond it, reports wait for the end of the
/// window.
const COUNTED_MAX: usize = 10_000;
/// The number of pieces read concurrently.
const CHECKS_MAX: usize = 2;

/// The number of reports per key in the window.
struct WindowCounts<K> {
    counts: HashMap<K, u32>,
    most: u32,
}

impl<K: Hash + Eq> WindowCounts<K> {
    fn new(most: u32) -> Self {
        Self {
            counts: HashMap::new(),
            most,
        }
    }

    fn has_room(&self, key: &K) -> bool {
        match self.counts.get(key) {
            Some(count) => *count < self.most,
            None => self.counts.len() < COUNTED_MAX,
        }
    }

    fn add(&mut self, key: K) {
        *self.counts.entry(key).or_default() += 1;
    }
}

struct RateWindow {
    began: Instant,
    accounts: WindowCounts<UserName>,
    files: WindowCounts<ContentHash>,
}

impl RateWindow {
    fn begin(now: Instant) -> Self {
        Self {
            began: now,
            accounts: WindowCounts::new(REPORTS_PER_ACCOUNT),
            files: WindowCounts::new(REPORTS_PER_FILE),
        }
    }

    /// Accepts a report, or returns how long to wait. Time is an argument.
    fn admit(&mut self, user: &UserName, hash: &ContentHash, now: Instant) -> Result<(), Duration> {
        let age = now.saturating_duration_since(self.began);
        if age >= WINDOW {
            *self = Self::begin(now);
        }
        if !self.accounts.has_room(user) || !self.files.has_room(hash) {
            return Err(WINDOW.saturating_sub(age));
        }
        self.accounts.add(user.clone());
        self.files.add(*hash);
        Ok(())
    }
}

/// The rate limits for reports to this peer.
pub struct Reports {
    window: Mutex<RateWindow>,
    turns: Semaphore,
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            window: Mutex::new(RateWindow::begin(Instant::now())),
            turns: Semaphore::new(CHECKS_MAX),
        }
    }
}

impl Reports {
    /// Counts a report of `user` about the file with content hash `hash`.
    ///
    /// # Errors
    /// Returns `too_many_requests` if a limit is reached.
    pub(crate) fn admit(&self, user: &UserName, hash: &ContentHash) -> Result<(), Problem> {
        let mut window = self.window.lock();
        window.admit(user, hash, Instant::now()).map_err(|wait| {
            Problem::new(
                ErrorCode::TooManyRequests,
                "too many reports of wrong pieces",
            )
            .hint(format!("report again in {} s", wait.as_secs() + 1))
        })
    }

    /// Waits until a piece may be read for a report.
    ///
    /// # Errors
    /// Returns `unavailable` if the peer is stopping.
    pub(crate) async fn turn(&self) -> Result<SemaphorePermit<'_>, Problem> {
        let turn = self.turns.acquire().await;
        turn.map_err(|_| Problem::new(ErrorCode::Unavailable, "the peer is stopping"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_limited_per_account_and_per_file() {
        let start = Instant::now();
        let mut window = RateWindow::begin(start);
        let user = |name: &str| name.parse::<UserName>().unwrap();
        let hash = |n: u32| ContentHash::of(&n.to_le_bytes());
        for n in 0..REPORTS_PER_ACCOUNT {
            assert!(window.admit(&user("ana"), &hash(n), start).is_ok());
        }
        let wait = window.admit(&user("ana"), &hash(99), start).unwrap_err();
        assert_eq!(wait, WINDOW);
        for n in 0..REPORTS_PER_FILE - 1 {
            let other = user(&format!("ben{n}"));
            assert!(window.admit(&other, &hash(0), start).is_ok());
        }
        assert!(window.admit(&user("cleo"), &hash(0), start).is_err());
        assert!(window.admit(&user("cleo"), &hash(1), start).is_ok());
        assert!(window.admit(&user("ana"), &hash(0), start + WINDOW).is_ok());
    }
}
