//! Slow and silent connections are closed, on both protocols, while others are served.

use std::time::Duration;

use convite_core::{ContentHash, UserName};
use convite_directory::DirectoryConfig;
use convite_net::tls::{DIRECTORY_NAME, client_config_http1};
use serde_json::json;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use crate::apis::{Running, call, http, rest};
use crate::raw::{CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PATIENCE, Raw, frame, get};

const SOON: Duration = Duration::from_millis(1_500);

async fn with_short_timeouts(change: fn(&mut DirectoryConfig)) -> Running {
    Running::start(change).await
}

async fn still_serves(running: &Running) {
    let api = rest(running.get());
    let (parts, _) = http(&api, "GET", "/healthz", None, Vec::new()).await;
    assert_eq!(parts.status.as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_a_tls_handshake_is_closed() {
    let running = with_short_timeouts(|config| config.limits.handshake = SOON).await;
    let stream = TcpStream::connect(running.get().address).await.unwrap();
    assert_eq!(Raw::of(stream).until_cut().await, b"");
    still_serves(&running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_headers_end_the_connection_on_http1() {
    let running = with_short_timeouts(|config| config.limits.headers = SOON).await;
    let mut raw = Raw::http1(running.get()).await;
    let begun = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-drip: ";
    raw.send(begun).await.unwrap();
    raw.drip_until_cut(b"x").await;
    still_serves(&running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_headers_end_the_connection_on_http2() {
    let running = with_short_timeouts(|config| config.limits.headers = SOON).await;
    let mut raw = Raw::http2(running.get(), &[]).await;
    let block = get("/healthz");
    let begun = frame(HEADERS, END_STREAM, 1, &block[..4]);
    raw.send(&begun).await.unwrap();
    raw.drip_until_cut(&frame(CONTINUATION, 0, 1, &[])).await;
    still_serves(&running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_requests_is_closed_even_if_it_answers_pings() {
    let running = with_short_timeouts(|config| config.limits.headers = SOON).await;
    Raw::http1(running.get()).await.until_cut().await;
    Raw::http2_silent(running.get()).await.until_cut().await;
    let mut raw = Raw::http2(running.get(), &[]).await;
    raw.frames_until_cut().await;
    still_serves(&running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed() {
    let running = with_short_timeouts(|config| config.limits.idle = SOON).await;
    let mut raw = Raw::http2(running.get(), &[]).await;
    let request = frame(HEADERS, END_STREAM | END_HEADERS, 1, &get("/healthz"));
    raw.send(&request).await.unwrap();
    let answer = raw.frame_until(|frame| frame.kind == DATA).await;
    assert_eq!(answer.unwrap().payload, b"ok\n");
    raw.frames_until_cut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unread_response_ends_the_connection_on_http2() {
    let running = with_short_timeouts(|config| config.limits.stall = SOON).await;
    // SETTINGS_INITIAL_WINDOW_SIZE 0: the server may send no data.
    let mut raw = Raw::http2(running.get(), &[(4, 0)]).await;
    let request = frame(HEADERS, END_STREAM | END_HEADERS, 1, &get("/healthz"));
    raw.send(&request).await.unwrap();
    let head = raw.frame_until(|frame| frame.kind == HEADERS).await;
    assert_eq!(head.unwrap().stream, 1);
    raw.frames_until_cut().await;
    still_serves(&running).await;
}

/// Starts a directory with an index of about 300 KB in one response.
async fn with_a_long_list(running: &Running) -> String {
    let user: UserName = "ana".parse().unwrap();
    let session = running.get().service.local_session(&user, None).await;
    let token = session.unwrap().token;
    let api = rest(running.get());
    let register = call("register", json!({"id": "ana-1", "port": 5001}));
    api.call(Some(&token), &register).await.unwrap();
    let hash = ContentHash::of(b"x").to_string();
    let file = |number: usize| json!({"path": format!("{}{number}", "x".repeat(200)), "size": 1, "hash": hash, "modified": 1});
    let files: Vec<_> = (0..1_000).map(file).collect();
    let publish = json!({"peer": "ana-1", "generation": 1, "upsert": files});
    api.call(Some(&token), &call("publish", publish))
        .await
        .unwrap();
    token
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unread_response_ends_the_connection_on_http1() {
    let running = with_short_timeouts(|config| {
        config.limits.idle = SOON;
        config.limits.stall = SOON;
    })
    .await;
    let token = with_a_long_list(&running).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(running.get().address).await.unwrap();
    let config = client_config_http1(running.get().authority.unwrap());
    let name = DIRECTORY_NAME.try_into().unwrap();
    let stream = TlsConnector::from(config).connect(name, stream).await;
    let mut raw = Raw::of(stream.unwrap());
    // More responses than all buffers hold.
    let asking = async {
        let request = format!(
            "GET /index?limit=1000 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        while raw.send(request.as_bytes()).await.is_ok() {}
    };
    tokio::time::timeout(PATIENCE, asking)
        .await
        .expect("the connection is closed in time");
    still_serves(&running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_body_is_refused_on_both_protocols() {
    let running = with_short_timeouts(|config| config.admission.body_grace = SOON).await;
    let mut raw = Raw::http1(running.get()).await;
    let head = b"POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9999\r\n\r\n{";
    raw.send(head).await.unwrap();
    let (status, text) = raw.answer().await;
    assert_eq!(status, 400, "{text}");

    let mut raw = Raw::http2(running.get(), &[]).await;
    let head = crate::raw::block(&[
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", "/convite.v1.Directory/Login"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]);
    raw.send(&frame(HEADERS, END_HEADERS, 1, &head))
        .await
        .unwrap();
    raw.send(&frame(DATA, 0, 1, &[0, 0, 0])).await.unwrap();
    let answer = raw.frame_until(|frame| frame.kind == HEADERS).await;
    assert_eq!(answer.unwrap().stream, 1);
    still_serves(&running).await;
}
