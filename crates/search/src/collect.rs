//! Choosing the first of those that match, in the order asked for, of what may be seen.
//!
//! Who is online changes by the second, and what may be seen depends on who asks: neither is a
//! matter of words. Each match is checked as it is collected, so that what is hidden takes no part:
//! it is not counted, and no page is shorter for it.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader};

use crate::document::{KEY, MODIFIED, PEER, SIZE, SPACE};
use crate::numbers::Numbers;

/// Where something stands in the order: what it is sorted by, larger ones first, then the number
/// of the content, newer ones first.
pub(crate) type Rank = (u64, i64);

/// What is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    /// The same for all.
    Nothing,
    Size,
    Modified,
    /// How many peers online hold it.
    Providers,
}

/// What may be seen.
#[derive(Clone)]
pub(crate) struct Visible {
    /// Documents of these spaces.
    pub(crate) spaces: Arc<Numbers>,
    /// Held by one of these peers.
    pub(crate) online: Arc<Numbers>,
    /// Of such a size.
    pub(crate) sizes: Option<RangeInclusive<u64>>,
    /// Last changed then.
    pub(crate) modified: Option<RangeInclusive<i64>>,
}

/// Collects the first `count` contents, each once.
pub(crate) struct First {
    pub(crate) visible: Visible,
    pub(crate) value: Value,
    /// Small values first.
    pub(crate) ascending: bool,
    /// Only what comes after this.
    pub(crate) after: Option<Rank>,
    pub(crate) count: usize,
}

impl Collector for First {
    type Fruit = Vec<Rank>;
    type Child = FirstOfSegment;

    fn for_segment(
        &self,
        _: SegmentOrdinal,
        segment: &SegmentReader,
    ) -> tantivy::Result<Self::Child> {
        let columns = segment.fast_fields();
        let values = match self.value {
            Value::Size => Some(columns.u64(SIZE)?),
            _ => None,
        };
        let dates = self.value == Value::Modified || self.visible.modified.is_some();
        Ok(FirstOfSegment {
            key: columns.i64(KEY)?,
            space: columns.i64(SPACE)?,
            // None where no document has a peer.
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
            first: Shortlist::new(self.count),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<Vec<Rank>>) -> tantivy::Result<Vec<Rank>> {
        let mut all = Shortlist::new(self.count);
        for rank in segments.into_iter().flatten() {
            all.push(rank);
        }
        Ok(all.finish())
    }
}

/// Collects the first of one segment.
pub(crate) struct FirstOfSegment {
    key: Column<i64>,
    space: Column<i64>,
    peer: Option<Column<i64>>,
    size: Option<Column<u64>>,
    modified: Option<Column<i64>>,
    visible: Visible,
    value: Value,
    ascending: bool,
    after: Option<Rank>,
    first: Shortlist,
}

impl FirstOfSegment {
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
            Value::Nothing => return 0,
            Value::Size => self.size(doc),
            // In the order of the signed numbers.
            Value::Modified => (self.modified(doc) as u64) ^ (1 << 63),
            Value::Providers => self.online(doc).count() as u64,
        };
        if self.ascending { !value } else { value }
    }

    fn is_visible(&self, doc: DocId) -> bool {
        let Visible {
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

impl SegmentCollector for FirstOfSegment {
    type Fruit = Vec<Rank>;

    fn collect(&mut self, doc: DocId, _: Score) {
        let key = self.key.first(doc).unwrap_or_default();
        let rank = (self.value(doc), key);
        // The cheap tests first: most matches of a common word are not among the first.
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

/// The first so many of what is pushed, each content once.
struct Shortlist {
    ranks: Vec<Rank>,
    count: usize,
    /// What comes no earlier than this has no place any more.
    worst: Option<Rank>,
}

impl Shortlist {
    fn new(count: usize) -> Self {
        Self {
            ranks: Vec::new(),
            count,
            worst: None,
        }
    }

    fn push(&mut self, rank: Rank) {
        self.ranks.push(rank);
        // Sorting now and then costs less than keeping order.
        if self.ranks.len() >= 4 * self.count + 64 {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        self.ranks.sort_unstable_by(|a, b| b.cmp(a));
        // A content in several spaces stands where it stands best.
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
