//! A network that sends too many requests only delays its own, whatever sessions it uses.

use std::time::{Duration, Instant};

use convite_core::ErrorCode;
use convite_core::model::Role;
use convite_directory::DirectoryConfig;
use convite_directory::middleware::admission::ClassLimits;
use convite_wire::status::from_status;
use convite_wire::v1;
use http::Uri;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::apis::{Api, ORIGIN, Running, grpc, http2, with_token};
use crate::overload::with_peer;
use crate::proxies::{connect, say};
use crate::raw::{DATA, END_HEADERS, HEADERS, Raw, block, frame};

const HERE: [u8; 4] = [127, 0, 0, 1];
const ELSEWHERE: [u8; 4] = [127, 0, 0, 2];
/// Timeout for slow machines.
const DEADLINE: Duration = Duration::from_secs(60);

const FEW: ClassLimits = ClassLimits {
    running: 4,
    queued: 4,
    queue_timeout: Duration::from_millis(100),
    per_session: 9,
    per_network: 2,
};

fn few_at_once(config: &mut DirectoryConfig) {
    config.plaintext = true;
    config.admission.cheap = FEW;
    config.admission.password_hash = FEW;
}

fn request(path: &str, token: &str, length: usize, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Sends an incomplete request.
async fn half(running: &Running, path: &str, token: &str) -> TcpStream {
    let mut stream = connect(running, HERE).await;
    let bytes = request(path, token, 99, "{");
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream
}

/// Sends a request that is answered immediately if it is admitted.
async fn whole(running: &Running, from: [u8; 4], path: &str, token: &str) -> String {
    say(running, from, request(path, token, 2, "{}").as_bytes()).await
}

/// Sends requests until one is refused.
async fn until_refused(running: &Running, path: &str, token: &str) {
    let began = Instant::now();
    loop {
        let answer = whole(running, HERE, path, token).await;
        if answer.starts_with("HTTP/1.1 429") {
            assert!(answer.to_ascii_lowercase().contains("retry-after: 1"));
            return;
        }
        assert!(began.elapsed() < DEADLINE, "still admitted: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_tokens_do_not_bypass_the_network_limit() {
    let (running, _) = with_peer(few_at_once).await;
    let mut held = Vec::new();
    for number in 0..4 {
        held.push(half(&running, "/login", &format!("made-up-{number}")).await);
    }
    until_refused(&running, "/login", "another").await;
    let answer = whole(&running, ELSEWHERE, "/login", "another").await;
    // The login fails, but the request is admitted.
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_requests_do_not_delay_heartbeats_of_others() {
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
async fn a_call_without_a_session_is_refused_before_its_message_arrives() {
    let running = Running::start(|_| {}).await;
    for authorization in ["", "Bearer made-up"] {
        // The message could take longer than the timeout for the response.
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

/// Returns the session of a guest.
async fn guest(running: &Running) -> String {
    let service = &running.get().service;
    let root = service.local_session(&"root".parse().unwrap(), None).await;
    let root = service.authenticate(Some(&root.unwrap().token), None).await;
    let (root, user) = (root.unwrap(), "gus".parse().unwrap());
    let password = "right horse battery";
    service
        .add_user(&root, &user, password, Role::Guest, &[])
        .await
        .unwrap();
    service.local_session(&user, None).await.unwrap().token
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_without_permission_is_refused_before_the_body() {
    let running = Running::start(|_| {}).await;
    let token = guest(&running).await;
    let bearer = format!("Bearer {token}");
    let mut raw = Raw::http2(running.get(), &[]).await;
    let head = block(&[
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", "/convite.v1.Directory/PublishIndex"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("authorization", &bearer),
    ]);
    raw.send(&frame(HEADERS, END_HEADERS, 1, &head))
        .await
        .unwrap();
    raw.send(&frame(DATA, 0, 1, &[0, 0, 0])).await.unwrap();
    let answer = raw.frame_until(|frame| frame.kind == HEADERS).await;
    assert_eq!(answer.unwrap().stream, 1);
    // With the other API.
    let mut raw = Raw::http1(running.get()).await;
    let head = format!(
        "PUT /index HTTP/1.1\r\nhost: localhost\r\nauthorization: {bearer}\r\n\
         content-type: application/json\r\ncontent-length: 9000000\r\n\r\n"
    );
    raw.send(head.as_bytes()).await.unwrap();
    assert_eq!(raw.answer().await.0, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_very_many_tiny_items_is_refused_before_it_is_decoded() {
    let (running, token) = with_peer(|_| {}).await;
    let items = vec!["\"a\""; 3_000_000].join(",");
    let body = format!("{{\"peer\":\"ana-1\",\"generation\":1,\"base\":0,\"remove\":[{items}]}}");
    let mut raw = Raw::http1(running.get()).await;
    let head = format!(
        "PUT /index HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    raw.send(head.as_bytes()).await.unwrap();
    raw.send(body.as_bytes()).await.unwrap();
    let (status, text) = raw.answer().await;
    assert_eq!(status, 413, "{text}");
    assert!(text.contains("items"), "{text}");
}

fn one_open(config: &mut DirectoryConfig) {
    config.admission.public.per_network = 1;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_without_a_session_do_not_use_up_those_of_members() {
    let (running, token) = with_peer(one_open).await;
    let mut health =
        HealthClient::with_origin(http2(running.get()).await, Uri::from_static(ORIGIN));
    let everything = HealthCheckRequest::default();
    let _first = health.watch(everything.clone()).await.unwrap();
    let refused = from_status(&health.watch(everything).await.unwrap_err());
    assert_eq!(refused.code, ErrorCode::TooManyRequests);
    let Api::Grpc(mut client) = grpc(running.get()).await else {
        panic!("wrong API")
    };
    let watch = v1::WatchRequest {
        hash: vec![7; 32].into(),
        ..Default::default()
    };
    client.watch(with_token(Some(&token), watch)).await.unwrap();
}
