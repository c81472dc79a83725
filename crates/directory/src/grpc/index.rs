//! `Index` (a stream of batches) and `ListIndex`.

use std::time::Duration;

use convite_core::model::FileEntry;
use convite_core::{ErrorCode, Problem, SafePath};
use convite_store::{IndexChange, Tally};
use convite_wire::{convert, status, v1};
use tonic::{Request, Streaming};

use super::{Door, some_number};
use crate::service::{BATCH_MAX, Caller, check_change, whole_removes_nothing};

/// How long the stream may be silent between two messages.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// One message, taken apart and checked.
struct Batch {
    header: Option<v1::IndexHeader>,
    upsert: Vec<FileEntry>,
    remove: Vec<SafePath>,
}

async fn next(stream: &mut Streaming<v1::IndexRequest>) -> Result<Option<Batch>, Problem> {
    let message = tokio::time::timeout(SILENCE_MAX, stream.message())
        .await
        .map_err(|_| Problem::new(ErrorCode::Unavailable, "the stream fell silent"))?
        .map_err(|failed| match status::from_status(&failed) {
            // What cannot be decoded, the framework calls its own failure.
            problem if problem.code == ErrorCode::Internal => {
                Problem::invalid("a message is not valid")
            }
            problem => problem,
        })?;
    let Some(message) = message else {
        return Ok(None);
    };
    if message.upsert.len() + message.remove.len() > BATCH_MAX {
        return Err(Problem::new(
            ErrorCode::TooLarge,
            format!("a message has at most {BATCH_MAX} entries"),
        )
        .hint("send more messages"));
    }
    let upsert = message.upsert.into_iter().map(TryInto::try_into);
    let remove = message.remove.iter().map(|path| path.parse());
    Ok(Some(Batch {
        header: message.header,
        upsert: upsert.collect::<Result<_, _>>()?,
        remove: remove.collect::<Result<_, _>>()?,
    }))
}

pub(super) async fn index(
    door: &Door,
    request: Request<Streaming<v1::IndexRequest>>,
) -> Result<v1::IndexReply, Problem> {
    let caller = door.caller(&request).await?;
    let mut stream = request.into_inner();
    let mut first = next(&mut stream)
        .await?
        .ok_or_else(|| Problem::invalid("the stream is empty"))?;
    let header = first
        .header
        .take()
        .ok_or_else(|| Problem::invalid("the first message has no header"))?;
    let tally = match header.base {
        None => whole(door, &caller, &header, first, stream).await?,
        Some(base) => change(door, &caller, &header, base, first, stream).await?,
    };
    Ok(v1::IndexReply {
        generation: header.generation,
        upserted: tally.upserted,
        removed: tally.removed,
    })
}

/// Stores each batch as it comes.
async fn whole(
    door: &Door,
    caller: &Caller,
    header: &v1::IndexHeader,
    first: Batch,
    mut stream: Streaming<v1::IndexRequest>,
) -> Result<Tally, Problem> {
    let peer = header.peer.parse()?;
    let mut whole = door
        .service
        .begin_index(caller, &peer, header.generation)
        .await?;
    let mut batch = Some(first);
    while let Some(Batch {
        header,
        upsert,
        remove,
    }) = batch
    {
        no_second(header)?;
        if !remove.is_empty() {
            return Err(whole_removes_nothing());
        }
        whole.add(upsert).await?;
        batch = next(&mut stream).await?;
    }
    whole.finish().await
}

/// Gathers all batches into one change.
async fn change(
    door: &Door,
    caller: &Caller,
    header: &v1::IndexHeader,
    base: u64,
    first: Batch,
    mut stream: Streaming<v1::IndexRequest>,
) -> Result<Tally, Problem> {
    let peer = header.peer.parse()?;
    let mut change = IndexChange {
        upsert: first.upsert,
        remove: first.remove,
    };
    while let Some(batch) = next(&mut stream).await? {
        no_second(batch.header)?;
        change.upsert.extend(batch.upsert);
        change.remove.extend(batch.remove);
        check_change(&change)?;
    }
    door.service
        .publish_change(caller, &peer, base, header.generation, change)
        .await
}

fn no_second(header: Option<v1::IndexHeader>) -> Result<(), Problem> {
    match header {
        None => Ok(()),
        Some(_) => Err(Problem::invalid("only the first message has a header")),
    }
}

pub(super) async fn list_index(
    door: &Door,
    request: Request<v1::ListIndexRequest>,
) -> Result<v1::ListIndexReply, Problem> {
    let caller = door.caller(&request).await?;
    let message = request.into_inner();
    let peer = convert::some_text(message.peer);
    let peer = peer.map(|peer| peer.parse()).transpose()?;
    let cursor = convert::some_text(message.cursor);
    let limit = some_number(message.limit);
    let page = door
        .service
        .list_index(&caller, peer.as_ref(), limit, cursor.as_deref())
        .await?;
    Ok(v1::ListIndexReply {
        entries: page.items.iter().map(Into::into).collect(),
        next_cursor: page.next_cursor.unwrap_or_default(),
    })
}
