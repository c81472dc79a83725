//! Resolves an argument (a name, a path, `PEER:PATH` or a content hash) to one file.
//!
//! 64 hexadecimal digits are always a hash. Anything else must match a name or path exactly; a file
//! with a similar name is used only after a confirmation.

use std::collections::BTreeSet;
use std::io::IsTerminal;

use convite_client::{DirectoryClient, Named};
use convite_core::file_kind::FileType;
use convite_core::model::{LocatedFile, SearchHit};
use convite_core::{ContentHash, EntryKind, ErrorCode, PeerId, Problem, SearchQuery, display};
use serde_json::json;

use crate::exit::CommandError;
use crate::output::Output;
use crate::output::location::location;
use crate::output::progress::format_sources;
use crate::output::table::Table;

/// The maximum number of listed files with similar names.
const SIMILAR_MAX: u32 = 20;
/// The maximum number of words in a query.
const QUERY_WORDS_MAX: usize = 32;
/// The maximum length of a query in bytes.
const QUERY_BYTES_MAX: usize = 1_000;

/// A resolved file or folder.
pub struct Resolved {
    pub file: LocatedFile,
    /// The name that was found; `None` if the argument was a hash.
    pub name: Option<String>,
    /// The `PEER:PATH` where it was found; `None` if the argument was a hash.
    pub place: Option<String>,
}

/// Whether a command takes folders.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Folders {
    Accepted,
    Refused,
}

/// Returns the file that `typed` names. Of a file and a folder with that name, it is the file.
///
/// # Errors
/// Returns `not_found` if no file has that name, after listing files with similar names, and
/// `invalid_argument` if several different files have it, after listing them, or if it is the name
/// of a folder, after listing files that it contains.
pub async fn resolve(
    client: &DirectoryClient,
    typed: &str,
    output: &Output,
) -> Result<Resolved, CommandError> {
    resolve_with(client, typed, Folders::Refused, output).await
}

/// Returns the file or folder that `typed` names. Of a file and a folder with that name, it is the
/// file.
///
/// # Errors
/// As [`resolve`], but a folder is an answer.
pub async fn resolve_content(
    client: &DirectoryClient,
    typed: &str,
    output: &Output,
) -> Result<Resolved, CommandError> {
    resolve_with(client, typed, Folders::Accepted, output).await
}

async fn resolve_with(
    client: &DirectoryClient,
    typed: &str,
    folders_are: Folders,
    output: &Output,
) -> Result<Resolved, CommandError> {
    if let Ok(hash) = typed.parse::<ContentHash>() {
        return by_hash(client, typed, &hash, folders_are).await;
    }
    let Named { items, more } = find_exact(client, typed).await?;
    let (files, folders) = items.into_iter().partition(|hit| hit.kind.is_file());
    let (mut contents, folders): (_, Vec<SearchHit>) = (distinct(files), folders);
    if contents.is_empty() && folders_are == Folders::Accepted {
        contents = distinct(folders.clone());
    }
    match contents.as_slice() {
        [] if let Some(folder) = folders.first() => {
            Err(refuse_folder(client, typed, folder, output).await)
        }
        [] => suggest_similar(client, typed, output).await,
        [hit] if !more => located(client, hit).await,
        several => {
            list(several, output);
            let count = several.len();
            let count = if more {
                format!("more than {count}")
            } else {
                count.to_string()
            };
            Err(Problem::new(
                ErrorCode::InvalidArgument,
                match contents.iter().any(|hit| hit.kind.is_file()) {
                    true => format!("{count} files match '{}'", display::escape(typed)),
                    false => format!("{count} folders match '{}'", display::escape(typed)),
                },
            )
            .hint("use the hash or PEER:PATH of one of them instead of the name")
            .into())
        }
    }
}

async fn located(client: &DirectoryClient, hit: &SearchHit) -> Result<Resolved, CommandError> {
    Ok(Resolved {
        file: client.locate(&hit.hash, Some(hit.kind)).await?,
        name: Some(hit.name.clone()),
        place: peer_path(hit),
    })
}

/// Locates a file, or a folder if folders are accepted, by its hash. If no peer has that content, but a file has these digits as its name,
/// the error says where it is.
async fn by_hash(
    client: &DirectoryClient,
    typed: &str,
    hash: &ContentHash,
    folders_are: Folders,
) -> Result<Resolved, CommandError> {
    let by_hash_alone = |file| Resolved {
        file,
        name: None,
        place: None,
    };
    let problem = match client.locate(hash, Some(EntryKind::File)).await {
        Ok(file) => return Ok(by_hash_alone(file)),
        Err(problem) => problem,
    };
    let may_be_folder = matches!(
        problem.code,
        ErrorCode::NotFound | ErrorCode::InvalidArgument
    );
    if folders_are == Folders::Accepted
        && may_be_folder
        && let Ok(folder) = client.locate(hash, Some(EntryKind::Folder)).await
    {
        return Ok(by_hash_alone(folder));
    }
    if problem.code != ErrorCode::NotFound {
        return Err(problem.into());
    }
    let of_that_name = client.find_by_name(typed, None).await?.items;
    Err(match of_that_name.first().and_then(peer_path) {
        None => problem,
        Some(place) => Problem::not_found(format!(
            "no online peer shares the content {typed}; a file with that name is {}",
            display::escape(&place)
        ))
        .hint(format!(
            "to get that file, use '{}'",
            display::escape(&place)
        )),
    }
    .into())
}

/// Returns the `PEER:PATH` of a hit.
fn peer_path(hit: &SearchHit) -> Option<String> {
    let peer = hit.peers.first()?;
    let separator = if hit.folder.is_empty() { "" } else { "/" };
    Some(format!("{}:{}{separator}{}", peer.id, hit.folder, hit.name))
}

/// Finds the files with that name or path; if there are none, interprets it as `PEER:PATH`.
async fn find_exact(client: &DirectoryClient, typed: &str) -> Result<Named, Problem> {
    let found = client.find_by_name(typed, None).await?;
    match split_peer_path(typed) {
        Some((peer, path)) if found.items.is_empty() => {
            client.find_by_name(path, Some(&peer)).await
        }
        _ => Ok(found),
    }
}

/// Splits `PEER:PATH`.
fn split_peer_path(typed: &str) -> Option<(PeerId, &str)> {
    let (peer, path) = typed.split_once(':')?;
    let path = path.trim_start_matches('/');
    let peer = peer.parse().ok()?;
    (!path.is_empty()).then_some((peer, path))
}

/// Keeps one hit per hash: hits that differ only in the claimed size are the same file.
fn distinct(hits: Vec<SearchHit>) -> Vec<SearchHit> {
    let mut seen = BTreeSet::new();
    let hits = hits.into_iter();
    hits.filter(|hit| seen.insert(hit.hash)).collect()
}

/// Lists files in a folder, and returns the error.
async fn refuse_folder(
    client: &DirectoryClient,
    typed: &str,
    folder: &SearchHit,
    output: &Output,
) -> CommandError {
    let path = format!("{}/{}", folder.folder, folder.name);
    match similar(client, &path).await {
        Ok(files) => {
            if !files.is_empty() {
                list(&files, output);
            }
            Problem::invalid(format!("'{}' is a folder", display::escape(typed)))
                .hint("use the full path or the hash of one of its files")
                .into()
        }
        Err(problem) => problem.into(),
    }
}

/// Searches files with the words of a name in their names or paths.
async fn similar(client: &DirectoryClient, typed: &str) -> Result<Vec<SearchHit>, Problem> {
    let words = plain_words(typed);
    if words.is_empty() {
        // A search without words would match all files.
        return Ok(Vec::new());
    }
    let query = SearchQuery {
        file_type: Some(FileType::Entry(EntryKind::File)),
        limit: Some(SIMILAR_MAX),
        ..SearchQuery::for_words(words)
    };
    Ok(distinct(client.search(query).await?.items))
}

/// Lists the files with similar names. If there is exactly one, asks on a terminal whether to use it.
async fn suggest_similar(
    client: &DirectoryClient,
    typed: &str,
    output: &Output,
) -> Result<Resolved, CommandError> {
    let hits = similar(client, typed).await?;
    if let [hit] = hits.as_slice()
        && confirm_similar(typed, hit, output)
    {
        return located(client, hit).await;
    }
    let shown = display::escape(typed);
    if hits.is_empty() {
        return Err(
            Problem::not_found(format!("no online peer shares '{shown}'"))
                .hint("find files with `convite search WORDS`; peers that have it may be offline")
                .into(),
        );
    }
    list(&hits, output);
    Err(
        Problem::not_found(format!("no online peer shares a file named '{shown}'"))
            .hint("use the full name or the hash of a listed file")
            .into(),
    )
}

/// Asks on a terminal whether to use a file with another name.
fn confirm_similar(typed: &str, hit: &SearchHit, output: &Output) -> bool {
    let can_ask = std::io::stdin().is_terminal() && output.can_ask();
    can_ask
        && output.confirm(&format!(
            "no file is named '{}'. Did you mean {} ({}, in {})? [y/N] ",
            display::escape(typed),
            display::escape(&hit.name),
            display::format_bytes(hit.size),
            display::escape(&location(hit)),
        ))
}

fn list(hits: &[SearchHit], output: &Output) {
    let mut table = Table::new(&["name", ">size", ">sources", "hash", "in"]);
    for hit in hits {
        table.row([
            hit.name.clone(),
            display::format_bytes(hit.size),
            format_sources(hit.providers as usize),
            hit.hash.to_string(),
            location(hit),
        ]);
        output.json_event(&json!({
            "event": "candidate",
            "hash": hit.hash,
            "name": hit.name,
            "folder": hit.folder,
            "size": hit.size,
            "providers": hit.providers,
            "peers": hit.peers,
        }));
    }
    if !output.is_json() {
        table.print(output);
    }
}

/// Converts a name to query words without the operators of a query (dashes and quotes), limited to
/// [`QUERY_WORDS_MAX`] words and [`QUERY_BYTES_MAX`] bytes.
fn plain_words(name: &str) -> String {
    let separates = |c: char| {
        if c.is_ascii() {
            !c.is_ascii_alphanumeric()
        } else {
            c.is_whitespace() || matches!(c, '\u{201c}' | '\u{201d}' | '\u{201e}')
        }
    };
    let words = name.split(separates);
    let words = words.filter(|word| !word.is_empty()).take(QUERY_WORDS_MAX);
    let (mut plain, mut length) = (String::new(), 0);
    for word in words {
        length += word.len() + 1;
        if length > QUERY_BYTES_MAX {
            break;
        }
        plain.extend([word, " "]);
    }
    plain.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_similar_name_is_searched_by_its_words() {
        for (name, words) in [
            ("a.txt", "a txt"),
            ("Song -live \"x\".mp3", "Song live x mp3"),
            ("te\u{301}le.txt", "te\u{301}le txt"),
            ("-", ""),
            ("!!!", ""),
        ] {
            assert_eq!(plain_words(name), words, "{name}");
        }
        assert_eq!(
            plain_words(&"x ".repeat(40)).split(' ').count(),
            QUERY_WORDS_MAX
        );
        assert!(plain_words(&"wort ".repeat(400)).len() <= QUERY_BYTES_MAX);
    }

    #[test]
    fn a_peer_path_is_split() {
        let taken_apart =
            |typed| split_peer_path(typed).map(|(peer, path)| (peer.to_string(), path));
        let nas = |path| Some(("nas".to_owned(), path));
        assert_eq!(taken_apart("nas:docs/a.txt"), nas("docs/a.txt"));
        assert_eq!(taken_apart("nas:/docs/a:b"), nas("docs/a:b"));
        for other in ["nas", "nas:", "nas:/", ":a", "no peer:a", "docs/a.txt"] {
            assert_eq!(taken_apart(other), None, "{other}");
        }
    }
}
