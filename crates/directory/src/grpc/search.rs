//! `SearchFile`.

use std::str::FromStr;

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
    let query = SearchQuery {
        text: message.query,
        file_type: given(message.r#type)?,
        min_size: message.min_size,
        max_size: message.max_size,
        newer: given(message.newer)?,
        older: given(message.older)?,
        peer: given(message.peer)?,
        space: given(message.space)?,
        sort: given(message.sort)?.unwrap_or_default(),
        order: given(message.order)?.unwrap_or_default(),
        limit: some_number(message.limit),
        cursor: convert::some_text(message.cursor),
    };
    let found = door.service.search(&caller, query).await?;
    Ok(v1::SearchFileReply {
        results: found.hits.iter().map(Into::into).collect(),
        indexing: found.indexing,
        next_cursor: found.next_cursor.unwrap_or_default(),
    })
}

/// A field is empty that was not given.
fn given<T: FromStr<Err = Problem>>(text: String) -> Result<Option<T>, Problem> {
    convert::some_text(text)
        .map(|text| text.parse())
        .transpose()
}
