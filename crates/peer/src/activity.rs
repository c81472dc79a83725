//! What this peer is doing, measured: which files move, and how fast, from one reading to the next.
//!
//! Whoever moves bytes of a file holds a [`Moving`] while it does. Those of the same file, direction
//! and account are one transfer, also if they follow on each other: a downloader asks for a few
//! pieces at a time. A transfer in which nothing has moved for `STILL_MAX` is not told of, until it
//! goes on. What comes into the inbox has no hash yet: it counts in the rate, and is no transfer.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use convite_core::activity::{Activity, Direction, RunningTransfer, TRANSFERS_MAX};
use convite_core::{ContentHash, UserName};
use tokio::sync::Notify;
use tokio::time::Instant;

/// A transfer in which nothing has moved for so long stands still.
const STILL_MAX: Duration = Duration::from_secs(5);
/// No rate is taken over less.
const SPAN_MIN: Duration = Duration::from_millis(100);

/// All that moves at this peer.
#[derive(Debug, Default)]
pub struct Meter {
    rows: Mutex<Rows>,
    /// Bytes that came in of files that nobody knows the hash of yet.
    taken: AtomicU64,
    /// Something has moved since the last reading.
    stirred: AtomicBool,
    stirs: Notify,
}

#[derive(Debug, Default)]
struct Rows {
    rows: HashMap<Key, Row>,
    /// How many bytes were taken in at the last reading.
    taken: u64,
    read: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    direction: Direction,
    hash: ContentHash,
    /// To whom, of what is sent.
    user: Option<UserName>,
}

#[derive(Debug)]
struct Row {
    size: u64,
    counts: Arc<Counts>,
    began: Instant,
    /// How many had moved at the last reading.
    before: u64,
    /// When something was last seen to have moved.
    moved_at: Instant,
    holders: usize,
}

#[derive(Debug, Default)]
struct Counts {
    /// How much of the file has gone.
    done: AtomicU64,
    /// How many bytes have moved, what comes twice counted twice.
    moved: AtomicU64,
}

impl Meter {
    /// A file of `size` bytes begins to move, to `user` if it is sent, with `done` bytes of it
    /// through already; until the result is dropped.
    pub fn begin(
        self: &Arc<Self>,
        direction: Direction,
        hash: ContentHash,
        user: Option<UserName>,
        size: u64,
        done: u64,
    ) -> Moving {
        let now = Instant::now();
        let key = Key {
            direction,
            hash,
            user,
        };
        let mut rows = self.lock();
        let row = rows.rows.entry(key.clone()).or_insert_with(|| Row {
            size,
            counts: Arc::default(),
            began: now,
            before: 0,
            moved_at: now,
            holders: 0,
        });
        row.holders += 1;
        row.counts.done.fetch_max(done, Ordering::Relaxed);
        Moving {
            meter: Arc::clone(self),
            key,
            counts: Arc::clone(&row.counts),
        }
    }

    /// So many more bytes have come of a file whose hash is not known.
    pub fn took(&self, bytes: u64) {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        self.stir();
    }

    /// Something has moved.
    fn stir(&self) {
        if !self.stirred.swap(true, Ordering::AcqRel) {
            self.stirs.notify_one();
        }
    }

    /// Returns once something has moved since the last reading.
    pub async fn stirred(&self) {
        while !self.stirred.load(Ordering::Acquire) {
            self.stirs.notified().await;
        }
    }

    /// What goes on, with rates since the last reading.
    pub fn read(&self) -> Activity {
        let now = Instant::now();
        // What moves from here on is for the next.
        self.stirred.store(false, Ordering::Release);
        let mut rows = self.lock();
        let read = rows.read.replace(now);
        let mut activity = Activity::default();
        let taken = self.taken.load(Ordering::Relaxed);
        let came = taken - std::mem::replace(&mut rows.taken, taken);
        activity.received_rate = rate(came, read, now);
        rows.rows.retain(|key, row| {
            let moved = row.counts.moved.load(Ordering::Relaxed);
            let news = moved - row.before;
            row.before = moved;
            if news > 0 {
                row.moved_at = now;
            } else if row.holders == 0 {
                return false;
            } else if now - row.moved_at >= STILL_MAX {
                return true;
            }
            let since = read.map_or(row.began, |read| read.max(row.began));
            let rate = rate(news, Some(since), now);
            match key.direction {
                Direction::Sending => activity.sent_rate += rate,
                Direction::Receiving => activity.received_rate += rate,
            }
            activity.transfers.push(RunningTransfer {
                hash: key.hash,
                direction: key.direction,
                bytes: row.counts.done.load(Ordering::Relaxed).min(row.size),
                size: row.size,
                rate,
            });
            true
        });
        let transfers = &mut activity.transfers;
        transfers.sort_by_key(|transfer| (Reverse(transfer.rate), transfer.hash));
        transfers.truncate(TRANSFERS_MAX);
        activity
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes a second, of so many since then.
fn rate(bytes: u64, since: Option<Instant>, now: Instant) -> u64 {
    let span = since.map_or(SPAN_MIN, |since| (now - since).max(SPAN_MIN));
    (bytes as f64 / span.as_secs_f64()) as u64
}

/// A file that moves, or a part of it, while this lives.
#[derive(Debug)]
pub struct Moving {
    meter: Arc<Meter>,
    key: Key,
    counts: Arc<Counts>,
}

impl Moving {
    /// So many more bytes of it have gone.
    pub fn add(&self, bytes: u64) {
        self.counts.done.fetch_add(bytes, Ordering::Relaxed);
        self.moved(bytes);
    }

    /// So many of it have gone by now, and so many have moved for that since the beginning.
    pub fn stands_at(&self, done: u64, moved: u64) {
        self.counts.done.store(done, Ordering::Relaxed);
        let before = self.counts.moved.load(Ordering::Relaxed);
        self.moved(moved.saturating_sub(before));
    }

    fn moved(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.counts.moved.fetch_add(bytes, Ordering::Relaxed);
        self.meter.stir();
    }
}

impl Drop for Moving {
    fn drop(&mut self) {
        if let Some(row) = self.meter.lock().rows.get_mut(&self.key) {
            row.holders -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str) -> ContentHash {
        ContentHash::of(text.as_bytes())
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_follow_on_each_other_are_one_transfer() {
        let meter = Arc::new(Meter::default());
        let ben = || Some("ben".parse().unwrap());
        let send = |user, bytes| {
            let moving = meter.begin(Direction::Sending, hash("a"), user, 1_000, 0);
            moving.add(bytes);
        };
        assert!(meter.read().is_idle());
        send(ben(), 100);
        pass(1).await;
        send(ben(), 100);
        send(Some("eve".parse().unwrap()), 40);
        pass(1).await;
        let activity = meter.read();
        assert_eq!(activity.sent_rate, 100 + 40);
        let told = |activity: &Activity| -> Vec<_> {
            let transfers = activity.transfers.iter();
            transfers.map(|t| (t.bytes, t.size, t.rate)).collect()
        };
        assert_eq!(told(&activity), [(200, 1_000, 100), (40, 1_000, 40)]);
        send(ben(), 900);
        pass(2).await;
        // To one of them it went on, beyond the size: something was asked for again.
        assert_eq!(told(&meter.read()), [(1_000, 1_000, 450)]);
        pass(1).await;
        assert!(meter.read().is_idle());
    }

    #[tokio::test(start_paused = true)]
    async fn a_download_that_stands_still_is_not_told_of_until_it_goes_on() {
        let meter = Arc::new(Meter::default());
        let moving = meter.begin(Direction::Receiving, hash("a"), None, 1_000, 300);
        moving.stands_at(300, 50);
        meter.stirred().await;
        pass(1).await;
        let activity = meter.read();
        assert_eq!((activity.sent_rate, activity.received_rate), (0, 50));
        assert_eq!(activity.transfers[0].bytes, 300);
        pass(1).await;
        assert_eq!(meter.read().transfers[0].rate, 0);
        pass(5).await;
        assert!(meter.read().is_idle());
        moving.stands_at(364, 114);
        meter.stirred().await;
        pass(1).await;
        assert_eq!(meter.read().received_rate, 64);
        drop(moving);
        pass(1).await;
        assert!(meter.read().is_idle());
        assert!(meter.lock().rows.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_without_a_hash_counts_in_the_rate_only() {
        let meter = Arc::new(Meter::default());
        assert!(meter.read().is_idle());
        meter.took(300);
        meter.stirred().await;
        pass(2).await;
        meter.took(100);
        let activity = meter.read();
        assert_eq!((activity.received_rate, activity.sent_rate), (200, 0));
        assert!(activity.transfers.is_empty() && !activity.is_idle());
        pass(1).await;
        assert!(meter.read().is_idle());
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_the_fastest_are_told() {
        let meter = Arc::new(Meter::default());
        for at in 0..40 {
            let moving = meter.begin(Direction::Sending, hash(&at.to_string()), None, 100, 0);
            moving.add(at);
        }
        pass(1).await;
        let activity = meter.read();
        assert_eq!(activity.sent_rate, (0..40).sum::<u64>());
        assert_eq!(activity.transfers.len(), TRANSFERS_MAX);
        assert_eq!(activity.transfers[0].rate, 39);
        assert!(activity.checked().is_ok());
    }
}
