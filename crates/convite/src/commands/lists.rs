//! `convite peers` and `convite index`: everything the directory lists, page by page.

use convite_client::DirectoryClient;
use convite_core::{PeerId, Problem, display};
use serde_json::json;

use crate::cli::IndexArgs;
use crate::context::Context;
use crate::exit::Failed;
use crate::output::{Output, Table};

/// Items asked for at once.
const PAGE: u32 = 1_000;

/// Lists the peers online.
pub async fn peers(context: &Context, output: &Output) -> Result<(), Failed> {
    let client = context.client()?;
    let mut table = Table::new(&[
        "peer",
        "user",
        ">files",
        "takes",
        ">sends",
        ">receives",
        "address",
    ]);
    let (mut cursor, mut count) = (None, 0usize);
    loop {
        let page = client.peers(PAGE, cursor).await?;
        for peer in page.items {
            count += 1;
            if output.is_json() {
                output.event(&json!(peer));
                continue;
            }
            table.row([
                peer.id.to_string(),
                peer.user.to_string(),
                peer.files.to_string(),
                match peer.uploads {
                    true => "uploads".to_owned(),
                    false => String::new(),
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
        output.note("nobody is online: share something with `convite peer ID PORT DIR`");
    }
    Ok(())
}

/// A rate for people; nothing for none.
fn rate(bytes: u64) -> String {
    match bytes {
        0 => String::new(),
        bytes => format!("{}/s", display::bytes(bytes)),
    }
}

/// Lists the files of the peers online.
pub async fn index(context: &Context, args: IndexArgs, output: &Output) -> Result<(), Failed> {
    let client = context.client()?;
    let (mut cursor, mut count) = (None, 0usize);
    loop {
        let page = client.list_index(args.peer.as_ref(), PAGE, cursor).await?;
        // A table a page, so that a million files are printed as they come.
        let mut table = Table::new(&["peer", ">size", "hash", "path", "space"]);
        for entry in page.items {
            count += 1;
            if output.is_json() {
                output.event(&json!(entry));
                continue;
            }
            table.row([
                entry.peer.to_string(),
                display::bytes(entry.file.size),
                entry.file.hash.to_string(),
                entry.file.path.to_string(),
                entry.file.space.map_or_else(String::new, |s| s.to_string()),
            ]);
        }
        table.print(output);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    if count == 0 {
        must_be_online(&client, args.peer.as_ref()).await?;
        output.note("no files are shared just now");
    }
    Ok(())
}

/// Looks whether the peer that was named is on the list, where nothing was found.
///
/// # Errors
/// `not_found` if it is not.
pub async fn must_be_online(
    client: &DirectoryClient,
    peer: Option<&PeerId>,
) -> Result<(), Problem> {
    let Some(wanted) = peer else {
        return Ok(());
    };
    let mut cursor = None;
    loop {
        let page = client.peers(PAGE, cursor).await?;
        if page.items.iter().any(|peer| peer.id == *wanted) {
            return Ok(());
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Err(
                Problem::not_found(format!("there is no peer '{wanted}' online"))
                    .hint("see who is with `convite peers`"),
            );
        }
    }
}
