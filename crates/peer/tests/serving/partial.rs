//! Partial files, and the availability stream.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use convite_core::verify::hash_piece;
use convite_core::{ContentHash, ErrorCode, PieceGeometry, PieceHashes};
use convite_peer::sharing::partial_files::{PartialFile, PartialHandle};
use convite_swarm::PieceSet;
use convite_wire::status::from_status;
use convite_wire::v1::{AvailabilityReply, AvailabilityRequest, GetPiecesRequest};
use tonic::Streaming;

use super::grpc::{Client, asking, client, collect, with};
use super::http::{body, code, header, send};
use super::{Peer, contents};

const PIECE: usize = 64 << 10;

/// A download of `bytes` without any piece yet.
pub(crate) struct Fetching {
    bytes: Vec<u8>,
    pub(crate) hash: ContentHash,
    geometry: PieceGeometry,
    file: File,
    pub(crate) handle: PartialHandle,
}

impl Fetching {
    /// A download of a content that everyone may see.
    fn new(peer: &Peer, bytes: Vec<u8>) -> Self {
        let fetching = Self::unlisted(peer, bytes);
        fetching.handle.audience_setter().set(Vec::new());
        fetching
    }

    /// A download that the directory does not list yet.
    pub(crate) fn unlisted(peer: &Peer, bytes: Vec<u8>) -> Self {
        let geometry = PieceGeometry::new(bytes.len() as u64).unwrap();
        let pieces = bytes.chunks(geometry.piece_size() as usize).zip(0..);
        let hashes = pieces.map(|(piece, index)| hash_piece(&geometry, index, piece));
        let hashes = Arc::new(PieceHashes::fold(geometry, hashes.collect()).unwrap());
        let file = tempfile::tempfile().unwrap();
        file.set_len(bytes.len() as u64).unwrap();
        let handle = peer.state.files.partial_files.insert(PartialFile {
            hash: hashes.content(),
            geometry,
            hashes: hashes.clone(),
            file: Arc::new(file.try_clone().unwrap()),
            name: "film.mkv".to_owned(),
        });
        Self {
            bytes,
            hash: hashes.content(),
            geometry,
            file,
            handle,
        }
    }

    pub(crate) fn fetch(&self, index: u32) {
        let range = self.geometry.piece_range(index);
        let piece = &self.bytes[range.start as usize..range.end as usize];
        self.file.write_all_at(piece, range.start).unwrap();
        self.handle.add(index);
    }
}

async fn subscribe(
    client: &mut Client,
    peer: &Peer,
    hash: ContentHash,
) -> Streaming<AvailabilityReply> {
    let request = AvailabilityRequest {
        hash: Bytes::copy_from_slice(hash.as_bytes()),
    };
    let request = with(request, &peer.ticket());
    client.availability(request).await.unwrap().into_inner()
}

/// Returns the next message; `None` if the stream ended.
pub(crate) async fn next(stream: &mut Streaming<AvailabilityReply>) -> Option<AvailabilityReply> {
    tokio::time::timeout(Duration::from_secs(60), stream.message())
        .await
        .expect("no message arrived")
        .unwrap()
}

#[tokio::test]
async fn partial_file_serves_only_its_pieces() {
    let peer = Peer::start(8).await;
    let fetching = Fetching::new(&peer, contents(5 * PIECE + 77));
    for index in [0, 1, 3, 5] {
        fetching.fetch(index);
    }
    let (hash, size) = (fetching.hash, fetching.bytes.len());
    let mut client = client(&peer).await;
    let ticket = peer.ticket();
    let piece = PIECE as u64;
    for (ranges, want) in [
        (vec![(0, 2 * piece)], 0..2 * PIECE),
        (vec![(piece + 5, 9)], PIECE + 5..PIECE + 14),
        (vec![(5 * piece, 0)], 5 * PIECE..size),
        (vec![(3 * piece, piece)], 3 * PIECE..4 * PIECE),
    ] {
        let request = with(asking(hash, &ranges), &ticket);
        let stream = client.download_file(request).await.unwrap().into_inner();
        let chunks = collect(stream).await.unwrap();
        let got: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.1.to_vec()).collect();
        assert!(got == fetching.bytes[want], "{ranges:?}");
    }
    for ranges in [
        vec![],
        vec![(0, 2 * piece + 1)],
        vec![(0, 1), (2 * piece, 1)],
        vec![(5 * piece - 1, 0)],
        vec![(6 * piece, 1)],
    ] {
        let request = with(asking(hash, &ranges), &ticket);
        let status = client.download_file(request).await.unwrap_err();
        let problem = from_status(&status);
        assert_eq!(problem.code, ErrorCode::RangeNotSatisfiable, "{ranges:?}");
        assert!(problem.hint.is_some());
    }
    let request = GetPiecesRequest {
        hash: Bytes::copy_from_slice(hash.as_bytes()),
    };
    let reply = client.get_pieces(with(request, &ticket)).await.unwrap();
    let hashes = reply.get_ref().piece_hashes.as_chunks::<32>().0.to_vec();
    assert!(PieceHashes::verify(fetching.geometry, hash, hashes).is_ok());

    drop(fetching);
    let request = with(asking(hash, &[(0, 1)]), &ticket);
    let status = client.download_file(request).await.unwrap_err();
    assert_eq!(from_status(&status).code, ErrorCode::NotFound);
}

#[tokio::test]
async fn http_serves_only_available_ranges_of_a_partial_file() {
    let peer = Peer::start(8).await;
    let fetching = Fetching::new(&peer, contents(2 * PIECE + 1));
    fetching.fetch(1);
    let (path, ticket) = (format!("/files/{}", fetching.hash), peer.ticket());
    let inside = format!("bytes={PIECE}-{}", 2 * PIECE - 1);
    for method in ["GET", "HEAD"] {
        for headers in [vec![], vec![("range", "bytes=0-9")]] {
            let response = send(&peer, method, &path, Some(&ticket), &headers).await;
            assert_eq!(response.status(), 416, "{method} {headers:?}");
            let size = format!("bytes */{}", 2 * PIECE + 1);
            assert_eq!(header(&response, "content-range"), size);
            if method == "GET" {
                let want = (416, "range_not_satisfiable".to_owned());
                assert_eq!(code(response).await, want);
            }
        }
        let headers = [("range", inside.as_str())];
        let response = send(&peer, method, &path, Some(&ticket), &headers).await;
        assert_eq!(response.status(), 206, "{method}");
        assert_eq!(header(&response, "content-length"), PIECE.to_string());
        assert!(header(&response, "content-disposition").contains("film.mkv"));
        if method == "GET" {
            assert!(body(response).await == fetching.bytes[PIECE..2 * PIECE]);
        }
    }
    fetching.fetch(0);
    fetching.fetch(2);
    let response = send(&peer, "GET", &path, Some(&ticket), &[]).await;
    assert!(body(response).await == fetching.bytes);
}

#[tokio::test]
async fn subscriber_of_a_complete_file_gets_promises() {
    let peer = Peer::start(8).await;
    let hash = peer.write("f", &contents(3 * PIECE + 5));
    peer.scan().await;
    let mut client = client(&peer).await;
    let download = async |ranges: &[(u64, u64)]| {
        let mut client = super::grpc::client(&peer).await;
        let request = with(asking(hash, ranges), &peer.ticket());
        let stream = client.download_file(request).await.unwrap().into_inner();
        collect(stream).await.unwrap();
    };
    let piece = PIECE as u64;
    download(&[(piece, piece), (2 * piece, 5)]).await;
    let mut early = subscribe(&mut client, &peer, hash).await;
    let first = next(&mut early).await.unwrap();
    assert!(first.whole && first.held.is_empty() && first.pieces.is_empty());
    assert_eq!((first.handed_out, first.waiting), (vec![1], 0));
    download(&[(piece - 1, 0)]).await;
    let update = next(&mut early).await.unwrap();
    assert_eq!((update.whole, update.handed_out), (false, vec![1, 2, 3]));
    let mut late = subscribe(&mut client, &peer, hash).await;
    assert_eq!(next(&mut late).await.unwrap().handed_out, [1, 2, 3]);
    std::fs::remove_file(peer.file("f")).unwrap();
    peer.scan().await;
    assert!(next(&mut early).await.is_none() && next(&mut late).await.is_none());
    let absent = ContentHash::of(b"absent");
    let request = AvailabilityRequest {
        hash: Bytes::copy_from_slice(absent.as_bytes()),
    };
    for (ticket, want) in [
        (peer.ticket(), ErrorCode::NotFound),
        (peer.upload_ticket("ana", &[]), ErrorCode::TicketInvalid),
    ] {
        let status = client.availability(with(request.clone(), &ticket)).await;
        assert_eq!(from_status(&status.unwrap_err()).code, want);
    }
}

#[tokio::test]
async fn subscriber_of_a_partial_file_gets_each_piece() {
    let peer = Peer::start(8).await;
    let fetching = Fetching::new(&peer, contents(5 * PIECE));
    fetching.fetch(3);
    let mut client = client(&peer).await;
    let mut stream = subscribe(&mut client, &peer, fetching.hash).await;
    let first = next(&mut stream).await.unwrap();
    assert_eq!((first.whole, &first.held[..]), (false, &[0b1000][..]));
    fetching.fetch(0);
    assert_eq!(next(&mut stream).await.unwrap().pieces, [0]);
    // A known piece is not reported again, so the next message has the next piece.
    fetching.fetch(0);
    fetching.fetch(4);
    assert_eq!(next(&mut stream).await.unwrap().pieces, [4]);
    fetching.handle.extend([1, 2]);
    assert!(next(&mut stream).await.unwrap().whole);
    assert!(fetching.handle.held().is_full());
    drop(fetching);
    assert!(next(&mut stream).await.is_none());
}

#[tokio::test]
async fn subscription_ends_when_a_file_becomes_partial() {
    let peer = Peer::start(8).await;
    let bytes = contents(3 * PIECE);
    let fetching = Fetching::new(&peer, bytes.clone());
    fetching.fetch(1);
    assert_eq!(peer.write("f", &bytes), fetching.hash);
    peer.scan().await;
    let mut client = client(&peer).await;
    let mut stream = subscribe(&mut client, &peer, fetching.hash).await;
    assert!(next(&mut stream).await.unwrap().whole);
    std::fs::remove_file(peer.file("f")).unwrap();
    peer.scan().await;
    assert!(next(&mut stream).await.is_none());
    let mut stream = subscribe(&mut client, &peer, fetching.hash).await;
    let first = next(&mut stream).await.unwrap();
    assert_eq!((first.whole, &first.held[..]), (false, &[0b010][..]));
}

#[tokio::test]
async fn slow_subscriber_gets_combined_messages() {
    let peer = Peer::start(8).await;
    let count = 1000u32;
    let fetching = Fetching::new(&peer, vec![1; count as usize * PIECE]);
    let mut client = client(&peer).await;
    let mut stream = subscribe(&mut client, &peer, fetching.hash).await;
    let mut known = PieceSet::from_bytes(count, &next(&mut stream).await.unwrap().held).unwrap();
    let began = std::time::Instant::now();
    for index in (0..count).filter(|index| index % 7 != 0) {
        fetching.handle.add(index);
        tokio::task::yield_now().await;
    }
    let want = fetching.handle.held();
    let mut messages = 0;
    while known != want {
        for piece in next(&mut stream).await.unwrap().pieces {
            assert!(known.insert(piece), "piece {piece} was reported twice");
        }
        messages += 1;
    }
    let most = began.elapsed().as_millis() / 10 + 2;
    assert!(messages <= most, "{messages} messages in {most} × 10 ms");
}

#[tokio::test]
async fn subscriptions_end_with_the_peer() {
    let peer = Peer::start(8).await;
    let hash = peer.write("f", b"x");
    peer.scan().await;
    let mut client = client(&peer).await;
    let mut stream = subscribe(&mut client, &peer, hash).await;
    assert!(next(&mut stream).await.unwrap().whole);
    peer.state.stop.cancel();
    assert!(next(&mut stream).await.is_none());
}
