//! A table of failures by key, which fade with time.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// Maximum number of keys in a table. When it is full, those with the fewest failures are removed.
pub(super) const KEYS_MAX: usize = 16_384;

/// A rate limit for failures. After the free ones, the delay is `first_delay`, then doubles up to
/// `max_delay`; one failure is forgotten per `max_delay`.
///
/// Within a time T, at most `free_failures` + log2(`max_delay` / `first_delay`) + 2 + T /
/// `max_delay` failures are possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureRate {
    /// Number of failures without a delay.
    pub free_failures: u32,
    /// The first delay.
    pub first_delay: Duration,
    /// The longest delay.
    pub max_delay: Duration,
}

impl FailureRate {
    /// Returns the delay after this number of failures.
    fn delay(&self, failures: u32) -> Duration {
        let Some(beyond) = failures.checked_sub(self.free_failures + 1) else {
            return Duration::ZERO;
        };
        let factor = 1u32.checked_shl(beyond).unwrap_or(u32::MAX);
        self.first_delay.saturating_mul(factor).min(self.max_delay)
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    failures: u32,
    /// The time up to which fading was applied.
    faded: Duration,
    /// The end of the delay.
    until: Duration,
}

/// A table of failures by key.
pub(super) struct FailureTable<K> {
    pace: FailureRate,
    entries: HashMap<K, Entry>,
}

impl<K: Eq + Hash> FailureTable<K> {
    pub(super) fn new(pace: FailureRate) -> Self {
        Self {
            pace,
            entries: HashMap::new(),
        }
    }

    /// Returns how long this key has to wait; zero for no wait.
    pub(super) fn wait(&self, key: &K, now: Duration) -> Duration {
        let entry = self.entries.get(key);
        entry.map_or(Duration::ZERO, |entry| entry.until.saturating_sub(now))
    }

    /// Adds a failure.
    pub(super) fn count(&mut self, key: K, now: Duration) {
        if self.entries.len() >= KEYS_MAX && !self.entries.contains_key(&key) {
            self.make_room(now);
        }
        let pace = self.pace;
        let entry = self.entries.entry(key).or_insert(Entry {
            failures: 0,
            faded: now,
            until: now,
        });
        fade(entry, pace, now);
        entry.failures = entry.failures.saturating_add(1);
        entry.until = entry.until.max(now + pace.delay(entry.failures));
    }

    /// Removes a failure together with its delay.
    pub(super) fn take_back(&mut self, key: &K, now: Duration) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        fade(entry, self.pace, now);
        entry.failures = entry.failures.saturating_sub(1);
        entry.until = now.min(entry.until);
        if entry.failures == 0 {
            self.entries.remove(key);
        }
    }

    /// Removes all failures of a key.
    pub(super) fn forget(&mut self, key: &K) {
        self.entries.remove(key);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Removes faded entries, and if that is not enough, the quarter with the fewest failures:
    /// filling the table with keys that failed once removes frequent failures last.
    fn make_room(&mut self, now: Duration) {
        let pace = self.pace;
        self.entries.retain(|_, entry| {
            fade(entry, pace, now);
            entry.failures > 0
        });
        if self.entries.len() <= KEYS_MAX / 4 * 3 {
            return;
        }
        let mut counts: Vec<u32> = self.entries.values().map(|entry| entry.failures).collect();
        let (_, fewest, _) = counts.select_nth_unstable(KEYS_MAX / 4);
        let fewest = *fewest;
        let mut excess = self.entries.len() - KEYS_MAX / 4 * 3;
        self.entries.retain(|_, entry| {
            let goes = excess > 0 && entry.failures <= fewest;
            excess -= usize::from(goes);
            !goes
        });
    }
}

fn fade(entry: &mut Entry, pace: FailureRate, now: Duration) {
    let slowest = pace.max_delay.max(Duration::from_millis(1));
    let steps = now.saturating_sub(entry.faded).as_nanos() / slowest.as_nanos();
    let steps = u32::try_from(steps).unwrap_or(u32::MAX);
    entry.failures = entry.failures.saturating_sub(steps);
    entry.faded += slowest.saturating_mul(steps);
    if entry.failures == 0 {
        entry.faded = now;
    }
}
