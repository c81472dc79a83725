//! Pages of search results.
//!
//! A page continues after a position in the order, not after a number of results. So unchanged
//! results are neither repeated nor skipped between pages, whatever else is added, removed or
//! merged meanwhile.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use convite_core::file_kind::FileType;
use convite_core::sort::{Order, Sort};
use tantivy::query::{BooleanQuery, Occur, Query as Ask};
use tantivy::{Searcher, Term};

use crate::collect::{Rank, SortValue, TopCollector, Visibility};
use crate::document::{Fields, KEY, era, era_begin};
use crate::id_set::IdSet;
use crate::query::Query;
use crate::ranking::{RankLevel, Ranking, SCORES};
use crate::stages::{Dictionary, MatchStage, any_of, with_term};

/// Up to this number of documents are examined at once; above it, the newest eras first.
const EXAMINED_AT_ONCE: u64 = 20_000;
/// The numbers of eras in the first and second step.
const ERA_STEPS: [u64; 2] = [1, 8];
/// The maximum number of results of a page.
pub const PAGE_MAX: u32 = 1_000;
/// The pseudo-levels of a position in a sorted search: without typos, and with typos.
const SORTED: u8 = 16;
const SORTED_WITH_TYPOS: u8 = 17;

/// Conditions on a match in addition to the query.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// One of its names has this type.
    pub file_type: Option<FileType>,
    /// Minimum size in bytes.
    pub min_size: Option<u64>,
    /// Maximum size in bytes.
    pub max_size: Option<u64>,
    /// Earliest modification time, in seconds since 1970.
    pub modified_from: Option<i64>,
    /// End of the modification time range, exclusive, in seconds since 1970.
    pub modified_before: Option<i64>,
    /// A peer that shares it.
    pub peer: Option<i64>,
}

/// The parameters of a search.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// The query.
    pub query: &'a Query,
    /// Further conditions.
    pub filter: &'a Filter,
    /// Numbers of the spaces that are visible to the caller; 0 for everyone.
    pub spaces: &'a [i64],
    /// Numbers of the online peers. Only contents that one of them holds are found.
    pub online: &'a HashSet<i64>,
    /// Sort key.
    pub sort: Sort,
    /// Sort direction; relevance is always descending.
    pub order: Order,
    /// End of the previous page.
    pub after: Option<Place>,
    /// Maximum number of results, 1 to [`PAGE_MAX`].
    pub limit: u32,
}

/// A position in the order of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    level: u8,
    value: u64,
    key: i64,
}

impl Place {
    /// Length of the encoding by [`Self::to_bytes`].
    pub const LENGTH: usize = 17;

    /// Encodes the position for a cursor.
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[0] = self.level;
        bytes[1..9].copy_from_slice(&self.value.to_be_bytes());
        bytes[9..].copy_from_slice(&self.key.to_be_bytes());
        bytes
    }

    /// Decodes a position. Any bytes are valid.
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        let number = |from: usize| bytes[from..from + 8].try_into().unwrap_or_default();
        Self {
            level: bytes[0],
            value: u64::from_be_bytes(number(1)),
            key: i64::from_be_bytes(number(9)),
        }
    }
}

/// A match.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Key of the content.
    pub key: i64,
    /// Relevance, comparable only within one search; 0 if the results are sorted by another key.
    pub score: f32,
}

/// A page of matches, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Hits {
    /// The matches, without duplicate contents.
    pub hits: Vec<Hit>,
    /// Start of the next page; `None` on the last page.
    pub next: Option<Place>,
}

/// A search in a snapshot of the index.
pub(crate) struct SearchRun<'a> {
    search: &'a Search<'a>,
    fields: &'a Fields,
    searcher: &'a Searcher,
    visible: Visibility,
    limit: usize,
}

impl<'a> SearchRun<'a> {
    pub(crate) fn new(search: &'a Search<'a>, fields: &'a Fields, searcher: &'a Searcher) -> Self {
        let Search { filter, online, .. } = search;
        let online = match filter.peer {
            None => IdSet::new(online.iter().copied()),
            Some(peer) => IdSet::new(online.get(&peer).copied().into_iter()),
        };
        let sized = filter.min_size.is_some() || filter.max_size.is_some();
        let dated = filter.modified_from.is_some() || filter.modified_before.is_some();
        let sizes = filter.min_size.unwrap_or(0)..=filter.max_size.unwrap_or(u64::MAX);
        let last = filter
            .modified_before
            .map_or(i64::MAX, |at| at.saturating_sub(1));
        let modified = filter.modified_from.unwrap_or(i64::MIN)..=last;
        Self {
            fields,
            searcher,
            visible: Visibility {
                spaces: Arc::new(IdSet::new(search.spaces.iter().copied())),
                online: Arc::new(online),
                sizes: sized.then_some(sizes),
                modified: dated.then_some(modified),
            },
            limit: search.limit.clamp(1, PAGE_MAX) as usize,
            search,
        }
    }

    pub(crate) fn page(&self) -> tantivy::Result<Hits> {
        let dictionary = Dictionary {
            fields: self.fields,
            searcher: self.searcher,
        };
        let file_type = self.search.filter.file_type.as_ref();
        let levels = Ranking::new(&dictionary, self.search.query, file_type);
        // One more than a page, to know whether there are more.
        let mut found = match self.search.sort {
            Sort::Relevance => self.by_relevance(&levels)?,
            _ => self.sorted(&levels)?,
        };
        let more = found.len() > self.limit;
        found.truncate(self.limit);
        let next = found.last().filter(|_| more).map(|(place, _)| *place);
        let hits = found.into_iter().map(|(place, score)| Hit {
            key: place.key,
            score,
        });
        Ok(Hits {
            hits: hits.collect(),
            next,
        })
    }

    fn by_relevance(&self, levels: &Ranking<'_>) -> tantivy::Result<Vec<(Place, f32)>> {
        let after = self.search.after;
        let first = after.map_or(0, |place| usize::from(place.level));
        let mut found = Vec::new();
        for (n, score) in SCORES.into_iter().enumerate().skip(first) {
            let Some(level) = levels.level(n)? else {
                continue;
            };
            let mut after = after.filter(|_| n == first).map(|place| place.key);
            loop {
                let wanted = self.limit + 1 - found.len();
                let mut keys = self.newest(&level, after, wanted)?;
                let is_last = keys.len() < wanted;
                after = keys.last().copied();
                self.remove_shown(&level, &mut keys)?;
                found.extend(keys.into_iter().map(|key| {
                    let level = n as u8;
                    (
                        Place {
                            level,
                            value: 0,
                            key,
                        },
                        score,
                    )
                }));
                if found.len() > self.limit {
                    return Ok(found);
                }
                if is_last {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Returns the newest contents of a level that are older than `after`, newest first.
    fn newest(
        &self,
        level: &RankLevel,
        after: Option<i64>,
        count: usize,
    ) -> tantivy::Result<Vec<i64>> {
        let mut found: Vec<Rank> = Vec::new();
        let mut after = after;
        let mut end = match (level.cost > EXAMINED_AT_ONCE, after) {
            (false, _) => 0,
            (true, Some(after)) => era(after) + 1,
            (true, None) => era(self.last_key()?) + 1,
        };
        for eras in ERA_STEPS {
            if found.len() == count || end == 0 {
                break;
            }
            let begin = end.saturating_sub(eras);
            let terms = (begin..end).map(|era| Term::from_field_u64(self.fields.era, era));
            let within = any_of(terms.map(with_term).collect());
            let ask = both(level.ask.box_clone(), within);
            found.extend(self.first(&*ask, SortValue::Nothing, at(after), count - found.len())?);
            end = begin;
            after = Some(era_begin(end));
        }
        if found.len() < count && (end > 0 || level.cost <= EXAMINED_AT_ONCE) {
            found.extend(self.first(
                &*level.ask,
                SortValue::Nothing,
                at(after),
                count - found.len(),
            )?);
        }
        Ok(found.into_iter().map(|(_, key)| key).collect())
    }

    fn sorted(&self, levels: &Ranking<'_>) -> tantivy::Result<Vec<(Place, f32)>> {
        // A large file that matches only with a typo would be a surprising first result. So typos
        // are tolerated only if there are no other matches.
        let after = self.search.after;
        if after.is_none_or(|place| place.level != SORTED_WITH_TYPOS) {
            let found = self.sorted_up_to(levels, MatchStage::Folder, SORTED)?;
            if !found.is_empty() || after.is_some() {
                return Ok(found);
            }
        }
        self.sorted_up_to(levels, MatchStage::Typo, SORTED_WITH_TYPOS)
    }

    fn sorted_up_to(
        &self,
        levels: &Ranking<'_>,
        step: MatchStage,
        level: u8,
    ) -> tantivy::Result<Vec<(Place, f32)>> {
        let value = match self.search.sort {
            Sort::Relevance => SortValue::Nothing,
            Sort::Providers => SortValue::Providers,
            Sort::Size => SortValue::Size,
            Sort::Date => SortValue::Modified,
        };
        let ask = levels.any_up_to(step)?;
        let mut after = self.search.after.map(|place| (place.value, place.key));
        let mut found = Vec::new();
        loop {
            let wanted = self.limit + 1 - found.len();
            let mut ranks = self.first(&*ask, value, after, wanted)?;
            let is_last = ranks.len() < wanted;
            after = ranks.last().copied().or(after);
            if self.has_several_spaces() {
                // Show a content in several spaces only at its best position.
                let keys: Vec<i64> = ranks.iter().map(|(_, key)| *key).collect();
                let of_these = both(ask.box_clone(), self.with_keys(&keys));
                let best = self.first(&*of_these, value, None, keys.len())?;
                let best: HashMap<i64, u64> = best.into_iter().map(|(v, key)| (key, v)).collect();
                ranks.retain(|(value, key)| best.get(key) == Some(value));
            }
            let places = ranks.into_iter();
            found.extend(places.map(|(value, key)| (Place { level, value, key }, 0.0)));
            if found.len() > self.limit || is_last {
                return Ok(found);
            }
        }
    }

    /// Removes contents that match a previous level in another space and have been shown there.
    fn remove_shown(&self, level: &RankLevel, keys: &mut Vec<i64>) -> tantivy::Result<()> {
        let Some(before) = &level.before else {
            return Ok(());
        };
        if keys.is_empty() || !self.has_several_spaces() {
            return Ok(());
        }
        let ask = both(before.box_clone(), self.with_keys(keys));
        let before = self.first(&*ask, SortValue::Nothing, None, keys.len())?;
        let before: HashSet<i64> = before.into_iter().map(|(_, key)| key).collect();
        keys.retain(|key| !before.contains(key));
        Ok(())
    }

    fn has_several_spaces(&self) -> bool {
        self.search.spaces.len() > 1
    }

    fn with_keys(&self, keys: &[i64]) -> Box<dyn Ask> {
        let terms = keys
            .iter()
            .map(|key| Term::from_field_i64(self.fields.key, *key));
        any_of(terms.map(with_term).collect())
    }

    fn first(
        &self,
        ask: &dyn Ask,
        value: SortValue,
        after: Option<Rank>,
        count: usize,
    ) -> tantivy::Result<Vec<Rank>> {
        let first = TopCollector {
            visible: self.visible.clone(),
            value,
            ascending: self.search.order == Order::Ascending && self.search.sort != Sort::Relevance,
            after,
            count,
        };
        self.searcher.search(ask, &first)
    }

    /// Returns the highest key of a content.
    fn last_key(&self) -> tantivy::Result<i64> {
        let mut last = 0;
        for segment in self.searcher.segment_readers() {
            last = last.max(segment.fast_fields().i64(KEY)?.max_value());
        }
        Ok(last)
    }
}

/// Returns the rank of a content if there is no sort value.
fn at(key: Option<i64>) -> Option<Rank> {
    key.map(|key| (0, key))
}

fn both(one: Box<dyn Ask>, other: Box<dyn Ask>) -> Box<dyn Ask> {
    Box::new(BooleanQuery::new(vec![
        (Occur::Must, one),
        (Occur::Must, other),
    ]))
}
