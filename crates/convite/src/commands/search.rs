//! `convite search`.

use std::str::FromStr;

use convite_core::model::SearchHit;
use convite_core::{Problem, SearchQuery, SpaceName, display};
use serde_json::json;

use crate::cli::SearchArgs;
use crate::commands::lists;
use crate::context::Context;
use crate::exit::CommandError;
use crate::output::Output;
use crate::output::location::{location, shown_name};
use crate::output::progress::{format_files, format_sources};
use crate::output::table::Table;

/// The number of results requested per page.
const PAGE_SIZE: u32 = 100;

/// Prints the ranked matches, one line per content hash.
pub async fn run(context: &Context, args: SearchArgs, output: &Output) -> Result<(), CommandError> {
    let client = context.client()?;
    let words = query_text(&args.words);
    let mut table = Table::new(&["name", ">size", ">sources", "hash", "in", "space", ">files"]);
    let query = query(&args, &words)?;
    let (mut cursor, mut left, mut indexing) = (None, args.limit, false);
    while left > 0 {
        let query = SearchQuery {
            limit: Some(left.min(PAGE_SIZE)),
            cursor,
            ..query.clone()
        };
        let page = client.search(query).await?;
        indexing |= page.indexing;
        for hit in page.items.iter().take(left as usize) {
            row(hit, &mut table, output);
        }
        left = left.saturating_sub(page.items.len() as u32);
        cursor = page.next_cursor;
        if cursor.is_none() || output.has_failed() {
            break;
        }
    }
    table.print(output);
    if indexing {
        output.note("the directory is building its search index; results may be incomplete");
    }
    if left == args.limit {
        lists::require_online(&client, args.peer.as_ref()).await?;
        output.note(&format!(
            "no files or folders of online peers match {}{}",
            display::escape(&words),
            filters(&args)
        ));
        return Err(CommandError::Reported(crate::exit::code_of(
            convite_core::ErrorCode::NotFound,
        )));
    }
    if cursor.is_some() {
        output.note(&format!(
            "showing the first {}; use --limit N or add a word",
            args.limit
        ));
    }
    Ok(())
}

/// Returns the query of the first page.
fn query(args: &SearchArgs, words: &str) -> Result<SearchQuery, Problem> {
    Ok(SearchQuery {
        texts: vec![words.to_owned()],
        file_type: parsed(args.file_type.as_deref())?,
        min_size: args.min_size,
        max_size: args.max_size,
        newer: parsed(args.newer.as_deref())?,
        older: parsed(args.older.as_deref())?,
        peer: args.peer.clone(),
        space: args.space.clone(),
        sort: parsed(args.sort.as_deref())?.unwrap_or_default(),
        order: parsed(args.order.as_deref())?.unwrap_or_default(),
        limit: None,
        cursor: None,
    })
}

/// Parses a filter; an empty one counts as absent.
fn parsed<T: FromStr<Err = Problem>>(text: Option<&str>) -> Result<Option<T>, Problem> {
    text.filter(|text| !text.is_empty())
        .map(str::parse)
        .transpose()
}

/// Returns the filters of the search, which may exclude all matches: `, with --type …`.
fn filters(args: &SearchArgs) -> String {
    let size = |bytes: Option<u64>| bytes.map(display::format_bytes);
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
    if given.is_empty() {
        String::new()
    } else {
        format!(", with {}", display::escape(&given.join(" ")))
    }
}

/// Returns the query. An argument with blanks was quoted in the shell, so it becomes a phrase.
fn query_text(words: &[String]) -> String {
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
    output.json_event(&json!({
        "hash": hit.hash,
        "kind": hit.kind,
        "name": hit.name,
        "matches": hit.matches,
        "names": hit.names,
        "folder": hit.folder,
        "size": hit.size,
        "files": hit.files,
        "spaces": hit.spaces,
        "providers": hit.providers,
        "peers": hit.peers,
        "score": hit.score,
    }));
    if !output.is_json() {
        let rest = [
            display::format_bytes(hit.size),
            format_sources(hit.providers as usize),
            hit.hash.to_string(),
            location(hit),
            names(&hit.spaces),
            hit.files.map_or_else(String::new, format_files),
        ];
        table.marked_row(&shown_name(&hit.name, hit.kind), &hit.matches, rest);
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
    fn an_argument_with_spaces_is_a_phrase() {
        for (words, expected) in [
            (&["annual", "report"][..], "annual report"),
            (&["annual report"], "annual report"),
            (&["annual report", "pdf"], "\"annual report\" pdf"),
            (&["pdf", "-annual report"], "pdf -\"annual report\""),
            (&["\"annual report\""], "\"annual report\""),
            (&["x", "say \"a b\""], "x say \"a b\""),
        ] {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            assert_eq!(query_text(&words), expected);
        }
    }
}
