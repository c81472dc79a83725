//! Floods of connections, streams, resets and headers: the client loses its own connection.

use convite_directory::DirectoryConfig;
use tokio::net::TcpStream;

use crate::apis::{Running, http, rest};
use crate::raw::{
    CONTINUATION, END_HEADERS, END_STREAM, GO_AWAY, HEADERS, RST_STREAM, Raw, block, frame, get,
};

async fn start() -> Running {
    Running::start(|_| {}).await
}

async fn still_serves(running: &Running) {
    let api = rest(running.get());
    let (parts, _) = http(&api, "GET", "/healthz", None, Vec::new()).await;
    assert_eq!(parts.status.as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn rapid_stream_resets_end_the_connection() {
    let running = start().await;
    let mut raw = Raw::http2(running.get(), &[]).await;
    let mut flood = Vec::new();
    for number in 0..2_000u32 {
        let stream = 2 * number + 1;
        let request = get("/search?q=x");
        flood.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &request));
        flood.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
    }
    // The connection may be closed before everything is sent.
    let _ = raw.send(&flood).await;
    let farewell = raw.frame_until(|frame| frame.kind == GO_AWAY).await;
    if let Some(farewell) = farewell {
        // ENHANCE_YOUR_CALM
        assert_eq!(farewell.payload[4..8], [0, 0, 0, 11]);
    }
    still_serves(&running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_headers_end_the_connection() {
    let running = start().await;
    let mut raw = Raw::http2(running.get(), &[]).await;
    let mut flood = frame(HEADERS, END_STREAM, 1, &get("/healthz"));
    for _ in 0..20_000 {
        flood.extend(frame(
            CONTINUATION,
            0,
            1,
            &block(&[("x-more", "more and more")]),
        ));
    }
    let _ = raw.send(&flood).await;
    raw.frames_until_cut().await;
    still_serves(&running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_are_too_large_are_refused_on_both_protocols() {
    let running = start().await;
    let value = "x".repeat(200 << 10);
    let mut raw = Raw::http1(running.get()).await;
    let request = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-large: {value}\r\n\r\n");
    let _ = raw.send(request.as_bytes()).await;
    // The client may be cut off while sending, before it reads the response.
    assert!(matches!(raw.answer().await.0, 0 | 431));

    let mut raw = Raw::http1(running.get()).await;
    let many: String = (0..200)
        .map(|number| format!("x-{number}: y\r\n"))
        .collect();
    let request = format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{many}\r\n");
    raw.send(request.as_bytes()).await.unwrap();
    assert_eq!(raw.answer().await.0, 431);

    let mut raw = Raw::http2(running.get(), &[]).await;
    let mut large = get("/healthz");
    large.extend(block(&[("x-large", &value)]));
    let request = frame(HEADERS, END_STREAM | END_HEADERS, 1, &large);
    let _ = raw.send(&request).await;
    let answer = raw.frame_until(|frame| frame.stream == 1).await;
    if let Some(answer) = answer {
        // Status 431 as a literal (it has no index in RFC 7541), or the stream is reset.
        let has_431 = answer.payload.windows(3).any(|part| part == b"431");
        let encoded = answer.kind == HEADERS && !answer.payload.contains(&0x88);
        assert!(
            answer.kind == RST_STREAM || has_431 || encoded,
            "{answer:?}"
        );
    }
    still_serves(&running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_streams_per_connection_are_limited() {
    let running = Running::start(|config| config.limits.streams = 4).await;
    let mut raw = Raw::http2(running.get(), &[]).await;
    let head = block(&[
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", "/login"),
    ]);
    for number in 0..5 {
        let request = frame(HEADERS, END_HEADERS, 2 * number + 1, &head);
        raw.send(&request).await.unwrap();
    }
    let refused = raw
        .frame_until(|frame| frame.kind == RST_STREAM)
        .await
        .unwrap();
    // REFUSED_STREAM: the request may be repeated.
    assert_eq!((refused.stream, refused.payload), (9, vec![0, 0, 0, 7]));
    still_serves(&running).await;
}

fn three_connections(config: &mut DirectoryConfig) {
    config.limits.connections_per_network = 3;
    // Longer than the test waits: a silent connection that is accepted stays open.
    config.limits.handshake = std::time::Duration::from_secs(60);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_from_one_network_are_bounded() {
    let running = Running::start(three_connections).await;
    let address = running.get().address;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(TcpStream::connect(address).await.unwrap());
    }
    let fourth = TcpStream::connect(address).await.unwrap();
    assert_eq!(Raw::of(fourth).until_cut().await, b"");
    // The other connections are accepted, and free their slots when they end.
    held.pop();
    let began = std::time::Instant::now();
    let api = rest(running.get());
    loop {
        let crate::apis::Api::Rest(address, expected) = &api else {
            panic!("wrong API")
        };
        if convite_net::dial::connect(address, expected.as_ref())
            .await
            .is_ok()
        {
            break;
        }
        assert!(began.elapsed() < crate::raw::PATIENCE);
    }
}
