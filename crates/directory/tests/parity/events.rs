//! What an open page is told.

use std::time::{Duration, Instant};

use convite_core::UserName;
use convite_net::dial::http1_request;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use crate::doors::{Door, Running, call, rest};

const PATIENCE: Duration = Duration::from_secs(15);

pub struct Stream(hyper::body::Incoming);

impl Stream {
    pub async fn open(door: &Door, token: &str) -> (u16, Self) {
        let Door::Rest(address, expected) = door else {
            panic!("not this door")
        };
        let request = http::Request::get("/events")
            .header("host", "localhost")
            .header("cookie", format!("__Host-convite={token}"))
            .body(Full::new(bytes::Bytes::new()));
        let answer = http1_request(address, expected.as_ref(), request.unwrap()).await;
        let (parts, body) = answer.unwrap().into_parts();
        if parts.status == 200 {
            assert_eq!(parts.headers["content-type"], "text/event-stream");
        }
        (parts.status.as_u16(), Self(body))
    }

    /// The data of the next event of that name for which it holds.
    pub async fn find(&mut self, name: &str, is: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let event = self.next().await.expect("it goes on");
            let data = event.strip_prefix(&format!("event: {name}\ndata: "));
            let data = data.and_then(|data| serde_json::from_str(data).ok());
            if let Some(data) = data.filter(&is) {
                return data;
            }
        }
        panic!("no such event");
    }

    /// The next event, without comments; none at the end.
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
        tokio::time::timeout(PATIENCE, read).await.expect("in time")
    }
}

async fn token(running: &Running) -> String {
    let user: UserName = "ana".parse().unwrap();
    let session = running.get().service.local_session(&user, None).await;
    session.unwrap().token
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_hears_of_peers_that_come_and_go_silently() {
    let running = Running::start(|config| config.lease = Duration::from_secs(2)).await;
    let (door, token) = (rest(running.get()), token(&running).await);
    let (status, mut stream) = Stream::open(&door, &token).await;
    assert_eq!(status, 200);
    let peers = "event: peers\ndata: {}\n\n";
    assert_eq!(
        stream.next().await.unwrap(),
        peers,
        "what is there at first"
    );
    let peer = call("register", json!({"id": "ana-1", "port": 5001}));
    door.knock(Some(&token), &peer).await.unwrap();
    assert_eq!(stream.next().await.unwrap(), peers, "it came");
    // Its lease runs out, and nobody says so.
    assert_eq!(stream.next().await.unwrap(), peers, "it went");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_its_session_and_with_the_directory() {
    let mut running = Running::start(|_| {}).await;
    let door = rest(running.get());
    let (first, second) = (token(&running).await, token(&running).await);
    let (_, mut revoked) = Stream::open(&door, &first).await;
    let (_, mut kept) = Stream::open(&door, &second).await;
    assert!(revoked.next().await.is_some() && kept.next().await.is_some());
    door.knock(Some(&first), &call("logout", json!({})))
        .await
        .unwrap();
    assert_eq!(revoked.next().await, None);
    assert!(kept.next().await.is_some(), "another's goes on");
    let (status, _) = Stream::open(&door, &first).await;
    assert_eq!(status, 401);
    running.stop().await;
    while kept.next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_has_few_streams_and_gets_their_places_back() {
    let running = Running::start(|_| {}).await;
    let (door, token) = (rest(running.get()), token(&running).await);
    let mut open = Vec::new();
    for _ in 0..16 {
        let (status, stream) = Stream::open(&door, &token).await;
        assert_eq!(status, 200);
        open.push(stream);
    }
    assert_eq!(Stream::open(&door, &token).await.0, 429);
    open.pop();
    let began = std::time::Instant::now();
    while Stream::open(&door, &token).await.0 != 200 {
        assert!(began.elapsed() < PATIENCE);
    }
}
