//! Measures the transfers of this peer: which files move in which direction, and their rates
//! between two readings.
//!
//! A task that moves bytes of a file holds a [`TransferGuard`]. All guards of the same file,
//! direction and account form one transfer, even if one ends before the next begins: a downloader
//! requests a few pieces at a time. A transfer without progress for `STALL_TIME` is omitted until
//! it continues. Files received into the inbox have no hash yet: they count in the total rate and
//! are not listed as transfers.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use convite_core::activity::{Activity, Direction, RunningTransfer, TRANSFERS_MAX};
use convite_core::{ContentHash, UserName};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A transfer without progress for this time is stalled.
const STALL_TIME: Duration = Duration::from_secs(5);
/// The shortest time span over which a rate is computed.
const RATE_WINDOW_MIN: Duration = Duration::from_millis(100);

/// All transfers of this peer.
#[derive(Debug, Default)]
pub struct TransferMeter {
    rows: Mutex<Transfers>,
    /// Bytes received of files with a hash that is not known yet.
    unattributed_bytes: AtomicU64,
    /// Whether bytes have moved since the last reading.
    changed: AtomicBool,
    stirs: Notify,
}

#[derive(Debug, Default)]
struct Transfers {
    rows: HashMap<Key, TransferState>,
    /// The value of `TransferMeter::unattributed_bytes` at the last reading.
    unattributed_bytes: u64,
    read: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    direction: Direction,
    hash: ContentHash,
    /// The receiving account, for a file that is sent.
    user: Option<UserName>,
}

#[derive(Debug)]
struct TransferState {
    size: u64,
    counts: Arc<TransferCounters>,
    began: Instant,
    /// The value of `TransferCounters::moved` at the last reading.
    before: u64,
    /// When progress was last seen.
    moved_at: Instant,
    holders: usize,
}

#[derive(Debug, Default)]
struct TransferCounters {
    /// Bytes of the file that are transferred.
    done: AtomicU64,
    /// Bytes that moved, including bytes that were transferred twice.
    moved: AtomicU64,
}

impl TransferMeter {
    /// Begins a transfer of a file of `size` bytes, of which `done` are transferred already. `user`
    /// is the receiver if the file is sent. The transfer ends when the result is dropped.
    pub fn begin(
        self: &Arc<Self>,
        direction: Direction,
        hash: ContentHash,
        user: Option<UserName>,
        size: u64,
        done: u64,
    ) -> TransferGuard {
        let now = Instant::now();
        let key = Key {
            direction,
            hash,
            user,
        };
        let mut rows = self.rows.lock();
        let row = rows
            .rows
            .entry(key.clone())
            .or_insert_with(|| TransferState {
                size,
                counts: Arc::default(),
                began: now,
                before: 0,
                moved_at: now,
                holders: 0,
            });
        row.holders += 1;
        row.counts.done.fetch_max(done, Ordering::Relaxed);
        TransferGuard {
            meter: Arc::clone(self),
            key,
            counts: Arc::clone(&row.counts),
        }
    }

    /// Counts `bytes` received of a file with an unknown hash.
    pub fn add_unattributed(&self, bytes: u64) {
        self.unattributed_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.notify_activity();
    }

    /// Records that bytes have moved.
    fn notify_activity(&self) {
        if !self.changed.swap(true, Ordering::AcqRel) {
            self.stirs.notify_one();
        }
    }

    /// Waits until bytes have moved since the last reading.
    pub async fn changed(&self) {
        while !self.changed.load(Ordering::Acquire) {
            self.stirs.notified().await;
        }
    }

    /// Returns the current transfers, with their rates since the last reading.
    pub fn read(&self) -> Activity {
        let now = Instant::now();
        // Bytes that move from here on belong to the next reading.
        self.changed.store(false, Ordering::Release);
        let mut rows = self.rows.lock();
        let read = rows.read.replace(now);
        let mut activity = Activity::default();
        let unattributed_bytes = self.unattributed_bytes.load(Ordering::Relaxed);
        let came = unattributed_bytes
            - std::mem::replace(&mut rows.unattributed_bytes, unattributed_bytes);
        activity.received_rate = rate(came, read, now);
        rows.rows.retain(|key, row| {
            let moved = row.counts.moved.load(Ordering::Relaxed);
            let news = moved - row.before;
            row.before = moved;
            if news > 0 {
                row.moved_at = now;
            } else if row.holders == 0 {
                return false;
            } else if now - row.moved_at >= STALL_TIME {
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
}

/// Returns the rate in bytes per second of `bytes` since `since`.
fn rate(bytes: u64, since: Option<Instant>, now: Instant) -> u64 {
    let span = since.map_or(RATE_WINDOW_MIN, |since| (now - since).max(RATE_WINDOW_MIN));
    (bytes as f64 / span.as_secs_f64()) as u64
}

/// A transfer of a file or a part of it, in progress until this is dropped.
#[derive(Debug)]
pub struct TransferGuard {
    meter: Arc<TransferMeter>,
    key: Key,
    counts: Arc<TransferCounters>,
}

impl TransferGuard {
    /// Counts `bytes` more as transferred.
    pub fn add(&self, bytes: u64) {
        self.counts.done.fetch_add(bytes, Ordering::Relaxed);
        self.moved(bytes);
    }

    /// Sets the number of bytes of the file that are transferred, and the number of bytes moved in
    /// total.
    pub fn set_progress(&self, done: u64, moved: u64) {
        self.counts.done.store(done, Ordering::Relaxed);
        let before = self.counts.moved.load(Ordering::Relaxed);
        self.moved(moved.saturating_sub(before));
    }

    fn moved(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.counts.moved.fetch_add(bytes, Ordering::Relaxed);
        self.meter.notify_activity();
    }
}

impl Drop for TransferGuard {
    fn drop(&mut self) {
        if let Some(row) = self.meter.rows.lock().rows.get_mut(&self.key) {
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
    async fn consecutive_requests_are_one_transfer() {
        let meter = Arc::new(TransferMeter::default());
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
        // One transfer continued beyond the size: bytes were requested again.
        assert_eq!(told(&meter.read()), [(1_000, 1_000, 450)]);
        pass(1).await;
        assert!(meter.read().is_idle());
    }

    #[tokio::test(start_paused = true)]
    async fn stalled_download_is_not_reported() {
        let meter = Arc::new(TransferMeter::default());
        let moving = meter.begin(Direction::Receiving, hash("a"), None, 1_000, 300);
        moving.set_progress(300, 50);
        meter.changed().await;
        pass(1).await;
        let activity = meter.read();
        assert_eq!((activity.sent_rate, activity.received_rate), (0, 50));
        assert_eq!(activity.transfers[0].bytes, 300);
        pass(1).await;
        assert_eq!(meter.read().transfers[0].rate, 0);
        pass(5).await;
        assert!(meter.read().is_idle());
        moving.set_progress(364, 114);
        meter.changed().await;
        pass(1).await;
        assert_eq!(meter.read().received_rate, 64);
        drop(moving);
        pass(1).await;
        assert!(meter.read().is_idle());
        assert!(meter.rows.lock().rows.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_without_hash_count_only_in_the_rate() {
        let meter = Arc::new(TransferMeter::default());
        assert!(meter.read().is_idle());
        meter.add_unattributed(300);
        meter.changed().await;
        pass(2).await;
        meter.add_unattributed(100);
        let activity = meter.read();
        assert_eq!((activity.received_rate, activity.sent_rate), (200, 0));
        assert!(activity.transfers.is_empty() && !activity.is_idle());
        pass(1).await;
        assert!(meter.read().is_idle());
    }

    #[tokio::test(start_paused = true)]
    async fn fastest_transfers_are_reported() {
        let meter = Arc::new(TransferMeter::default());
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
