//! Uploads to a peer's inbox over gRPC, with the generated client.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use convite_core::{ContentHash, ErrorCode, PieceGeometry, UnixMillis};
use convite_peer::inbox::{Inbox, InboxConfig};
use convite_wire::status::from_status;
use convite_wire::upload_ticket::UploadTicket;
use convite_wire::v1::{BeginUploadReply, BeginUploadRequest, UploadChunk, UploadFileReply};
use tonic::Status;

use super::grpc::{Client, client, with};
use super::{Peer, contents};

pub(super) const QUOTA: u64 = 8 << 20;
/// The modification time of files sent over gRPC.
const MODIFIED: i64 = 1_600_000_000_123_456_789;

pub(super) async fn peer() -> Peer {
    Peer::with_inbox("ana,@lab", QUOTA).await
}

pub(super) fn inbox(peer: &Peer) -> PathBuf {
    peer.outside().join("inbox")
}

/// Returns the visible files in the inbox, sorted.
pub(super) fn files(peer: &Peer) -> Vec<String> {
    let walk = walk(&inbox(peer));
    let mut files: Vec<_> = walk
        .into_iter()
        .filter(|path| !path.starts_with('.'))
        .collect();
    files.sort();
    files
}

/// Returns the number of unfinished uploads.
pub(super) fn unfinished(peer: &Peer) -> usize {
    let kept = fs::read_dir(inbox(peer).join(".convite-uploads")).unwrap();
    let names = kept.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.ends_with(".done")).count()
}

fn walk(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(walk(&entry.path()).iter().map(|f| format!("{name}/{f}")))
        } else {
            found.push(name)
        }
    }
    found
}

async fn begin(
    client: &mut Client,
    ticket: &str,
    name: &str,
    size: usize,
) -> Result<BeginUploadReply, Status> {
    begin_as(client, ticket, name, size, false).await
}

/// Same as [`begin`], with `anew` as an argument.
async fn begin_as(
    client: &mut Client,
    ticket: &str,
    name: &str,
    size: usize,
    anew: bool,
) -> Result<BeginUploadReply, Status> {
    let request = BeginUploadRequest {
        name: name.to_owned(),
        size: size as u64,
        modified_ns: MODIFIED,
        anew,
    };
    let begun = client.begin_upload(with(request, ticket)).await;
    begun.map(tonic::Response::into_inner)
}

/// Sends `bytes` from `from` on in chunks of `run`, and the hash if there is one.
async fn upload(
    client: &mut Client,
    ticket: &str,
    id: &str,
    bytes: &[u8],
    from: usize,
    hash: Option<ContentHash>,
) -> Result<UploadFileReply, ErrorCode> {
    let mut chunks = Vec::new();
    let mut offset = from as u64;
    for run in bytes[from..].chunks(100_000) {
        chunks.push(UploadChunk {
            offset,
            data: Bytes::copy_from_slice(run),
            hash: Bytes::new(),
        });
        offset += run.len() as u64;
    }
    chunks.extend(hash.map(|hash| UploadChunk {
        hash: Bytes::copy_from_slice(hash.as_bytes()),
        ..UploadChunk::default()
    }));
    let mut request = with(tokio_stream::iter(chunks), ticket);
    let id = id.parse().unwrap();
    request.metadata_mut().insert("convite-upload", id);
    match client.upload_file(request).await {
        Ok(reply) => Ok(reply.into_inner()),
        Err(status) => Err(from_status(&status).code),
    }
}

#[tokio::test]
async fn interrupted_upload_resumes() {
    let peer = peer().await;
    let ana = peer.upload_ticket("ana", &[]);
    let mut client = client(&peer).await;
    let bytes = contents(5_000_000);
    let hash = ContentHash::of(&bytes);
    let piece = PieceGeometry::new(5_000_000).unwrap().piece_size() as usize;
    let begun = begin(&mut client, &ana, "film.mkv", bytes.len())
        .await
        .unwrap();
    assert!(begun.piece_hashes.is_empty());
    let id = begun.upload;
    let broke_off = upload(&mut client, &ana, &id, &bytes[..3_000_000], 0, None).await;
    assert_eq!(broke_off.unwrap_err(), ErrorCode::Unavailable);
    assert_eq!((files(&peer).len(), unfinished(&peer)), (0, 1));

    let begun = begin_when_free(&mut client, &ana, "film.mkv", bytes.len()).await;
    assert_eq!(begun.upload, id);
    let held = begun.piece_hashes.len() / 32;
    assert!((10..=3_000_000 / piece).contains(&held), "{held}");
    // Data that was damaged on disk is not used.
    let kept = inbox(&peer)
        .join(".convite-uploads")
        .join(&id)
        .join("contents");
    let mut rotten = fs::read(&kept).unwrap();
    rotten[4 * piece + 7] ^= 1;
    fs::write(&kept, rotten).unwrap();
    let begun = begin(&mut client, &ana, "film.mkv", bytes.len())
        .await
        .unwrap();
    assert_eq!(begun.piece_hashes.len() / 32, 4);
    // Not beyond that, not within a piece, and not from another account.
    for from in [5 * piece, piece + 1] {
        let refused = upload(&mut client, &ana, &id, &bytes, from, Some(hash)).await;
        assert_eq!(refused.unwrap_err(), ErrorCode::InvalidArgument);
    }
    let bob = peer.upload_ticket("bob", &["lab"]);
    let refused = upload(&mut client, &bob, &id, &bytes, 0, Some(hash)).await;
    assert_eq!(refused.unwrap_err(), ErrorCode::NotFound);

    let reply = upload(&mut client, &ana, &id, &bytes, 4 * piece, Some(hash)).await;
    let reply = reply.unwrap();
    assert_eq!(reply.path, "inbox/ana/film.mkv");
    assert_eq!(
        (reply.size, &*reply.hash),
        (5_000_000, &hash.as_bytes()[..])
    );
    let there = inbox(&peer).join("ana/film.mkv");
    assert!(fs::read(&there).unwrap() == bytes);
    let modified = there.metadata().unwrap().modified().unwrap();
    let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(since.as_secs(), 1_600_000_000);
    assert_eq!(unfinished(&peer), 0);
    assert_eq!(peer.state.files.catalogue.by_hash(&hash).len(), 1);
}

#[tokio::test]
async fn upload_with_a_wrong_hash_is_refused() {
    let peer = peer().await;
    let ana = peer.upload_ticket("ana", &[]);
    let mut client = client(&peer).await;
    let bytes = contents(400_000);
    let hash = ContentHash::of(&bytes);
    let piece = PieceGeometry::new(400_000).unwrap().piece_size() as usize;
    // All but the last piece, so that their hashes are stored.
    let kept = 6 * piece;
    let begun = begin(&mut client, &ana, "x", bytes.len()).await.unwrap();
    let id = begun.upload;
    let broke_off = upload(&mut client, &ana, &id, &bytes[..kept + 1], 0, None).await;
    assert_eq!(broke_off.unwrap_err(), ErrorCode::Unavailable);
    let begun = begin_when_free(&mut client, &ana, "x", bytes.len()).await;
    let held = begun.piece_hashes.len() / 32 * piece;
    assert!(held >= piece);
    // Other bytes replace them, followed by the rest, as if the pieces were unchanged.
    let mut other = bytes.clone();
    other[7] ^= 1;
    let broke_off = upload(&mut client, &ana, &id, &other[..held], 0, None).await;
    assert_eq!(broke_off.unwrap_err(), ErrorCode::Unavailable);
    let refused = loop {
        match upload(&mut client, &ana, &id, &bytes, held, Some(hash)).await {
            Err(ErrorCode::Unavailable) => tokio::task::yield_now().await,
            other => break other.map(|reply| reply.path),
        }
    };
    assert_eq!(refused, Err(ErrorCode::NotFound));
    assert_eq!(peer.state.files.catalogue.by_hash(&hash).len(), 0);
    assert_eq!(files(&peer), [""; 0]);
    // After a new `begin`, the upload resumes with the pieces that are on disk now.
    let begun = begin_when_free(&mut client, &ana, "x", bytes.len()).await;
    let held = begun.piece_hashes.len() / 32 * piece;
    let refused = upload(&mut client, &ana, &id, &bytes, held, Some(hash)).await;
    match held {
        0 => assert_eq!(refused.unwrap().size, 400_000),
        _ => assert_eq!(refused.unwrap_err(), ErrorCode::CorruptContents),
    }
}

/// Calls [`begin`] once the previous stream has ended.
async fn begin_when_free(
    client: &mut Client,
    ticket: &str,
    name: &str,
    size: usize,
) -> BeginUploadReply {
    loop {
        match begin(client, ticket, name, size).await {
            Ok(begun) => return begun,
            Err(status) => assert_eq!(from_status(&status).code, ErrorCode::Unavailable),
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn upload_with_a_lost_reply_is_stored_once() {
    let peer = peer().await;
    let ana = peer.upload_ticket("ana", &[]);
    let mut client = client(&peer).await;
    let bytes = contents(300_000);
    let hash = ContentHash::of(&bytes);
    let mut sent = None;
    for kept in ["inbox/ana/x", "inbox/ana/x (1)"] {
        let begun = begin_as(&mut client, &ana, "x", bytes.len(), sent.is_some()).await;
        let id = begun.unwrap().upload;
        let reply = upload(&mut client, &ana, &id, &bytes, 0, Some(hash)).await;
        let reply = reply.unwrap();
        assert_eq!(reply.path, kept);
        let again = begin(&mut client, &ana, "x", bytes.len()).await.unwrap();
        assert_eq!(
            (again.done.as_ref(), again.piece_hashes.len()),
            (Some(&reply), 0)
        );
        let refused = upload(&mut client, &ana, &id, &bytes, 0, Some(hash)).await;
        assert_eq!(refused.unwrap_err(), ErrorCode::NotFound);
        sent = Some((id, reply));
    }
    let (id, reply) = sent.unwrap();
    assert_eq!((files(&peer).len(), unfinished(&peer)), (2, 0));
    // Other accounts do not get the result.
    let bob = peer.upload_ticket("bob", &["lab"]);
    let begun = begin(&mut client, &bob, "x", bytes.len()).await.unwrap();
    assert_eq!(begun.done, None);

    // The same holds if the peer was killed just after the file got its name.
    let left = inbox(&peer).join(".convite-uploads").join(&id);
    fs::create_dir(&left).unwrap();
    let about = format!(
        r#"{{"user":"ana","name":"x","size":{},"modified_ns":{MODIFIED}}}"#,
        bytes.len()
    );
    fs::write(left.join("about"), about).unwrap();
    fs::write(left.join("hashes"), [0; 64]).unwrap();
    let config = InboxConfig {
        folder: inbox(&peer),
        quota: QUOTA,
    };
    let allowed = "ana".parse().unwrap();
    let owner = peer.state.inbox_owner(peer.cache.clone());
    let reopened = Inbox::open(config, allowed, owner).unwrap();
    assert!(!left.exists());
    let ticket = UploadTicket {
        user: "ana".parse().unwrap(),
        spaces: Vec::new(),
        peer: "peer_1".parse().unwrap(),
        expires: UnixMillis::from(SystemTime::now()).after(Duration::from_secs(300)),
    };
    let begin = || reopened.begin(&ticket, "x", bytes.len() as u64, MODIFIED, false);
    let done = begin().unwrap().done.unwrap();
    assert_eq!(
        (done.path, done.hash, done.size),
        (reply.path, hash, 300_000)
    );
    // A file that the owner removed or changed can be uploaded again.
    fs::write(inbox(&peer).join("ana/x (1)"), &bytes).unwrap();
    assert_eq!(begin().unwrap().done, None);
}

#[tokio::test]
async fn false_sender_leaves_nothing() {
    let peer = peer().await;
    let ana = peer.upload_ticket("ana", &[]);
    let mut client = client(&peer).await;
    let bytes = contents(300_000);
    let hash = ContentHash::of(&bytes);
    let id = begin(&mut client, &ana, "x", bytes.len())
        .await
        .unwrap()
        .upload;
    let mut changed = bytes.clone();
    changed[200_000] ^= 1;
    let refused = upload(&mut client, &ana, &id, &changed, 0, Some(hash)).await;
    assert_eq!(refused.unwrap_err(), ErrorCode::CorruptContents);
    assert_eq!((files(&peer).len(), unfinished(&peer)), (0, 0));

    // More, and then fewer, bytes than announced.
    let id = begin(&mut client, &ana, "x", 200_000).await.unwrap().upload;
    let refused = upload(&mut client, &ana, &id, &bytes, 0, Some(hash)).await;
    assert_eq!(refused.unwrap_err(), ErrorCode::InvalidArgument);
    let id = begin(&mut client, &ana, "x", 400_000).await.unwrap().upload;
    let refused = upload(&mut client, &ana, &id, &bytes, 0, Some(hash)).await;
    assert_eq!(refused.unwrap_err(), ErrorCode::Unavailable);
    assert_eq!(files(&peer).len(), 0);

    // The announced size counts before the bytes arrive.
    let refused = begin(&mut client, &ana, "big", QUOTA as usize).await;
    assert_eq!(from_status(&refused.unwrap_err()).code, ErrorCode::TooLarge);
    for id in ["../../x", "", "0123456789abcdef0123456789abcdef"] {
        let refused = upload(&mut client, &ana, id, &bytes, 0, Some(hash)).await;
        assert_eq!(refused.unwrap_err(), ErrorCode::NotFound, "{id}");
    }
    let bob = peer.upload_ticket("bob", &[]);
    let refused = begin(&mut client, &bob, "x", 1).await.unwrap_err();
    assert_eq!(from_status(&refused).code, ErrorCode::PermissionDenied);
    let empty = begin(&mut client, &ana, "empty", 0).await.unwrap().upload;
    let none = ContentHash::of(b"");
    let reply = upload(&mut client, &ana, &empty, &[], 0, Some(none)).await;
    assert_eq!(reply.unwrap().path, "inbox/ana/empty");
}

#[tokio::test]
async fn same_upload_runs_once() {
    let peer = peer().await;
    let ana = peer.upload_ticket("ana", &[]);
    let mut first = client(&peer).await;
    let id = begin(&mut first, &ana, "x", 200_000).await.unwrap().upload;
    let (chunks, stream) = tokio::sync::mpsc::channel(1);
    let mut request = with(tokio_stream::wrappers::ReceiverStream::new(stream), &ana);
    request
        .metadata_mut()
        .insert("convite-upload", id.parse().unwrap());
    let sending = tokio::spawn(async move { first.upload_file(request).await });
    let chunk = |offset| UploadChunk {
        offset,
        data: Bytes::from(vec![1; 100_000]),
        hash: Bytes::new(),
    };
    chunks.send(chunk(0)).await.unwrap();
    // The second upload is refused as soon as the first has begun.
    let mut second = client(&peer).await;
    let refused = async {
        loop {
            match begin(&mut second, &ana, "x", 200_000).await {
                Ok(_) => tokio::task::yield_now().await,
                Err(status) => break from_status(&status).code,
            }
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(60), refused).await;
    assert_eq!(refused, Ok(ErrorCode::Unavailable));
    // The owner sees the upload in progress.
    let coming = || peer.state.status().inbox.unwrap().coming;
    assert_eq!(
        (coming()[0].name.as_str(), coming()[0].user.as_str()),
        ("x", "ana")
    );
    assert_eq!(coming()[0].size, 200_000);
    chunks.send(chunk(100_000)).await.unwrap();
    let hash = ContentHash::of(&vec![1; 200_000]);
    let end = UploadChunk {
        hash: Bytes::copy_from_slice(hash.as_bytes()),
        ..UploadChunk::default()
    };
    chunks.send(end).await.unwrap();
    drop(chunks);
    assert_eq!(sending.await.unwrap().unwrap().into_inner().size, 200_000);
    assert_eq!(coming(), []);
    assert!(peer.state.status().inbox.unwrap().used >= 200_000);
}
