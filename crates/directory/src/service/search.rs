//! Search: the index says which contents match and how well, the database what they are now.
//!
//! A cursor is a place in the order of one search, so that pages follow one another whatever comes
//! and goes: a content whose place stays the same comes exactly once. One that moves to a later
//! place meanwhile (renamed, or sorted by providers of which some left) may come again, one that moves
//! to an earlier place may be missed.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Instant;

use convite_core::age::Age;
use convite_core::kind::FileType;
use convite_core::model::{HitPeer, SearchHit};
use convite_core::sort::{Order, Sort};
use convite_core::{PeerId, Problem, SpaceName};
use convite_metrics::catalogue::SEARCH_SECONDS;
use convite_search::{Filter, Place, Query, Search};
use convite_store::{ContentKey, ContentSummary};

use super::peers::page_limit;
use super::{Caller, Service};
use crate::follower::blocking;

const PAGE_DEFAULT: u32 = 20;
const PAGE_MAX: u32 = 100;
/// How often a page is filled up when matches turn out to be offline, before it is given as it is.
const ROUNDS_MAX: usize = 8;

/// What is searched for.
#[derive(Debug, Clone, Default)]
pub struct SearchQuery {
    /// Words, phrases and what must not be there: see [`Query`].
    pub text: String,
    /// Only files of a kind, or with an extension.
    pub file_type: Option<FileType>,
    /// In bytes.
    pub min_size: Option<u64>,
    /// In bytes.
    pub max_size: Option<u64>,
    /// Last changed then or later.
    pub newer: Option<Age>,
    /// Last changed before that.
    pub older: Option<Age>,
    /// Only what this peer shares.
    pub peer: Option<PeerId>,
    /// Only what lies in this space of the caller's, not even what everyone sees.
    pub space: Option<SpaceName>,
    /// What to sort by.
    pub sort: Sort,
    /// Which end comes first.
    pub order: Order,
    /// 1 to 100; 20 by default.
    pub limit: Option<u32>,
    /// What the page before returned.
    pub cursor: Option<String>,
}

/// A page of results.
#[derive(Debug, Clone)]
pub struct SearchFound {
    /// In the order asked for, each content once.
    pub hits: Vec<SearchHit>,
    /// Where the next page begins; none on the last.
    pub next_cursor: Option<String>,
    /// The index is being built, so something may be missing.
    pub indexing: bool,
}

impl Service {
    /// Matches among the files of the peers online that the caller may see, one for each content.
    /// What lies in other spaces takes no part: it is neither matched nor counted.
    ///
    /// # Errors
    /// `invalid_argument` for a query that is too long, an order that relevance does not have, or
    /// a limit or cursor that is not valid; `permission_denied` for a space that the caller does not
    /// belong to.
    pub async fn search(
        &self,
        caller: &Caller,
        query: SearchQuery,
    ) -> Result<SearchFound, Problem> {
        let began = Instant::now();
        let found = self.find(caller, query).await?;
        let took = began.elapsed().as_secs_f64();
        self.counted().measure(&SEARCH_SECONDS, &[], took);
        Ok(found)
    }

    async fn find(&self, caller: &Caller, query: SearchQuery) -> Result<SearchFound, Problem> {
        let limit = page_limit(query.limit, PAGE_DEFAULT, PAGE_MAX)?;
        if (query.sort, query.order) == (Sort::Relevance, Order::Ascending) {
            return Err(Problem::invalid("the worst matches first is no order")
                .hint("sort by size, date or providers to have another order"));
        }
        let words = Arc::new(Query::parse(&query.text)?);
        let digest = query.digest();
        let cursor = query.cursor.as_deref();
        let mut after = cursor.map(|text| read_cursor(text, digest)).transpose()?;
        let mut found = SearchFound {
            hits: Vec::new(),
            next_cursor: None,
            indexing: self.is_indexing(),
        };
        let peer = match &query.peer {
            None => None,
            Some(id) => match self.store().peer_key(id).await? {
                Some(key) => Some(key.0),
                None => return Ok(found),
            },
        };
        let filter = Filter {
            file_type: query.file_type,
            min_size: query.min_size,
            max_size: query.max_size,
            modified_from: query.newer.map(|age| age.at(self.now())),
            modified_before: query.older.map(|age| age.at(self.now())),
            peer,
        };
        let viewer = match &query.space {
            None => caller.viewer.clone(),
            Some(space) => self.store().narrowed(&caller.viewer, space).await?,
        };
        let online = self.online().await?;
        let spaces = viewer.spaces().iter().map(|space| space.0);
        let spaces: Arc<[i64]> = spaces.collect();
        for _ in 0..ROUNDS_MAX {
            let wanted = limit - found.hits.len() as u32;
            let page = {
                let index = Arc::clone(self.search_index());
                let (words, filter) = (Arc::clone(&words), filter.clone());
                let (online, spaces) = (Arc::clone(&online), Arc::clone(&spaces));
                blocking(move || {
                    index.search(&Search {
                        query: &words,
                        filter: &filter,
                        spaces: &spaces,
                        online: &online,
                        sort: query.sort,
                        order: query.order,
                        after,
                        limit: wanted,
                    })
                })
                .await?
            };
            let scores: HashMap<i64, f32> =
                page.hits.iter().map(|hit| (hit.key, hit.score)).collect();
            let keys: Vec<ContentKey> = page.hits.iter().map(|hit| ContentKey(hit.key)).collect();
            let summaries = self.store().summaries(&viewer, &keys, self.now()).await?;
            found.hits.extend(
                summaries
                    .into_iter()
                    .filter(|summary| summary.providers > 0)
                    .map(|summary| {
                        let score = scores.get(&summary.key.0).copied().unwrap_or_default();
                        hit(summary, score, &words)
                    }),
            );
            found.next_cursor = page.next.map(|place| write_cursor(place, digest));
            after = page.next;
            if after.is_none() || found.hits.len() >= limit as usize {
                break;
            }
        }
        Ok(found)
    }
}

impl SearchQuery {
    /// Tells searches apart, so that the cursor of one is not taken for that of another.
    fn digest(&self) -> u32 {
        let mut hasher = DefaultHasher::new();
        let bounds = (self.min_size, self.max_size, self.newer, self.older);
        let rest = (
            &self.file_type,
            &self.peer,
            &self.space,
            self.sort,
            self.order,
        );
        (&self.text, bounds, rest).hash(&mut hasher);
        hasher.finish() as u32
    }
}

fn hit(summary: ContentSummary, score: f32, words: &Query) -> SearchHit {
    let names = summary.names.iter().enumerate();
    // Of names that match as well as another, the most common.
    let best = names
        .map(|(n, name)| (words.marks(name), std::cmp::Reverse(n)))
        .max_by_key(|(marks, n)| (marks.quality, *n));
    let (name, folder, matches) = best.map_or_else(Default::default, |(marks, n)| {
        let folder = summary.folders.get(n.0).cloned().unwrap_or_default();
        (summary.names[n.0].clone(), folder, marks.ranges)
    });
    let peers = summary.peers.into_iter();
    SearchHit {
        hash: summary.hash,
        name,
        matches,
        names: summary.names,
        folder,
        size: summary.size,
        spaces: summary.spaces,
        providers: summary.providers,
        peers: peers
            .map(|(id, addresses)| HitPeer { id, addresses })
            .collect(),
        score,
    }
}

fn write_cursor(place: Place, digest: u32) -> String {
    let bytes = [&digest.to_be_bytes()[..], &place.to_bytes()].concat();
    data_encoding::BASE64URL_NOPAD.encode(&bytes)
}

fn read_cursor(cursor: &str, digest: u32) -> Result<Place, Problem> {
    let bytes = data_encoding::BASE64URL_NOPAD
        .decode(cursor.as_bytes())
        .ok();
    let place = bytes
        .as_deref()
        .and_then(|bytes| bytes.strip_prefix(&digest.to_be_bytes()))
        .and_then(|bytes| bytes.try_into().ok());
    place.map(Place::from_bytes).ok_or_else(|| {
        Problem::invalid("the cursor is not one that a page of this search returned")
            .hint("begin again without a cursor")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip_and_others_are_refused() {
        let place = Place::from_bytes([7; Place::LENGTH]);
        let cursor = write_cursor(place, 42);
        assert_eq!(read_cursor(&cursor, 42), Ok(place));
        assert!(read_cursor(&cursor, 43).is_err());
        assert!(read_cursor(&cursor[1..], 42).is_err());
        assert!(read_cursor(&format!("{cursor}AA"), 42).is_err());
        for bad in ["", "20", "!", "cw", "czE4NDQ2NzQ0MDczNzA5NTUxNjE2"] {
            assert!(read_cursor(bad, 42).is_err(), "{bad}");
        }
    }

    #[test]
    fn another_search_has_another_digest() {
        let plain = SearchQuery::default();
        for other in [
            SearchQuery {
                text: "x".to_owned(),
                ..plain.clone()
            },
            SearchQuery {
                space: Some("lab".parse().unwrap()),
                ..plain.clone()
            },
            SearchQuery {
                sort: Sort::Size,
                ..plain.clone()
            },
            SearchQuery {
                min_size: Some(1),
                ..plain.clone()
            },
            SearchQuery {
                max_size: Some(1),
                ..plain.clone()
            },
            SearchQuery {
                newer: Some(Age::Ago(1)),
                ..plain.clone()
            },
        ] {
            assert_ne!(other.digest(), plain.digest());
        }
        let next = SearchQuery {
            limit: Some(7),
            cursor: Some("x".to_owned()),
            ..plain.clone()
        };
        assert_eq!(next.digest(), plain.digest());
    }
}
