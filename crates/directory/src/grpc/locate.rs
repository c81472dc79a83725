//! `Locate`.

use convite_core::{ContentHash, Problem, Within};
use convite_wire::v1;
use tonic::Request;

use super::Door;

pub(super) async fn locate(
    door: &Door,
    request: Request<v1::LocateRequest>,
) -> Result<v1::LocateReply, Problem> {
    let caller = door.caller(&request).await?;
    let message = request.into_inner();
    let hash = ContentHash::from_slice(&message.hash)?;
    let within = Within::from_sent(message.space.as_deref())?;
    let file = door.service.locate(&caller, &hash, &within).await?;
    Ok((&file).into())
}
