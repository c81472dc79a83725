//! `/index`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use convite_core::PeerId;
use convite_store::IndexChange;
use convite_wire::rest::{IndexBody, IndexPage, Published};
use serde::Deserialize;

use super::Answer;
use super::extract::{Json, Query};
use crate::Service;
use crate::service::{Caller, whole_removes_nothing};

/// The largest index in one body, in bytes.
const INDEX_MAX: usize = 16 << 20;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    peer: Option<PeerId>,
    limit: Option<u32>,
    cursor: Option<String>,
}

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
