//! `/audit`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use convite_core::administration::AuditRecord;

use super::extractors::{Paging, Query};
use super::openapi::problems;
use super::pages::page;
use crate::Service;
use crate::answer::HandlerResult;
use crate::service::Caller;

page! {
    /// `GET /audit`.
    AuditPage: /** The entries, newest first. */ entries, AuditRecord;
}

problems!(AuditRefused, caller, InvalidArgument, PermissionDenied);

/// Lists completed and refused operations, newest first, for administrators.
#[utoipa::path(
    get, path = "/audit", operation_id = "listAudit", tag = "administration",
    params(Paging),
    responses((status = 200, description = "A page", body = AuditPage), AuditRefused),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> HandlerResult<Body<AuditPage>> {
    let page = service
        .audit(&caller, paging.limit, paging.cursor.as_deref())
        .await?;
    Ok(Body(page.into()))
}
