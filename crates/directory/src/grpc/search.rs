//! `SearchFile`.

use convite_core::Problem;
use convite_wire::{convert, v1};
use tonic::Request;

use super::{Door, some_number};
use crate::service::SearchQuery;

pub(super) async fn search_file(
    door: &Door,
    request: Request<v1::SearchFileRequest>,
) -> Result<v1::SearchFileReply, Problem> {
    let caller = door.caller(&request).await?;
    let message = request.into_inner();
    let peer = convert::some_text(message.peer);
    let query = SearchQuery {
        text: message.query,
        extension: convert::some_text(message.r#type),
        min_size: message.min_size,
        max_size: message.max_size,
        peer: peer.map(|peer| peer.parse()).transpose()?,
        limit: some_number(message.limit),
        cursor: convert::some_text(message.cursor),
    };
    let page = door.service.search(&caller, query).await?;
    Ok(v1::SearchFileReply {
        results: page.items.iter().map(Into::into).collect(),
        next_cursor: page.next_cursor.unwrap_or_default(),
    })
}
