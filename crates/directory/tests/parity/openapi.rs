//! The description at `/openapi.json` matches the directory's behaviour and the file in the
//! repository.

use std::collections::BTreeSet;

use convite_core::UserName;
use convite_wire::status::ProblemDocument;
use serde_json::Value;

use crate::apis::{Api, Running, http, http_with, rest};

async fn description(api: &Api) -> Value {
    let (parts, body) = http(api, "GET", "/openapi.json", None, Vec::new()).await;
    assert_eq!(parts.status.as_u16(), 200);
    assert_eq!(parts.headers["content-type"], "application/json");
    serde_json::from_slice(&body).unwrap()
}

/// Returns a path with values for its parameters.
pub fn filled(path: &str) -> String {
    let hash = "0".repeat(64);
    let path = path.replace("{hash}", &hash);
    ["{id}", "{user}", "{space}", "{token}"]
        .iter()
        .fold(path, |path, part| path.replace(part, "a"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_described_path_takes_exactly_the_described_methods() {
    let running = Running::start(|_| {}).await;
    let api = rest(running.get());
    let description = description(&api).await;
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
        // A path with GET also supports HEAD (RFC 9110, section 9.3.2).
        if described.contains("GET") {
            described.insert("HEAD".to_owned());
        }
        let (parts, _) = http(&api, "OPTIONS", &filled(path), None, Vec::new()).await;
        assert_eq!(parts.status.as_u16(), 405, "{path}");
        let allow = parts.headers["allow"].to_str().unwrap().split(',');
        let allowed: BTreeSet<String> = allow.map(|method| method.trim().to_owned()).collect();
        assert_eq!(allowed, described, "{path}");
    }
    assert!(ids.contains("publishIndex") && ids.contains("locateFile"));
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_that_require_a_session_are_described_so_and_refuse_others() {
    let running = Running::start(|_| {}).await;
    let api = rest(running.get());
    let description = description(&api).await;
    let mut open = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase();
            if !operation["security"].is_array() {
                open.insert(format!("{method} {path}"));
                continue;
            }
            let (parts, _) = http(&api, &method, &filled(path), None, b"{}".to_vec()).await;
            assert_eq!(parts.status.as_u16(), 401, "{method} {path}");
            assert!(operation["responses"]["401"].is_object(), "{method} {path}");
        }
    }
    // All operations without a session are listed here, so that a new one requires a decision.
    let strangers = [
        "GET /",
        // The token of a link gives access to its file.
        "GET /d/{token}",
        "GET /docs",
        "GET /docs/reference.css",
        "GET /docs/reference.js",
        "GET /healthz",
        // AccessList from this machine, as in this test; from other hosts only for administrators.
        "GET /metrics",
        "GET /openapi.json",
        "GET /readyz",
        "POST /accounts",
        // The button on the page of a link.
        "POST /d/{token}",
        "POST /login",
    ];
    assert_eq!(open, strangers.map(str::to_owned).into());
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_parameters_are_refused_and_the_known_ones_named() {
    let running = Running::start(|_| {}).await;
    let api = rest(running.get());
    let description = description(&api).await;
    // Shared addresses, to which chat programs append parameters.
    let pages = ["/", "/d/{token}"];
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase();
            let parameters = operation["parameters"].as_array();
            let known: Vec<&str> = parameters
                .into_iter()
                .flatten()
                .filter(|parameter| parameter["in"] == "query")
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            let asked = format!("{}?nonsense=1", filled(path));
            let (parts, body) = http(&api, &method, &asked, None, b"{}".to_vec()).await;
            if pages.contains(&path.as_str()) {
                assert_ne!(parts.status.as_u16(), 400, "{method} {path}");
                continue;
            }
            let text = String::from_utf8(body).unwrap();
            assert_eq!(parts.status.as_u16(), 400, "{method} {path}: {text}");
            let problem: ProblemDocument = serde_json::from_str(&text).unwrap();
            assert!(problem.detail.contains("`nonsense`"), "{text}");
            let hint = problem.hint.unwrap();
            for name in known {
                assert!(
                    hint.contains(&format!("`{name}`")),
                    "{method} {path}: {hint}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_request_id_is_kept_and_others_are_replaced() {
    let running = Running::start(|_| {}).await;
    let api = rest(running.get());
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
                http_with(&api, "GET", path, Some(&token), &fields, Vec::new()).await;
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
async fn a_body_with_another_content_type_is_refused() {
    let running = Running::start(|_| {}).await;
    let api = rest(running.get());
    let body = br#"{"user":"ana","password":"pass word 1"}"#.to_vec();
    for (kind, status) in [
        ("application/json", 401),
        ("Application/JSON; charset=utf-8", 401),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
    ] {
        let fields = [("content-type", kind)];
        let (parts, _) = http_with(&api, "POST", "/login", None, &fields, body.clone()).await;
        assert_eq!(parts.status.as_u16(), status, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_docs_page_loads_nothing_from_other_servers() {
    let running = Running::start(|_| {}).await;
    let api = rest(running.get());
    for (path, kind) in [
        ("/docs", "text/html"),
        ("/docs/reference.js", "text/javascript"),
        ("/docs/reference.css", "text/css"),
    ] {
        let (parts, body) = http(&api, "GET", path, None, Vec::new()).await;
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
        // Code that the policy blocks.
        assert!(
            !text.contains("style=") && !text.contains("onclick="),
            "{path}"
        );
    }
    let (parts, _) = http(&api, "GET", "/docs/x", None, Vec::new()).await;
    assert_eq!(parts.status.as_u16(), 404);
}
