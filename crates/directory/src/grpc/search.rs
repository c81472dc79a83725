//! `SearchFile`.

use std::str::FromStr;

use convite_core::{Problem, SearchQuery};
use convite_wire::{convert, v1};
use tonic::Request;

use super::api::{DirectoryService, non_zero};

pub(super) async fn search_file(
    api: &DirectoryService,
    request: Request<v1::SearchFileRequest>,
) -> Result<v1::SearchFileReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let query = SearchQuery {
        texts: message.query,
        file_type: parse_optional(message.r#type)?,
        min_size: message.min_size,
        max_size: message.max_size,
        newer: parse_optional(message.newer)?,
        older: parse_optional(message.older)?,
        peer: parse_optional(message.peer)?,
        space: parse_optional(message.space)?,
        sort: parse_optional(message.sort)?.unwrap_or_default(),
        order: parse_optional(message.order)?.unwrap_or_default(),
        limit: non_zero(message.limit),
        cursor: convert::some_text(message.cursor),
    };
    let found = api.service.search(&caller, query).await?;
    Ok(v1::SearchFileReply {
        results: found.hits.iter().map(Into::into).collect(),
        indexing: found.indexing,
        next_cursor: found.next_cursor.unwrap_or_default(),
    })
}

/// Parses a field; an empty one counts as absent.
fn parse_optional<T: FromStr<Err = Problem>>(text: String) -> Result<Option<T>, Problem> {
    convert::some_text(text)
        .map(|text| text.parse())
        .transpose()
}
