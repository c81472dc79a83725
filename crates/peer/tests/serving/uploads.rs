//! Files left in a peer's inbox: as a form over HTTP, and over gRPC by the stock generated client.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use convite_core::{ContentHash, ErrorCode, PieceGeometry, UnixMillis};
use convite_peer::inbox::{Inbox, InboxConfig};
use convite_wire::status::from_status;
use convite_wire::upload_ticket::UploadTicket;
use convite_wire::v1::{BeginUploadReply, BeginUploadRequest, UploadChunk, UploadFileReply};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tonic::Status;

use super::grpc::{Client, client, with};
use super::http::{body, code};
use super::{Peer, contents};

const QUOTA: u64 = 8 << 20;
/// When the files were modified that are sent over gRPC.
const MODIFIED: i64 = 1_600_000_000_123_456_789;

async fn peer() -> Peer {
    Peer::with_inbox("ana,@lab", QUOTA).await
}

fn inbox(peer: &Peer) -> PathBuf {
    peer.outside().join("inbox")
}

/// What is in the inbox for all to see, sorted.
fn files(peer: &Peer) -> Vec<String> {
    let walk = walk(&inbox(peer));
    let mut files: Vec<_> = walk
        .into_iter()
        .filter(|path| !path.starts_with('.'))
        .collect();
    files.sort();
    files
}

/// What is kept of uploads that did not come to an end.
fn unfinished(peer: &Peer) -> usize {
    let kept = fs::read_dir(inbox(peer).join(".convite-uploads")).unwrap();
    let names = kept.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.ends_with(".done")).count()
}

fn walk(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(walk(&entry.path()).iter().map(|f| format!("{name}/{f}"))),
            false => found.push(name),
        }
    }
    found
}

fn part(head: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!("--b\r\ncontent-disposition: form-data; {head}\r\n\r\n");
    [head.as_bytes(), bytes, b"\r\n"].concat()
}

fn file(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut form = part(&format!("name=\"file\"; filename=\"{name}\""), bytes);
    form.extend_from_slice(b"--b--\r\n");
    form
}

async fn post(peer: &Peer, ticket: &str, form: Vec<u8>) -> Response<Incoming> {
    let request = Request::post(format!("/upload?ticket={ticket}"))
        .header("host", peer.address.to_string())
        .header("content-type", "multipart/form-data; boundary=b")
        .body(Full::new(Bytes::from(form)))
        .unwrap();
    convite_net::dial::http1_request(&peer.address, None, request)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_form_is_kept_under_a_harmless_name_replaces_nothing_and_is_served() {
    let peer = peer().await;
    let ana = peer.upload_ticket("ana", &[]);
    let bytes = contents(3_000_000);
    for (name, kept) in [
        ("x.txt", "x.txt"),
        ("x.txt", "x (1).txt"),
        ("../../x.txt", "_.._.._x.txt"),
        (".bashrc", "_.bashrc"),
        ("C:\\\\aux", "C___aux"),
    ] {
        let answer = post(&peer, &ana, file(name, &bytes[..100_000])).await;
        assert_eq!(answer.status(), 200, "{name}");
        let answer: serde_json::Value = serde_json::from_slice(&body(answer).await).unwrap();
        let got = &answer["files"][0];
        assert_eq!(got["path"], format!("inbox/ana/{kept}"));
        assert_eq!(got["hash"], ContentHash::of(&bytes[..100_000]).to_string());
        let there = inbox(&peer).join("ana").join(kept);
        assert!(fs::read(there).unwrap() == bytes[..100_000]);
    }
    // Larger than a form may be elsewhere, and served at once, as it was never hashed again.
    assert_eq!(post(&peer, &ana, file("big", &bytes)).await.status(), 200);
    let hash = ContentHash::of(&bytes);
    assert_eq!(peer.state.catalogue.by_hash(&hash).len(), 1);
    let path = format!("/files/{hash}");
    let answer = super::http::send(&peer, "GET", &path, Some(&peer.ticket(hash)), &[]).await;
    assert!(body(answer).await == bytes);
    assert_eq!((files(&peer).len(), unfinished(&peer)), (6, 0));
}

#[tokio::test]
async fn what_is_not_allowed_leaves_nothing() {
    let peer = peer().await;
    let ana = peer.upload_ticket("ana", &[]);
    let form = || file("x", b"contents");
    let wrong = {
        let hash = ContentHash::of(b"other").to_string();
        [part("name=\"hash\"", hash.as_bytes()), form()].concat()
    };
    let torn = file("x", &[b'x'; 200_000])[..100_000].to_vec();
    let torn_at_its_end = form()[..form().len() - 6].to_vec();
    let read = peer.ticket(ContentHash::of(b"x"));
    let bob = peer.upload_ticket("bob", &["others"]);
    let too_much = contents(QUOTA as usize + 1);
    for (who, form, want) in [
        (&read, form(), (403, "ticket_invalid")),
        (&bob, form(), (403, "permission_denied")),
        (&ana, file("x", &too_much), (413, "too_large")),
        (&ana, wrong, (502, "corrupt_contents")),
        (&ana, torn, (400, "invalid_argument")),
        (&ana, torn_at_its_end, (400, "invalid_argument")),
        (&ana, part("name=\"else\"", b"x"), (400, "invalid_argument")),
    ] {
        let answer = post(&peer, who, form).await;
        assert_eq!(code(answer).await, (want.0, want.1.to_owned()));
        assert_eq!(files(&peer), [""; 0], "{want:?}");
        assert_eq!(unfinished(&peer), 0, "{want:?}");
    }
    // The quota is free again, and each account has its own.
    let most = file("big", &contents(QUOTA as usize - 100));
    let bob = peer.upload_ticket("bob", &["lab"]);
    for user in [&ana, &bob] {
        assert_eq!(post(&peer, user, most.clone()).await.status(), 200);
        let answer = post(&peer, user, file("x", &[0; 200])).await;
        assert_eq!(code(answer).await, (413, "too_large".to_owned()));
    }
    // Whoever owns the inbox makes room by removing files.
    fs::remove_file(inbox(&peer).join("ana/big")).unwrap();
    assert_eq!(post(&peer, &ana, form()).await.status(), 200);

    let closed = Peer::start(8).await;
    let answer = post(&closed, &closed.upload_ticket("ana", &[]), form()).await;
    assert_eq!(code(answer).await, (403, "permission_denied".to_owned()));
}

#[tokio::test]
async fn a_form_holds_no_more_than_a_thousand_files() {
    let peer = peer().await;
    let ana = peer.upload_ticket("ana", &[]);
    let one = |number: usize| part(&format!("name=\"file\"; filename=\"{number}\""), b"");
    let mut form: Vec<u8> = (0..=1000).flat_map(one).collect();
    form.extend_from_slice(b"--b--\r\n");
    let answer = post(&peer, &ana, form).await;
    assert_eq!(code(answer).await, (413, "too_large".to_owned()));
    assert_eq!((files(&peer).len(), unfinished(&peer)), (1000, 0));
}

async fn begin(
    client: &mut Client,
    ticket: &str,
    name: &str,
    size: usize,
) -> Result<BeginUploadReply, Status> {
    begin_as(client, ticket, name, size, false).await
}

/// [`begin`], or `anew`.
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
async fn an_upload_that_broke_off_goes_on_where_it_was() {
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
    // Of what rotted on the disk nothing is believed.
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
    // Not farther than that, not within a piece, not by another.
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
    assert_eq!(peer.state.catalogue.by_hash(&hash).len(), 1);
}

#[tokio::test]
async fn nothing_is_published_under_a_hash_that_it_is_not() {
    let peer = peer().await;
    let ana = peer.upload_ticket("ana", &[]);
    let mut client = client(&peer).await;
    let bytes = contents(400_000);
    let hash = ContentHash::of(&bytes);
    let piece = PieceGeometry::new(400_000).unwrap().piece_size() as usize;
    // All but the last piece, so that their hashes are known.
    let kept = 6 * piece;
    let begun = begin(&mut client, &ana, "x", bytes.len()).await.unwrap();
    let id = begun.upload;
    let broke_off = upload(&mut client, &ana, &id, &bytes[..kept + 1], 0, None).await;
    assert_eq!(broke_off.unwrap_err(), ErrorCode::Unavailable);
    let begun = begin_when_free(&mut client, &ana, "x", bytes.len()).await;
    let held = begun.piece_hashes.len() / 32 * piece;
    assert!(held >= piece);
    // Other bytes in their place, and then the rest, as if they were what they had been.
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
    assert_eq!(peer.state.catalogue.by_hash(&hash).len(), 0);
    assert_eq!(files(&peer), [""; 0]);
    // Whoever begins anew goes on with what is there now.
    let begun = begin_when_free(&mut client, &ana, "x", bytes.len()).await;
    let held = begun.piece_hashes.len() / 32 * piece;
    let refused = upload(&mut client, &ana, &id, &bytes, held, Some(hash)).await;
    match held {
        0 => assert_eq!(refused.unwrap().size, 400_000),
        _ => assert_eq!(refused.unwrap_err(), ErrorCode::CorruptContents),
    }
}

/// [`begin`], once what is left of the stream before it is done.
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
async fn an_upload_whose_answer_was_lost_is_not_taken_in_twice() {
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
    // It is nobody else's.
    let bob = peer.upload_ticket("bob", &["lab"]);
    let begun = begin(&mut client, &bob, "x", bytes.len()).await.unwrap();
    assert_eq!(begun.done, None);

    // Nor after the peer was killed when the file had just got its name.
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
    let reopened = Inbox::open(config, allowed, peer.state.clone(), peer.cache.clone()).unwrap();
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
    // What its owner has removed, or changed, may come again.
    fs::write(inbox(&peer).join("ana/x (1)"), &bytes).unwrap();
    assert_eq!(begin().unwrap().done, None);
}

#[tokio::test]
async fn a_sender_that_lies_leaves_nothing() {
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

    // More than was told, less than was told.
    let id = begin(&mut client, &ana, "x", 200_000).await.unwrap().upload;
    let refused = upload(&mut client, &ana, &id, &bytes, 0, Some(hash)).await;
    assert_eq!(refused.unwrap_err(), ErrorCode::InvalidArgument);
    let id = begin(&mut client, &ana, "x", 400_000).await.unwrap().upload;
    let refused = upload(&mut client, &ana, &id, &bytes, 0, Some(hash)).await;
    assert_eq!(refused.unwrap_err(), ErrorCode::Unavailable);
    assert_eq!(files(&peer).len(), 0);

    // What is promised counts, before it comes.
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
async fn the_same_upload_is_not_under_way_twice() {
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
    // The second one is refused from the moment on that the first has begun.
    let mut second = client(&peer).await;
    let refused = async {
        loop {
            match begin(&mut second, &ana, "x", 200_000).await {
                Ok(_) => tokio::task::yield_now().await,
                Err(status) => break from_status(&status).code,
            }
        }
    };
    let refused = tokio::time::timeout(Duration::from_secs(20), refused).await;
    assert_eq!(refused, Ok(ErrorCode::Unavailable));
    // Its owner sees it come.
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
