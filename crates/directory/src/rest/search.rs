//! `/search`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use convite_core::PeerId;
use convite_wire::rest::SearchPage;
use serde::Deserialize;

use super::Answer;
use super::extract::Query;
use crate::Service;
use crate::service::{Caller, SearchQuery};

#[derive(Deserialize)]
pub(super) struct Parameters {
    #[serde(default)]
    q: String,
    #[serde(rename = "type")]
    extension: Option<String>,
    min_size: Option<u64>,
    max_size: Option<u64>,
    peer: Option<PeerId>,
    limit: Option<u32>,
    cursor: Option<String>,
}

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
