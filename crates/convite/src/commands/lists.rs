//! `convite peers` and `convite index`: the lists of the directory, page by page.

use convite_client::DirectoryClient;
use convite_core::{EntryKind, PeerId, Problem, display};
use serde_json::json;

use crate::cli::IndexArgs;
use crate::context::Context;
use crate::exit::CommandError;
use crate::output::Output;
use crate::output::location::shown_name;
use crate::output::progress::format_files;
use crate::output::table::Table;

/// The number of items requested per page.
const PAGE_SIZE: u32 = 1_000;

/// Lists the peers online.
pub async fn peers(context: &Context, output: &Output) -> Result<(), CommandError> {
    let client = context.client()?;
    let mut table = Table::new(&[
        "peer",
        "user",
        ">files",
        "accepts",
        ">sends",
        ">receives",
        "address",
    ]);
    let (mut cursor, mut count) = (None, 0usize);
    loop {
        let page = client.peers(PAGE_SIZE, cursor).await?;
        for peer in page.items {
            count += 1;
            if output.is_json() {
                output.json_event(&json!(peer));
                continue;
            }
            table.row([
                peer.id.to_string(),
                peer.user.to_string(),
                peer.files.to_string(),
                if peer.uploads {
                    "uploads".to_owned()
                } else {
                    String::new()
                },
                rate(peer.sent_rate),
                rate(peer.received_rate),
                peer.addresses
                    .first()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            ]);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    table.print(output);
    if count == 0 {
        output.note("no peer is online; start one with `convite peer`");
    }
    Ok(())
}

/// Formats a rate; zero is empty.
fn rate(bytes: u64) -> String {
    match bytes {
        0 => String::new(),
        bytes => format!("{}/s", display::format_bytes(bytes)),
    }
}

/// Lists the files and folders of the peers online.
pub async fn index(
    context: &Context,
    args: IndexArgs,
    output: &Output,
) -> Result<(), CommandError> {
    let client = context.client()?;
    let (mut cursor, mut count) = (None, 0usize);
    loop {
        let page = client
            .list_index(args.peer.as_ref(), PAGE_SIZE, cursor)
            .await?;
        // One table per page, so that long lists are printed while they are received.
        let mut table = Table::new(&["peer", ">size", "hash", "path", "space", ">files"]);
        for entry in page.items {
            count += 1;
            if output.is_json() {
                output.json_event(&json!(entry));
                continue;
            }
            table.row([
                entry.peer.to_string(),
                display::format_bytes(entry.file.size),
                entry.file.hash.to_string(),
                shown_name(entry.file.path.as_str(), entry.file.kind),
                entry.file.space.map_or_else(String::new, |s| s.to_string()),
                match entry.file.kind {
                    EntryKind::File => String::new(),
                    EntryKind::Folder => format_files(entry.file.files),
                },
            ]);
        }
        table.print(output);
        cursor = page.next_cursor;
        if cursor.is_none() || output.has_failed() {
            break;
        }
    }
    if count == 0 {
        require_online(&client, args.peer.as_ref()).await?;
        output.note("no online peer shares files that you can see");
    }
    Ok(())
}

/// Checks that the given peer is online; called when a list or search by peer found nothing.
///
/// # Errors
/// Returns `not_found` if it is not online.
pub async fn require_online(
    client: &DirectoryClient,
    peer: Option<&PeerId>,
) -> Result<(), Problem> {
    let Some(wanted) = peer else {
        return Ok(());
    };
    let mut cursor = None;
    loop {
        let page = client.peers(PAGE_SIZE, cursor).await?;
        if page.items.iter().any(|peer| peer.id == *wanted) {
            return Ok(());
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Err(Problem::not_found(format!("peer '{wanted}' is not online"))
                .hint("list the peers online with `convite peers`"));
        }
    }
}
