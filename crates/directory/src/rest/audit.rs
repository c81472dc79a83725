//! `/audit`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use convite_wire::rest::AuditPage;

use super::Answer;
use super::extract::{Paging, Query};
use super::openapi::problems;
use crate::Service;
use crate::service::Caller;

problems!(AuditRefused, caller, InvalidArgument, PermissionDenied);

/// What was done and what was refused, newest first, for administrators.
#[utoipa::path(
    get, path = "/audit", operation_id = "listAudit", tag = "administration",
    params(Paging),
    responses((status = 200, description = "A page", body = AuditPage), AuditRefused),
    security(("session" = [])),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Answer<Body<AuditPage>> {
    let page = service
        .audit(&caller, paging.limit, paging.cursor.as_deref())
        .await?;
    Ok(Body(AuditPage {
        entries: page.items,
        next_cursor: page.next_cursor,
    }))
}
