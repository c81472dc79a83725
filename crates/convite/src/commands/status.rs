//! `convite status`: who this home is, and what its peer is doing.

use convite_core::display;
use convite_wire::v1::StatusReply;
use serde_json::json;

use crate::context::Context;
use crate::control::Control;
use crate::exit::Failed;
use crate::output::Output;

/// Prints both.
pub async fn run(context: &Context, output: &Output) -> Result<(), Failed> {
    let credentials = context.joined()?;
    let peer = match Control::connect(&context.home, Some(credentials)).await? {
        Some(mut control) => Some(control.status().await?),
        None => None,
    };
    if output.is_json() {
        output.event(&json!({
            "home": context.home.root(),
            "directory": credentials.addresses,
            "user": credentials.user,
            "logged_in": credentials.token.is_some(),
            "peer": peer.as_ref().map(peer_object),
        }));
        return Ok(());
    }
    let user = match (&credentials.user, &credentials.token) {
        (Some(user), Some(_)) => user.to_string(),
        (Some(user), None) => format!("{user}, logged out"),
        (None, _) => "nobody".to_owned(),
    };
    let directory = credentials.addresses.first();
    let directory = directory.map(ToString::to_string).unwrap_or_default();
    output.line(&format!("home       {}", context.home.root().display()));
    output.line(&format!("directory  {directory}"));
    output.line(&format!("user       {user}"));
    match peer {
        None => output.line("peer       not running (start one with `convite peer`)"),
        Some(peer) => print_peer(&peer, output),
    }
    Ok(())
}

fn print_peer(peer: &StatusReply, output: &Output) {
    let online = match (peer.online, peer.trouble.is_empty()) {
        (true, _) => "online".to_owned(),
        (false, true) => "not listed yet".to_owned(),
        (false, false) => format!("not listed: {}", display::escape(&peer.trouble)),
    };
    output.line(&format!("peer       {} at {}, {online}", peer.id, peer.url));
    let hashing = match peer.to_hash {
        0 => String::new(),
        left => format!(", {left} still to be hashed"),
    };
    output.line(&format!(
        "shares     {} files, {}{hashing}",
        peer.files,
        display::bytes(peer.bytes)
    ));
    for share in &peer.shares {
        let trouble = match share.trouble.is_empty() {
            true => String::new(),
            false => format!(" ({})", display::escape(&share.trouble)),
        };
        let (name, folder) = (display::escape(&share.name), display::escape(&share.folder));
        output.line(&format!(
            "  {name}: {} files in {folder}{trouble}",
            share.files
        ));
    }
    output.line(&format!("served     {}", display::bytes(peer.bytes_served)));
    if peer.waiting > 0 {
        output.line(&format!("waiting    {} downloads", peer.waiting));
    }
    for upload in &peer.uploads {
        output.line(&format!(
            "  sending {} to {} ({} so far)",
            display::escape(&upload.name),
            display::escape(&upload.user),
            display::bytes(upload.bytes)
        ));
    }
}

fn peer_object(peer: &StatusReply) -> serde_json::Value {
    let shares = peer.shares.iter().map(|share| {
        json!({
            "name": share.name,
            "folder": share.folder,
            "files": share.files,
            "trouble": share.trouble,
        })
    });
    let uploads = peer
        .uploads
        .iter()
        .map(|upload| json!({"name": upload.name, "user": upload.user, "bytes": upload.bytes}));
    json!({
        "id": peer.id,
        "url": peer.url,
        "online": peer.online,
        "trouble": peer.trouble,
        "files": peer.files,
        "bytes": peer.bytes,
        "to_hash": peer.to_hash,
        "bytes_served": peer.bytes_served,
        "started_at": peer.started_at,
        "shares": shares.collect::<Vec<_>>(),
        "uploads": uploads.collect::<Vec<_>>(),
        "waiting": peer.waiting,
    })
}
