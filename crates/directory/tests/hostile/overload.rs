//! A directory that has as much to do as it takes on says so, and says when to come back.

use std::time::{Duration, Instant};

use convite_client::{Credentials, DirectoryClient};
use convite_core::{ErrorCode, Problem, UserName};
use convite_directory::DirectoryConfig;
use convite_directory::gate::admission::{Bound, Capacity};
use convite_directory::throttle::Pace;
use convite_wire::status::{ProblemDocument, from_status};
use convite_wire::v1;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::doors::{Door, Running, call, grpc, http, rest};

fn one_publisher(config: &mut DirectoryConfig) {
    config.capacity.publish = Bound {
        working: 1,
        waiting: 0,
        patience: Duration::ZERO,
        per_session: 9,
        per_network: 2,
    };
}

/// A directory with an account that has registered a peer; its session.
pub async fn with_peer(change: fn(&mut DirectoryConfig)) -> (Running, String) {
    let running = Running::start(change).await;
    let user: UserName = "ana".parse().unwrap();
    let session = running.get().service.local_session(&user, None).await;
    let token = session.unwrap().token;
    let register = call("register", json!({"id": "ana-1", "port": 5001}));
    let door = rest(running.get());
    door.knock(Some(&token), &register).await.unwrap();
    (running, token)
}

fn with_token<T>(message: T, token: &str) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

/// Asks through gRPC to publish nothing.
async fn publish(door: &Door, token: &str) -> Result<(), Problem> {
    let Door::Grpc(client) = door else {
        panic!("not this door")
    };
    let request = with_token(tokio_stream::iter([v1::IndexRequest::default()]), token);
    let reply = client.clone().index(request).await;
    reply.map(drop).map_err(|status| from_status(&status))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_too_many_is_told_to_come_back_and_others_do_not_notice() {
    let (running, token) = with_peer(one_publisher).await;
    let (rest, grpc) = (rest(running.get()), grpc(running.get()).await);
    let Door::Grpc(busy) = crate::doors::grpc(running.get()).await else {
        panic!("not this door")
    };
    let heartbeat = call("heartbeat", json!({"id": "ana-1"}));
    let began = Instant::now();
    let (sender, publishing, refused) = loop {
        // A publisher that takes its time. The probe below may have been quicker: then again.
        let (sender, messages) = mpsc::channel::<v1::IndexRequest>(1);
        let request = with_token(ReceiverStream::new(messages), &token);
        let mut client = busy.clone();
        let publishing = tokio::spawn(async move { client.index(request).await });
        grpc.knock(Some(&token), &heartbeat).await.unwrap();
        match publish(&grpc, &token).await {
            Err(problem) if problem.code == ErrorCode::Overloaded => {
                break (sender, publishing, problem);
            }
            _ => assert!(began.elapsed() < Duration::from_secs(10)),
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

    for door in [&rest, &grpc] {
        for asked in [
            call("heartbeat", json!({"id": "ana-1"})),
            call("search", json!({"q": "anything"})),
            call("peers", json!({})),
        ] {
            door.knock(Some(&token), &asked).await.unwrap();
        }
    }

    drop(sender);
    publishing.await.unwrap().unwrap_err();
    let (parts, _) = http(&rest, "PUT", "/index", Some(&token), body).await;
    assert_eq!(parts.status.as_u16(), 200);
}

fn one_at_a_time_each(config: &mut DirectoryConfig) {
    let bound = Bound {
        per_session: 1,
        ..Capacity::default().lasting
    };
    config.capacity.lasting = bound;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_more_than_a_share_of_the_answers_that_last() {
    let (running, token) = with_peer(one_at_a_time_each).await;
    let Door::Grpc(mut client) = grpc(running.get()).await else {
        panic!("not this door")
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
    // Another session has its own share, and the first has room again once its answer ends.
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
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}

fn a_short_lockout(config: &mut DirectoryConfig) {
    config.paces.account_there = Pace {
        free: 0,
        first: Duration::from_secs(1),
        slowest: Duration::from_secs(60),
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_waits_as_long_as_it_is_told_and_then_succeeds() {
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
