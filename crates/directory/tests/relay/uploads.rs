//! Forms on their way to a peer's inbox: as slow as their ends, but never without an end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use convite_directory::RelayConfig;
use convite_net::dial::http1_request;
use convite_wire::status::ProblemDocument;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_stream::{Stream, StreamExt, iter, pending};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::asking::World;

const PATIENCE: Duration = Duration::from_secs(1);
/// By then it has happened, or never will.
const DEADLINE: Duration = Duration::from_secs(20);

/// What an inbox does with a form.
#[derive(Clone, Copy, PartialEq)]
enum Inbox {
    TakesAll,
    TakesNothing,
    NeverAnswers,
}

async fn take(State(inbox): State<Inbox>, request: Request) -> Response {
    if inbox == Inbox::TakesNothing {
        return std::future::pending().await;
    }
    let form = request.into_body().collect().await;
    if inbox == Inbox::NeverAnswers || form.is_err() {
        return std::future::pending().await;
    }
    axum::Json(json!({"files": []})).into_response()
}

/// A directory with room for one upload, and a peer with such an inbox.
async fn world(inbox: Inbox) -> (Arc<World>, DropGuard) {
    let world = World::relaying(RelayConfig {
        patience: PATIENCE,
        relays_max: 1,
        ..RelayConfig::default()
    })
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stop = CancellationToken::new();
    let router = Router::new()
        .route("/upload", post(take))
        .layer(DefaultBodyLimit::disable())
        .with_state(inbox);
    let limits = convite_net::Limits::default();
    tokio::spawn(convite_net::serve(
        limits,
        listener,
        None,
        router,
        stop.clone(),
    ));
    let peer = json!({"id": "desk", "port": port, "uploads": "ana"});
    world.tell("POST", "/peers", peer).await;
    (Arc::new(world), stop.drop_guard())
}

/// Posts a form as it comes; the status, and what is said of a problem.
async fn upload(world: &World, form: impl Stream<Item = Bytes> + Send + 'static) -> (u16, String) {
    let frames = form.map(|bytes| Ok::<_, std::io::Error>(Frame::data(bytes)));
    let request = http::Request::post("/peers/desk/upload")
        .header("host", "localhost")
        .header("authorization", format!("Bearer {}", world.token))
        .header("content-type", "multipart/form-data; boundary=x")
        .body(StreamBody::new(Box::pin(frames)))
        .unwrap();
    let asked = async {
        let address = world.directory.address.into();
        let answer = http1_request(&address, None, request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let document = serde_json::from_slice::<ProblemDocument>(&body);
        (status, document.map(|d| d.detail).unwrap_or_default())
    };
    tokio::time::timeout(DEADLINE, asked)
        .await
        .expect("in time")
}

fn chunks(count: usize) -> impl Stream<Item = Bytes> {
    iter(0..count).map(|_| Bytes::from(vec![b'x'; 64 << 10]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_stops_coming_is_given_up_however_much_came_before() {
    let (world, _peer) = world(Inbox::TakesAll).await;
    // What came would earn it hours at the slowest speed.
    let (status, message) = upload(&world, chunks(1_000).chain(pending())).await;
    assert_eq!(status, 503);
    assert_eq!(message, "the form stopped coming before its end");
    // Its slot is free again.
    assert_eq!(upload(&world, chunks(3)).await, (200, String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_takes_nothing_or_never_answers_is_given_up() {
    for inbox in [Inbox::TakesNothing, Inbox::NeverAnswers] {
        let (world, _peer) = world(inbox).await;
        let (status, message) = upload(&world, chunks(1_000)).await;
        assert_eq!(status, 503, "{message}");
        assert_eq!(message, "peer 'desk' stopped taking the form in");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_moves_is_not_given_up() {
    let (world, _peer) = world(Inbox::TakesAll).await;
    let began = Instant::now();
    let form = chunks(30).then(|chunk| async {
        tokio::time::sleep(PATIENCE / 10).await;
        chunk
    });
    assert_eq!(upload(&world, form).await, (200, String::new()));
    assert!(began.elapsed() > 2 * PATIENCE);
}
