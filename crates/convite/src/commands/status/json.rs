//! The peer in the JSON output of `convite status`.

use convite_wire::convert::some_text;
use convite_wire::v1::SkippedFiles;
use serde_json::{Value, json};

use super::sample::PeerSample;

/// Returns the object of a running peer.
pub fn peer_object(seen: &PeerSample) -> Value {
    let peer = &seen.now;
    let shares = peer.shares.iter().map(|share| {
        json!({
            "name": share.name,
            "folder": share.folder,
            "files": share.files,
            "space": some_text(share.space.clone()),
            "trouble": share.trouble,
            "hint": some_text(share.hint.clone()),
            "skipped": share.skipped.iter().map(skipped_object).collect::<Vec<_>>(),
        })
    });
    let uploads = peer.uploads.iter().zip(&seen.rates).map(|(upload, rate)| {
        json!({
            "name": upload.name,
            "user": upload.user,
            "bytes": upload.bytes,
            "size": upload.size,
            "rate": rate,
        })
    });
    let inbox = peer.inbox.as_ref().map(|inbox| {
        let coming = inbox.coming.iter().map(|file| {
            json!({
                "name": file.name,
                "user": file.user,
                "bytes": file.bytes,
                "size": (file.size > 0).then_some(file.size),
            })
        });
        json!({
            "folder": inbox.folder,
            "used": inbox.used,
            "quota": inbox.quota,
            "coming": coming.collect::<Vec<_>>(),
        })
    });
    let read_failures = peer.read_failures.iter().map(|failure| {
        json!({
            "path": failure.path,
            "message": failure.message,
            "count": failure.count,
            "at": failure.at,
        })
    });
    json!({
        "id": peer.id,
        "url": peer.url,
        "online": peer.online,
        "since": (peer.since > 0).then_some(peer.since),
        "trouble": peer.trouble,
        "hint": some_text(peer.hint.clone()),
        "notes": peer.notes,
        "files": peer.files,
        "bytes": peer.bytes,
        "to_hash": peer.to_hash,
        "unpublished": peer.unpublished,
        "bytes_served": peer.bytes_served,
        "sent_rate": seen.rate.unwrap_or(0),
        "started_at": peer.started_at,
        "shares": shares.collect::<Vec<_>>(),
        "uploads": uploads.collect::<Vec<_>>(),
        "waiting": peer.waiting,
        "inbox": inbox,
        "read_failures": read_failures.collect::<Vec<_>>(),
    })
}

fn skipped_object(skipped: &SkippedFiles) -> Value {
    json!({
        "reason": skipped.reason,
        "count": skipped.count,
        "paths": skipped.paths,
    })
}
