//! Counts the pieces that were promised to downloaders. Other downloaders leave promised pieces to
//! those, who will soon provide them, so that the first provider sends each piece once before it
//! sends any twice.
//!
//! Kept in memory for each content hash, until no downloader has requested the content for
//! `RETENTION`.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use convite_core::{ContentHash, PieceGeometry, PieceIndex};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::serve::download::byte_ranges::merged;

/// How long promises are kept after the last request for the content.
const RETENTION: Duration = Duration::from_secs(600);

/// The pieces of a content.
pub(crate) trait PieceTable {
    /// Returns the number of pieces.
    fn piece_count(&self) -> u32;

    /// Returns the pieces that are entirely within `range`.
    fn pieces_within(&self, range: &Range<u64>) -> Range<PieceIndex>;
}

impl PieceTable for PieceGeometry {
    fn piece_count(&self) -> u32 {
        self.piece_count()
    }

    fn pieces_within(&self, range: &Range<u64>) -> Range<PieceIndex> {
        let size = self.piece_size();
        // The last piece is complete at the end of the file.
        let end = if range.end == self.file_size() {
            u64::from(self.piece_count())
        } else {
            range.end / size
        };
        let first = range.start.div_ceil(size);
        // Fit: they are at most the number of pieces.
        first as PieceIndex..end.max(first) as PieceIndex
    }
}

/// The promises for all contents.
#[derive(Default)]
pub struct Promises {
    by_hash: Mutex<HashMap<ContentHash, PromiseEntry>>,
}

struct PromiseEntry {
    promised: Arc<PiecePromises>,
    asked: Instant,
}

/// The promises for one content hash.
pub struct PiecePromises {
    /// The number of times that each piece was promised; saturates.
    counts: Mutex<Vec<u16>>,
    changes: watch::Sender<()>,
}

impl Promises {
    /// Returns the promises for `hash` and keeps them for another [`RETENTION`].
    pub(crate) fn of(&self, hash: ContentHash, pieces: &impl PieceTable) -> Arc<PiecePromises> {
        let now = Instant::now();
        let mut all = self.by_hash.lock();
        // Subscribers count as requests.
        all.retain(|_, noted| {
            now.duration_since(noted.asked) < RETENTION || Arc::strong_count(&noted.promised) > 1
        });
        let noted = all.entry(hash).or_insert_with(|| PromiseEntry {
            promised: Arc::new(PiecePromises {
                counts: Mutex::new(vec![0; pieces.piece_count() as usize]),
                changes: watch::Sender::default(),
            }),
            asked: now,
        });
        noted.asked = now;
        noted.promised.clone()
    }

    /// Counts the pieces that are entirely within `ranges`, each once.
    pub(crate) fn note(&self, hash: ContentHash, pieces: &impl PieceTable, ranges: &[Range<u64>]) {
        let promised = self.of(hash, pieces);
        let mut counts = promised.counts.lock();
        for range in merged(ranges) {
            let within = pieces.pieces_within(&range);
            let within = within.start as usize..(within.end as usize).min(counts.len());
            for count in counts.get_mut(within).unwrap_or_default() {
                *count = count.saturating_add(1);
            }
        }
        drop(counts);
        promised.changes.send_replace(());
    }
}

impl PiecePromises {
    /// Returns a receiver that is notified of promises; several may be reported as one.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Returns the pieces promised since `told`, and updates `told`. A piece that was promised
    /// several times is returned once.
    pub(crate) fn since(&self, told: &mut Vec<u16>) -> Vec<PieceIndex> {
        let counts = self.counts.lock();
        told.resize(counts.len(), 0);
        let both = (0..).zip(told.iter_mut().zip(counts.iter()));
        both.filter_map(|(index, (told, count))| {
            let news = *count > *told;
            *told = *count;
            news.then_some(index)
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_pieces_are_promised_and_reported_once() {
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
