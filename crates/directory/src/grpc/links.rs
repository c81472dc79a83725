//! `CreateLink`.

use std::time::Duration;

use convite_core::{ContentHash, Problem};
use convite_wire::v1;
use tonic::Request;

use super::{Door, some_number};

pub(super) async fn create_link(
    door: &Door,
    request: Request<v1::CreateLinkRequest>,
) -> Result<v1::CreateLinkReply, Problem> {
    let caller = door.caller(&request).await?;
    let message = request.into_inner();
    let hash = ContentHash::from_slice(&message.hash)?;
    let lifetime = some_number(message.expires_in).map(Duration::from_secs);
    let issued = door
        .service
        .create_link(&caller, &hash, lifetime, some_number(message.uses))
        .await?;
    Ok(v1::CreateLinkReply {
        path: issued.path,
        url: issued.url,
        expires_at: issued.expires.seconds(),
    })
}
