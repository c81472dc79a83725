//! The description at `/openapi.json`: it is what the directory does, and what the repository
//! keeps.

use std::collections::BTreeSet;

use convite_core::UserName;
use convite_wire::status::ProblemDocument;
use serde_json::Value;

use crate::doors::{Door, Running, http, http_with, rest};

async fn description(door: &Door) -> Value {
    let (parts, body) = http(door, "GET", "/openapi.json", None, Vec::new()).await;
    assert_eq!(parts.status.as_u16(), 200);
    assert_eq!(parts.headers["content-type"], "application/json");
    serde_json::from_slice(&body).unwrap()
}

/// A path with something in the place of each part that varies.
fn filled(path: &str) -> String {
    let hash = "0".repeat(64);
    let path = path.replace("{hash}", &hash);
    ["{id}", "{user}", "{space}", "{token}"]
        .iter()
        .fold(path, |path, part| path.replace(part, "a"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_described_path_takes_exactly_the_described_methods() {
    let running = Running::start(|_| {}).await;
    let door = rest(running.get());
    let description = description(&door).await;
    assert_eq!(description["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        let mut described: BTreeSet<String> = BTreeSet::new();
        for (method, operation) in item.as_object().unwrap() {
            described.insert(method.to_uppercase());
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} names two operations");
            assert!(operation["summary"].is_string(), "{id} has no summary");
        }
        // Whoever takes GET takes HEAD (RFC 9110, section 9.3.2).
        if described.contains("GET") {
            described.insert("HEAD".to_owned());
        }
        let (parts, _) = http(&door, "OPTIONS", &filled(path), None, Vec::new()).await;
        assert_eq!(parts.status.as_u16(), 405, "{path}");
        let allow = parts.headers["allow"].to_str().unwrap().split(',');
        let allowed: BTreeSet<String> = allow.map(|method| method.trim().to_owned()).collect();
        assert_eq!(allowed, described, "{path}");
    }
    assert!(ids.contains("publishIndex") && ids.contains("locateFile"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_wants_a_session_is_described_so_and_refuses_without() {
    let running = Running::start(|_| {}).await;
    let door = rest(running.get());
    let description = description(&door).await;
    let mut open = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase();
            if !operation["security"].is_array() {
                open.insert(format!("{method} {path}"));
                continue;
            }
            let (parts, _) = http(&door, &method, &filled(path), None, b"{}".to_vec()).await;
            assert_eq!(parts.status.as_u16(), 401, "{method} {path}");
            assert!(operation["responses"]["401"].is_object(), "{method} {path}");
        }
    }
    // Whatever strangers may ask for is named here: another is a decision.
    let strangers = [
        "GET /",
        // Whoever has the token of a link has its file.
        "GET /d/{token}",
        "GET /docs",
        "GET /docs/reference.css",
        "GET /docs/reference.js",
        "GET /healthz",
        // From this machine, as here; from elsewhere only administrators.
        "GET /metrics",
        "GET /openapi.json",
        "GET /readyz",
        "POST /accounts",
        "POST /login",
    ];
    assert_eq!(open, strangers.map(str::to_owned).into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_a_fit_id_and_gets_one_otherwise() {
    let running = Running::start(|_| {}).await;
    let door = rest(running.get());
    let user: UserName = "ana".parse().unwrap();
    let session = running.get().service.local_session(&user, None).await;
    let token = session.unwrap().token;
    for (sent, kept) in [
        ("ticket-42:a.b_c", true),
        ("a b", false),
        (&*"x".repeat(65), false),
    ] {
        let fields = [("x-request-id", sent)];
        for path in ["/peers", "/peers?limit=0", "/none"] {
            let (parts, body) =
                http_with(&door, "GET", path, Some(&token), &fields, Vec::new()).await;
            let answered = parts.headers["x-request-id"].to_str().unwrap();
            assert_eq!(answered == sent, kept, "{answered}");
            assert!(kept || answered.len() == 16, "{answered}");
            if path != "/peers" {
                let document: ProblemDocument = serde_json::from_slice(&body).unwrap();
                assert_eq!(document.request_id.as_deref(), Some(answered));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_another_kind_is_refused() {
    let running = Running::start(|_| {}).await;
    let door = rest(running.get());
    let body = br#"{"user":"ana","password":"pass word 1"}"#.to_vec();
    for (kind, status) in [
        ("application/json", 401),
        ("Application/JSON; charset=utf-8", 401),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
    ] {
        let fields = [("content-type", kind)];
        let (parts, _) = http_with(&door, "POST", "/login", None, &fields, body.clone()).await;
        assert_eq!(parts.status.as_u16(), status, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_description_takes_nothing_from_elsewhere() {
    let running = Running::start(|_| {}).await;
    let door = rest(running.get());
    for (path, kind) in [
        ("/docs", "text/html"),
        ("/docs/reference.js", "text/javascript"),
        ("/docs/reference.css", "text/css"),
    ] {
        let (parts, body) = http(&door, "GET", path, None, Vec::new()).await;
        assert_eq!(parts.status.as_u16(), 200, "{path}");
        assert!(
            parts.headers["content-type"]
                .to_str()
                .unwrap()
                .starts_with(kind)
        );
        let policy = parts.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let text = String::from_utf8(body).unwrap();
        for outside in [
            "http://",
            "https://",
            "//cdn",
            "@import",
            "url(",
            "innerHTML",
        ] {
            assert!(!text.contains(outside), "{path} has {outside}");
        }
        // What the policy would keep from working.
        assert!(
            !text.contains("style=") && !text.contains("onclick="),
            "{path}"
        );
    }
    let (parts, _) = http(&door, "GET", "/docs/x", None, Vec::new()).await;
    assert_eq!(parts.status.as_u16(), 404);
}
