//! Contents and control over gRPC, with the generated clients.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use convite_core::{ContentHash, ErrorCode, PieceGeometry, PieceHashes};
use convite_net::dial::Http2;
use convite_wire::status::from_status;
use convite_wire::v1::control_client::ControlClient;
use convite_wire::v1::peer_client::PeerClient;
use convite_wire::v1::{
    ByteRange, DownloadFileRequest, GetPiecesRequest, LeaveRequest, ReportPieceRequest,
    ShareRequest, StatusRequest, UnshareRequest,
};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio_stream::StreamExt;
use tonic::{Request, Status, Streaming};

use super::{Peer, contents};

pub(crate) type Client = PeerClient<Http2<tonic::body::Body>>;

pub(crate) async fn client(peer: &Peer) -> Client {
    PeerClient::with_origin(peer.connect().await, "http://peer".parse().unwrap())
        .max_decoding_message_size(8 << 20)
}

pub(crate) fn with<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    request
}

pub(crate) fn asking(hash: ContentHash, ranges: &[(u64, u64)]) -> DownloadFileRequest {
    DownloadFileRequest {
        hash: Bytes::copy_from_slice(hash.as_bytes()),
        ranges: ranges
            .iter()
            .map(|&(offset, length)| ByteRange { offset, length })
            .collect(),
    }
}

pub(crate) async fn collect(
    mut stream: Streaming<convite_wire::v1::FileChunk>,
) -> Result<Vec<(u64, Bytes)>, Status> {
    let mut chunks = Vec::new();
    while let Some(chunk) = stream.message().await? {
        chunks.push((chunk.offset, chunk.data));
    }
    Ok(chunks)
}

#[tokio::test]
async fn grpc_client_reads_files_and_ranges() {
    let peer = Peer::start(8).await;
    let bytes = contents(3_000_001);
    let hash = peer.write("f", &bytes);
    let empty = peer.write("empty", b"");
    peer.scan().await;
    let mut client = client(&peer).await;
    let size = bytes.len() as u64;
    for ranges in [
        vec![],
        vec![(0, 0)],
        vec![(5, 1)],
        vec![(size - 1, 1), (0, 300_000), (size, 0), (100, 0)],
    ] {
        let want: Vec<u8> = if ranges.is_empty() {
            bytes.clone()
        } else {
            let end = |(at, len): (u64, u64)| if len == 0 { size } else { at + len };
            ranges
                .iter()
                .flat_map(|&range| &bytes[range.0 as usize..end(range) as usize])
                .copied()
                .collect()
        };
        let request = with(asking(hash, &ranges), &peer.ticket());
        let stream = client.download_file(request).await.unwrap().into_inner();
        let mut got = Vec::new();
        for (offset, data) in collect(stream).await.unwrap() {
            assert_eq!(data, bytes[offset as usize..][..data.len()]);
            got.extend_from_slice(&data);
        }
        assert!(got == want, "{ranges:?}");
    }
    let request = with(asking(empty, &[]), &peer.ticket());
    let stream = client.download_file(request).await.unwrap().into_inner();
    assert!(collect(stream).await.unwrap().is_empty());
    assert_eq!(peer.state.status().uploads.len(), 0);
    assert!(peer.state.status().bytes_served > 2 * size);
}

#[tokio::test]
async fn errors_carry_code_and_hint() {
    let peer = Peer::start(8).await;
    let hash = peer.write("f", b"contents");
    let absent = ContentHash::of(b"absent");
    peer.scan().await;
    let mut client = client(&peer).await;
    let good = peer.ticket();
    let cases = [
        (Request::new(asking(hash, &[])), ErrorCode::Unauthenticated),
        (with(asking(hash, &[]), "junk"), ErrorCode::TicketInvalid),
        (with(asking(absent, &[]), &good), ErrorCode::NotFound),
        (
            with(asking(hash, &[(0, 9)]), &good),
            ErrorCode::RangeNotSatisfiable,
        ),
        (
            with(asking(hash, &[(9, 0)]), &good),
            ErrorCode::RangeNotSatisfiable,
        ),
        (
            with(asking(hash, &[(u64::MAX, 2)]), &good),
            ErrorCode::RangeNotSatisfiable,
        ),
        (
            with(asking(hash, &vec![(0, 1); 5000]), &good),
            ErrorCode::InvalidArgument,
        ),
        (
            with(asking(hash, &vec![(1, 1 << 40); 20_000]), &good),
            ErrorCode::TooLarge,
        ),
    ];
    for (request, want) in cases {
        let status = client.download_file(request).await.unwrap_err();
        assert_eq!(from_status(&status).code, want, "{status}");
    }
    let status = client
        .download_file(with(asking(hash, &[(9, 0)]), &good))
        .await
        .unwrap_err();
    assert!(from_status(&status).hint.is_some());
}

#[tokio::test]
async fn piece_hashes_fold_to_the_content_hash() {
    let peer = Peer::start(8).await;
    let hash = peer.write("f", &contents(1_000_000));
    peer.scan().await;
    let mut client = client(&peer).await;
    let ask = || GetPiecesRequest {
        hash: Bytes::copy_from_slice(hash.as_bytes()),
    };
    let reply = client
        .get_pieces(with(ask(), &peer.ticket()))
        .await
        .unwrap()
        .into_inner();
    let geometry = PieceGeometry::new(reply.file_size).unwrap();
    assert_eq!(reply.piece_size, geometry.piece_size());
    let hashes = reply.piece_hashes.as_chunks::<32>().0.to_vec();
    assert!(PieceHashes::verify(geometry, hash, hashes).is_ok());
    let status = client.get_pieces(Request::new(ask())).await.unwrap_err();
    assert_eq!(from_status(&status).code, ErrorCode::Unauthenticated);
}

#[tokio::test]
async fn changed_file_is_refused_until_the_next_scan() {
    let peer = Peer::start(8).await;
    let old = peer.write("f", b"old contents");
    peer.scan().await;
    let new = peer.write("f", b"new, longer contents");
    let mut client = client(&peer).await;
    let request = || with(asking(old, &[]), &peer.ticket());
    let status = client.download_file(request()).await.unwrap_err();
    assert_eq!(from_status(&status).code, ErrorCode::ContentChanged);
    // The peer noticed the change and requests a scan.
    peer.state.files.rescan.notified().await;
    peer.scan().await;
    let status = client.download_file(request()).await.unwrap_err();
    // The reason is remembered.
    assert_eq!(from_status(&status).code, ErrorCode::ContentChanged);
    let request = with(asking(new, &[]), &peer.ticket());
    let stream = client.download_file(request).await.unwrap().into_inner();
    assert_eq!(collect(stream).await.unwrap()[0].1, "new, longer contents");
}

#[tokio::test]
async fn truncated_file_ends_the_download_with_an_error() {
    let peer = Peer::start(8).await;
    let size = 96 << 20;
    let hash = peer.write("big", &vec![7; size]);
    peer.scan().await;
    let mut client = client(&peer).await;
    let request = with(asking(hash, &[]), &peer.ticket());
    let mut stream = client.download_file(request).await.unwrap().into_inner();
    let mut got = stream.message().await.unwrap().unwrap().data.len();
    let file = std::fs::File::options()
        .write(true)
        .open(peer.file("big"))
        .unwrap();
    file.set_len(1 << 20).unwrap();
    let status = loop {
        match stream.message().await {
            Ok(Some(chunk)) => got += chunk.data.len(),
            Ok(None) => panic!("the stream ended without an error after {got} bytes"),
            Err(status) => break status,
        }
    };
    assert_eq!(from_status(&status).code, ErrorCode::ContentChanged);
    assert!(got < size);
}

#[tokio::test]
async fn control_needs_the_token_of_the_home() {
    let peer = Peer::start(8).await;
    peer.write("f", b"x");
    peer.scan().await;
    let origin = "http://peer".parse().unwrap();
    let mut client = ControlClient::with_origin(peer.connect().await, origin);
    let ticket = peer.ticket();
    for request in [
        Request::new(LeaveRequest {}),
        with(LeaveRequest {}, ""),
        with(LeaveRequest {}, &ticket),
        with(LeaveRequest {}, &peer.control[..63]),
    ] {
        let status = client.leave(request).await.unwrap_err();
        assert_eq!(from_status(&status).code, ErrorCode::Unauthenticated);
    }
    assert!(client.status(Request::new(StatusRequest {})).await.is_err());
    assert!(!peer.state.stop.is_cancelled());

    let status = client
        .status(with(StatusRequest {}, &peer.control))
        .await
        .unwrap();
    assert_eq!(
        (status.get_ref().files, status.get_ref().shares.len()),
        (1, 1)
    );
    let more = peer.outside().join("more");
    std::fs::create_dir(&more).unwrap();
    std::fs::write(more.join("g"), "y").unwrap();
    let folder = more.to_str().unwrap().to_owned();
    let request = ShareRequest {
        folder: folder.clone(),
        ..ShareRequest::default()
    };
    client.share(with(request, &peer.control)).await.unwrap();
    peer.scan().await;
    assert_eq!(peer.state.files.catalogue.totals().0, 2);
    client
        .unshare(with(UnshareRequest { folder }, &peer.control))
        .await
        .unwrap();
    // At once, without a scan.
    assert_eq!(peer.state.files.catalogue.totals().0, 1);
    let relative = ShareRequest {
        folder: "here".to_owned(),
        ..ShareRequest::default()
    };
    let status = client
        .share(with(relative, &peer.control))
        .await
        .unwrap_err();
    assert_eq!(from_status(&status).code, ErrorCode::InvalidArgument);
    client
        .leave(with(LeaveRequest {}, &peer.control))
        .await
        .unwrap();
    assert!(peer.state.stop.is_cancelled());
}

#[tokio::test]
async fn lost_piece_hashes_are_computed_again() {
    let peer = Peer::start(8).await;
    let bytes = contents(300_000);
    let hash = peer.write("f", &bytes);
    peer.settle("f");
    peer.scan().await;
    let mut client = client(&peer).await;
    let asked = || {
        let request = GetPiecesRequest {
            hash: Bytes::copy_from_slice(hash.as_bytes()),
        };
        with(request, &peer.ticket())
    };
    client.get_pieces(asked()).await.unwrap();
    peer.cache
        .retain_files(&HashSet::new(), &peer.volumes(), &HashSet::new())
        .unwrap();
    for _ in 0..2 {
        let refused = client.get_pieces(asked()).await.unwrap_err();
        assert_eq!(from_status(&refused).code, ErrorCode::Unavailable);
    }
    // It requests a scan and continues to serve the file.
    peer.state.files.rescan.notified().await;
    assert_eq!(peer.state.files.catalogue.by_hash(&hash).len(), 1);
    let hashed = peer.state.files.hashed.load(Ordering::Relaxed);
    for _ in 0..2 {
        peer.scan().await;
        client.get_pieces(asked()).await.unwrap();
    }
    assert_eq!(peer.state.files.hashed.load(Ordering::Relaxed), hashed + 1);
}

fn reporting(
    peer: &Peer,
    user: &str,
    hash: ContentHash,
    piece: u32,
) -> Request<ReportPieceRequest> {
    let request = ReportPieceRequest {
        hash: Bytes::copy_from_slice(hash.as_bytes()),
        piece,
    };
    with(request, &peer.ticket_for(user, &[]))
}

#[tokio::test]
async fn report_of_a_wrong_piece_is_verified() {
    let peer = Peer::start(8).await;
    let bytes = contents(300_000);
    let hash = peer.write("f", &bytes);
    peer.settle("f");
    peer.scan().await;
    let hashed = peer.state.files.hashed.load(Ordering::Relaxed);
    let mut client = client(&peer).await;
    let report = |user: &'static str, piece| reporting(&peer, user, hash, piece);
    let reply = client.report_piece(report("ana", 2)).await.unwrap();
    assert!(!reply.into_inner().withdrawn);
    assert_eq!(peer.state.files.catalogue.by_hash(&hash).len(), 1);
    let refused = client.report_piece(report("ana", 5)).await.unwrap_err();
    assert_eq!(from_status(&refused).code, ErrorCode::InvalidArgument);
    let strangers = Request::new(report("ana", 2).into_inner());
    let refused = client.report_piece(strangers).await.unwrap_err();
    assert_eq!(from_status(&refused).code, ErrorCode::Unauthenticated);
    // The number of checked reports is bounded, from however many accounts they come.
    let mut looked = 0;
    let refused = loop {
        match client.report_piece(report("ben", 0)).await {
            Ok(reply) => assert!(!reply.into_inner().withdrawn),
            Err(status) => break from_status(&status),
        }
        looked += 1;
        assert!(looked < 100, "the number of reports is not bounded");
    };
    assert_eq!(refused.code, ErrorCode::TooManyRequests);
    peer.scan().await;
    assert_eq!(
        peer.state.files.hashed.load(Ordering::Relaxed),
        hashed,
        "the file was hashed again"
    );
}

#[tokio::test]
async fn reported_changed_file_is_rehashed_and_listed() {
    let peer = Peer::start(8).await;
    let (old, new) = (contents(300_000), contents(300_001)[1..].to_vec());
    let hash = peer.write("f", &old);
    peer.settle("f");
    peer.scan().await;
    // The cached hash is that of other contents, and the file's times do not show it.
    std::fs::write(peer.file("f"), &new).unwrap();
    peer.settle("f");
    peer.believe("f", hash);
    let mut client = client(&peer).await;
    let report = || reporting(&peer, "ana", hash, 4);
    let reply = client.report_piece(report()).await.unwrap();
    assert!(reply.into_inner().withdrawn);
    assert!(peer.state.files.catalogue.by_hash(&hash).is_empty());
    assert!(
        peer.state.files.publish_queue.count() > 0,
        "the directory is not notified"
    );
    peer.state.files.rescan.notified().await;
    peer.scan().await;
    assert_eq!(
        peer.state
            .files
            .catalogue
            .by_hash(&ContentHash::of(&new))
            .len(),
        1
    );
    // The file is no longer served here.
    let reply = client.report_piece(report()).await.unwrap();
    assert!(!reply.into_inner().withdrawn);
}

/// Returns an incomplete message without an end.
fn half() -> tonic::body::Body {
    let half = tokio_stream::iter([Ok::<_, Status>(Frame::data(Bytes::from_static(&[0; 3])))]);
    let body = half.chain(tokio_stream::pending());
    tonic::body::Body::new(StreamBody::new(body))
}

#[tokio::test]
async fn endless_request_times_out() {
    let peer = Peer::start(8).await;
    let hash = peer.write("f", b"contents");
    peer.scan().await;
    let connection = peer.connect().await;
    let mut asked = tokio::task::JoinSet::new();
    // Most of them without a ticket.
    for method in [
        "convite.v1.Peer/DownloadFile",
        "convite.v1.Peer/GetPieces",
        "convite.v1.Peer/Availability",
        "convite.v1.Peer/BeginUpload",
        "convite.v1.Control/Status",
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ] {
        let request = http::Request::post(format!("http://peer/{method}"))
            .header("content-type", "application/grpc")
            .header("authorization", format!("Bearer {}", peer.ticket()))
            .body(half())
            .unwrap();
        let answer = tower::ServiceExt::oneshot(connection.clone(), request);
        asked.spawn(async move {
            let (head, body) = answer.await.unwrap().into_parts();
            let trailers = body.collect().await.unwrap().trailers().cloned();
            let status = Status::from_header_map(&head.headers)
                .or_else(|| Status::from_header_map(&trailers?))
                .unwrap();
            (method, from_status(&status).code)
        });
    }
    // Answering a later request shows that those have arrived.
    let mut client = client(&peer).await;
    let request = with(asking(hash, &[]), &peer.ticket());
    client.download_file(request).await.unwrap();
    tokio::task::yield_now().await;
    assert!(asked.try_join_next().is_none());
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(21)).await;
    tokio::time::resume();
    while let Some(answered) = asked.join_next().await {
        let (method, code) = answered.unwrap();
        // Reflection chooses its own error for a broken stream.
        let is_given_up = matches!(code, ErrorCode::Unavailable | ErrorCode::Internal);
        assert!(is_given_up, "{method}: {code:?}");
    }
}
