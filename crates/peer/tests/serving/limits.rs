//! Limits on the rate and number of uploads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use convite_core::{ContentHash, ErrorCode};
use convite_peer::serve::download::uploads::UploadLimits;
use convite_wire::status::from_status;

use super::grpc::{asking, client, with};
use super::{Peer, contents};

/// Downloads `hash` as `user` over its own connection, counting bytes in `got`. Returns how long it
/// took.
async fn download(peer: &Peer, user: &str, hash: ContentHash, got: &AtomicU64) -> Duration {
    let mut client = client(peer).await;
    let request = with(asking(hash, &[]), &peer.ticket_for(user, &[]));
    let began = Instant::now();
    let mut stream = client.download_file(request).await.unwrap().into_inner();
    while let Some(chunk) = stream.message().await.unwrap() {
        got.fetch_add(chunk.data.len() as u64, Ordering::Relaxed);
    }
    began.elapsed()
}

/// Waits until `condition` holds.
async fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "the condition did not hold in time"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn total_rate_limit_is_shared_fairly() {
    let rate = 4 << 20;
    let peer = Peer::limited(UploadLimits {
        total: Some(rate),
        ..UploadLimits::default()
    })
    .await;
    let size = 3u64 << 20;
    let hash = peer.write("f", &contents(size as usize));
    peer.scan().await;
    let counts = [AtomicU64::new(0), AtomicU64::new(0)];
    let began = Instant::now();
    let at_first_end = Mutex::new(None);
    let one = async |user, mine: &AtomicU64, other: &AtomicU64| {
        download(&peer, user, hash, mine).await;
        let mut at = at_first_end.lock().unwrap();
        at.get_or_insert(other.load(Ordering::Relaxed));
    };
    tokio::join!(
        one("ana", &counts[0], &counts[1]),
        one("bob", &counts[1], &counts[0])
    );
    let took = began.elapsed().as_secs_f64();
    let ideal = 2.0 * size as f64 / rate as f64;
    eprintln!("a limit shared by two: {:.3} of the limit", ideal / took);
    // The token bucket may hold a twentieth of a second, and one chunk of each upload is in flight.
    assert!(took >= ideal - 0.12, "{took} s, not {ideal} s");
    assert!(took <= ideal * 4.0, "{took} s, not {ideal} s");
    let other = at_first_end.lock().unwrap().unwrap();
    eprintln!(
        "the other receiver had {:.3} by then",
        other as f64 / size as f64
    );
    assert!(other as f64 >= 0.75 * size as f64, "{other} of {size}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limit_per_peer_applies_per_account() {
    let rate = 2 << 20;
    let peer = Peer::limited(UploadLimits {
        per_peer: Some(rate),
        ..UploadLimits::default()
    })
    .await;
    let size = 3u64 << 20;
    let hash = peer.write("f", &contents(size as usize));
    peer.scan().await;
    let got = AtomicU64::new(0);
    let (first, second, other) = tokio::join!(
        download(&peer, "ana", hash, &got),
        download(&peer, "ana", hash, &got),
        download(&peer, "bob", hash, &got)
    );
    assert_eq!(got.into_inner(), 3 * size);
    let alone = size as f64 / rate as f64;
    eprintln!("two of one account {first:?} {second:?}, one of another {other:?}");
    assert!(first.max(second).as_secs_f64() >= 2.0 * alone - 0.12);
    assert!(first.max(second).as_secs_f64() <= 8.0 * alone);
    assert!(other.as_secs_f64() >= alone - 0.12);
    // The only receiver of its account takes half as long as two receivers that share a limit.
    assert!(other.as_secs_f64() <= 0.75 * first.max(second).as_secs_f64());
}

#[tokio::test]
async fn slots_are_assigned_in_order_and_a_full_queue_refuses() {
    let peer = Arc::new(Peer::start(1).await);
    let hash = peer.write("big", &vec![7; 96 << 20]);
    peer.scan().await;
    let mut first = client(&peer).await;
    let request = || with(asking(hash, &[]), &peer.ticket());
    let held = first.download_file(request()).await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for place in 1..=4 {
        let (peer, order) = (peer.clone(), order.clone());
        let request = request();
        let mut own = client(&peer).await;
        waiting.push(tokio::spawn(async move {
            let served = own.download_file(request).await.unwrap();
            order.lock().unwrap().push(place);
            drop(served);
        }));
        let state = &self::state(&peer);
        until(|| state.status().waiting == place).await;
    }
    let status = first.download_file(request()).await.unwrap_err();
    let problem = from_status(&status);
    assert_eq!(problem.code, ErrorCode::Unavailable);
    assert!(problem.hint.unwrap().contains("ahead in the queue: 4"));
    // A request that gives up passes its place to the next one.
    waiting.remove(1).abort();
    let state = state(&peer);
    until(|| state.status().waiting == 3).await;
    drop(held);
    for served in waiting {
        served.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [1, 3, 4]);
    until(|| state.status().uploads.is_empty() && state.status().waiting == 0).await;
}

fn state(peer: &Peer) -> Arc<convite_peer::node::state::PeerState> {
    peer.state.clone()
}

#[tokio::test]
async fn queue_timeout_names_the_position() {
    let peer = Peer::limited(UploadLimits {
        slots: 1,
        queue_timeout: Duration::from_millis(200),
        ..UploadLimits::default()
    })
    .await;
    let hash = peer.write("big", &vec![7; 96 << 20]);
    peer.scan().await;
    let mut client = client(&peer).await;
    let request = || with(asking(hash, &[]), &peer.ticket());
    let _held = client.download_file(request()).await.unwrap();
    let status = client.download_file(request()).await.unwrap_err();
    let problem = from_status(&status);
    assert_eq!(problem.code, ErrorCode::Unavailable);
    assert!(
        problem.message.contains("position 1"),
        "{}",
        problem.message
    );
    assert!(problem.hint.unwrap().contains("ahead in the queue: 0"));
    assert_eq!(peer.state.status().waiting, 0);
}
