//! Uploads to a peer's inbox with HTML forms.

use std::fs;

use bytes::Bytes;
use convite_core::ContentHash;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;

use super::http::{body, code};
use super::uploads::{QUOTA, files, inbox, peer, unfinished};
use super::{Peer, contents};

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
async fn uploaded_form_file_is_stored_safely_and_served() {
    let peer = peer().await;
    let ana = peer.upload_ticket("ana", &[]);
    let bytes = contents(3_000_000);
    for (name, kept) in [
        ("x.txt", "x.txt"),
        ("x.txt", "x (1).txt"),
        ("../../x.txt", "_.._.._x.txt"),
        (".bashrc", "_.bashrc"),
        ("aux", "aux"),
        ("trail.", "trail."),
        (
            "می\u{200c}خواهم 👩\u{200d}💻?.txt",
            "می\u{200c}خواهم 👩\u{200d}💻?.txt",
        ),
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
    // Larger than the form limit of other servers, and served at once without being hashed again.
    assert_eq!(post(&peer, &ana, file("big", &bytes)).await.status(), 200);
    let hash = ContentHash::of(&bytes);
    assert_eq!(peer.state.files.catalogue.by_hash(&hash).len(), 1);
    let path = format!("/files/{hash}");
    let answer = super::http::send(&peer, "GET", &path, Some(&peer.ticket()), &[]).await;
    assert!(body(answer).await == bytes);
    assert_eq!((files(&peer).len(), unfinished(&peer)), (8, 0));
}

#[tokio::test]
async fn refused_form_leaves_nothing() {
    let peer = peer().await;
    let ana = peer.upload_ticket("ana", &[]);
    let form = || file("x", b"contents");
    let wrong = {
        let hash = ContentHash::of(b"other").to_string();
        [part("name=\"hash\"", hash.as_bytes()), form()].concat()
    };
    let torn = file("x", &[b'x'; 200_000])[..100_000].to_vec();
    let torn_at_its_end = form()[..form().len() - 6].to_vec();
    let read = peer.ticket();
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
    // The quota is free again, and each account has its own quota.
    let most = file("big", &contents(QUOTA as usize - 100));
    let bob = peer.upload_ticket("bob", &["lab"]);
    for user in [&ana, &bob] {
        assert_eq!(post(&peer, user, most.clone()).await.status(), 200);
        let answer = post(&peer, user, file("x", &[0; 200])).await;
        assert_eq!(code(answer).await, (413, "too_large".to_owned()));
    }
    // The owner of the inbox frees quota by removing files.
    fs::remove_file(inbox(&peer).join("ana/big")).unwrap();
    assert_eq!(post(&peer, &ana, form()).await.status(), 200);

    let closed = Peer::start(8).await;
    let answer = post(&closed, &closed.upload_ticket("ana", &[]), form()).await;
    assert_eq!(code(answer).await, (403, "permission_denied".to_owned()));
}

#[tokio::test]
async fn form_is_limited_to_a_thousand_files() {
    let peer = peer().await;
    let ana = peer.upload_ticket("ana", &[]);
    let one = |number: usize| part(&format!("name=\"file\"; filename=\"{number}\""), b"");
    let mut form: Vec<u8> = (0..=1000).flat_map(one).collect();
    form.extend_from_slice(b"--b--\r\n");
    let answer = post(&peer, &ana, form).await;
    assert_eq!(code(answer).await, (413, "too_large".to_owned()));
    assert_eq!((files(&peer).len(), unfinished(&peer)), (1000, 0));
}

#[tokio::test]
async fn file_names_of_all_clients_are_understood() {
    let peer = peer().await;
    let ana = peer.upload_ticket("ana", &[]);
    let latin: Vec<u8> = [&b"name=\"file\"; filename=\"se\xf1or.txt\""[..]].concat();
    for (head, kept) in [
        (latin, "señor.txt"),
        (
            b"name=file; filename*=UTF-8''%e6%96%87.txt".to_vec(),
            "文.txt",
        ),
    ] {
        let head = [
            b"--b\r\ncontent-disposition: form-data; ",
            &*head,
            b"\r\n\r\nx\r\n--b--\r\n",
        ]
        .concat();
        assert_eq!(post(&peer, &ana, head).await.status(), 200);
        assert!(inbox(&peer).join("ana").join(kept).exists(), "{kept}");
    }
}

#[tokio::test]
async fn text_instead_of_a_file_is_refused_with_a_hint() {
    let peer = peer().await;
    let ana = peer.upload_ticket("ana", &[]);
    for (head, word) in [
        ("name=\"file\"", "-F file=@NAME"),
        ("name=\"file\"; filename=\"\"", "choose a file"),
    ] {
        let mut form = part(head, b"photo.jpg");
        form.extend_from_slice(b"--b--\r\n");
        let answer = post(&peer, &ana, form).await;
        assert_eq!(answer.status(), 400);
        let told: serde_json::Value = serde_json::from_slice(&body(answer).await).unwrap();
        assert!(told["hint"].as_str().unwrap().contains(word), "{told}");
    }
    assert_eq!((files(&peer), unfinished(&peer)), (vec![], 0));
}

#[tokio::test]
async fn part_headers_are_limited() {
    let peer = peer().await;
    let ana = peer.upload_ticket("ana", &[]);
    let padding = "x".repeat(100);
    for (name, form) in [
        (
            "one long line",
            format!("--b\r\nx: {}", "x".repeat(9 << 20)),
        ),
        (
            "many lines",
            format!("--b\r\n{}", format!("x-a: {padding}\r\n").repeat(90_000)),
        ),
        ("no boundary", "x".repeat(9 << 20)),
    ] {
        let answer = post(&peer, &ana, form.into_bytes()).await;
        assert_eq!(answer.status(), 400, "{name}");
        let told: serde_json::Value = serde_json::from_slice(&body(answer).await).unwrap();
        let detail = told["detail"].as_str().unwrap();
        assert!(detail.contains("longer than 16384 bytes"), "{name}: {told}");
    }
    // Headers up to the limit are accepted, also after a large file.
    let large = contents(3_000_000);
    let form = [
        part("name=\"file\"; filename=\"large\"", &large),
        part(
            &format!("name=\"file\"; filename=\"y\"; x=\"{padding}\""),
            b"y",
        ),
        b"--b--\r\n".to_vec(),
    ];
    assert_eq!(post(&peer, &ana, form.concat()).await.status(), 200);
}

#[tokio::test]
async fn forms_are_read_after_a_slot_is_reserved() {
    let peer = peer().await;
    let ana = peer.upload_ticket("ana", &[]);
    let mut open = Vec::new();
    // Each form stops in the header of its first part.
    for _ in 0..8 {
        let stream = tokio::net::TcpStream::connect(peer.address.to_string()).await;
        let mut stream = stream.unwrap();
        let head = format!(
            "POST /upload?ticket={ana} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 99999\r\n\
             content-type: multipart/form-data; boundary=b\r\n\r\n--b\r\nx:"
        );
        tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes())
            .await
            .unwrap();
        open.push(stream);
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let answer = post(&peer, &ana, file("x", b"x")).await;
        if answer.status() == 503 {
            assert_eq!(code(answer).await, (503, "overloaded".to_owned()));
            break;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "the forms occupy no turns"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn refused_upload_is_answered_to_clients_that_do_not_wait() {
    let peer = peer().await;
    let bytes = vec![b'x'; 24 << 20];
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        let stream = tokio::net::TcpStream::connect(peer.address.to_string()).await;
        let mut stream = stream.unwrap();
        let head = format!(
            "POST /upload?ticket=no {version}\r\nhost: 127.0.0.1\r\ncontent-length: {}\r\n\
             content-type: multipart/form-data; boundary=b\r\n\r\n",
            bytes.len()
        );
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        stream.write_all(head.as_bytes()).await.unwrap();
        // As Python's `requests` does: sends the whole body before it reads the response.
        stream
            .write_all(&bytes)
            .await
            .expect("the peer must read the body");
        let mut answer = vec![0; 64 << 10];
        let mut got = 0;
        while !String::from_utf8_lossy(&answer[..got]).contains("ticket_") {
            let read = stream.read(&mut answer[got..]).await.unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&answer[..got]));
            got += read;
        }
    }
    // Over HTTP/2 the response arrives, followed by the end of the stream.
    let client = peer.connect().await;
    let body = http_body_util::Full::new(Bytes::from(bytes));
    let request = Request::post(format!("http://{}/upload?ticket=no", peer.address))
        .header("content-type", "multipart/form-data; boundary=b")
        .body(tonic::body::Body::new(http_body_util::BodyExt::map_err(
            body,
            |never| match never {},
        )))
        .unwrap();
    let answer = tower::ServiceExt::oneshot(client, request).await.unwrap();
    assert_eq!(answer.status(), 403);
    let told = http_body_util::BodyExt::collect(answer.into_body())
        .await
        .unwrap();
    assert!(String::from_utf8_lossy(&told.to_bytes()).contains("ticket_"));
}
