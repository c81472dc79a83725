//! `Locate`.

use convite_core::{ContentHash, Problem};
use convite_wire::v1;
use tonic::Request;

use super::Door;

pub(super) async fn locate(
    door: &Door,
    request: Request<v1::LocateRequest>,
) -> Result<v1::LocateReply, Problem> {
    let caller = door.caller(&request).await?;
    let hash = ContentHash::from_slice(&request.into_inner().hash)?;
    let file = door.service.locate(&caller, &hash).await?;
    Ok((&file).into())
}
