//! Event streams of an open page.

use std::time::{Duration, Instant};

use convite_core::UserName;
use convite_net::dial::http1_request;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use crate::apis::{Api, Running, call, http, rest};

const PATIENCE: Duration = Duration::from_secs(15);

pub struct Stream(hyper::body::Incoming);

impl Stream {
    pub async fn open(api: &Api, token: &str) -> (u16, Self) {
        let bearer = format!("Bearer {token}");
        Self::at(api, "/events", &[("authorization", &bearer)]).await
    }

    /// Opens a stream as a browser does, without the page's header.
    async fn at(api: &Api, path: &str, fields: &[(&str, &str)]) -> (u16, Self) {
        let Api::Rest(address, expected) = api else {
            panic!("wrong API")
        };
        let mut request = http::Request::get(path).header("host", "localhost");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(bytes::Bytes::new()));
        let answer = http1_request(address, expected.as_ref(), request.unwrap()).await;
        let (parts, body) = answer.unwrap().into_parts();
        if parts.status == 200 {
            assert_eq!(parts.headers["content-type"], "text/event-stream");
        }
        (parts.status.as_u16(), Self(body))
    }

    /// Returns the data of the next event with this name that meets the condition.
    pub async fn find(&mut self, name: &str, is: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let event = self.next().await.expect("the stream is open");
            let data = event.strip_prefix(&format!("event: {name}\ndata: "));
            let data = data.and_then(|data| serde_json::from_str(data).ok());
            if let Some(data) = data.filter(&is) {
                return data;
            }
        }
        panic!("no such event");
    }

    /// Returns the next event, without comments; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        let read = async {
            loop {
                let frame = self.0.frame().await?.ok()?;
                let text = String::from_utf8(frame.into_data().ok()?.to_vec()).unwrap();
                if !text.starts_with(':') {
                    return Some(text);
                }
            }
        };
        tokio::time::timeout(PATIENCE, read)
            .await
            .expect("an event arrives in time")
    }
}

async fn token(running: &Running) -> String {
    let user: UserName = "ana".parse().unwrap();
    let session = running.get().service.local_session(&user, None).await;
    session.unwrap().token
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_gets_events_of_peers_that_come_and_go_silently() {
    let running = Running::start(|config| config.lease = Duration::from_secs(2)).await;
    let (api, token) = (rest(running.get()), token(&running).await);
    let (status, mut stream) = Stream::open(&api, &token).await;
    assert_eq!(status, 200);
    let peers = "event: peers\ndata: {}\n\n";
    assert_eq!(stream.next().await.unwrap(), peers, "the initial state");
    let peer = call("register", json!({"id": "ana-1", "port": 5001}));
    api.call(Some(&token), &peer).await.unwrap();
    assert_eq!(stream.next().await.unwrap(), peers, "the peer came online");
    // Its lease expires without a notification.
    assert_eq!(stream.next().await.unwrap(), peers, "the peer went offline");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_session_and_with_the_directory() {
    let mut running = Running::start(|_| {}).await;
    let api = rest(running.get());
    let (first, second) = (token(&running).await, token(&running).await);
    let (_, mut revoked) = Stream::open(&api, &first).await;
    let (_, mut kept) = Stream::open(&api, &second).await;
    assert!(revoked.next().await.is_some() && kept.next().await.is_some());
    api.call(Some(&first), &call("logout", json!({})))
        .await
        .unwrap();
    assert_eq!(revoked.next().await, None);
    assert!(
        kept.next().await.is_some(),
        "another session's stream stays open"
    );
    let (status, _) = Stream::open(&api, &first).await;
    assert_eq!(status, 401);
    running.stop().await;
    while kept.next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn event_streams_per_account_are_limited() {
    let running = Running::start(|_| {}).await;
    let (api, token) = (rest(running.get()), token(&running).await);
    let mut open = Vec::new();
    for _ in 0..16 {
        let (status, stream) = Stream::open(&api, &token).await;
        assert_eq!(status, 200);
        open.push(stream);
    }
    assert_eq!(Stream::open(&api, &token).await.0, 429);
    open.pop();
    let began = std::time::Instant::now();
    while Stream::open(&api, &token).await.0 != 200 {
        assert!(began.elapsed() < PATIENCE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_streams_of_one_session_and_nothing_else() {
    let running = Running::start(|_| {}).await;
    let (api, token) = (rest(running.get()), token(&running).await);
    let made = http(&api, "POST", "/events/token", Some(&token), Vec::new()).await;
    assert_eq!(made.0.status.as_u16(), 201);
    let made: Value = serde_json::from_slice(&made.1).unwrap();
    let of_events = made["token"].as_str().unwrap();
    let path = format!("/events?token={of_events}");
    let (status, mut stream) = Stream::at(&api, &path, &[]).await;
    assert_eq!(status, 200);
    assert!(stream.next().await.is_some());
    // A token can be used repeatedly, and needs no session.
    assert_eq!(Stream::at(&api, &path, &[]).await.0, 200);
    let bearer = format!("Bearer {token}");
    let with_bearer = [("authorization", &*bearer)];
    let bad = format!("/events?token={}", &of_events[1..]);
    assert_eq!(Stream::at(&api, &bad, &with_bearer).await.0, 401);
    let hash = "0".repeat(64);
    for path in [
        format!("/files/{hash}/content?token={of_events}"),
        format!("/me?token={of_events}"),
        format!("/peers?token={of_events}"),
    ] {
        let (parts, _) = http(&api, "GET", &path, None, Vec::new()).await;
        assert!([400, 401].contains(&parts.status.as_u16()), "{path}");
    }
    let as_bearer = http(&api, "GET", "/me", Some(of_events), Vec::new()).await;
    assert_eq!(as_bearer.0.status.as_u16(), 401);
    // It expires with the session.
    api.call(Some(&token), &call("logout", json!({})))
        .await
        .unwrap();
    while stream.next().await.is_some() {}
    assert_eq!(Stream::at(&api, &path, &[]).await.0, 401);
}
