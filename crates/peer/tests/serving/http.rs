//! File contents over HTTP/1.1.

use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use convite_core::{ContentHash, UnixMillis};
use convite_peer::serve::download::uploads::UploadLimits;
use convite_wire::reader_ticket::ReaderTicket;
use convite_wire::ticket::TicketSigner;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;

use super::{Peer, claims, contents};

pub(crate) async fn send(
    peer: &Peer,
    method: &str,
    path: &str,
    ticket: Option<&str>,
    headers: &[(&str, &str)],
) -> Response<Incoming> {
    let mut request = Request::builder().method(method).uri(path);
    if headers.iter().all(|(name, _)| *name != "host") {
        request = request.header("host", "peer");
    }
    if let Some(ticket) = ticket {
        request = request.header("authorization", format!("Bearer {ticket}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    convite_net::dial::http1_request(&peer.address, None, request)
        .await
        .unwrap()
}

pub(crate) async fn body(response: Response<Incoming>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

pub(crate) fn header<'a>(response: &'a Response<Incoming>, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

pub(crate) async fn code(response: Response<Incoming>) -> (u16, String) {
    let status = response.status().as_u16();
    assert_eq!(
        header(&response, "content-type"),
        "application/problem+json"
    );
    let document: serde_json::Value = serde_json::from_slice(&body(response).await).unwrap();
    (status, document["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn ranges_and_conditions_follow_the_rfc() {
    let peer = Peer::start(8).await;
    let bytes = contents(1_000_000);
    let hash = peer.write("a/ñ file.txt", &bytes);
    peer.scan().await;
    let ticket = peer.ticket();
    let etag = format!("\"{hash}\"");
    let path = format!("/files/{hash}");
    let size = bytes.len();
    for (headers, status, want) in [
        (vec![], 200, 0..size),
        (vec![("range", "bytes=0-0")], 206, 0..1),
        (
            vec![("range", "bytes=262143-524290")],
            206,
            262_143..524_291,
        ),
        (vec![("range", "bytes=999999-")], 206, 999_999..size),
        (vec![("range", "bytes=-5")], 206, size - 5..size),
        (vec![("range", "bytes=-2000000")], 206, 0..size),
        (vec![("range", "bytes=10-2000000")], 206, 10..size),
        (vec![("range", "lines=1-2")], 200, 0..size),
        (vec![("range", "bytes=0-1,")], 206, 0..2),
        (vec![("range", "bytes=0-1,5-6")], 200, 0..size),
        (
            vec![("range", "bytes=0-9"), ("if-range", &etag)],
            206,
            0..10,
        ),
        (
            vec![("range", "bytes=0-9"), ("if-range", "\"other\"")],
            200,
            0..size,
        ),
        (
            vec![
                ("range", "bytes=0-9"),
                ("if-range", "Sat, 01 Jan 2022 00:00:00 GMT"),
            ],
            200,
            0..size,
        ),
        (vec![("if-none-match", "\"other\"")], 200, 0..size),
    ] {
        let response = send(&peer, "GET", &path, Some(&ticket), &headers).await;
        assert_eq!(response.status(), status, "{headers:?}");
        assert_eq!(header(&response, "etag"), etag);
        assert_eq!(header(&response, "accept-ranges"), "bytes");
        assert_eq!(header(&response, "content-length"), want.len().to_string());
        if status == 206 {
            let range = format!("bytes {}-{}/{size}", want.start, want.end - 1);
            assert_eq!(header(&response, "content-range"), range);
        }
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        assert!(header(&response, "content-security-policy").contains("sandbox"));
        assert!(body(response).await == bytes[want], "{headers:?}");
    }
    for tags in [&etag, "*", &format!("\"x\", W/{etag}")] {
        let headers = [("if-none-match", tags)];
        let response = send(&peer, "GET", &path, Some(&ticket), &headers).await;
        assert_eq!(response.status(), 304);
        assert!(body(response).await.is_empty());
    }
    for range in ["bytes=1000000-", "bytes=-0"] {
        let response = send(&peer, "GET", &path, Some(&ticket), &[("range", range)]).await;
        assert_eq!(
            header(&response, "content-range"),
            format!("bytes */{size}")
        );
        let want = (416, "range_not_satisfiable".to_owned());
        assert_eq!(code(response).await, want, "{range}");
    }
    let response = send(&peer, "HEAD", &path, Some(&ticket), &[]).await;
    assert_eq!(header(&response, "content-length"), size.to_string());
    assert!(header(&response, "content-disposition").ends_with("UTF-8''%C3%B1%20file.txt"));
    assert!(body(response).await.is_empty());

    // By path, with the ticket in the query.
    let by_path = format!("/files/share/a/%C3%B1%20file.txt?ticket={ticket}");
    assert!(body(send(&peer, "GET", &by_path, None, &[]).await).await == bytes);

    let pieces = send(&peer, "GET", &format!("{path}/pieces"), Some(&ticket), &[]).await;
    let pieces: serde_json::Value = serde_json::from_slice(&body(pieces).await).unwrap();
    assert_eq!(pieces["file_size"], size);
    assert_eq!(pieces["hashes"].as_array().unwrap().len(), 16);
}

#[tokio::test]
async fn empty_file_is_served_without_ranges() {
    let peer = Peer::start(8).await;
    let hash = peer.write("empty", b"");
    peer.scan().await;
    let ticket = peer.ticket();
    let path = format!("/files/{hash}");
    let response = send(&peer, "GET", &path, Some(&ticket), &[]).await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-length"), "0");
    assert!(body(response).await.is_empty());
    for range in ["bytes=0-", "bytes=-1", "bytes=5-9"] {
        let response = send(&peer, "GET", &path, Some(&ticket), &[("range", range)]).await;
        assert_eq!(response.status(), 200, "{range}");
        assert_eq!(header(&response, "content-length"), "0");
    }
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_refused() {
    let peer = Peer::start(8).await;
    let local = ("host", "127.0.0.1");
    for path in ["/", "/file/x", "/uploads", "/files", "/convite.v1.Peer/No"] {
        let answer = send(&peer, "GET", path, None, &[local]).await;
        assert_eq!(code(answer).await, (404, "not_found".to_owned()), "{path}");
    }
    for (method, path, allow) in [
        ("POST", "/files/x", "GET,HEAD"),
        ("GET", "/upload", "POST"),
        ("DELETE", "/healthz", "GET,HEAD"),
    ] {
        let answer = send(&peer, method, path, None, &[local]).await;
        assert_eq!(header(&answer, "allow"), allow, "{path}");
        let want = (405, "method_not_allowed".to_owned());
        assert_eq!(code(answer).await, want, "{path}");
    }
    // A gRPC client gets a gRPC status.
    let grpc = [("content-type", "application/grpc"), local];
    let answer = send(&peer, "POST", "/convite.v1.Peer/No", None, &grpc).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "grpc-status"), "12");
}

#[tokio::test]
async fn path_without_share_works_if_unambiguous() {
    let peer = Peer::start(8).await;
    peer.write("a/x.txt", b"x");
    peer.scan().await;
    let ticket = peer.ticket();
    for path in ["/files/share/a/x.txt", "/files/a/x.txt"] {
        let answer = send(&peer, "GET", path, Some(&ticket), &[]).await;
        assert_eq!(&*body(answer).await, b"x", "{path}");
    }
    let answer = send(&peer, "GET", "/files/x.txt", Some(&ticket), &[]).await;
    assert_eq!(code(answer).await, (404, "not_found".to_owned()));
}

#[tokio::test]
async fn a_ticket_that_was_accepted_ends_with_its_expiry_time() {
    let peer = Peer::start(8).await;
    let hash = peer.write("f", b"contents");
    peer.scan().await;
    let path = format!("/files/{hash}");
    let ticket = peer.ticket();
    let now = UnixMillis::from(SystemTime::now());
    for (seconds, is_accepted) in [(0, true), (240, true), (3_600, false), (240, true)] {
        // The peer remembers the ticket from the first request on.
        peer.clock
            .record(now.after(Duration::from_secs(seconds)), now);
        let answer = send(&peer, "GET", &path, Some(&ticket), &[]).await;
        if is_accepted {
            assert_eq!(answer.status(), 200, "after {seconds} s");
        } else {
            let refused = code(answer).await;
            assert_eq!(refused, (403, "ticket_invalid".to_owned()));
        }
    }
}

#[tokio::test]
async fn files_need_a_ticket_for_this_peer() {
    let peer = Peer::start(8).await;
    let hash = peer.write("f", b"contents");
    peer.scan().await;
    let good = peer.ticket();
    let forged = {
        let mut bytes = good.clone().into_bytes();
        let at = bytes.len() - 10;
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let of_another_peer = ReaderTicket {
        peer: "peer_2".parse().unwrap(),
        ..claims("ana")
    };
    let expired = ReaderTicket {
        expires: UnixMillis(UnixMillis::from(SystemTime::now()).0 - 120_000),
        ..claims("ana")
    };
    let of_another_directory = TicketSigner::generate().unwrap();
    let invalid = [
        ("junk", "junk".to_owned()),
        ("forged", forged),
        ("of another peer", peer.sign(&of_another_peer)),
        ("expired", peer.sign(&expired)),
        ("for uploads", peer.upload_ticket("ana", &[])),
        (
            "of another directory",
            of_another_directory.sign_reader(&claims("ana")).unwrap(),
        ),
    ];
    let absent = ContentHash::of(b"absent");
    let mut accepted = Vec::new();
    // The same response whether the file exists or not.
    for path in [
        format!("/files/{hash}"),
        format!("/files/{absent}"),
        format!("/files/{hash}/pieces"),
        "/files/share/f".to_owned(),
        "/files/share/absent".to_owned(),
        "/files/../../etc/passwd".to_owned(),
    ] {
        let response = send(&peer, "GET", &path, None, &[]).await;
        assert_eq!(code(response).await, (401, "unauthenticated".to_owned()));
        for (kind, ticket) in &invalid {
            let response = send(&peer, "GET", &path, Some(ticket), &[]).await;
            if response.status() == 200 || code(response).await.1 != "ticket_invalid" {
                accepted.push(format!("{kind}: {path}"));
            }
        }
    }
    assert_eq!(accepted, [""; 0]);
    let response = send(&peer, "GET", &format!("/files/{hash}"), Some(&good), &[]).await;
    assert_eq!(body(response).await, "contents");
}

#[tokio::test]
async fn paths_outside_the_share_are_not_served() {
    let peer = Peer::start(8).await;
    let secret = b"secret of the machine";
    std::fs::create_dir(peer.outside().join("out")).unwrap();
    std::fs::write(peer.outside().join("out/secret"), secret).unwrap();
    peer.write("in/file", b"x");
    peer.write(".hidden", secret);
    symlink(peer.outside().join("out/secret"), peer.file("link")).unwrap();
    symlink(peer.outside().join("out"), peer.file("folder")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        peer.file("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    peer.scan().await;
    let ticket = peer.ticket();
    let absolute = format!("/files/{}", peer.outside().join("out/secret").display());
    for path in [
        "/files/share/../out/secret",
        "/files/share/%2e%2e/out/secret",
        "/files/share/%2e%2e%2fout%2fsecret",
        "/files/share/in/..%2f../../out/secret",
        "/files/share/link",
        "/files/share/folder/secret",
        "/files/share/.hidden",
        "/files/share/pipe",
        "/files/share/in",
        "/files//etc/passwd",
        "/files/%2fetc%2fpasswd",
        "/files/share/in/file%00",
        absolute.as_str(),
        &format!("/files/{}", ContentHash::of(secret)),
    ] {
        let response = send(&peer, "GET", path, Some(&ticket), &[]).await;
        assert!(
            matches!(response.status().as_u16(), 400 | 403 | 404),
            "{path}"
        );
        let text = body(response).await;
        assert!(
            !text.windows(secret.len()).any(|part| part == secret),
            "{path}"
        );
    }

    // A folder that was scanned and is a link out of the share now.
    peer.write("swap/file", secret);
    peer.scan().await;
    std::fs::rename(peer.file("swap"), peer.outside().join("moved")).unwrap();
    symlink(peer.outside().join("moved"), peer.file("swap")).unwrap();
    let response = send(
        &peer,
        "GET",
        "/files/share/swap/file",
        Some(&peer.ticket()),
        &[],
    )
    .await;
    assert_eq!(code(response).await, (409, "content_changed".to_owned()));
}

#[tokio::test]
async fn shrinking_file_aborts_the_response() {
    let peer = Peer::start(8).await;
    let size = 96 << 20;
    let hash = peer.write("big", &vec![7; size]);
    peer.scan().await;
    let path = format!("/files/{hash}");
    let response = send(&peer, "GET", &path, Some(&peer.ticket()), &[]).await;
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap();
    let mut got = first.data_ref().unwrap().len();
    let file = std::fs::File::options()
        .write(true)
        .open(peer.file("big"))
        .unwrap();
    file.set_len(1 << 20).unwrap();
    let failed = loop {
        match body.frame().await {
            Some(Ok(frame)) => got += frame.data_ref().map_or(0, |data| data.len()),
            Some(Err(_)) => break true,
            None => break false,
        }
    };
    assert!(failed && got < size, "{failed} {got}");
}

#[tokio::test]
async fn concurrent_uploads_are_limited() {
    let peer = Peer::limited(UploadLimits {
        slots: 1,
        queue_timeout: Duration::from_millis(300),
        ..UploadLimits::default()
    })
    .await;
    let hash = peer.write("big", &vec![7; 96 << 20]);
    peer.scan().await;
    let (path, ticket) = (format!("/files/{hash}"), peer.ticket());
    let first = send(&peer, "GET", &path, Some(&ticket), &[]).await;
    let second = send(&peer, "GET", &path, Some(&ticket), &[]).await;
    assert_eq!(header(&second, "retry-after"), "2");
    assert_eq!(code(second).await, (503, "unavailable".to_owned()));
    assert_eq!(peer.state.status().uploads.len(), 1);
    assert_eq!(body(first).await.len(), 96 << 20);
}
