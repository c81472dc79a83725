//! `/index`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use convite_core::model::{FileEntry, IndexEntry};
use convite_core::{PeerId, SafePath};
use convite_store::IndexChange;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extractors::{Json, Query, SharingCaller};
use super::openapi::problems;
use super::pages::page;
use crate::Service;
use crate::answer::HandlerResult;
use crate::service::{Caller, removals_without_base};

/// `PUT /index`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IndexBody {
    /// The peer whose index is published.
    pub peer: PeerId,
    /// The generation of the index after this change; above `base`.
    #[schema(minimum = 1, maximum = 9_223_372_036_854_775_807i64)]
    pub generation: u64,
    /// The generation that this change is based on; if absent, this is the whole index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<u64>,
    /// New and changed files and folders. A folder has the hash of its manifest.
    #[serde(default)]
    pub upsert: Vec<FileEntry>,
    /// Paths that are no longer shared; only with `base`.
    #[serde(default)]
    pub remove: Vec<SafePath>,
}

/// The response to the publication of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(super) struct Published {
    /// The generation that the directory holds now.
    pub generation: u64,
    /// Number of new and changed files and folders.
    pub upserted: u64,
    /// Number of removed files and folders.
    pub removed: u64,
}

page! {
    /// `GET /index`.
    IndexPage: /** The files and folders, sorted by peer and path. */ files, IndexEntry;
}

/// Maximum size of an index in one body, in bytes.
const INDEX_MAX: usize = 16 << 20;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only files that this peer shares.
    #[param(nullable = false)]
    peer: Option<PeerId>,
    /// Maximum number of items; 100 by default.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
    /// `next_cursor` of the previous page.
    #[param(nullable = false)]
    cursor: Option<String>,
}

problems!(ListRefused, caller, InvalidArgument);

/// Lists the files and folders of the online peers, by peer and path.
#[utoipa::path(
    get, path = "/index", operation_id = "listIndex", tag = "index",
    params(ListQuery),
    responses((status = 200, description = "A page", body = IndexPage), ListRefused),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> HandlerResult<Body<IndexPage>> {
    let page = service
        .list_index(
            &caller,
            query.peer.as_ref(),
            query.limit,
            query.cursor.as_deref(),
        )
        .await?;
    Ok(Body(page.into()))
}

problems!(
    PublishRefused,
    caller,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    GenerationMismatch,
    Quota,
    TooLarge,
    UnsupportedMediaType
);

/// Publishes the files and folders that a peer shares: with `base`, a change to that generation; without it,
/// the whole index.
///
/// Idempotent: repeat the same request until it is answered. Repeating a request that had succeeded
/// changes nothing and returns the same response. After `generation_mismatch`, send the whole
/// index.
#[utoipa::path(
    method(put, post), path = "/index", operation_id = "publishIndex", tag = "index",
    request_body = IndexBody,
    responses((status = 200, description = "The changes", body = Published), PublishRefused),
)]
pub(super) async fn publish(
    State(service): State<Arc<Service>>,
    SharingCaller(caller): SharingCaller,
    Json(body): Json<IndexBody, INDEX_MAX>,
) -> HandlerResult<Body<Published>> {
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
                .publish_index_change(&caller, &peer, base, generation, change)
                .await?
        }
        None if !remove.is_empty() => return Err(removals_without_base().into()),
        None => {
            let mut upload = service
                .begin_publish_index(&caller, &peer, generation)
                .await?;
            upload.add_batch(upsert).await?;
            upload.finish().await?
        }
    };
    Ok(Body(Published {
        generation,
        upserted: tally.upserted,
        removed: tally.removed,
    }))
}
