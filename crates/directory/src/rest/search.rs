//! `/search`.

use std::str::FromStr;
use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use convite_core::{PeerId, Problem, SpaceName};
use convite_wire::rest::SearchPage;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Answer;
use super::extract::Query;
use super::openapi::problems;
use crate::Service;
use crate::service::{Caller, SearchQuery};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Words in any order, the last of which may be cut short; `"several words"` that follow one
    /// another; `-word` that must not be there. At most 1,000 bytes and 32 words. Case and accents
    /// do not count, and one typo in a word of five letters or more is forgiven.
    #[serde(default)]
    #[param(max_length = 1000)]
    q: String,
    /// `archive`, `audio`, `code`, `document`, `image` or `video`, or a file name extension.
    #[serde(default, rename = "type")]
    file_type: String,
    /// In bytes.
    #[param(
        nullable = false,
        format = "uint64",
        maximum = 18_446_744_073_709_551_615u64
    )]
    min_size: Option<u64>,
    /// In bytes.
    #[param(
        nullable = false,
        format = "uint64",
        maximum = 18_446_744_073_709_551_615u64
    )]
    max_size: Option<u64>,
    /// Last changed within that time (`12h`, `7d`, `2w`, `1y`) or on that day or later
    /// (`2026-01-31`, UTC).
    #[serde(default)]
    newer: String,
    /// Last changed before that.
    #[serde(default)]
    older: String,
    /// Only what this peer shares.
    #[param(nullable = false)]
    peer: Option<PeerId>,
    /// Only what lies in this space of yours, without what everyone sees.
    #[param(nullable = false)]
    space: Option<SpaceName>,
    /// `relevance` (the default), `providers`, `size` or `date`.
    #[serde(default)]
    #[param(pattern = "^(relevance|providers|size|date)?$")]
    sort: String,
    /// `desc` (the default: the most, the largest, the newest first) or `asc`; by relevance there
    /// is only `desc`.
    #[serde(default)]
    #[param(pattern = "^(desc|asc)?$")]
    order: String,
    /// The most on a page; 20 by default.
    #[param(minimum = 1, maximum = 100, nullable = false)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, of the same search.
    #[param(nullable = false)]
    cursor: Option<String>,
}

problems!(SearchRefused, caller, InvalidArgument, PermissionDenied);

/// Matches among the files of the peers online, one for each content.
///
/// Pages go on from a place in the order, so that a result whose place stays the same comes exactly
/// once, whatever else comes and goes between two pages.
#[utoipa::path(
    get, path = "/search", operation_id = "search", tag = "files",
    params(Parameters),
    responses((status = 200, description = "A page, in the order asked for", body = SearchPage), SearchRefused),
    security(("session" = [])),
)]
pub(super) async fn search(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Query(query): Query<Parameters>,
) -> Answer<Body<SearchPage>> {
    let query = SearchQuery {
        text: query.q,
        file_type: given(&query.file_type)?,
        min_size: query.min_size,
        max_size: query.max_size,
        newer: given(&query.newer)?,
        older: given(&query.older)?,
        peer: query.peer,
        space: query.space,
        sort: given(&query.sort)?.unwrap_or_default(),
        order: given(&query.order)?.unwrap_or_default(),
        limit: query.limit,
        cursor: query.cursor,
    };
    let found = service.search(&caller, query).await?;
    Ok(Body(SearchPage {
        results: found.hits,
        indexing: found.indexing,
        next_cursor: found.next_cursor,
    }))
}

/// An empty parameter is one that was not given.
fn given<T: FromStr<Err = Problem>>(text: &str) -> Result<Option<T>, Problem> {
    (!text.is_empty()).then(|| text.parse()).transpose()
}
