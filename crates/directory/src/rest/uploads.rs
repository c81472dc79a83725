//! `/peers/{id}/upload`: files for a peer's inbox, through here; `/peers/{id}/upload-ticket`: the
//! right to bring them there.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use convite_core::{ErrorCode, PeerId, Problem};
use convite_wire::rest::{UploadGrant, Uploaded};
use utoipa::ToSchema;

use super::Answer;
use super::extract::PathPart;
use super::openapi::problems;
use crate::Service;
use crate::service::Caller;

problems!(
    TicketRefused,
    caller,
    InvalidArgument,
    NotFound,
    PermissionDenied
);

/// Lets one upload to a peer that takes files from one's account, for minutes.
///
/// `curl -F file=@NAME 'https://ADDRESS/upload?ticket=TICKET'` then does.
#[utoipa::path(
    post, path = "/peers/{id}/upload-ticket", operation_id = "uploadTicket", tag = "peers",
    params(("id" = PeerId, Path)),
    responses((status = 201, description = "The ticket", body = UploadGrant), TicketRefused),
    security(("session" = [])),
)]
pub(super) async fn ticket(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(id): PathPart,
) -> Answer<(StatusCode, Body<UploadGrant>)> {
    let grant = service.upload_ticket(&caller, &id.parse()?).await?;
    let made = UploadGrant {
        ticket: grant.ticket,
        expires_at: grant.expires.seconds(),
        addresses: grant.addresses,
    };
    Ok((StatusCode::CREATED, Body(made)))
}

/// Files for a peer's inbox.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only described: it is handed on as it comes")]
pub(super) struct UploadForm {
    /// What the next file has to be: its content hash in hex.
    #[schema(nullable = false)]
    hash: Option<String>,
    /// A file; there may be several.
    #[schema(format = Binary)]
    file: String,
}

problems!(
    UploadRefused,
    caller,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    TooLarge,
    UnsupportedMediaType,
    NoSpace,
    CorruptContents
);

/// Uploads files to a peer that takes some from one's account, through the directory.
///
/// For browsers: the form goes on to the peer as it comes, and nothing of it stays here.
#[utoipa::path(
    post, path = "/peers/{id}/upload", operation_id = "upload", tag = "peers",
    params(("id" = PeerId, Path)),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 200, description = "What the peer took in", body = Uploaded), UploadRefused),
    security(("session" = [])),
)]
pub(super) async fn upload(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(id): PathPart,
    request: Request,
) -> Answer<Body<Uploaded>> {
    let peer: PeerId = id.parse()?;
    let kind = form_of(request.headers().get(CONTENT_TYPE))?;
    let form = request.into_body();
    Ok(Body(service.upload(&caller, &peer, kind, form).await?))
}

fn form_of(kind: Option<&HeaderValue>) -> Result<HeaderValue, Problem> {
    let is_form = |kind: &&HeaderValue| {
        let text = kind.to_str().unwrap_or_default();
        let essence = text.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case("multipart/form-data")
    };
    kind.filter(is_form).cloned().ok_or_else(|| {
        Problem::new(ErrorCode::UnsupportedMediaType, "the body is not a form")
            .hint("send `multipart/form-data` with a field `file`, as `curl -F file=@NAME` does")
    })
}
