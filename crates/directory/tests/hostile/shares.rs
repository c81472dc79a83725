//! One network is not the whole world, whatever it shows: what it holds up is its own.

use std::time::{Duration, Instant};

use convite_core::ErrorCode;
use convite_directory::DirectoryConfig;
use convite_directory::gate::admission::Bound;
use convite_wire::status::from_status;
use convite_wire::v1;
use http::Uri;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::doors::{Door, ORIGIN, Running, grpc, http2, with_token};
use crate::overload::with_peer;
use crate::proxies::{connect, say};
use crate::raw::{DATA, END_HEADERS, HEADERS, Raw, block, frame};

const HERE: [u8; 4] = [127, 0, 0, 1];
const ELSEWHERE: [u8; 4] = [127, 0, 0, 2];
/// By then it has happened, or never will.
const DEADLINE: Duration = Duration::from_secs(10);

const FEW: Bound = Bound {
    working: 4,
    waiting: 4,
    patience: Duration::from_millis(100),
    per_session: 9,
    per_network: 2,
};

fn few_at_once(config: &mut DirectoryConfig) {
    config.plaintext = true;
    config.capacity.light = FEW;
    config.capacity.entry = FEW;
}

fn request(path: &str, token: &str, length: usize, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// A request of which not all comes.
async fn half(running: &Running, path: &str, token: &str) -> TcpStream {
    let mut stream = connect(running, HERE).await;
    let bytes = request(path, token, 99, "{");
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream
}

/// A request that is answered at once, if it is let in.
async fn whole(running: &Running, from: [u8; 4], path: &str, token: &str) -> String {
    say(running, from, request(path, token, 2, "{}").as_bytes()).await
}

/// Asks from here until it is refused.
async fn until_refused(running: &Running, path: &str, token: &str) {
    let began = Instant::now();
    loop {
        let answer = whole(running, HERE, path, token).await;
        if answer.starts_with("HTTP/1.1 429") {
            assert!(answer.to_ascii_lowercase().contains("retry-after: 1"));
            return;
        }
        assert!(began.elapsed() < DEADLINE, "still let in: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_made_up_for_each_request_is_no_way_around() {
    let (running, _) = with_peer(few_at_once).await;
    let mut held = Vec::new();
    for number in 0..4 {
        held.push(half(&running, "/login", &format!("made-up-{number}")).await);
    }
    until_refused(&running, "/login", "another").await;
    let answer = whole(&running, ELSEWHERE, "/login", "another").await;
    // Not a login, but let in.
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_stop_half_way_hold_up_no_heartbeats_from_elsewhere() {
    let (running, token) = with_peer(few_at_once).await;
    let path = "/peers/ana-1/heartbeat";
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(half(&running, path, &token).await);
    }
    until_refused(&running, path, &token).await;
    let answer = whole(&running, ELSEWHERE, path, &token).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_a_session_is_refused_before_its_message_comes() {
    let running = Running::start(|_| {}).await;
    for authorization in ["", "Bearer made-up"] {
        // A message may take longer than this waits for the answer.
        let mut raw = Raw::http2(running.get(), &[]).await;
        let head = block(&[
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", "/convite.v1.Directory/Heartbeat"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("authorization", authorization),
        ]);
        raw.send(&frame(HEADERS, END_HEADERS, 1, &head))
            .await
            .unwrap();
        raw.send(&frame(DATA, 0, 1, &[0, 0, 0])).await.unwrap();
        let answer = raw.frame_until(|frame| frame.kind == HEADERS).await;
        assert_eq!(answer.unwrap().stream, 1);
    }
}

fn one_open(config: &mut DirectoryConfig) {
    config.capacity.open.per_network = 1;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_strangers_leave_members_theirs() {
    let (running, token) = with_peer(one_open).await;
    let mut health =
        HealthClient::with_origin(http2(running.get()).await, Uri::from_static(ORIGIN));
    let everything = HealthCheckRequest::default();
    let _first = health.watch(everything.clone()).await.unwrap();
    let refused = from_status(&health.watch(everything).await.unwrap_err());
    assert_eq!(refused.code, ErrorCode::TooManyRequests);
    let Door::Grpc(mut client) = grpc(running.get()).await else {
        panic!("not this door")
    };
    let watch = v1::WatchRequest {
        hash: vec![7; 32].into(),
        ..Default::default()
    };
    client.watch(with_token(Some(&token), watch)).await.unwrap();
}
