//! `/search`.

use std::str::FromStr;
use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use convite_core::model::SearchHit;
use convite_core::{PeerId, Problem, SearchQuery, SpaceName};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extractors::Query;
use super::openapi::problems;
use crate::Service;
use crate::answer::HandlerResult;
use crate::service::Caller;

/// `GET /search`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct SearchPage {
    /// The results in the requested order; by default the best first.
    pub results: Vec<SearchHit>,
    /// Whether the search index is being built, so that the results may be incomplete. Absent if
    /// not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub indexing: bool,
    /// Cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchParameters {
    /// Words in any order, of which the last may be a prefix; `"several words"` for a phrase;
    /// `-word` to exclude a word. At most 1,000 bytes and 128 words. Case and accents are ignored,
    /// and words of five letters or more match with one typo. May be given up to 16 times; a match
    /// of any one suffices.
    #[serde(default)]
    #[param(max_items = 16)]
    q: Vec<String>,
    /// `file` or `folder`; `archive`, `audio`, `code`, `document`, `image` or `video`; or a file
    /// name extension.
    #[serde(default, rename = "type")]
    file_type: String,
    /// Minimum size in bytes.
    #[param(
        nullable = false,
        format = "uint64",
        maximum = 18_446_744_073_709_551_615u64
    )]
    min_size: Option<u64>,
    /// Maximum size in bytes.
    #[param(
        nullable = false,
        format = "uint64",
        maximum = 18_446_744_073_709_551_615u64
    )]
    max_size: Option<u64>,
    /// Modified within this time (`12h`, `7d`, `2w`, `1y`), or on this day or later (`2026-01-31`,
    /// UTC).
    #[serde(default)]
    newer: String,
    /// Modified before this time.
    #[serde(default)]
    older: String,
    /// Only files that this peer shares.
    #[param(nullable = false)]
    peer: Option<PeerId>,
    /// Only files in this space of the caller, excluding files shared with everyone.
    #[param(nullable = false)]
    space: Option<SpaceName>,
    /// `relevance` (the default), `providers`, `size` or `date`.
    #[serde(default)]
    #[param(pattern = "^(relevance|providers|size|date)?$")]
    sort: String,
    /// `desc` (the default: most, largest or newest first) or `asc`; relevance supports only
    /// `desc`.
    #[serde(default)]
    #[param(pattern = "^(desc|asc)?$")]
    order: String,
    /// Maximum number of results; 20 by default.
    #[param(minimum = 1, maximum = 100, nullable = false)]
    limit: Option<u32>,
    /// `next_cursor` of the previous page of the same search.
    #[param(nullable = false)]
    cursor: Option<String>,
}

problems!(SearchRefused, caller, InvalidArgument, PermissionDenied);

/// Searches the files and folders of the online peers; returns one result per content.
///
/// A cursor is a position in the order, so that a result with an unchanged position is returned
/// exactly once, even if others appear or disappear between pages.
#[utoipa::path(
    get, path = "/search", operation_id = "search", tag = "files",
    params(SearchParameters),
    responses((status = 200, description = "A page, in the requested order", body = SearchPage), SearchRefused),
)]
pub(super) async fn search(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Query(query): Query<SearchParameters>,
) -> HandlerResult<Body<SearchPage>> {
    let query = SearchQuery {
        texts: query.q,
        file_type: parse_optional(&query.file_type)?,
        min_size: query.min_size,
        max_size: query.max_size,
        newer: parse_optional(&query.newer)?,
        older: parse_optional(&query.older)?,
        peer: query.peer,
        space: query.space,
        sort: parse_optional(&query.sort)?.unwrap_or_default(),
        order: parse_optional(&query.order)?.unwrap_or_default(),
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

/// Parses a parameter; an empty one counts as absent.
fn parse_optional<T: FromStr<Err = Problem>>(text: &str) -> Result<Option<T>, Problem> {
    (!text.is_empty()).then(|| text.parse()).transpose()
}
