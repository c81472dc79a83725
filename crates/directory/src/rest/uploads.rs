//! `/peers/{id}/upload`: uploads to a peer's inbox through the directory;
//! `/peers/{id}/upload-ticket`: tickets for direct uploads.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use convite_core::{ErrorCode, PeerAddress, PeerId, Problem};
use convite_wire::rest::Uploaded;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extractors::PathPart;
use super::openapi::problems;
use crate::Service;
use crate::answer::HandlerResult;
use crate::service::Caller;

/// `POST /peers/{id}/upload-ticket`: the permission to upload to a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(super) struct UploadGrant {
    /// Ticket for this peer and this account, to be sent as bearer token or `?ticket=`.
    pub ticket: String,
    /// Expiry time in seconds since 1970. Uploads that began before may continue.
    pub expires_at: i64,
    /// Addresses of the peer, best first.
    pub addresses: Vec<PeerAddress>,
    /// The name in the peer's certificate, for any of the addresses.
    pub host: String,
}

problems!(
    TicketRefused,
    caller,
    InvalidArgument,
    NotFound,
    PermissionDenied
);

/// Issues a ticket for uploads to a peer that accepts files from the caller, valid for minutes.
///
/// Use it with `curl -F file=@NAME 'https://ADDRESS/upload?ticket=TICKET'`.
#[utoipa::path(
    post, path = "/peers/{id}/upload-ticket", operation_id = "uploadTicket", tag = "peers",
    params(("id" = PeerId, Path)),
    responses((status = 201, description = "The ticket", body = UploadGrant), TicketRefused),
)]
pub(super) async fn ticket(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(id): PathPart,
) -> HandlerResult<(StatusCode, Body<UploadGrant>)> {
    let peer: PeerId = id.parse()?;
    let grant = service.upload_ticket(&caller, &peer).await?;
    let made = UploadGrant {
        ticket: grant.ticket,
        expires_at: grant.expires.seconds(),
        addresses: grant.addresses,
        host: peer.certificate_name(),
    };
    Ok((StatusCode::CREATED, Body(made)))
}

/// Files for a peer's inbox.
#[derive(ToSchema)]
#[allow(
    dead_code,
    reason = "only used for the description: the form is streamed"
)]
pub(super) struct UploadForm {
    /// The content hash that the next file must have, in hex.
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

/// Uploads files to a peer that accepts files from the caller, through the directory.
///
/// For browsers: the form is streamed to the peer, and nothing is stored in the directory.
#[utoipa::path(
    post, path = "/peers/{id}/upload", operation_id = "upload", tag = "peers",
    params(("id" = PeerId, Path)),
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses((status = 200, description = "The files that the peer stored", body = Uploaded), UploadRefused),
)]
pub(super) async fn upload(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(id): PathPart,
    request: Request,
) -> HandlerResult<Body<Uploaded>> {
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
