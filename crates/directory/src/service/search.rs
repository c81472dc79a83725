//! Search: the index says which contents match and how well, the database what they are now.

use std::collections::HashMap;
use std::sync::Arc;

use convite_core::model::{HitPeer, Page, SearchHit};
use convite_core::{PeerId, Problem};
use convite_search::Filter;
use convite_store::{ContentKey, ContentSummary};

use super::peers::page_limit;
use super::{Caller, Service};
use crate::follower::blocking;

const PAGE_DEFAULT: u32 = 20;
const PAGE_MAX: u32 = 100;
/// The longest query, in bytes.
const QUERY_MAX: usize = 1_000;
/// How often a page is filled up when matches turn out to be offline, before it is given as it is.
const ROUNDS_MAX: usize = 8;

/// What is searched for.
#[derive(Debug, Clone, Default)]
pub struct SearchQuery {
    /// Words, the last of which may be cut short.
    pub text: String,
    /// A file name extension, with or without its dot.
    pub extension: Option<String>,
    /// In bytes.
    pub min_size: Option<u64>,
    /// In bytes.
    pub max_size: Option<u64>,
    /// Only what this peer shares.
    pub peer: Option<PeerId>,
    /// 1 to 100; 20 by default.
    pub limit: Option<u32>,
    /// What the page before returned.
    pub cursor: Option<String>,
}

impl Service {
    /// Ranked matches among the files of the peers online that the caller may see, one for each content.
    ///
    /// # Errors
    /// `invalid_argument` for a query that is too long, or a limit or cursor that is not valid.
    pub async fn search(
        &self,
        caller: &Caller,
        query: SearchQuery,
    ) -> Result<Page<SearchHit>, Problem> {
        let limit = page_limit(query.limit, PAGE_DEFAULT, PAGE_MAX)?;
        if query.text.len() > QUERY_MAX {
            return Err(Problem::invalid(format!(
                "a query has at most {QUERY_MAX} bytes"
            )));
        }
        let mut offset = query.cursor.as_deref().map_or(Ok(0), read_cursor)?;
        let mut page = Page {
            items: Vec::new(),
            next_cursor: None,
        };
        let peer = match &query.peer {
            None => None,
            Some(id) => match self.store().peer_key(id).await? {
                Some(key) => Some(key.0),
                None => return Ok(page),
            },
        };
        let extension = query.extension.as_deref().map(|text| {
            let text = text.strip_prefix('.').unwrap_or(text);
            text.to_lowercase()
        });
        let filter = Filter {
            extension: extension.filter(|text| !text.is_empty()),
            min_size: query.min_size,
            max_size: query.max_size,
            peer,
        };
        let online = self.online().await?;
        for _ in 0..ROUNDS_MAX {
            let wanted = limit - page.items.len() as u32;
            let found = {
                let index = Arc::clone(self.search_index());
                let (text, filter, online) =
                    (query.text.clone(), filter.clone(), Arc::clone(&online));
                blocking(move || index.search(&text, &filter, &online, offset, wanted)).await?
            };
            let scores: HashMap<i64, f32> =
                found.hits.iter().map(|hit| (hit.key, hit.score)).collect();
            let keys: Vec<ContentKey> = found.hits.iter().map(|hit| ContentKey(hit.key)).collect();
            let summaries = self
                .store()
                .summaries(&caller.viewer, &keys, self.now())
                .await?;
            page.items.extend(
                summaries
                    .into_iter()
                    .filter(|summary| summary.providers > 0)
                    .map(|summary| {
                        let score = scores.get(&summary.key.0).copied().unwrap_or_default();
                        hit(summary, score)
                    }),
            );
            page.next_cursor = found.next_offset.map(write_cursor);
            match found.next_offset {
                Some(next) if page.items.len() < limit as usize => offset = next,
                _ => break,
            }
        }
        Ok(page)
    }
}

fn hit(summary: ContentSummary, score: f32) -> SearchHit {
    let peers = summary.peers.into_iter();
    SearchHit {
        hash: summary.hash,
        name: summary.names.first().cloned().unwrap_or_default(),
        names: summary.names,
        size: summary.size,
        providers: summary.providers,
        peers: peers
            .map(|(id, addresses)| HitPeer { id, addresses })
            .collect(),
        score,
    }
}

fn write_cursor(offset: u64) -> String {
    data_encoding::BASE64URL_NOPAD.encode(format!("s{offset}").as_bytes())
}

fn read_cursor(cursor: &str) -> Result<u64, Problem> {
    let decoded = data_encoding::BASE64URL_NOPAD
        .decode(cursor.as_bytes())
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    decoded
        .as_deref()
        .and_then(|text| text.strip_prefix('s'))
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| {
            Problem::invalid("the cursor is not one that a page returned")
                .hint("begin again without a cursor")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip_and_others_are_refused() {
        for offset in [0, 1, 20, u64::MAX] {
            assert_eq!(read_cursor(&write_cursor(offset)).unwrap(), offset);
        }
        for bad in ["", "20", "!", "cw", "czE4NDQ2NzQ0MDczNzA5NTUxNjE2"] {
            assert!(read_cursor(bad).is_err(), "{bad}");
        }
    }
}
