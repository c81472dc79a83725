//! Choosing the best matches among those that someone online holds.
//!
//! Who is online changes by the second and is no part of the index: each match is checked against
//! the set of peers online as it is collected, so that pages are exact.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashSet};
use std::sync::Arc;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};

use crate::document::{Hit, KEY, LENGTH, PEER, SIZE};

/// Short names first among equals: at most this much, less than any step between two ways to match.
const SHORTNESS: f32 = 0.05;
/// Peers are numbered from one up, so a bit each is smaller and faster than a hash set.
const BITS_MAX: i64 = 1 << 24;

/// A set of peers, quick to ask.
pub(crate) struct Peers {
    bits: Vec<u64>,
    /// Those that have no bit.
    far: HashSet<i64>,
}

impl Peers {
    pub(crate) fn new(peers: impl Iterator<Item = i64>) -> Self {
        let (near, far): (Vec<i64>, HashSet<i64>) = {
            let (near, far): (Vec<i64>, Vec<i64>) =
                peers.partition(|peer| (0..BITS_MAX).contains(peer));
            (near, far.into_iter().collect())
        };
        let highest = near.iter().max().map_or(0, |peer| *peer as usize + 1);
        let mut bits = vec![0; highest.div_ceil(64)];
        for peer in near {
            bits[peer as usize / 64] |= 1 << (peer % 64);
        }
        Self { bits, far }
    }

    fn contains(&self, peer: i64) -> bool {
        let word = usize::try_from(peer / 64)
            .ok()
            .and_then(|n| self.bits.get(n));
        match word {
            Some(word) if peer >= 0 => word & (1 << (peer % 64)) != 0,
            _ => self.far.contains(&peer),
        }
    }
}

/// Ordered by score, then the newest (the highest key) first.
#[derive(Clone, Copy, PartialEq)]
struct Ranked(Hit);

impl Eq for Ranked {}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_score = self.0.score.total_cmp(&other.0.score);
        by_score.then_with(|| self.0.key.cmp(&other.0.key))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Collects the `count` best matches.
pub(crate) struct Best {
    pub(crate) count: usize,
    pub(crate) online: Arc<Peers>,
    pub(crate) min_size: u64,
    pub(crate) max_size: u64,
    /// Whether words were asked for; without any, all is in the order of the keys.
    pub(crate) by_words: bool,
}

impl Collector for Best {
    type Fruit = Vec<Hit>;
    type Child = BestOfSegment;

    fn for_segment(
        &self,
        _: SegmentOrdinal,
        segment: &SegmentReader,
    ) -> tantivy::Result<BestOfSegment> {
        let columns = segment.fast_fields();
        Ok(BestOfSegment {
            key: columns.i64(KEY)?,
            size: columns.u64(SIZE)?,
            length: columns.u64(LENGTH)?,
            peer: columns.column_opt(PEER)?,
            best: BinaryHeap::new(),
            count: self.count,
            online: Arc::clone(&self.online),
            sizes: self.min_size..=self.max_size,
            by_words: self.by_words,
        })
    }

    fn requires_scoring(&self) -> bool {
        self.by_words
    }

    fn merge_fruits(&self, segments: Vec<Vec<Hit>>) -> tantivy::Result<Vec<Hit>> {
        let mut all: Vec<Ranked> = segments.into_iter().flatten().map(Ranked).collect();
        all.sort_unstable_by_key(|ranked| Reverse(*ranked));
        all.truncate(self.count);
        Ok(all.into_iter().map(|ranked| ranked.0).collect())
    }
}

/// Collects the best of one segment: the worst of them on top of the heap.
pub(crate) struct BestOfSegment {
    key: Column<i64>,
    size: Column<u64>,
    length: Column<u64>,
    /// None where no document has a peer.
    peer: Option<Column<i64>>,
    best: BinaryHeap<Reverse<Ranked>>,
    count: usize,
    online: Arc<Peers>,
    sizes: std::ops::RangeInclusive<u64>,
    by_words: bool,
}

impl BestOfSegment {
    fn is_online(&self, doc: DocId) -> bool {
        let Some(peers) = &self.peer else {
            return false;
        };
        let mut peers = peers.values_for_doc(doc);
        peers.any(|peer| self.online.contains(peer))
    }
}

impl SegmentCollector for BestOfSegment {
    type Fruit = Vec<Hit>;

    fn collect(&mut self, doc: DocId, score: Score) {
        let mut hit = Hit {
            key: self.key.first(doc).unwrap_or_default(),
            score: 0.0,
        };
        if self.by_words {
            let length = self.length.first(doc).unwrap_or_default();
            hit.score = score + SHORTNESS / (1.0 + length as f32);
        }
        let ranked = Ranked(hit);
        let full = self.best.len() >= self.count;
        // The cheap test first: most matches of a common word are not among the best.
        if full && self.best.peek().is_some_and(|worst| ranked <= worst.0) {
            return;
        }
        if !self
            .sizes
            .contains(&self.size.first(doc).unwrap_or_default())
            || !self.is_online(doc)
        {
            return;
        }
        if full {
            self.best.pop();
        }
        self.best.push(Reverse(ranked));
    }

    fn harvest(self) -> Vec<Hit> {
        self.best
            .into_iter()
            .map(|Reverse(ranked)| ranked.0)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_peers_holds_what_it_was_given() {
        let given = [
            0,
            1,
            63,
            64,
            1000,
            BITS_MAX - 1,
            BITS_MAX,
            i64::MAX,
            -1,
            i64::MIN,
        ];
        let peers = Peers::new(given.into_iter());
        for peer in given {
            assert!(peers.contains(peer), "{peer}");
            let empty = Peers::new(std::iter::empty());
            assert!(!empty.contains(peer), "{peer}");
        }
        for peer in [2, 62, 65, 999, BITS_MAX + 1, i64::MAX - 1, -2, -64] {
            assert!(!peers.contains(peer), "{peer}");
        }
    }
}
