//! Collects the first matches in the requested order among the visible documents.
//!
//! The online peers change every second, and visibility depends on the caller, so neither is part
//! of the query. Each match is checked when it is collected. Hidden documents are not counted and
//! do not make a page shorter.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};

use crate::document::{KEY, MODIFIED, PEER, SIZE, SPACE};
use crate::id_set::IdSet;

/// The position of a match in the order: the sort value, larger first, then the key of the content,
/// newer first.
pub(crate) type Rank = (u64, i64);

/// The sort value of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SortValue {
    /// Equal for all documents.
    Nothing,
    Size,
    Modified,
    /// Number of online peers that hold the content.
    Providers,
}

/// The conditions for a document to be visible.
#[derive(Clone)]
pub(crate) struct Visibility {
    /// It is in one of these spaces.
    pub(crate) spaces: Arc<IdSet>,
    /// One of these peers holds it.
    pub(crate) online: Arc<IdSet>,
    /// Its size is in this range.
    pub(crate) sizes: Option<RangeInclusive<u64>>,
    /// Its modification time is in this range.
    pub(crate) modified: Option<RangeInclusive<i64>>,
}

/// Collects the first `count` contents, without duplicates.
pub(crate) struct TopCollector {
    pub(crate) visible: Visibility,
    pub(crate) value: SortValue,
    /// Whether smaller values come first.
    pub(crate) ascending: bool,
    /// Only matches after this position.
    pub(crate) after: Option<Rank>,
    pub(crate) count: usize,
}

impl Collector for TopCollector {
    type Fruit = Vec<Rank>;
    type Child = SegmentTopCollector;

    fn for_segment(
        &self,
        _: SegmentOrdinal,
        segment: &SegmentReader,
    ) -> tantivy::Result<Self::Child> {
        let columns = segment.fast_fields();
        let values = match self.value {
            SortValue::Size => Some(columns.u64(SIZE)?),
            _ => None,
        };
        let dates = self.value == SortValue::Modified || self.visible.modified.is_some();
        Ok(SegmentTopCollector {
            key: columns.i64(KEY)?,
            space: columns.i64(SPACE)?,
            // `None` if no document of the segment has a peer.
            peer: columns.column_opt(PEER)?,
            size: match (values, &self.visible.sizes) {
                (Some(sizes), _) => Some(sizes),
                (None, Some(_)) => Some(columns.u64(SIZE)?),
                (None, None) => None,
            },
            modified: dates.then(|| columns.i64(MODIFIED)).transpose()?,
            visible: self.visible.clone(),
            value: self.value,
            ascending: self.ascending,
            after: self.after,
            first: TopList::new(self.count),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<Vec<Rank>>) -> tantivy::Result<Vec<Rank>> {
        let mut all = TopList::new(self.count);
        for rank in segments.into_iter().flatten() {
            all.push(rank);
        }
        Ok(all.finish())
    }
}

/// Collects the first matches of one segment.
pub(crate) struct SegmentTopCollector {
    key: Column<i64>,
    space: Column<i64>,
    peer: Option<Column<i64>>,
    size: Option<Column<u64>>,
    modified: Option<Column<i64>>,
    visible: Visibility,
    value: SortValue,
    ascending: bool,
    after: Option<Rank>,
    first: TopList,
}

impl SegmentTopCollector {
    fn online(&self, doc: DocId) -> impl Iterator<Item = i64> {
        let peers = self
            .peer
            .iter()
            .flat_map(move |peers| peers.values_for_doc(doc));
        peers.filter(|peer| self.visible.online.contains(*peer))
    }

    fn size(&self, doc: DocId) -> u64 {
        let size = self.size.as_ref().and_then(|size| size.first(doc));
        size.unwrap_or_default()
    }

    fn modified(&self, doc: DocId) -> i64 {
        let modified = self.modified.as_ref().and_then(|at| at.first(doc));
        modified.unwrap_or_default()
    }

    fn value(&self, doc: DocId) -> u64 {
        let value = match self.value {
            SortValue::Nothing => return 0,
            SortValue::Size => self.size(doc),
            // Maps signed to unsigned numbers in the same order.
            SortValue::Modified => (self.modified(doc) as u64) ^ (1 << 63),
            SortValue::Providers => self.online(doc).count() as u64,
        };
        if self.ascending { !value } else { value }
    }

    fn is_visible(&self, doc: DocId) -> bool {
        let Visibility {
            spaces,
            sizes,
            modified,
            ..
        } = &self.visible;
        let space = self.space.first(doc);
        space.is_some_and(|space| spaces.contains(space))
            && sizes
                .as_ref()
                .is_none_or(|sizes| sizes.contains(&self.size(doc)))
            && modified
                .as_ref()
                .is_none_or(|at| at.contains(&self.modified(doc)))
            && self.online(doc).next().is_some()
    }
}

impl SegmentCollector for SegmentTopCollector {
    type Fruit = Vec<Rank>;

    fn collect(&mut self, doc: DocId, _: Score) {
        let key = self.key.first(doc).unwrap_or_default();
        let rank = (self.value(doc), key);
        // Cheap tests first: most matches of a common word are not among the first.
        let too_late = self.first.worst.is_some_and(|worst| rank <= worst);
        if too_late || self.after.is_some_and(|after| rank >= after) || !self.is_visible(doc) {
            return;
        }
        self.first.push(rank);
    }

    fn harvest(self) -> Vec<Rank> {
        self.first.finish()
    }
}

/// The first `count` of the pushed ranks, without duplicate contents.
struct TopList {
    ranks: Vec<Rank>,
    count: usize,
    /// The last rank of a full list; later ones are dropped.
    worst: Option<Rank>,
}

impl TopList {
    fn new(count: usize) -> Self {
        Self {
            ranks: Vec::new(),
            count,
            worst: None,
        }
    }

    fn push(&mut self, rank: Rank) {
        self.ranks.push(rank);
        // Sorting at intervals costs less than keeping the list sorted.
        if self.ranks.len() >= 4 * self.count + 64 {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        self.ranks.sort_unstable_by(|a, b| b.cmp(a));
        // Of a content in several spaces, keep the best position.
        let mut seen = HashSet::new();
        self.ranks.retain(|(_, key)| seen.insert(*key));
        self.ranks.truncate(self.count);
        if self.ranks.len() == self.count {
            self.worst = self.ranks.last().copied();
        }
    }

    fn finish(mut self) -> Vec<Rank> {
        self.shorten();
        self.ranks
    }
}
