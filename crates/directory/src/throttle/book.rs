//! Failures by key, which fade.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// The most keys in a book. When it is full, those with the fewest failures go.
pub(super) const KEYS_MAX: usize = 16_384;

/// How fast failures may follow on each other. After the free ones each has to wait for `first`,
/// then twice as long, and so on up to `slowest`; and one failure is forgotten each `slowest`.
///
/// So within a time T no more than `free` + log2(`slowest` / `first`) + 2 + T / `slowest` happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How many failures have no consequence.
    pub free: u32,
    /// The first delay.
    pub first: Duration,
    /// The longest delay.
    pub slowest: Duration,
}

impl Pace {
    /// How long to wait after this many failures.
    fn delay(&self, failures: u32) -> Duration {
        let Some(beyond) = failures.checked_sub(self.free + 1) else {
            return Duration::ZERO;
        };
        let factor = 1u32.checked_shl(beyond).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.slowest)
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    failures: u32,
    /// Up to when fading has been reckoned.
    faded: Duration,
    /// Until when nothing more is let through.
    until: Duration,
}

/// Failures by key.
pub(super) struct Book<K> {
    pace: Pace,
    entries: HashMap<K, Entry>,
}

impl<K: Eq + Hash> Book<K> {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            pace,
            entries: HashMap::new(),
        }
    }

    /// How long this key has to wait; zero if not at all.
    pub(super) fn wait(&self, key: &K, now: Duration) -> Duration {
        let entry = self.entries.get(key);
        entry.map_or(Duration::ZERO, |entry| entry.until.saturating_sub(now))
    }

    /// One more failure.
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

    /// One failure less, and its delay is over: it was none.
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

    /// As if this key had never failed.
    pub(super) fn forget(&mut self, key: &K) {
        self.entries.remove(key);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Drops what has faded, and if that is not enough the quarter with the fewest failures: who
    /// fills the book with keys that failed once gets those that fail often out of it last.
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

fn fade(entry: &mut Entry, pace: Pace, now: Duration) {
    let slowest = pace.slowest.max(Duration::from_millis(1));
    let steps = now.saturating_sub(entry.faded).as_nanos() / slowest.as_nanos();
    let steps = u32::try_from(steps).unwrap_or(u32::MAX);
    entry.failures = entry.failures.saturating_sub(steps);
    entry.faded += slowest.saturating_mul(steps);
    if entry.failures == 0 {
        entry.faded = now;
    }
}
