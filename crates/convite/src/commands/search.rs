//! `convite search`.

use convite_client::Query;
use convite_core::display;
use convite_core::model::SearchHit;
use serde_json::json;

use crate::cli::SearchArgs;
use crate::context::Context;
use crate::exit::Failed;
use crate::output::progress::providers;
use crate::output::{Output, Table};

/// Results asked for at once.
const PAGE: u32 = 100;

/// Prints ranked matches, one line per content.
pub async fn run(context: &Context, args: SearchArgs, output: &Output) -> Result<(), Failed> {
    let client = context.client()?;
    let words = args.words.join(" ");
    let mut table = Table::new(&["name", ">size", ">providers", "hash"]);
    let (mut cursor, mut left) = (None, args.limit);
    while left > 0 {
        let query = Query {
            words: words.clone(),
            extension: args.extension.clone(),
            min_size: args.min_size,
            max_size: args.max_size,
            peer: args.peer.clone(),
            limit: left.min(PAGE),
            cursor,
        };
        let page = client.search(query).await?;
        for hit in page.items.iter().take(left as usize) {
            row(hit, &mut table, output);
        }
        left = left.saturating_sub(page.items.len() as u32);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    table.print(output);
    if left == args.limit {
        output.note("nothing found among the files of those who are online");
        return Err(Failed::Said(crate::exit::of(
            convite_core::ErrorCode::NotFound,
        )));
    }
    if cursor.is_some() {
        output.note("there is more: ask for it with --limit N, or add a word");
    }
    Ok(())
}

fn row(hit: &SearchHit, table: &mut Table, output: &Output) {
    output.event(&json!({
        "hash": hit.hash,
        "name": hit.name,
        "names": hit.names,
        "size": hit.size,
        "providers": hit.providers,
        "score": hit.score,
    }));
    if !output.is_json() {
        table.row([
            hit.name.clone(),
            display::bytes(hit.size),
            providers(hit.providers as usize),
            hit.hash.to_string(),
        ]);
    }
}
