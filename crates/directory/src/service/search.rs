//! Search: the index finds and ranks contents, the database provides their current state.
//!
//! A cursor is a position in the order of one search, so that pages continue correctly while
//! contents appear and disappear: a content with an unchanged position is returned exactly once. A
//! content that moves to a later position (renamed, or sorted by providers of which some left) may
//! be returned again; one that moves to an earlier position may be missed.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Instant;

use convite_core::model::{HitPeer, SearchHit};
use convite_core::sort::{Order, Sort};
use convite_core::{Problem, SearchQuery};
use convite_metrics::catalogue::SEARCH_SECONDS;
use convite_search::{Filter, Place, Query, Search};
use convite_store::{ContentKey, ContentSummary};

use super::paging::page_limit;
use super::{Caller, Service};
use crate::index_sync::spawn_blocking_work;

const PAGE_DEFAULT: u32 = 20;
const PAGE_MAX: u32 = 100;
/// Maximum number of index queries to fill a page when matches turn out to be offline.
const REFILLS_MAX: usize = 8;

/// A page of results.
#[derive(Debug, Clone)]
pub struct SearchResults {
    /// In the requested order, each content once.
    pub hits: Vec<SearchHit>,
    /// The cursor of the next page; `None` on the last.
    pub next_cursor: Option<String>,
    /// Whether the index is being built, so that results may be missing.
    pub indexing: bool,
}

impl Service {
    /// Searches the files and folders of online peers that the caller may see; returns one hit per
    /// content. Those in other spaces are neither matched nor counted.
    ///
    /// # Errors
    /// Returns `invalid_argument` for a query that is too long, ascending relevance, or an invalid
    /// limit or cursor; `permission_denied` for a space that the caller does not belong to.
    pub async fn search(
        &self,
        caller: &Caller,
        query: SearchQuery,
    ) -> Result<SearchResults, Problem> {
        let began = Instant::now();
        let found = self.find(caller, query).await?;
        let took = began.elapsed().as_secs_f64();
        self.registry().observe(&SEARCH_SECONDS, &[], took);
        Ok(found)
    }

    async fn find(&self, caller: &Caller, query: SearchQuery) -> Result<SearchResults, Problem> {
        let limit = page_limit(query.limit, PAGE_DEFAULT, PAGE_MAX)?;
        if (query.sort, query.order) == (Sort::Relevance, Order::Ascending) {
            return Err(Problem::invalid("relevance can only be sorted descending")
                .hint("sort by size, date or providers for another order"));
        }
        let words = Arc::new(Query::any(query.texts.iter().map(String::as_str))?);
        let digest = digest_of(&query);
        let cursor = query.cursor.as_deref();
        let mut after = cursor.map(|text| read_cursor(text, digest)).transpose()?;
        let mut found = SearchResults {
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
        for _ in 0..REFILLS_MAX {
            let wanted = limit - found.hits.len() as u32;
            let page = {
                let index = Arc::clone(self.search_index());
                let (words, filter) = (Arc::clone(&words), filter.clone());
                let (online, spaces) = (Arc::clone(&online), Arc::clone(&spaces));
                spawn_blocking_work(move || {
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
            let keys: Vec<ContentKey> = page.hits.iter().map(|hit| ContentKey(hit.key)).collect();
            let summaries = self.store().summaries(&viewer, &keys, self.now()).await?;
            let scores = page.hits.iter().map(|hit| (hit.key, hit.score)).collect();
            found.hits.extend(online_hits(summaries, &scores, &words));
            found.next_cursor = page.next.map(|place| write_cursor(place, digest));
            after = page.next;
            if after.is_none() || found.hits.len() >= limit as usize {
                break;
            }
        }
        Ok(found)
    }
}

/// Returns a hash of the search, so that a cursor of another search is refused.
fn digest_of(query: &SearchQuery) -> u32 {
    let mut hasher = DefaultHasher::new();
    let bounds = (query.min_size, query.max_size, query.newer, query.older);
    let rest = (
        &query.file_type,
        &query.peer,
        &query.space,
        query.sort,
        query.order,
    );
    (&query.texts, bounds, rest).hash(&mut hasher);
    hasher.finish() as u32
}

/// Returns the contents with an online provider.
fn online_hits(
    summaries: Vec<ContentSummary>,
    scores: &HashMap<i64, f32>,
    words: &Query,
) -> impl Iterator<Item = SearchHit> {
    let online = summaries
        .into_iter()
        .filter(|summary| summary.providers > 0);
    online.map(|summary| {
        let score = scores.get(&summary.key.0).copied().unwrap_or_default();
        hit(summary, score, words)
    })
}

fn hit(summary: ContentSummary, score: f32, words: &Query) -> SearchHit {
    let names = summary.names.iter().enumerate();
    // Among equally good names, the most common.
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
        kind: summary.kind,
        name,
        matches,
        names: summary.names,
        folder,
        size: summary.size,
        files: summary.kind.files(summary.files),
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
        Problem::invalid("the cursor does not belong to this search")
            .hint("start again without a cursor")
    })
}

#[cfg(test)]
mod tests {
    use convite_core::age::Age;

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
                texts: vec!["x".to_owned()],
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
            assert_ne!(digest_of(&other), digest_of(&plain));
        }
        let next = SearchQuery {
            limit: Some(7),
            cursor: Some("x".to_owned()),
            ..plain.clone()
        };
        assert_eq!(digest_of(&next), digest_of(&plain));
    }
}
