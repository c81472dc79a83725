//! Upload forms: slow transfers succeed, stalled ones are aborted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use convite_directory::GatewayConfig;
use convite_net::dial::http1_request;
use convite_wire::status::ProblemDocument;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_stream::{Stream, StreamExt, iter, pending};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(1);
/// Timeout for slow machines.
const DEADLINE: Duration = Duration::from_secs(20);

/// The behaviour of an inbox.
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

/// Starts a directory with one upload slot, and a peer with this inbox.
async fn world(inbox: Inbox) -> (Arc<World>, DropGuard) {
    let world = World::with_gateway(GatewayConfig {
        reader_timeout: PATIENCE,
        transfers_max: 1,
        ..GatewayConfig::default()
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

/// Posts a form as a stream; returns the status, and the text of a problem.
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
        .expect("a response arrives in time")
}

fn chunks(count: usize) -> impl Stream<Item = Bytes> {
    iter(0..count).map(|_| Bytes::from(vec![b'x'; 64 << 10]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_form_is_aborted_however_much_was_received() {
    let (world, _peer) = world(Inbox::TakesAll).await;
    // The first part would allow hours at the minimum rate over the whole transfer.
    let (status, message) = upload(&world, chunks(1_000).chain(pending())).await;
    assert_eq!(status, 503);
    assert_eq!(message, "the form stopped arriving before its end");
    // The slot is free again.
    assert_eq!(upload(&world, chunks(3)).await, (200, String::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_to_an_unresponsive_peer_is_aborted() {
    for inbox in [Inbox::TakesNothing, Inbox::NeverAnswers] {
        let (world, _peer) = world(inbox).await;
        let (status, message) = upload(&world, chunks(1_000)).await;
        assert_eq!(status, 503, "{message}");
        assert_eq!(message, "peer 'desk' stopped accepting the form");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_makes_progress_is_not_aborted() {
    let (world, _peer) = world(Inbox::TakesAll).await;
    let began = Instant::now();
    let form = chunks(30).then(|chunk| async {
        tokio::time::sleep(PATIENCE / 10).await;
        chunk
    });
    assert_eq!(upload(&world, form).await, (200, String::new()));
    assert!(began.elapsed() > 2 * PATIENCE);
}
