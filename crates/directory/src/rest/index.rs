//! `/index`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use convite_core::PeerId;
use convite_store::IndexChange;
use convite_wire::rest::{IndexBody, IndexPage, Published};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Answer;
use super::extract::{Json, Query};
use super::openapi::problems;
use crate::Service;
use crate::service::{Caller, whole_removes_nothing};

/// The largest index in one body, in bytes.
const INDEX_MAX: usize = 16 << 20;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only what this peer shares.
    #[param(nullable = false)]
    peer: Option<PeerId>,
    /// The most on a page; 100 by default.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
}

problems!(ListRefused, caller, InvalidArgument);

/// The files of the peers online, by peer and path.
#[utoipa::path(
    get, path = "/index", operation_id = "listIndex", tag = "index",
    params(ListQuery),
    responses((status = 200, description = "A page", body = IndexPage), ListRefused),
    security(("session" = [])),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Answer<Body<IndexPage>> {
    let page = service
        .list_index(
            &caller,
            query.peer.as_ref(),
            query.limit,
            query.cursor.as_deref(),
        )
        .await?;
    Ok(Body(IndexPage {
        files: page.items,
        next_cursor: page.next_cursor,
    }))
}

problems!(
    PublishRefused,
    caller,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    GenerationMismatch,
    TooLarge,
    UnsupportedMediaType
);

/// Publishes what a peer shares: with `base` a change of that generation, without it the whole index.
///
/// Idempotent: repeat the same request until an answer comes. Of one that had got through, the
/// repetition changes nothing, and its answer is the same. After `generation_mismatch` send the
/// whole index.
#[utoipa::path(
    method(put, post), path = "/index", operation_id = "publishIndex", tag = "index",
    request_body = IndexBody,
    responses((status = 200, description = "What changed", body = Published), PublishRefused),
    security(("session" = [])),
)]
pub(super) async fn publish(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Json(body): Json<IndexBody, INDEX_MAX>,
) -> Answer<Body<Published>> {
    let IndexBody {
        peer,
        generation,
        base,
        upsert,
        remove,
    } = body;
    let tally = match base {
        Some(base) => {
            let change = IndexChange { upsert, remove };
            service
                .publish_change(&caller, &peer, base, generation, change)
                .await?
        }
        None if !remove.is_empty() => return Err(whole_removes_nothing().into()),
        None => {
            let mut whole = service.begin_index(&caller, &peer, generation).await?;
            whole.add(upsert).await?;
            whole.finish().await?
        }
    };
    Ok(Body(Published {
        generation,
        upserted: tally.upserted,
        removed: tally.removed,
    }))
}
