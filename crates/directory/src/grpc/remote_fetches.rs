//! `LoadFile`, `ListLoads`, `GetLoad` and `ReportLoad`.

use convite_core::{ContentHash, Problem};
use convite_wire::{convert, v1};
use tonic::Request;

use super::api::{DirectoryService, non_zero};

pub(super) async fn load_file(
    api: &DirectoryService,
    request: Request<v1::LoadFileRequest>,
) -> Result<v1::LoadFileReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let hash = ContentHash::from_slice(&message.hash)?;
    let peer = message.peer.parse()?;
    let service = &api.service;
    let load = service
        .request_remote_fetch(&caller, &peer, &hash, &message.name)
        .await?;
    Ok(v1::LoadFileReply {
        load: load.to_string(),
    })
}

pub(super) async fn list_loads(
    api: &DirectoryService,
    request: Request<v1::ListLoadsRequest>,
) -> Result<v1::ListLoadsReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let cursor = convert::some_text(message.cursor);
    let page = api
        .service
        .list_remote_fetches(&caller, non_zero(message.limit), cursor.as_deref())
        .await?;
    Ok(v1::ListLoadsReply {
        loads: page.items.iter().map(Into::into).collect(),
        next_cursor: page.next_cursor.unwrap_or_default(),
    })
}

pub(super) async fn get_load(
    api: &DirectoryService,
    request: Request<v1::GetLoadRequest>,
) -> Result<v1::GetLoadReply, Problem> {
    let caller = api.caller(&request).await?;
    let load = request.into_inner().load.parse()?;
    let load = api.service.remote_fetch_state(&caller, load).await?;
    Ok(v1::GetLoadReply {
        load: Some((&load).into()),
    })
}

pub(super) async fn report_load(
    api: &DirectoryService,
    request: Request<v1::ReportLoadRequest>,
) -> Result<v1::ReportLoadReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let (peer, load) = (message.peer.parse()?, message.load.parse()?);
    let report = (&message).try_into()?;
    api.service
        .report_remote_fetch(&caller, &peer, load, report)
        .await?;
    Ok(v1::ReportLoadReply {})
}
