//! `CreateInvite`.

use std::time::Duration;

use convite_core::Problem;
use convite_wire::{convert, v1};
use tonic::Request;

use super::{Door, some_number};
use crate::service::NewInvite;

pub(super) async fn create_invite(
    door: &Door,
    request: Request<v1::CreateInviteRequest>,
) -> Result<v1::CreateInviteReply, Problem> {
    let caller = door.caller(&request).await?;
    let message = request.into_inner();
    let role = convert::some_text(message.role);
    let new = NewInvite {
        uses: some_number(message.uses),
        expires_in: some_number(message.expires_in).map(Duration::from_secs),
        space: convert::some_text(message.space)
            .map(|space| space.parse())
            .transpose()?,
        role: role.map(|role| role.parse()).transpose()?,
    };
    let issued = door.service.create_invite(&caller, new).await?;
    Ok(v1::CreateInviteReply {
        invite: issued.link.to_string(),
        expires_at: issued.expires.seconds(),
        uses: issued.uses,
    })
}
