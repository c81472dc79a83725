//! `/files` and `/files/{hash}`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use convite_core::model::{LocatedFile, SearchHit};
use convite_core::{ContentHash, EntryKind, PeerId, SearchScope};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extractors::{Json, PathPart, Query};
use super::openapi::problems;
use crate::Service;
use crate::answer::HandlerResult;
use crate::service::Caller;

/// `GET /files`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct NamedFiles {
    /// One for each content, at most 100, most providers first. `name` and `folder` are those that
    /// matched.
    pub results: Vec<SearchHit>,
    /// Whether there are more results. Absent if not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// The kind and the search scope.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LocateQuery {
    /// `file` or `folder`; by default the kind that most accounts claim for this hash.
    #[param(nullable = false)]
    kind: Option<EntryKind>,
    /// Only files in this space of the caller; empty: only files shared with everyone.
    #[param(
        nullable = false,
        max_length = 64,
        pattern = r"^([\p{L}\p{N}][\p{L}\p{M}\p{N}._-]*)?$"
    )]
    space: Option<String>,
}

problems!(
    LocateRefused,
    caller,
    InvalidArgument,
    PermissionDenied,
    NotFound
);

/// Returns a file or folder by its hash: names, size and providers, each with a ticket.
#[utoipa::path(
    get, path = "/files/{hash}", operation_id = "locateFile", tag = "files",
    params(("hash" = ContentHash, Path), LocateQuery),
    responses((status = 200, description = "The file or folder", body = LocatedFile), LocateRefused),
)]
pub(super) async fn locate(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(hash): PathPart,
    Query(query): Query<LocateQuery>,
) -> HandlerResult<Body<LocatedFile>> {
    let within = SearchScope::from_wire(query.space.as_deref())?;
    let file = service
        .locate(&caller, &hash.parse()?, query.kind, &within)
        .await?;
    Ok(Body(file))
}

/// Maximum size of the body of `POST /locate` in bytes.
const LOCATE_MANY_MAX: usize = 128 << 10;

/// The body of `POST /locate`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LocateMany {
    /// The hashes to look up.
    #[schema(min_items = 1, max_items = 1000)]
    hashes: Vec<ContentHash>,
    /// By default the kind that most accounts claim for each hash.
    kind: Option<EntryKind>,
    /// Only files in this space of the caller; empty: only files shared with everyone.
    #[schema(max_length = 64, pattern = r"^([\p{L}\p{N}][\p{L}\p{M}\p{N}._-]*)?$")]
    space: Option<String>,
}

/// What was found for one hash.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct LocatedItem {
    /// The hash.
    pub hash: ContentHash,
    /// The file or folder. Absent if no online peer shares it, or the caller may not see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub located: Option<LocatedFile>,
}

/// The answer to `POST /locate`.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct LocatedMany {
    /// One for each hash, in the order of the request.
    pub results: Vec<LocatedItem>,
}

problems!(
    LocateManyRefused,
    caller,
    InvalidArgument,
    PermissionDenied,
    TooLarge,
    UnsupportedMediaType
);

/// Returns many files and folders by their hashes: for each what `GET /files/{hash}` returns.
///
/// Lists up to 200 providers of each hash; of more than 50 hashes, 10,000 divided by their number.
#[utoipa::path(
    post, path = "/locate", operation_id = "locateMany", tag = "files",
    request_body = LocateMany,
    responses((status = 200, description = "The files and folders", body = LocatedMany), LocateManyRefused),
)]
pub(super) async fn locate_many(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Json(wanted): Json<LocateMany, LOCATE_MANY_MAX>,
) -> HandlerResult<Body<LocatedMany>> {
    let within = SearchScope::from_wire(wanted.space.as_deref())?;
    let located = service
        .locate_many(&caller, &wanted.hashes, wanted.kind, &within)
        .await?;
    let results = wanted.hashes.into_iter().zip(located);
    let results = results.map(|(hash, located)| LocatedItem { hash, located });
    Ok(Body(LocatedMany {
        results: results.collect(),
    }))
}

/// The name to look up.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct NameQuery {
    /// The name of a file or folder, a path, or the end of a path, as published by the peer.
    #[param(max_length = 4095)]
    name: String,
    /// Only the file or folder of this peer with exactly this path.
    #[param(nullable = false)]
    peer: Option<PeerId>,
}

problems!(NameRefused, caller, InvalidArgument);

/// Finds the files and folders with exactly one name or path; returns one result per content.
///
/// Unlike a search, this finds everything with the name, however many similar ones exist. An exact
/// path precedes the end of a path. If nothing has the name as given, its two Unicode normal forms
/// are tried.
#[utoipa::path(
    get, path = "/files", operation_id = "findByName", tag = "files",
    params(NameQuery),
    responses((status = 200, description = "The files and folders", body = NamedFiles), NameRefused),
)]
pub(super) async fn find_by_name(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Query(wanted): Query<NameQuery>,
) -> HandlerResult<Body<NamedFiles>> {
    let found = service
        .find_by_name(&caller, &wanted.name, wanted.peer.as_ref())
        .await?;
    Ok(Body(NamedFiles {
        results: found.hits,
        more: found.more,
    }))
}
