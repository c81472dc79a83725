//! `GetUploadTicket`.

use convite_core::Problem;
use convite_wire::{convert, v1};
use tonic::Request;

use super::Door;

pub(super) async fn get_upload_ticket(
    door: &Door,
    request: Request<v1::GetUploadTicketRequest>,
) -> Result<v1::GetUploadTicketReply, Problem> {
    let caller = door.caller(&request).await?;
    let peer = request.into_inner().peer.parse()?;
    let grant = door.service.upload_ticket(&caller, &peer).await?;
    Ok(v1::GetUploadTicketReply {
        ticket: grant.ticket,
        expires_at: grant.expires.seconds(),
        addresses: convert::address_texts(&grant.addresses),
    })
}
