//! `PublishIndex` (a stream of batches) and `ListIndex`.

use std::time::Duration;

use convite_core::model::FileEntry;
use convite_core::{ErrorCode, Problem, SafePath};
use convite_store::{IndexChange, Tally};
use convite_wire::{convert, status, v1};
use tonic::{Request, Streaming};

use super::api::{DirectoryService, non_zero};
use crate::service::{Caller, check_change, removals_without_base};

/// Maximum time between two messages of the stream.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(60);

/// A decoded and checked message.
struct Batch {
    header: Option<v1::IndexHeader>,
    upsert: Vec<FileEntry>,
    remove: Vec<SafePath>,
}

async fn next(stream: &mut Streaming<v1::PublishIndexRequest>) -> Result<Option<Batch>, Problem> {
    let message = tokio::time::timeout(MESSAGE_TIMEOUT, stream.message())
        .await
        .map_err(|_| {
            Problem::new(
                ErrorCode::Unavailable,
                "no message arrived within 60 seconds",
            )
        })?
        .map_err(|failed| match status::from_status(&failed) {
            // tonic reports decoding errors as internal errors.
            problem if problem.code == ErrorCode::Internal => {
                Problem::invalid("a message is not valid")
            }
            problem => problem,
        })?;
    let Some(message) = message else {
        return Ok(None);
    };
    let upsert = message.upsert.into_iter().map(TryInto::try_into);
    let remove = message.remove.iter().map(|path| path.parse());
    Ok(Some(Batch {
        header: message.header,
        upsert: upsert.collect::<Result<_, _>>()?,
        remove: remove.collect::<Result<_, _>>()?,
    }))
}

pub(super) async fn publish_index(
    api: &DirectoryService,
    request: Request<Streaming<v1::PublishIndexRequest>>,
) -> Result<v1::PublishIndexReply, Problem> {
    let caller = api.caller(&request).await?;
    let mut stream = request.into_inner();
    let mut first = next(&mut stream)
        .await?
        .ok_or_else(|| Problem::invalid("the stream is empty"))?;
    let header = first
        .header
        .take()
        .ok_or_else(|| Problem::invalid("the first message has no header"))?;
    let tally = match header.base {
        None => publish_whole(api, &caller, &header, first, stream).await?,
        Some(base) => publish_change(api, &caller, &header, base, first, stream).await?,
    };
    Ok(v1::PublishIndexReply {
        generation: header.generation,
        upserted: tally.upserted,
        removed: tally.removed,
    })
}

/// Stores each batch as it arrives.
async fn publish_whole(
    api: &DirectoryService,
    caller: &Caller,
    header: &v1::IndexHeader,
    first: Batch,
    mut stream: Streaming<v1::PublishIndexRequest>,
) -> Result<Tally, Problem> {
    let peer = header.peer.parse()?;
    let mut upload = api
        .service
        .begin_publish_index(caller, &peer, header.generation)
        .await?;
    let mut batch = Some(first);
    while let Some(Batch {
        header,
        upsert,
        remove,
    }) = batch
    {
        refuse_header(header)?;
        if !remove.is_empty() {
            return Err(removals_without_base());
        }
        upload.add_batch(upsert).await?;
        batch = next(&mut stream).await?;
    }
    upload.finish().await
}

/// Collects all batches into one change.
async fn publish_change(
    api: &DirectoryService,
    caller: &Caller,
    header: &v1::IndexHeader,
    base: u64,
    first: Batch,
    mut stream: Streaming<v1::PublishIndexRequest>,
) -> Result<Tally, Problem> {
    let peer = header.peer.parse()?;
    let mut change = IndexChange {
        upsert: first.upsert,
        remove: first.remove,
    };
    while let Some(batch) = next(&mut stream).await? {
        refuse_header(batch.header)?;
        change.upsert.extend(batch.upsert);
        change.remove.extend(batch.remove);
        check_change(&change)?;
    }
    api.service
        .publish_index_change(caller, &peer, base, header.generation, change)
        .await
}

fn refuse_header(header: Option<v1::IndexHeader>) -> Result<(), Problem> {
    match header {
        None => Ok(()),
        Some(_) => Err(Problem::invalid("only the first message can have a header")),
    }
}

pub(super) async fn list_index(
    api: &DirectoryService,
    request: Request<v1::ListIndexRequest>,
) -> Result<v1::ListIndexReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let peer = convert::some_text(message.peer);
    let peer = peer.map(|peer| peer.parse()).transpose()?;
    let cursor = convert::some_text(message.cursor);
    let limit = non_zero(message.limit);
    let page = api
        .service
        .list_index(&caller, peer.as_ref(), limit, cursor.as_deref())
        .await?;
    Ok(v1::ListIndexReply {
        entries: page.items.iter().map(Into::into).collect(),
        next_cursor: page.next_cursor.unwrap_or_default(),
    })
}
