//! Features of gRPC alone: streams of batches, health checking, reflection.

use std::time::{Duration, Instant};

use convite_core::{ContentHash, ErrorCode, Problem, UserName};
use convite_net::dial::Http2;
use convite_wire::status::from_status;
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient;
use http::Uri;
use serde_json::json;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::apis::{Api, ORIGIN, Running, call, eventually, grpc, http2};

type Client = DirectoryClient<Http2<tonic::body::Body>>;

fn message(
    header: Option<(u64, Option<u64>)>,
    files: std::ops::Range<u32>,
) -> v1::PublishIndexRequest {
    v1::PublishIndexRequest {
        header: header.map(|(generation, base)| v1::IndexHeader {
            peer: "ana-1".to_owned(),
            generation,
            base,
        }),
        upsert: files
            .map(|number| v1::FileEntry {
                path: format!("many/file {number:06}.txt"),
                size: u64::from(number) + 1,
                hash: bytes::Bytes::copy_from_slice(
                    ContentHash::of(&number.to_le_bytes()).as_bytes(),
                ),
                modified: 7,
                ..v1::FileEntry::default()
            })
            .collect(),
        remove: Vec::new(),
    }
}

async fn publish(
    client: &mut Client,
    token: &str,
    messages: Vec<v1::PublishIndexRequest>,
) -> Result<v1::PublishIndexReply, Problem> {
    let mut request = tonic::Request::new(tokio_stream::iter(messages));
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    let reply = client.publish_index(request).await;
    reply
        .map(tonic::Response::into_inner)
        .map_err(|status| from_status(&status))
}

/// A directory with the peer `ana-1`, and a token for it.
async fn with_peer() -> (Running, Api, Client, String) {
    let running = Running::start(|_| {}).await;
    let user: UserName = "ana".parse().unwrap();
    let session = running.get().service.local_session(&user, None).await;
    let token = session.unwrap().token;
    let api = grpc(running.get()).await;
    let register = call("register", json!({"id": "ana-1", "port": 5001}));
    api.call(Some(&token), &register).await.unwrap();
    let Api::Grpc(client) = &api else {
        unreachable!()
    };
    let client = client.clone();
    (running, api, client, token)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_index_is_sent_in_batches_and_removes_other_files() {
    let (_running, api, mut client, token) = with_peer().await;
    let batches = vec![
        message(Some((1, None)), 0..5_000),
        message(None, 5_000..10_000),
        message(None, 10_000..12_000),
    ];
    let reply = publish(&mut client, &token, batches).await.unwrap();
    assert_eq!((reply.upserted, reply.removed), (12_000, 0));
    let half = vec![message(Some((2, None)), 6_000..9_000)];
    let reply = publish(&mut client, &token, half).await.unwrap();
    assert_eq!((reply.upserted, reply.removed), (0, 9_000));
    let heartbeat = call("heartbeat", json!({"id": "ana-1"}));
    let lease = api.call(Some(&token), &heartbeat).await.unwrap();
    assert_eq!(lease["generation"], 2);
    let search = call("search", json!({"q": "008999"}));
    eventually(&api, &token, &search, |page| {
        page["results"][0]["size"] == 9_000
    })
    .await;
    let gone = call("search", json!({"q": "009000"}));
    eventually(&api, &token, &gone, |page| page["results"] == json!([])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_searchable_soon_after_its_response() {
    let (_running, api, mut client, token) = with_peer().await;
    publish(&mut client, &token, vec![message(Some((1, None)), 0..100)])
        .await
        .unwrap();
    let change = vec![message(Some((2, Some(1))), 777..778)];
    publish(&mut client, &token, change).await.unwrap();
    let began = Instant::now();
    let search = call("search", json!({"q": "000777"}));
    eventually(&api, &token, &search, |page| {
        page["results"][0]["size"] == 778
    })
    .await;
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_break_the_rules_change_nothing() {
    let (_running, api, mut client, token) = with_peer().await;
    publish(&mut client, &token, vec![message(Some((1, None)), 0..10)])
        .await
        .unwrap();
    let eleven = (0..11).map(|batch| {
        let header = (batch == 0).then_some((2, Some(1)));
        message(header, batch * 5_000..(batch + 1) * 5_000)
    });
    for (name, messages, code) in [
        ("empty", vec![], ErrorCode::InvalidArgument),
        (
            "no header",
            vec![message(None, 0..1)],
            ErrorCode::InvalidArgument,
        ),
        (
            "two headers",
            vec![
                message(Some((2, Some(1))), 0..1),
                message(Some((2, Some(1))), 1..2),
            ],
            ErrorCode::InvalidArgument,
        ),
        (
            "two headers of a whole index",
            vec![
                message(Some((2, None)), 0..1),
                message(Some((2, None)), 1..2),
            ],
            ErrorCode::InvalidArgument,
        ),
        (
            "too much at once",
            vec![message(Some((2, None)), 0..5_001)],
            ErrorCode::TooLarge,
        ),
        ("too large a change", eleven.collect(), ErrorCode::TooLarge),
    ] {
        let refused = publish(&mut client, &token, messages).await.unwrap_err();
        assert_eq!(refused.code, code, "{name}: {refused}");
    }
    let heartbeat = call("heartbeat", json!({"id": "ana-1"}));
    let lease = api.call(Some(&token), &heartbeat).await.unwrap();
    assert_eq!(lease["generation"], 1);
    let peers = api
        .call(Some(&token), &call("peers", json!({})))
        .await
        .unwrap();
    assert_eq!(peers["peers"][0]["files"], 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_list_the_services() {
    let running = Running::start(|_| {}).await;
    let connection = http2(running.get()).await;
    let mut health = HealthClient::with_origin(connection.clone(), Uri::from_static(ORIGIN));
    let check = tonic_health::pb::HealthCheckRequest {
        service: "convite.v1.Directory".to_owned(),
    };
    // It reports `SERVING` once the search index is current.
    let mut watching = health.watch(check).await.unwrap().into_inner();
    while watching.message().await.unwrap().unwrap().status() != ServingStatus::Serving {}

    let mut reflection = ServerReflectionClient::with_origin(connection, Uri::from_static(ORIGIN));
    let asked = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = reflection
        .server_reflection_info(tokio_stream::iter([asked]))
        .await;
    let answer = answers
        .unwrap()
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("no list of services")
    };
    let mut names: Vec<String> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    names.sort();
    assert_eq!(names, ["convite.v1.Directory", "grpc.health.v1.Health"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_that_know_only_the_older_reflection_see_every_method() {
    use tonic_reflection::pb::v1alpha;
    use v1alpha::server_reflection_client::ServerReflectionClient;
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;
    let running = Running::start(|_| {}).await;
    let connection = http2(running.get()).await;
    let mut reflection = ServerReflectionClient::with_origin(connection, Uri::from_static(ORIGIN));
    let symbol = "convite.v1.Directory".to_owned();
    let asked = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(symbol)),
    };
    let answers = reflection.server_reflection_info(tokio_stream::iter([asked]));
    let answer = answers.await.unwrap().into_inner().message().await;
    let Some(MessageResponse::FileDescriptorResponse(files)) =
        answer.unwrap().unwrap().message_response
    else {
        panic!("no file descriptor")
    };
    // Names are stored as plain bytes in a compiled descriptor.
    let described: String = files
        .file_descriptor_proto
        .iter()
        .map(|file| String::from_utf8_lossy(file).into_owned())
        .collect();
    for method in ["Login", "PublishIndex", "SearchFile", "Locate", "Watch"] {
        assert!(described.contains(method), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_service_gets_a_grpc_response() {
    use convite_wire::v1::peer_client::PeerClient;
    let running = Running::start(|_| {}).await;
    let connection = http2(running.get()).await;
    let mut client = PeerClient::with_origin(connection, Uri::from_static(ORIGIN));
    let status = client
        .get_pieces(v1::GetPiecesRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unimplemented);
}
