//! Limits of the gateway: slots, rate, memory, and whether it is enabled.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use convite_core::ContentHash;
use convite_directory::GatewayConfig;
use http_body_util::BodyExt;
use serde_json::json;

use crate::fake_provider::{Behaviour, contents};
use crate::world::{World, path, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_uses_little_memory() {
    const SIZE: usize = 96 << 20;
    /// The window of 8 MiB, the chunks and HTTP/2 windows on the way to the reader, and socket
    /// buffers.
    const AHEAD: u64 = 24 << 20;
    let world = World::new().await;
    let bytes = contents(SIZE);
    let peer = world.peer("p-1", "a/file", &bytes, Behaviour::Honest).await;
    let answer = world.begin("GET", &path(&bytes), &[], "").await;
    let mut body = answer.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    // The gateway fetches ahead of the reader up to the limit.
    let mut before = 0;
    let mut still = Instant::now();
    while still.elapsed() < Duration::from_millis(500) {
        if peer.sent() != before {
            (before, still) = (peer.sent(), Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        before < AHEAD,
        "{before} bytes fetched for a reader that takes none"
    );
    let rest = body.collect().await.unwrap().to_bytes();
    assert!([first, rest].concat() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_beyond_the_slots_get_retry_after() {
    let world = World::with_gateway(GatewayConfig {
        transfers_max: 3,
        transfers_per_account_max: 2,
        ..GatewayConfig::default()
    })
    .await;
    let bytes = contents(32 << 20);
    let _peer = world.peer("p-1", "a/file", &bytes, Behaviour::Honest).await;
    let bearer = format!("Bearer {}", world.session("ben").await);
    let ben = [("authorization", &*bearer)];
    // The readers take nothing, and hold their slots.
    let path = path(&bytes);
    let mut held = vec![world.begin("GET", &path, &[], "").await];
    held.push(world.begin("GET", &path, &[], "").await);
    let third = world.get(&path, &[]).await;
    assert_eq!((third.status.as_u16(), &*third.code()), (503, "overloaded"));
    assert!(third.headers.contains_key("retry-after"));
    held.push(world.begin("GET", &path, &ben, "").await);
    assert!(held.iter().all(|answer| answer.status() == 200));
    assert_eq!(world.get(&path, &ben).await.status, 503);
    // A HEAD request takes no slot.
    assert_eq!(world.ask("HEAD", &path, &ben, "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_limit_applies_to_all_readers_together() {
    const RATE: u64 = 1 << 20;
    let world = World::with_gateway(GatewayConfig {
        limit: NonZeroU64::new(RATE),
        ..GatewayConfig::default()
    })
    .await;
    let bytes = contents(600 << 10);
    let _peer = world.peer("p-1", "a/file", &bytes, Behaviour::Honest).await;
    let began = Instant::now();
    let path = path(&bytes);
    let (one, two) = tokio::join!(world.get(&path, &[]), world.get(&path, &[]));
    assert!(one.body == bytes && two.body == bytes);
    // 1,200 KiB, of which the first 64 KiB are sent immediately.
    assert!(began.elapsed() > Duration::from_millis(1000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stalls_is_disconnected() {
    let world = World::with_gateway(GatewayConfig {
        reader_timeout: Duration::from_millis(200),
        transfers_max: 1,
        ..GatewayConfig::default()
    })
    .await;
    let bytes = contents(64 << 20);
    let _peer = world.peer("p-1", "a/file", &bytes, Behaviour::Honest).await;
    let path = path(&bytes);
    let held = world.begin("GET", &path, &[], "").await;
    assert_eq!(held.status(), 200);
    let began = Instant::now();
    while world.get(&path, &[("range", "bytes=0-0")]).await.status != 206 {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "the slot is still taken"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(held.into_body().collect().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_can_be_disabled() {
    let world = World::with_gateway(GatewayConfig {
        enabled: false,
        ..GatewayConfig::default()
    })
    .await;
    let bytes = contents(1000);
    let peer = world.peer("p-1", "a/file", &bytes, Behaviour::Honest).await;
    let answer = world.get(&path(&bytes), &[]).await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.code(), "permission_denied");
    assert_eq!(peer.sent(), 0);
}

/// Makes a peer claim a file of this size; returns the path of its contents.
async fn claim(world: &World, peer: &str, generation: u64, size: u64) -> String {
    let hash = ContentHash::of(&size.to_le_bytes());
    let entry = json!({"path": "a/large", "size": size, "hash": hash, "modified": 7});
    let index = json!({"peer": peer, "generation": generation, "upsert": [entry]});
    world.tell("PUT", "/index", index).await;
    format!("/files/{hash}/content")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_with_an_enormous_claimed_size_is_not_served() {
    let world = World::new().await;
    let bytes = contents(1000);
    let peer = world.peer("p-1", "a/file", &bytes, Behaviour::Honest).await;
    let path = claim(&world, "p-1", 2, (2 << 40) + 1).await;
    let answer = world.get(&path, &[]).await;
    assert_eq!(
        (answer.status.as_u16(), &*answer.code()),
        (413, "too_large")
    );
    assert!(String::from_utf8_lossy(&answer.body).contains("convite get"));
    assert!(peer.users.lock().unwrap().is_empty(), "the peer was asked");
    assert_eq!(world.ask("HEAD", &path, &[], "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn piece_hashes_of_large_files_have_a_bound_in_all() {
    let world = World::with_gateway(GatewayConfig {
        provider_timeout: Duration::from_secs(60),
        ..GatewayConfig::default()
    })
    .await;
    let bytes = contents(1000);
    let small = world.peer("p-0", "a/file", &bytes, Behaviour::Honest).await;
    let mut liars = Vec::new();
    let mut paths = Vec::new();
    for (id, size) in [("p-1", 2 << 40), ("p-2", (2 << 40) - 1), ("p-3", 1 << 40)] {
        let contents = contents(2000);
        liars.push(
            world
                .peer(id, "a/x", &contents, Behaviour::KeepsWaiting)
                .await,
        );
        paths.push(claim(&world, id, 2, size).await);
    }
    let third = async {
        let asked = || {
            liars[..2]
                .iter()
                .all(|p| !p.users.lock().unwrap().is_empty())
        };
        until("both providers are asked for piece hashes", asked).await;
        let third = world.get(&paths[2], &[]).await;
        assert_eq!((third.status.as_u16(), &*third.code()), (503, "overloaded"));
        assert!(third.headers.contains_key("retry-after"));
        // Hashes of files of common sizes always fit.
        assert_eq!(world.get(&path(&bytes), &[]).await.body, bytes);
        assert!(!small.users.lock().unwrap().is_empty());
    };
    tokio::select! {
        _ = world.get(&paths[0], &[]) => panic!("answered"),
        _ = world.get(&paths[1], &[]) => panic!("answered"),
        () = third => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_connects_to_few_providers() {
    let world = World::new().await;
    let bytes = contents(3 << 20);
    let mut peers = Vec::new();
    for number in 0..7 {
        let id = format!("p-{number}");
        let peer = world.peer(&id, "a/file", &bytes, Behaviour::Honest).await;
        peers.push(peer);
    }
    assert!(world.get(&path(&bytes), &[]).await.body == bytes);
    let asked = peers.iter().filter(|p| !p.users.lock().unwrap().is_empty());
    assert_eq!(asked.count(), 4);
}
