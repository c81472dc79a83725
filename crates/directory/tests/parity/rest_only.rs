//! What only this door can get wrong: paths, methods, bodies, headers. And certificates as PEM.

use convite_core::{PeerId, UnixMillis, UserName};
use convite_wire::status::ProblemDocument;
use convite_wire::ticket::TicketVerifier;
use serde_json::{Value, json};

use crate::doors::{Running, call, http, rest};
use crate::scenarios::file;

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_is_a_problem_document() {
    let running = Running::start(|_| {}).await;
    let door = rest(running.get());
    let user: UserName = "ana".parse().unwrap();
    let session = running.get().service.local_session(&user, None).await;
    let token = session.unwrap().token;
    let long = vec![b' '; 300 << 10];
    for (method, path, body, status, code) in [
        ("GET", "/nothing", &b""[..], 404, "not_found"),
        ("DELETE", "/login", b"", 405, "method_not_allowed"),
        ("POST", "/login", b"{", 400, "invalid_argument"),
        ("POST", "/login", b"", 400, "invalid_argument"),
        ("POST", "/login", b" [\"a\",\"b\"]", 400, "invalid_argument"),
        ("POST", "/invites", b"[1]", 400, "invalid_argument"),
        (
            "POST",
            "/login",
            br#"{"user":"a","password":"b","x":1}"#,
            400,
            "invalid_argument",
        ),
        ("POST", "/login", &long, 413, "too_large"),
        ("GET", "/search?limit=many", b"", 400, "invalid_argument"),
        ("GET", "/search?min_size=-1", b"", 400, "invalid_argument"),
        ("GET", "/peers?limit=0", b"", 400, "invalid_argument"),
        ("GET", "/files/%ff", b"", 400, "invalid_argument"),
        ("DELETE", "/peers/%20", b"", 400, "invalid_argument"),
    ] {
        let (parts, body) = http(&door, method, path, Some(&token), body.to_vec()).await;
        let text = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(parts.status.as_u16(), status, "{method} {path}: {text}");
        assert_eq!(parts.headers["content-type"], "application/problem+json");
        assert_eq!(parts.headers["x-request-id"].len(), 16);
        let document: ProblemDocument = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (document.status, document.code.as_str()),
            (status, code),
            "{path}"
        );
        assert!(!document.detail.ends_with('.'), "{}", document.detail);
    }
    let (parts, _) = http(&door, "GET", "/peers", None, Vec::new()).await;
    assert_eq!(parts.status.as_u16(), 401);
    assert!(parts.headers.contains_key("www-authenticate"));
}

#[tokio::test(flavor = "multi_thread")]
async fn health_needs_no_session() {
    let running = Running::start(|_| {}).await;
    let door = rest(running.get());
    for path in ["/", "/healthz"] {
        let (parts, body) = http(&door, "GET", path, None, Vec::new()).await;
        assert_eq!(parts.status.as_u16(), 200, "{path}");
        assert!(!body.is_empty());
    }
    let began = std::time::Instant::now();
    while http(&door, "GET", "/readyz", None, Vec::new())
        .await
        .0
        .status
        != 200
    {
        assert!(began.elapsed().as_secs() < 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_registered_with_a_signing_request_gets_a_certificate_and_its_tickets_verify() {
    let running = Running::start(|_| {}).await;
    let door = rest(running.get());
    let user: UserName = "ana".parse().unwrap();
    let session = running.get().service.local_session(&user, None).await;
    let token = session.unwrap().token;
    let key = rcgen::KeyPair::generate().unwrap();
    let request = rcgen::CertificateParams::default()
        .serialize_request(&key)
        .unwrap();
    let fields = json!({"id": "ana-1", "port": 5001, "signing_request": request.pem().unwrap()});
    let made = door
        .knock(Some(&token), &call("register", fields))
        .await
        .unwrap();
    assert!(
        made["certificate"]
            .as_str()
            .unwrap()
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
    let fields = json!({"id": "ana-1", "port": 5001, "signing_request": "nonsense"});
    let refused = door.knock(Some(&token), &call("register", fields)).await;
    assert_eq!(refused, Err("invalid_argument".to_owned()));

    let upsert = json!([file("a/b.txt", 1, "b")]);
    let publish = json!({"peer": "ana-1", "generation": 1, "upsert": upsert});
    door.knock(Some(&token), &call("publish", publish))
        .await
        .unwrap();
    let hash = upsert[0]["hash"].clone();
    let found = door
        .knock(Some(&token), &call("locate", json!({ "hash": hash })))
        .await;
    let ticket = found.unwrap()["providers"][0]["ticket"].take();
    let Value::String(ticket) = ticket else {
        panic!("no ticket")
    };
    let key = data_encoding::HEXLOWER.decode(made["ticket_key"].as_str().unwrap().as_bytes());
    let key = key.unwrap();
    let now: UnixMillis = std::time::SystemTime::now().into();
    let verify = |peer: &str| {
        let peer: PeerId = peer.parse().unwrap();
        TicketVerifier::new(&key, peer)
            .unwrap()
            .verify(&ticket, now)
    };
    assert_eq!(verify("ana-1").unwrap().user, user);
    assert!(verify("ana-2").is_err());
}
