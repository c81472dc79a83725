//! `CreateLink`.

use std::time::Duration;

use convite_core::{ContentHash, Problem};
use convite_wire::v1;
use tonic::Request;

use super::api::{DirectoryService, non_zero};

pub(super) async fn create_link(
    api: &DirectoryService,
    request: Request<v1::CreateLinkRequest>,
) -> Result<v1::CreateLinkReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let hash = ContentHash::from_slice(&message.hash)?;
    let lifetime = non_zero(message.expires_in).map(Duration::from_secs);
    let issued = api
        .service
        .create_link(
            &caller,
            &hash,
            &message.name,
            lifetime,
            non_zero(message.uses),
        )
        .await?;
    Ok(v1::CreateLinkReply {
        path: issued.path,
        url: issued.url,
        expires_at: issued.expires.seconds(),
    })
}
