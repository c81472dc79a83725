//! `/folders/{hash}`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use convite_core::model::FolderEntry;
use convite_core::{ContentHash, SearchScope};
use serde::Deserialize;
use utoipa::IntoParams;

use super::extractors::{PathPart, Query};
use super::openapi::problems;
use super::pages::page;
use crate::Service;
use crate::answer::HandlerResult;
use crate::service::Caller;

page! {
    /// `GET /folders/{hash}`.
    FolderPage: /** The entries, sorted by the bytes of their names; fewer than the limit, or none, are possible before the last page. */ entries, FolderEntry;
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct FolderQuery {
    /// Only if the folder is in this space of the caller; empty: only if it is shared with everyone.
    #[param(
        nullable = false,
        max_length = 64,
        pattern = r"^([\p{L}\p{N}][\p{L}\p{M}\p{N}._-]*)?$"
    )]
    space: Option<String>,
    /// Maximum number of items; 100 by default.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
    /// `next_cursor` of the previous page of the same folder.
    #[param(nullable = false)]
    cursor: Option<String>,
}

problems!(
    ListRefused,
    caller,
    InvalidArgument,
    PermissionDenied,
    NotFound
);

/// Lists the files and sub-folders of a folder, one level.
///
/// All entries of a page are what one of the online providers publishes below the folder at present.
/// The directory does not verify that they have the folder hash. A sub-folder is listed by its own
/// hash.
#[utoipa::path(
    get, path = "/folders/{hash}", operation_id = "listFolder", tag = "files",
    params(("hash" = ContentHash, Path, description = "The folder hash"), FolderQuery),
    responses((status = 200, description = "A page", body = FolderPage), ListRefused),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(hash): PathPart,
    Query(query): Query<FolderQuery>,
) -> HandlerResult<Body<FolderPage>> {
    let within = SearchScope::from_wire(query.space.as_deref())?;
    let page = service
        .list_folder(
            &caller,
            &hash.parse()?,
            &within,
            query.limit,
            query.cursor.as_deref(),
        )
        .await?;
    Ok(Body(page.into()))
}
