//! Tests that follow from the declarations of the operations: a new operation is tested without
//! being named here.

use convite_directory::operations::{Access, Operation};
use convite_directory::routes_of;
use serde_json::json;

use crate::apis::{ORIGIN, Running, call, http, http2, rest};
use crate::openapi::filled;
use crate::spaces::token;

/// The gRPC status UNAUTHENTICATED.
const UNAUTHENTICATED: i32 = 16;

/// Sends an empty message without a session, and returns the gRPC status.
async fn status_without_session(running: &Running, path: &str) -> i32 {
    let message = bytes::Bytes::from_static(&[0; 5]);
    let request = http::Request::post(format!("{ORIGIN}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(tonic::body::Body::new(http_body_util::Full::new(message)))
        .unwrap();
    let response = tower::ServiceExt::oneshot(http2(running.get()).await, request).await;
    let status = response.unwrap().headers()["grpc-status"].clone();
    status.to_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_methods_refuse_callers_without_a_session() {
    let running = Running::start(|_| {}).await;
    for operation in Operation::ALL {
        let Some(path) = operation.grpc_path() else {
            continue;
        };
        let status = status_without_session(&running, &path).await;
        let is_refused = status == UNAUTHENTICATED;
        assert_eq!(
            is_refused,
            operation.access().requires_session(),
            "{path}: {status}"
        );
    }
}

/// Returns a valid body for the operations that require one.
fn body(operation: Operation) -> serde_json::Value {
    match operation {
        Operation::AddUser => json!({"user": "carl", "password": "pass word 1"}),
        Operation::AddSpace => json!({"space": "lab"}),
        _ => json!({}),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_refused_the_operations_of_administrators() {
    let running = Running::start(|_| {}).await;
    let api = rest(running.get());
    let invite = running.get().invite.clone();
    let ana = token(&api, &invite, "ana").await;
    let bob = token(&api, &invite, "bob").await;
    let all = Operation::ALL.iter().copied();
    for operation in all.filter(|one| one.access() == Access::Admin) {
        for route in routes_of(operation) {
            let (method, path) = route.split_once(' ').unwrap();
            let body = body(operation).to_string().into_bytes();
            let (parts, _) = http(&api, method, &filled(path), Some(&bob), body).await;
            assert_eq!(parts.status.as_u16(), 403, "{route}");
        }
        let log = call("audit", json!({"limit": 1000}));
        let log = api.call(Some(&ana), &log).await.unwrap();
        let act = operation.audit().unwrap().name();
        let is_recorded = |entry: &serde_json::Value| {
            entry["action"] == "denied" && entry["target"] == act && entry["actor"] == "bob"
        };
        let entries = log["entries"].as_array().unwrap();
        assert!(entries.iter().any(is_recorded), "{operation:?}: {log}");
    }
}
