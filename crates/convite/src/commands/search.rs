//! `convite search`.

use convite_client::Query;
use convite_core::model::SearchHit;
use convite_core::{SpaceName, display};
use serde_json::json;

use crate::cli::SearchArgs;
use crate::commands::lists;
use crate::context::Context;
use crate::exit::Failed;
use crate::output::place::found_in;
use crate::output::progress::providers;
use crate::output::{Output, Table};

/// Results asked for at once.
const PAGE: u32 = 100;

/// Prints ranked matches, one line per content.
pub async fn run(context: &Context, args: SearchArgs, output: &Output) -> Result<(), Failed> {
    let client = context.client()?;
    let words = typed(&args.words);
    let mut table = Table::new(&["name", ">size", ">providers", "hash", "in", "space"]);
    let (mut cursor, mut left, mut indexing) = (None, args.limit, false);
    while left > 0 {
        let query = Query {
            words: words.clone(),
            file_type: args.file_type.clone(),
            min_size: args.min_size,
            max_size: args.max_size,
            peer: args.peer.clone(),
            space: args.space.clone(),
            newer: args.newer.clone(),
            older: args.older.clone(),
            sort: args.sort.clone(),
            order: args.order.clone(),
            limit: left.min(PAGE),
            cursor,
        };
        let page = client.search(query).await?;
        indexing |= page.indexing;
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
    if indexing {
        output.note("the directory is still building its search index: something may be missing");
    }
    if left == args.limit {
        lists::must_be_online(&client, args.peer.as_ref()).await?;
        output.note(&format!(
            "nothing found for {} among the files of those who are online{}",
            display::escape(&words),
            filters(&args)
        ));
        return Err(Failed::Said(crate::exit::of(
            convite_core::ErrorCode::NotFound,
        )));
    }
    if cursor.is_some() {
        output.note("there is more: ask for it with --limit N, or add a word");
    }
    Ok(())
}

/// What else was asked for, after words: it may be that which leaves nothing.
fn filters(args: &SearchArgs) -> String {
    let size = |bytes: Option<u64>| bytes.map(display::bytes);
    let peer = args.peer.as_ref().map(ToString::to_string);
    let space = args.space.as_ref().map(ToString::to_string);
    let given = [
        ("--type", args.file_type.clone()),
        ("--min-size", size(args.min_size)),
        ("--max-size", size(args.max_size)),
        ("--newer", args.newer.clone()),
        ("--older", args.older.clone()),
        ("--peer", peer),
        ("--space", space),
    ];
    let given = given.into_iter();
    let given = given.filter_map(|(flag, value)| Some(format!("{flag} {}", value?)));
    let given: Vec<String> = given.collect();
    match given.is_empty() {
        true => String::new(),
        false => format!(", with {}", display::escape(&given.join(" "))),
    }
}

/// The query that was meant: an argument with blanks was in quotes on the command line.
fn typed(words: &[String]) -> String {
    let typed = words.iter().map(|word| {
        let (dash, rest) = match word.strip_prefix('-') {
            Some(rest) => ("-", rest),
            None => ("", word.as_str()),
        };
        if words.len() > 1 && rest.contains(char::is_whitespace) && !rest.contains('"') {
            format!("{dash}\"{rest}\"")
        } else {
            word.clone()
        }
    });
    typed.collect::<Vec<_>>().join(" ")
}

fn row(hit: &SearchHit, table: &mut Table, output: &Output) {
    output.event(&json!({
        "hash": hit.hash,
        "name": hit.name,
        "matches": hit.matches,
        "names": hit.names,
        "folder": hit.folder,
        "size": hit.size,
        "spaces": hit.spaces,
        "providers": hit.providers,
        "peers": hit.peers,
        "score": hit.score,
    }));
    if !output.is_json() {
        let rest = [
            display::bytes(hit.size),
            providers(hit.providers as usize),
            hit.hash.to_string(),
            found_in(hit),
            names(&hit.spaces),
        ];
        table.marked_row(&hit.name, &hit.matches, rest);
    }
}

fn names(spaces: &[SpaceName]) -> String {
    let names: Vec<_> = spaces.iter().map(SpaceName::as_str).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_shell_took_the_quotes_from_is_a_phrase() {
        for (words, expected) in [
            (&["annual", "report"][..], "annual report"),
            (&["annual report"], "annual report"),
            (&["annual report", "pdf"], "\"annual report\" pdf"),
            (&["pdf", "-annual report"], "pdf -\"annual report\""),
            (&["\"annual report\""], "\"annual report\""),
            (&["x", "say \"a b\""], "x say \"a b\""),
        ] {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            assert_eq!(typed(&words), expected);
        }
    }
}
