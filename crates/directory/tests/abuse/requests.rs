//! Requests with hostile lengths, depths and encodings.

use convite_core::{ErrorCode, UserName};
use convite_wire::status::from_status;
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient;

use crate::apis::{Api, ORIGIN, Running, grpc, http, http2, rest};
use crate::raw::Raw;

async fn start() -> (Running, String) {
    let running = Running::start(|_| {}).await;
    let user: UserName = "ana".parse().unwrap();
    let session = running.get().service.local_session(&user, None).await;
    (running, session.unwrap().token)
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_hostile_shapes_are_refused_with_a_clear_problem() {
    let (running, token) = start().await;
    let api = rest(running.get());
    let deep = "[".repeat(100_000);
    let objects = "{\"a\":".repeat(20_000);
    let fields = format!("{{{}}}", vec!["\"user\":\"a\""; 5_000].join(","));
    let large = format!(
        "{{\"user\":\"{}\",\"password\":\"x\"}}",
        "a".repeat(300_000)
    );
    for (body, status) in [
        (deep.as_bytes(), 400),
        (objects.as_bytes(), 400),
        (fields.as_bytes(), 400),
        (large.as_bytes(), 413),
        (br#"{"user":"a","password":"\ud800"}"#, 400),
        (
            br#"{"user":"a","password":"x","peer":{"id":"a","port":1e400}}"#,
            400,
        ),
        (b"{\"user\":\"\xff\xfe\",\"password\":\"x\"}", 400),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", 400),
        (b"\0", 400),
    ] {
        let (parts, answer) = http(&api, "POST", "/login", Some(&token), body.to_vec()).await;
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(parts.status.as_u16(), status, "{text}");
        assert_eq!(parts.headers["content-type"], "application/problem+json");
        assert!(text.len() < 2_000, "{} bytes", text.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_that_contradict_each_other_are_refused() {
    let (running, _) = start().await;
    for headers in [
        "content-length: -1\r\n",
        "content-length: 99999999999999999999999\r\n",
        "content-length: 2, 3\r\n",
        "content-length: 2\r\ncontent-length: 3\r\n",
        "content-length: +2\r\n",
        "transfer-encoding: chunked, identity\r\n",
    ] {
        let mut raw = Raw::http1(running.get()).await;
        let request = format!("POST /login HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n{{}}");
        raw.send(request.as_bytes()).await.unwrap();
        let (status, text) = raw.answer().await;
        assert_eq!(status, 400, "{headers}: {text}");
    }
    for chunk in [
        "fffffffffffffffff\r\n",
        "-1\r\n",
        "zz\r\n",
        "2;\x01\r\n{}\r\nx\r\n",
    ] {
        let mut raw = Raw::http1(running.get()).await;
        let head = "POST /login HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
        raw.send(format!("{head}{chunk}").as_bytes()).await.unwrap();
        let (status, text) = raw.answer().await;
        assert_eq!(status, 400, "{chunk:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claimed_length_allocates_nothing() {
    let (running, token) = start().await;
    let mut raw = Raw::http1(running.get()).await;
    let request = format!(
        "PUT /index HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-length: 18446744073709551000\r\n\r\n"
    );
    raw.send(request.as_bytes()).await.unwrap();
    assert_eq!(raw.answer().await.0, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_too_large_are_refused_before_they_are_decoded() {
    let (running, _) = start().await;
    let Api::Grpc(mut client) = grpc(running.get()).await else {
        panic!("wrong API")
    };
    // Half a million empty addresses in one megabyte.
    let peer = v1::PeerEndpoint {
        id: "a".to_owned(),
        port: 1,
        addresses: vec![String::new(); 500_000],
    };
    let message = v1::LoginRequest {
        user: "ana".to_owned(),
        password: "right horse".to_owned(),
        peer: Some(peer),
        ..Default::default()
    };
    let refused = from_status(&client.login(message).await.unwrap_err());
    assert_eq!(refused.code, ErrorCode::TooLarge, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_with_one_large_field_is_refused() {
    let (running, _) = start().await;
    let Api::Grpc(mut client) = grpc(running.get()).await else {
        panic!("wrong API")
    };
    // Larger than a message may be, smaller than what the framework decodes, with few fields.
    let message = v1::LoginRequest {
        user: "ana".to_owned(),
        password: "x".repeat(1 << 20),
        ..Default::default()
    };
    let refused = from_status(&client.login(message).await.unwrap_err());
    assert_eq!(refused.code, ErrorCode::TooLarge, "{refused}");
}

/// Sends a message as raw bytes.
async fn send_bytes(running: &Running, path: &str, token: &str, message: &[u8]) -> (u16, i32) {
    let mut framed = vec![0];
    framed.extend((message.len() as u32).to_be_bytes());
    framed.extend(message);
    let request = http::Request::post(format!("{ORIGIN}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {token}"))
        .body(tonic::body::Body::new(http_body_util::Full::new(
            bytes::Bytes::from(framed),
        )))
        .unwrap();
    let answer = tower::ServiceExt::oneshot(http2(running.get()).await, request).await;
    let answer = answer.unwrap();
    let status = answer.headers().get("grpc-status").unwrap();
    let code = status.to_str().unwrap().parse().unwrap();
    (answer.status().as_u16(), code)
}

#[tokio::test(flavor = "multi_thread")]
async fn undecodable_messages_are_invalid_arguments() {
    let (running, token) = start().await;
    let not_utf8 = [0x0a, 2, 0xff, 0xfe];
    let beyond_its_end = [0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let groups = [0x0b; 2_000];
    for message in [&not_utf8[..], &beyond_its_end, &groups] {
        for path in ["Login", "SearchFile", "Locate", "Heartbeat", "PublishIndex"] {
            let path = format!("/convite.v1.Directory/{path}");
            let (status, code) = send_bytes(&running, &path, &token, message).await;
            assert_eq!((status, code), (200, 3), "{path} {message:x?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_decompressed() {
    let (running, _) = start().await;
    let mut client = DirectoryClient::new(Zipped(http2(running.get()).await));
    let refused = client.login(v1::LoginRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unimplemented);
}

/// Marks its messages as compressed.
#[derive(Clone)]
struct Zipped(convite_net::dial::Http2<tonic::body::Body>);

impl tower::Service<http::Request<tonic::body::Body>> for Zipped {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = <convite_net::dial::Http2<tonic::body::Body> as tower::Service<
        http::Request<tonic::body::Body>,
    >>::Future;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<tonic::body::Body>) -> Self::Future {
        let path = request.uri().path().to_owned();
        *request.uri_mut() = format!("{ORIGIN}{path}").parse().unwrap();
        let gzip = http::HeaderValue::from_static("gzip");
        request.headers_mut().insert("grpc-encoding", gzip);
        self.0.call(request)
    }
}
