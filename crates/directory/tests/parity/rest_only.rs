//! Features of REST alone: paths, methods, bodies, headers, and certificates as PEM.

use convite_core::{PeerId, UnixMillis, UserName};
use convite_wire::status::ProblemDocument;
use convite_wire::ticket::TicketVerifier;
use serde_json::{Value, json};

use crate::apis::{Running, call, http, rest};
use crate::scenarios::file;

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_is_a_problem_document() {
    let running = Running::start(|_| {}).await;
    let api = rest(running.get());
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
        let (parts, body) = http(&api, method, path, Some(&token), body.to_vec()).await;
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
    let (parts, _) = http(&api, "GET", "/peers", None, Vec::new()).await;
    assert_eq!(parts.status.as_u16(), 401);
    assert!(parts.headers.contains_key("www-authenticate"));
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_requests_have_readable_messages() {
    let running = Running::start(|_| {}).await;
    let api = rest(running.get());
    let user: UserName = "ana".parse().unwrap();
    let session = running.get().service.local_session(&user, None).await;
    let token = session.unwrap().token;
    let account =
        |user: &str| json!({"invite": "x", "user": user, "password": "pass word 1"}).to_string();
    let long = format!("/files?name={}", "x".repeat(4096));
    for (method, path, body, detail, hint) in [
        ("GET", long.as_str(), String::new(), "the maximum is 4095", "last parts"),
        ("GET", "/search?query=x", String::new(), "unknown parameter `query`", "`q`"),
        ("GET", "/search?limit=many", String::new(), "the parameter `limit` is not a whole number", "digits"),
        ("GET", "/search?limit=", String::new(), "the parameter `limit` has no value", "omit it"),
        ("GET", "/users?limit=", String::new(), "the parameter `limit` has no value", "omit it"),
        ("GET", "/search?limit=1&limit=2", String::new(), "the parameter `limit` is given twice", "once"),
        ("GET", "/search?peer=a%20b", String::new(), "'a b' is not a valid peer id: it has a space", "'a.b'"),
        ("GET", "/search?space=%26", String::new(), "'&' is not a valid space name", "letters"),
        ("POST", "/accounts", account("ana lopez"), "'ana lopez' is not a valid user name: it has a space", "try 'ana.lopez'"),
        ("POST", "/accounts", account("me@example.org"), "it has an '@'", "try 'me'"),
        ("POST", "/accounts", account("an\u{430}"), "mixes letters of several alphabets", "one alphabet"),
        ("POST", "/accounts", r#"{"invite":"x"}"#.to_owned(), "the field `user` is missing", "/docs"),
        ("POST", "/spaces", r#"{"space":"-"}"#.to_owned(), "begin with a letter or a digit", "letters"),
        ("POST", "/peers", r#"{"id":"jos\u00e9","port":1}"#.to_owned(), "not a valid peer id", "try 'jose'"),
        ("POST", "/loadfiles", r#"{"hash":"x","peer":"a"}"#.to_owned(), "64 hexadecimal digits", "b3sum"),
        ("PUT", "/index", r#"{"peer":"a","generation":1,"upsert":[{"path":"../x","size":1,"hash":"0000000000000000000000000000000000000000000000000000000000000000","modified":1}]}"#.to_owned(), "../x", ""),
        ("POST", "/login", r#"{"user":"ana","password":8316}"#.to_owned(), "the field `password` has the wrong type", "a string"),
    ] {
        let (parts, answer) = http(&api, method, path, Some(&token), body.into()).await;
        let text = String::from_utf8(answer).unwrap();
        assert_eq!(parts.status.as_u16(), 400, "{path}: {text}");
        let problem: ProblemDocument = serde_json::from_str(&text).unwrap();
        assert!(problem.detail.contains(detail), "{path}: {text}");
        assert!(problem.hint.unwrap_or_default().contains(hint), "{path}: {text}");
        for inside in ["at line", "struct", "variant", "8316", "u32"] {
            assert!(!text.contains(inside), "{path}: {text}");
        }
    }
    // A name in any language creates an account.
    let invite = http(&api, "POST", "/invites", Some(&token), b"{}".to_vec()).await;
    let invite: Value = serde_json::from_slice(&invite.1).unwrap();
    let body =
        json!({"invite": invite["invite"], "user": "JOSE\u{301}", "password": "contrase\u{f1}a 1"});
    let (parts, _) = http(&api, "POST", "/accounts", None, body.to_string().into()).await;
    assert_eq!(parts.status.as_u16(), 201);
    // Name and password match in any composition.
    let body = json!({"user": "jos\u{e9}", "password": "contrasen\u{303}a 1"}).to_string();
    let (parts, answer) = http(&api, "POST", "/login", None, body.into()).await;
    assert_eq!(parts.status.as_u16(), 200);
    let session: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(session["user"], "jos\u{e9}");
    let (parts, _) = http(
        &api,
        "GET",
        "/sessions?user=jos%C3%A9",
        Some(&token),
        Vec::new(),
    )
    .await;
    assert_eq!(parts.status.as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_needs_no_session() {
    let running = Running::start(|_| {}).await;
    let api = rest(running.get());
    for path in ["/", "/healthz"] {
        let (parts, body) = http(&api, "GET", path, None, Vec::new()).await;
        assert_eq!(parts.status.as_u16(), 200, "{path}");
        assert!(!body.is_empty());
    }
    let began = std::time::Instant::now();
    while http(&api, "GET", "/readyz", None, Vec::new())
        .await
        .0
        .status
        != 200
    {
        assert!(began.elapsed().as_secs() < 60);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_registered_with_a_signing_request_gets_a_certificate_and_its_tickets_verify() {
    let running = Running::start(|_| {}).await;
    let api = rest(running.get());
    let user: UserName = "ana".parse().unwrap();
    let session = running.get().service.local_session(&user, None).await;
    let token = session.unwrap().token;
    let key = rcgen::KeyPair::generate().unwrap();
    let request = rcgen::CertificateParams::default()
        .serialize_request(&key)
        .unwrap();
    let fields = json!({"id": "ana-1", "port": 5001, "signing_request": request.pem().unwrap()});
    let made = api
        .call(Some(&token), &call("register", fields))
        .await
        .unwrap();
    assert!(
        made["certificate"]
            .as_str()
            .unwrap()
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
    let fields = json!({"id": "ana-1", "port": 5001, "signing_request": "nonsense"});
    let refused = api.call(Some(&token), &call("register", fields)).await;
    assert_eq!(refused, Err("invalid_argument".to_owned()));

    let upsert = json!([file("a/b.txt", 1, "b")]);
    let publish = json!({"peer": "ana-1", "generation": 1, "upsert": upsert});
    api.call(Some(&token), &call("publish", publish))
        .await
        .unwrap();
    let hash = upsert[0]["hash"].clone();
    let found = api
        .call(Some(&token), &call("locate", json!({ "hash": hash })))
        .await;
    let ticket = found.unwrap()["providers"][0]["ticket"].take();
    let Value::String(ticket) = ticket else {
        panic!("no ticket in the response")
    };
    let key = data_encoding::HEXLOWER.decode(made["ticket_key"].as_str().unwrap().as_bytes());
    let key = key.unwrap();
    let now: UnixMillis = std::time::SystemTime::now().into();
    let verify = |peer: &str| {
        let peer: PeerId = peer.parse().unwrap();
        TicketVerifier::new(&key, peer)
            .unwrap()
            .verify_reader(&ticket, now)
    };
    assert_eq!(verify("ana-1").unwrap().user, user);
    assert!(verify("ana-2").is_err());
}
