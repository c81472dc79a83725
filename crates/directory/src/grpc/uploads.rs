//! `GetUploadTicket`.

use convite_core::{PeerId, Problem};
use convite_wire::{convert, v1};
use tonic::Request;

use super::api::DirectoryService;

pub(super) async fn get_upload_ticket(
    api: &DirectoryService,
    request: Request<v1::GetUploadTicketRequest>,
) -> Result<v1::GetUploadTicketReply, Problem> {
    let caller = api.caller(&request).await?;
    let peer: PeerId = request.into_inner().peer.parse()?;
    let grant = api.service.upload_ticket(&caller, &peer).await?;
    Ok(v1::GetUploadTicketReply {
        ticket: grant.ticket,
        expires_at: grant.expires.seconds(),
        addresses: convert::address_texts(&grant.addresses),
        host: peer.certificate_name(),
    })
}
