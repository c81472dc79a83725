//! `/search`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use convite_core::PeerId;
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
    /// Words, the last of which may be cut short; at most 1,000 bytes.
    #[serde(default)]
    #[param(max_length = 1000)]
    q: String,
    /// A file name extension, with or without its dot.
    #[serde(rename = "type")]
    #[param(nullable = false)]
    extension: Option<String>,
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
    /// Only what this peer shares.
    #[param(nullable = false)]
    peer: Option<PeerId>,
    /// The most on a page; 20 by default.
    #[param(minimum = 1, maximum = 100, nullable = false)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
}

problems!(SearchRefused, caller, InvalidArgument);

/// Ranked matches among the files of the peers online, one for each content.
#[utoipa::path(
    get, path = "/search", operation_id = "search", tag = "files",
    params(Parameters),
    responses((status = 200, description = "A page, best first", body = SearchPage), SearchRefused),
    security(("session" = [])),
)]
pub(super) async fn search(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Query(query): Query<Parameters>,
) -> Answer<Body<SearchPage>> {
    let query = SearchQuery {
        text: query.q,
        extension: query.extension,
        min_size: query.min_size,
        max_size: query.max_size,
        peer: query.peer,
        limit: query.limit,
        cursor: query.cursor,
    };
    let page = service.search(&caller, query).await?;
    Ok(Body(SearchPage {
        results: page.items,
        next_cursor: page.next_cursor,
    }))
}
