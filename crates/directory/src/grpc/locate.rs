//! `Locate`, `LocateMany`, `ListFolder` and `FindByName`.

use convite_core::{ContentHash, Problem, SearchScope};
use convite_wire::{convert, v1};
use tonic::Request;
use tonic::codegen::BoxStream;

use super::api::{DirectoryService, non_zero};

pub(super) async fn locate(
    api: &DirectoryService,
    request: Request<v1::LocateRequest>,
) -> Result<v1::LocateReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let hash = ContentHash::from_slice(&message.hash)?;
    let within = SearchScope::from_wire(message.space.as_deref())?;
    let kind = message.kind.map(convert::kind).transpose()?;
    let file = api.service.locate(&caller, &hash, kind, &within).await?;
    Ok((&file).into())
}

pub(super) async fn locate_many(
    api: &DirectoryService,
    request: Request<v1::LocateManyRequest>,
) -> Result<BoxStream<v1::LocateManyReply>, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let hashes = message
        .hashes
        .iter()
        .map(|hash| ContentHash::from_slice(hash));
    let hashes = hashes.collect::<Result<Vec<_>, _>>()?;
    let within = SearchScope::from_wire(message.space.as_deref())?;
    let kind = message.kind.map(convert::kind).transpose()?;
    let service = &api.service;
    let located = service.locate_many(&caller, &hashes, kind, &within).await?;
    let replies = message.hashes.into_iter().zip(located);
    let replies = replies.map(|(hash, file)| {
        Ok(v1::LocateManyReply {
            hash,
            located: file.as_ref().map(Into::into),
        })
    });
    Ok(Box::pin(tokio_stream::iter(replies)))
}

pub(super) async fn list_folder(
    api: &DirectoryService,
    request: Request<v1::ListFolderRequest>,
) -> Result<v1::ListFolderReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let hash = ContentHash::from_slice(&message.hash)?;
    let within = SearchScope::from_wire(message.space.as_deref())?;
    let (limit, cursor) = (non_zero(message.limit), convert::some_text(message.cursor));
    let page = api
        .service
        .list_folder(&caller, &hash, &within, limit, cursor.as_deref())
        .await?;
    Ok(v1::ListFolderReply {
        entries: page.items.iter().map(Into::into).collect(),
        next_cursor: page.next_cursor.unwrap_or_default(),
    })
}

pub(super) async fn find_by_name(
    api: &DirectoryService,
    request: Request<v1::FindByNameRequest>,
) -> Result<v1::FindByNameReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let peer = convert::some_text(message.peer);
    let peer = peer.map(|peer| peer.parse()).transpose()?;
    let service = &api.service;
    let found = service
        .find_by_name(&caller, &message.name, peer.as_ref())
        .await?;
    Ok(v1::FindByNameReply {
        results: found.hits.iter().map(Into::into).collect(),
        more: found.more,
    })
}
