//! An overloaded directory says so, with a time to retry.

use std::time::{Duration, Instant};

use convite_client::{Credentials, DirectoryClient};
use convite_core::{ErrorCode, Problem, UserName};
use convite_directory::DirectoryConfig;
use convite_directory::middleware::admission::{AdmissionLimits, ClassLimits};
use convite_directory::throttle::FailureRate;
use convite_wire::status::{ProblemDocument, from_status};
use convite_wire::v1;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::apis::{Api, Running, call, grpc, http, rest};

fn one_publisher(config: &mut DirectoryConfig) {
    config.admission.publish = ClassLimits {
        running: 1,
        queued: 0,
        queue_timeout: Duration::ZERO,
        per_session: 9,
        per_network: 2,
    };
}

/// Starts a directory with an account and a registered peer; returns the session's token.
pub async fn with_peer(change: fn(&mut DirectoryConfig)) -> (Running, String) {
    let running = Running::start(change).await;
    let user: UserName = "ana".parse().unwrap();
    let session = running.get().service.local_session(&user, None).await;
    let token = session.unwrap().token;
    let register = call("register", json!({"id": "ana-1", "port": 5001}));
    let api = rest(running.get());
    api.call(Some(&token), &register).await.unwrap();
    (running, token)
}

fn with_token<T>(message: T, token: &str) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

/// Publishes an empty index through gRPC.
async fn publish(api: &Api, token: &str) -> Result<(), Problem> {
    let Api::Grpc(client) = api else {
        panic!("wrong API")
    };
    let request = with_token(
        tokio_stream::iter([v1::PublishIndexRequest::default()]),
        token,
    );
    let reply = client.clone().publish_index(request).await;
    reply.map(drop).map_err(|status| from_status(&status))
}

#[tokio::test(flavor = "multi_thread")]
async fn excess_requests_get_retry_after_and_others_are_served() {
    let (running, token) = with_peer(one_publisher).await;
    let (rest, grpc) = (rest(running.get()), grpc(running.get()).await);
    let Api::Grpc(busy) = crate::apis::grpc(running.get()).await else {
        panic!("wrong API")
    };
    let heartbeat = call("heartbeat", json!({"id": "ana-1"}));
    let began = Instant::now();
    let (sender, publishing, refused) = loop {
        // A slow publisher. The probe below may win the race: repeat in that case.
        let (sender, messages) = mpsc::channel::<v1::PublishIndexRequest>(1);
        let request = with_token(ReceiverStream::new(messages), &token);
        let mut client = busy.clone();
        let publishing = tokio::spawn(async move { client.publish_index(request).await });
        grpc.call(Some(&token), &heartbeat).await.unwrap();
        match publish(&grpc, &token).await {
            Err(problem) if problem.code == ErrorCode::Overloaded => {
                break (sender, publishing, problem);
            }
            _ => assert!(began.elapsed() < Duration::from_secs(60)),
        }
    };
    assert_eq!(refused.retry_after, Some(Duration::from_secs(1)));

    let body = json!({"peer": "ana-1", "generation": 1, "upsert": []});
    let body = body.to_string().into_bytes();
    let (parts, document) = http(&rest, "PUT", "/index", Some(&token), body.clone()).await;
    assert_eq!(parts.status.as_u16(), 503);
    assert_eq!(parts.headers["retry-after"], "1");
    let document: ProblemDocument = serde_json::from_slice(&document).unwrap();
    assert_eq!(document.code, "overloaded");

    for api in [&rest, &grpc] {
        for asked in [
            call("heartbeat", json!({"id": "ana-1"})),
            call("search", json!({"q": "anything"})),
            call("peers", json!({})),
        ] {
            api.call(Some(&token), &asked).await.unwrap();
        }
    }

    drop(sender);
    publishing.await.unwrap().unwrap_err();
    let (parts, _) = http(&rest, "PUT", "/index", Some(&token), body).await;
    assert_eq!(parts.status.as_u16(), 200);
}

fn one_at_a_time_each(config: &mut DirectoryConfig) {
    let bound = ClassLimits {
        per_session: 1,
        ..AdmissionLimits::default().streaming
    };
    config.admission.streaming = bound;
}

#[tokio::test(flavor = "multi_thread")]
async fn streaming_responses_per_session_are_limited() {
    let (running, token) = with_peer(one_at_a_time_each).await;
    let Api::Grpc(mut client) = grpc(running.get()).await else {
        panic!("wrong API")
    };
    let watch = v1::WatchRequest {
        hash: vec![7; 32].into(),
        ..Default::default()
    };
    let first = client
        .watch(with_token(watch.clone(), &token))
        .await
        .unwrap();
    let refused = client.watch(with_token(watch.clone(), &token)).await;
    let refused = from_status(&refused.unwrap_err());
    assert_eq!(refused.code, ErrorCode::TooManyRequests);
    assert!(refused.retry_after.is_some());
    // Another session has its own share; the first has capacity again when its stream ends.
    let user: UserName = "berta".parse().unwrap();
    let other = running.get().service.local_session(&user, None).await;
    let other = other.unwrap().token;
    client
        .watch(with_token(watch.clone(), &other))
        .await
        .unwrap();
    drop(first);
    let began = Instant::now();
    while client
        .watch(with_token(watch.clone(), &token))
        .await
        .is_err()
    {
        assert!(began.elapsed() < Duration::from_secs(60));
    }
}

fn a_short_lockout(config: &mut DirectoryConfig) {
    config.attempt_limits.account_and_network = FailureRate {
        free_failures: 0,
        first_delay: Duration::from_secs(1),
        max_delay: Duration::from_secs(60),
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_waits_for_retry_after_and_succeeds() {
    let (running, _) = with_peer(a_short_lockout).await;
    let user: UserName = "berta".parse().unwrap();
    let password = Some("right horse");
    running
        .get()
        .service
        .local_session(&user, password)
        .await
        .unwrap();
    let link = running.get().invite.parse().unwrap();
    let client = DirectoryClient::new(&Credentials::from_invite(&link)).unwrap();
    let wrong = client.login(&user, "wrong horse").await.err().unwrap();
    assert_eq!(wrong.code, ErrorCode::WrongCredentials);
    client.login(&user, "right horse").await.unwrap();
}
