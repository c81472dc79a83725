//! Which pieces were promised to others, and how often: a downloader that hears of it leaves to
//! them what they will soon hand on, so that the first provider sends each piece once before it
//! sends any twice.
//!
//! Per content, in memory, forgotten when nobody has asked for the content for `MEMORY`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use convite_core::{ContentHash, PieceGeometry, PieceIndex};
use tokio::sync::watch;

use super::range::merged;

/// How long promises are remembered after the last question about the content.
const MEMORY: Duration = Duration::from_secs(600);

/// The promises about all contents.
#[derive(Default)]
pub struct Promises {
    by_hash: Mutex<HashMap<ContentHash, Noted>>,
}

struct Noted {
    promised: Arc<Promised>,
    asked: Instant,
}

/// The promises about one content.
pub struct Promised {
    /// How often each piece was promised; stays at the largest number.
    counts: Mutex<Vec<u16>>,
    changes: watch::Sender<()>,
}

impl Promises {
    /// The promises about `hash`, from now on remembered for another [`MEMORY`].
    pub(super) fn of(&self, hash: ContentHash, geometry: &PieceGeometry) -> Arc<Promised> {
        let now = Instant::now();
        let mut all = self.by_hash.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever subscribed still asks.
        all.retain(|_, noted| {
            now.duration_since(noted.asked) < MEMORY || Arc::strong_count(&noted.promised) > 1
        });
        let noted = all.entry(hash).or_insert_with(|| Noted {
            promised: Arc::new(Promised {
                counts: Mutex::new(vec![0; geometry.piece_count() as usize]),
                changes: watch::Sender::default(),
            }),
            asked: now,
        });
        noted.asked = now;
        noted.promised.clone()
    }

    /// Counts the pieces that lie wholly within `ranges`, each once.
    pub(super) fn note(&self, hash: ContentHash, geometry: &PieceGeometry, ranges: &[Range<u64>]) {
        let promised = self.of(hash, geometry);
        let mut counts = promised.counts();
        for range in merged(ranges) {
            let size = geometry.piece_size();
            // The last piece is whole where the file ends.
            let end = match range.end == geometry.file_size() {
                true => u64::from(geometry.piece_count()),
                false => range.end / size,
            };
            let first = range.start.div_ceil(size);
            let pieces = first as usize..(end.max(first) as usize).min(counts.len());
            for count in counts.get_mut(pieces).unwrap_or_default() {
                *count = count.saturating_add(1);
            }
        }
        drop(counts);
        promised.changes.send_replace(());
    }
}

impl Promised {
    /// Told whenever a piece is promised; many promises may be told as one.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// The pieces that were promised since `told` was brought up to date, which it is after this.
    /// A piece promised several times since counts once.
    pub(super) fn since(&self, told: &mut Vec<u16>) -> Vec<PieceIndex> {
        let counts = self.counts();
        told.resize(counts.len(), 0);
        let both = (0..).zip(told.iter_mut().zip(counts.iter()));
        both.filter_map(|(index, (told, count))| {
            let news = *count > *told;
            *told = *count;
            news.then_some(index)
        })
        .collect()
    }

    fn counts(&self) -> MutexGuard<'_, Vec<u16>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_pieces_count_and_each_promise_is_told_once() {
        let geometry = PieceGeometry::new((3 << 16) + 7).unwrap();
        let promises = Promises::default();
        let hash = ContentHash::of(b"x");
        let piece = 1u64 << 16;
        let mut told = Vec::new();
        let promised = promises.of(hash, &geometry);
        for (range, want) in [
            (0..piece, vec![0]),
            (1..2 * piece, vec![1]),
            (piece..2 * piece - 1, vec![]),
            (3 * piece..3 * piece + 7, vec![3]),
            (3 * piece..3 * piece + 6, vec![]),
            (3 * piece + 1..3 * piece + 7, vec![]),
            (5..5, vec![]),
            (0..3 * piece + 7, vec![0, 1, 2, 3]),
        ] {
            promises.note(hash, &geometry, std::slice::from_ref(&range));
            assert_eq!(promised.since(&mut told), want, "{range:?}");
            assert!(promised.since(&mut told).is_empty());
        }
        assert_eq!(promised.since(&mut Vec::new()), [0, 1, 2, 3]);
    }
}
