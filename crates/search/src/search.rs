//! A page of matches.
//!
//! A page goes on where the one before ended: after a place in the order, not after a number of
//! results. So what does not change between two pages comes once, and none of it is passed over,
//! whatever else comes, goes or is merged meanwhile.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use convite_core::kind::FileType;
use convite_core::sort::{Order, Sort};
use tantivy::query::{BooleanQuery, Occur, Query as Ask};
use tantivy::{Searcher, Term};

use crate::collect::{First, Rank, Value, Visible};
use crate::document::{Fields, KEY, era, era_begin};
use crate::levels::{Level, Levels, SCORES};
use crate::numbers::Numbers;
use crate::query::Query;
use crate::steps::{Dictionary, Step, any_of, with_term};

/// Up to so many documents are looked at all at once; of more the newest eras first.
const AT_ONCE: u64 = 20_000;
/// How many eras are looked at first, and then.
const ERAS: [u64; 2] = [1, 8];
/// The most results of a page.
pub const PAGE_MAX: u32 = 1_000;
/// What a place in a sorted search has instead of a level: without typos, and with.
const SORTED: u8 = 16;
const SORTED_WITH_TYPOS: u8 = 17;

/// What a match must have beside its words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// One of its names is of this type.
    pub file_type: Option<FileType>,
    /// At least as many bytes.
    pub min_size: Option<u64>,
    /// At most as many bytes.
    pub max_size: Option<u64>,
    /// Last changed then or later, in seconds since 1970.
    pub modified_from: Option<i64>,
    /// Last changed before that, in seconds since 1970.
    pub modified_before: Option<i64>,
    /// This peer among those that share it.
    pub peer: Option<i64>,
}

/// What is searched for, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// The words.
    pub query: &'a Query,
    /// And what else.
    pub filter: &'a Filter,
    /// The numbers of the spaces that whoever asks may see; 0 is everyone's.
    pub spaces: &'a [i64],
    /// The numbers of the peers online: what nobody of them holds is not found.
    pub online: &'a HashSet<i64>,
    /// The order.
    pub sort: Sort,
    /// Which end of it comes first; relevance knows no other than the best.
    pub order: Order,
    /// Where the page before ended.
    pub after: Option<Place>,
    /// The most results, 1 to [`PAGE_MAX`].
    pub limit: u32,
}

/// A place in the order of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    level: u8,
    value: u64,
    key: i64,
}

impl Place {
    /// The length of [`Self::to_bytes`].
    pub const LENGTH: usize = 17;

    /// To be kept in a cursor.
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[0] = self.level;
        bytes[1..9].copy_from_slice(&self.value.to_be_bytes());
        bytes[9..].copy_from_slice(&self.key.to_be_bytes());
        bytes
    }

    /// From a cursor; any bytes are some place.
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
    /// The number of the content.
    pub key: i64,
    /// How well it matches; only the order means something. 0 in a search that is sorted by
    /// something else.
    pub score: f32,
}

/// A page of matches, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Hits {
    /// The matches, each content once.
    pub hits: Vec<Hit>,
    /// Where the next page begins; none when there are no more.
    pub next: Option<Place>,
}

/// One search in one state of the index.
pub(crate) struct Searching<'a> {
    search: &'a Search<'a>,
    fields: &'a Fields,
    searcher: &'a Searcher,
    visible: Visible,
    limit: usize,
}

impl<'a> Searching<'a> {
    pub(crate) fn new(search: &'a Search<'a>, fields: &'a Fields, searcher: &'a Searcher) -> Self {
        let Search { filter, online, .. } = search;
        let online = match filter.peer {
            None => Numbers::new(online.iter().copied()),
            Some(peer) => Numbers::new(online.get(&peer).copied().into_iter()),
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
            visible: Visible {
                spaces: Arc::new(Numbers::new(search.spaces.iter().copied())),
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
        let levels = Levels::new(dictionary, self.search.query, file_type);
        // One more than the page has, to know whether there are more.
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

    fn by_relevance(&self, levels: &Levels<'_>) -> tantivy::Result<Vec<(Place, f32)>> {
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
                self.leave_out_what_is_before(&level, &mut keys)?;
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

    /// The newest contents of a level that are older than `after`, newest first.
    fn newest(&self, level: &Level, after: Option<i64>, count: usize) -> tantivy::Result<Vec<i64>> {
        let mut found: Vec<Rank> = Vec::new();
        let mut after = after;
        let mut end = match (level.cost > AT_ONCE, after) {
            (false, _) => 0,
            (true, Some(after)) => era(after) + 1,
            (true, None) => era(self.last_key()?) + 1,
        };
        for eras in ERAS {
            if found.len() == count || end == 0 {
                break;
            }
            let begin = end.saturating_sub(eras);
            let terms = (begin..end).map(|era| Term::from_field_u64(self.fields.era, era));
            let within = any_of(terms.map(with_term).collect());
            let ask = both(level.ask.box_clone(), within);
            found.extend(self.first(&*ask, Value::Nothing, at(after), count - found.len())?);
            end = begin;
            after = Some(era_begin(end));
        }
        if found.len() < count && (end > 0 || level.cost <= AT_ONCE) {
            found.extend(self.first(
                &*level.ask,
                Value::Nothing,
                at(after),
                count - found.len(),
            )?);
        }
        Ok(found.into_iter().map(|(_, key)| key).collect())
    }

    fn sorted(&self, levels: &Levels<'_>) -> tantivy::Result<Vec<(Place, f32)>> {
        // A typo at the head of the list because it is large would surprise, so typos are forgiven
        // only if there is nothing else.
        let after = self.search.after;
        if after.is_none_or(|place| place.level != SORTED_WITH_TYPOS) {
            let found = self.sorted_up_to(levels, Step::Folder, SORTED)?;
            if !found.is_empty() || after.is_some() {
                return Ok(found);
            }
        }
        self.sorted_up_to(levels, Step::Typo, SORTED_WITH_TYPOS)
    }

    fn sorted_up_to(
        &self,
        levels: &Levels<'_>,
        step: Step,
        level: u8,
    ) -> tantivy::Result<Vec<(Place, f32)>> {
        let value = match self.search.sort {
            Sort::Relevance => Value::Nothing,
            Sort::Providers => Value::Providers,
            Sort::Size => Value::Size,
            Sort::Date => Value::Modified,
        };
        let ask = levels.any_up_to(step)?.ask;
        let mut after = self.search.after.map(|place| (place.value, place.key));
        let mut found = Vec::new();
        loop {
            let wanted = self.limit + 1 - found.len();
            let mut ranks = self.first(&*ask, value, after, wanted)?;
            let is_last = ranks.len() < wanted;
            after = ranks.last().copied().or(after);
            if self.sees_several_spaces() {
                // A content in several spaces stands where it stands best, and only there.
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

    /// What matches better in another space is in a level before, and has been shown.
    fn leave_out_what_is_before(&self, level: &Level, keys: &mut Vec<i64>) -> tantivy::Result<()> {
        let Some(before) = &level.before else {
            return Ok(());
        };
        if keys.is_empty() || !self.sees_several_spaces() {
            return Ok(());
        }
        let ask = both(before.box_clone(), self.with_keys(keys));
        let before = self.first(&*ask, Value::Nothing, None, keys.len())?;
        let before: HashSet<i64> = before.into_iter().map(|(_, key)| key).collect();
        keys.retain(|key| !before.contains(key));
        Ok(())
    }

    fn sees_several_spaces(&self) -> bool {
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
        value: Value,
        after: Option<Rank>,
        count: usize,
    ) -> tantivy::Result<Vec<Rank>> {
        let first = First {
            visible: self.visible.clone(),
            value,
            ascending: self.search.order == Order::Ascending && self.search.sort != Sort::Relevance,
            after,
            count,
        };
        self.searcher.search(ask, &first)
    }

    /// The highest number of a content.
    fn last_key(&self) -> tantivy::Result<i64> {
        let mut last = 0;
        for segment in self.searcher.segment_readers() {
            last = last.max(segment.fast_fields().i64(KEY)?.max_value());
        }
        Ok(last)
    }
}

/// The place of a content among those that are sorted by nothing else.
fn at(key: Option<i64>) -> Option<Rank> {
    key.map(|key| (0, key))
}

fn both(one: Box<dyn Ask>, other: Box<dyn Ask>) -> Box<dyn Ask> {
    Box::new(BooleanQuery::new(vec![
        (Occur::Must, one),
        (Occur::Must, other),
    ]))
}
