//! `CreateInvite`, `ListInvites` and `RevokeInvite`.

use std::time::Duration;

use convite_core::Problem;
use convite_wire::{convert, v1};
use tonic::Request;

use super::api::{DirectoryService, non_zero};
use crate::service::NewInvite;

pub(super) async fn create_invite(
    api: &DirectoryService,
    request: Request<v1::CreateInviteRequest>,
) -> Result<v1::CreateInviteReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let role = convert::some_text(message.role);
    let new = NewInvite {
        uses: non_zero(message.uses),
        expires_in: non_zero(message.expires_in).map(Duration::from_secs),
        space: convert::some_text(message.space)
            .map(|space| space.parse())
            .transpose()?,
        role: role.map(|role| role.parse()).transpose()?,
    };
    let issued = api.service.create_invite(&caller, new).await?;
    Ok(v1::CreateInviteReply {
        invite: issued.link.to_string(),
        web: issued.link.web(),
        expires_at: issued.expires.seconds(),
        uses: issued.uses,
    })
}

pub(super) async fn list_invites(
    api: &DirectoryService,
    request: Request<v1::ListInvitesRequest>,
) -> Result<v1::ListInvitesReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let cursor = convert::some_text(message.cursor);
    let page = api
        .service
        .list_invites(&caller, non_zero(message.limit), cursor.as_deref())
        .await?;
    Ok(v1::ListInvitesReply {
        invites: page.items.iter().map(Into::into).collect(),
        next_cursor: page.next_cursor.unwrap_or_default(),
    })
}

pub(super) async fn revoke_invite(
    api: &DirectoryService,
    request: Request<v1::RevokeInviteRequest>,
) -> Result<v1::RevokeInviteReply, Problem> {
    let caller = api.caller(&request).await?;
    let id = request.into_inner().id;
    api.service.revoke_invite(&caller, &id).await?;
    Ok(v1::RevokeInviteReply {})
}
