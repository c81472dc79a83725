//! `LoadFile`, `ListLoads`, `GetLoad` and `ReportLoad`.

use convite_core::{ContentHash, Problem};
use convite_wire::{convert, v1};
use tonic::Request;

use super::{Door, some_number};

pub(super) async fn load_file(
    door: &Door,
    request: Request<v1::LoadFileRequest>,
) -> Result<v1::LoadFileReply, Problem> {
    let caller = door.caller(&request).await?;
    let message = request.into_inner();
    let hash = ContentHash::from_slice(&message.hash)?;
    let peer = message.peer.parse()?;
    let load = door.service.load_file(&caller, &peer, &hash).await?;
    Ok(v1::LoadFileReply {
        load: load.to_string(),
    })
}

pub(super) async fn list_loads(
    door: &Door,
    request: Request<v1::ListLoadsRequest>,
) -> Result<v1::ListLoadsReply, Problem> {
    let caller = door.caller(&request).await?;
    let message = request.into_inner();
    let cursor = convert::some_text(message.cursor);
    let page = door
        .service
        .list_loads(&caller, some_number(message.limit), cursor.as_deref())
        .await?;
    Ok(v1::ListLoadsReply {
        loads: page.items.iter().map(Into::into).collect(),
        next_cursor: page.next_cursor.unwrap_or_default(),
    })
}

pub(super) async fn get_load(
    door: &Door,
    request: Request<v1::GetLoadRequest>,
) -> Result<v1::GetLoadReply, Problem> {
    let caller = door.caller(&request).await?;
    let load = request.into_inner().load.parse()?;
    let load = door.service.load_summary(&caller, load).await?;
    Ok(v1::GetLoadReply {
        load: Some((&load).into()),
    })
}

pub(super) async fn report_load(
    door: &Door,
    request: Request<v1::ReportLoadRequest>,
) -> Result<v1::ReportLoadReply, Problem> {
    let caller = door.caller(&request).await?;
    let message = request.into_inner();
    let (peer, load) = (message.peer.parse()?, message.load.parse()?);
    let report = (&message).try_into()?;
    door.service
        .report_load(&caller, &peer, load, report)
        .await?;
    Ok(v1::ReportLoadReply {})
}
