//! Pages of other sites, and rebound host names, are refused.

use convite_directory::DirectoryConfig;
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient;

use crate::apis::{Running, http2};
use crate::raw::{DATA, END_HEADERS, END_STREAM, Frame, HEADERS, Raw, block, frame};

fn named(config: &mut DirectoryConfig) {
    config.hosts = vec!["files.example".to_owned()];
    config.public_addresses = vec!["public.example:443".parse().unwrap()];
}

/// Returns the status and the code of the response to a request with these headers.
async fn asked(running: &Running, line: &str, headers: &str) -> (u16, String) {
    let mut raw = Raw::http1(running.get()).await;
    let request = format!("{line} HTTP/1.1\r\n{headers}content-length: 0\r\n\r\n");
    raw.send(request.as_bytes()).await.unwrap();
    let (status, text) = raw.answer().await;
    let lower = text.to_ascii_lowercase();
    assert!(!lower.contains("access-control-"), "{text}");
    let code = text.split("\"code\":\"").nth(1).unwrap_or_default();
    let code = code.split('"').next().unwrap_or_default().to_owned();
    (status, code)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_the_directorys_is_misdirected() {
    let running = Running::start(named).await;
    for (host, status) in [
        ("localhost:50051", 401),
        ("127.0.0.1", 401),
        ("[::1]:7", 401),
        ("directory.convite", 401),
        ("files.example", 401),
        ("public.example", 401),
        ("evil.example", 421),
        ("evil.example:50051", 421),
        ("localhost.evil.example", 421),
    ] {
        let headers = format!("host: {host}\r\n");
        let (found, code) = asked(&running, "GET /peers", &headers).await;
        assert_eq!(found, status, "{host} {code}");
        assert_eq!(code == "wrong_host", status == 421, "{host} {code}");
    }
    for headers in ["", "host: localhost\r\nhost: evil.example\r\n"] {
        let (status, _) = asked(&running, "GET /peers", headers).await;
        assert_eq!(status, 400, "{headers}");
    }
    // Health checks may use any host name.
    let (status, _) = asked(&running, "GET /healthz", "host: balancer\r\n").await;
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_is_checked_on_http2_too() {
    let running = Running::start(named).await;
    for (authority, indexed) in [("localhost", false), ("evil.example", true)] {
        let mut raw = Raw::http2(running.get(), &[]).await;
        let head = block(&[
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", authority),
            (":path", "/peers"),
        ]);
        let request = frame(HEADERS, END_STREAM | END_HEADERS, 1, &head);
        raw.send(&request).await.unwrap();
        let mut body = Vec::new();
        while !String::from_utf8_lossy(&body).contains('}') {
            // Compressed headers can contain any byte.
            let data = |frame: &Frame| (frame.kind, frame.stream) == (DATA, 1);
            body.extend(raw.frame_until(data).await.unwrap().payload);
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(text.contains("wrong_host"), indexed, "{authority}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_change_nothing() {
    let running = Running::start(named).await;
    for (headers, refused) in [
        ("", false),
        ("origin: https://localhost:50051\r\n", false),
        ("sec-fetch-site: same-origin\r\n", false),
        ("origin: https://evil.example\r\n", true),
        ("origin: https://localhost:5001\r\n", true),
        ("origin: null\r\n", true),
        ("sec-fetch-site: cross-site\r\n", true),
        ("sec-fetch-site: same-site\r\n", true),
        // A page that imitates a gRPC program: the browser adds the other headers.
        (
            "origin: https://evil.example\r\ncontent-type: application/grpc\r\n",
            true,
        ),
    ] {
        let headers = format!("host: localhost:50051\r\n{headers}");
        for line in [
            "POST /login",
            "PUT /index",
            "DELETE /peers/a",
            "OPTIONS /login",
        ] {
            let (status, code) = asked(&running, line, &headers).await;
            if headers.contains("application/grpc") {
                // The refusal is encoded as gRPC, with HTTP status 200.
                assert_eq!(status, 200, "{line} {headers}");
                continue;
            }
            assert_eq!(
                code == "cross_site",
                refused,
                "{line} {headers} {status} {code}"
            );
            assert_eq!(status == 403, refused, "{line} {headers} {code}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_clients_may_use_any_host_name() {
    let running = Running::start(named).await;
    let names = [
        "https://directory.convite",
        "https://balancer.example",
        "https://10.0.0.7:50051",
    ];
    for name in names {
        let origin = http::Uri::from_static(name);
        let mut client = DirectoryClient::with_origin(http2(running.get()).await, origin);
        let refused = client.logout(v1::LogoutRequest {}).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unauthenticated, "{name}");
    }
}
