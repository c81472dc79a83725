//! Failing providers, and the effects on readers.

use std::sync::atomic::Ordering;
use std::time::Duration;

use convite_core::ContentHash;
use convite_directory::GatewayConfig;

use crate::fake_provider::{Behaviour, contents};
use crate::world::{World, path, until};

const SIZE: usize = (9 << 20) + 12_345;
const MIDDLE: u64 = 5 << 20;

/// A short timeout without usable providers.
fn short_timeouts() -> GatewayConfig {
    GatewayConfig {
        provider_timeout: Duration::from_millis(1_500),
        ..GatewayConfig::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_provider_is_replaced_during_the_transfer() {
    for manner in [
        Behaviour::LiesAt(0),
        Behaviour::LiesAt(MIDDLE),
        Behaviour::BreaksAt(0),
        Behaviour::BreaksAt(MIDDLE),
        Behaviour::StallsAt(MIDDLE),
        Behaviour::WrongHashes,
        Behaviour::Busy,
        Behaviour::Lacking,
    ] {
        let world = World::with_gateway(short_timeouts()).await;
        let bytes = contents(SIZE);
        let failing = world.peer("p-1", "a/file", &bytes, manner).await;
        let _honest = world.peer("p-2", "a/file", &bytes, Behaviour::Honest).await;
        let answer = world.get(&path(&bytes), &[]).await;
        assert_eq!(answer.status, 200);
        assert!(!answer.broken && answer.body == bytes);
        assert!(
            !failing.users.lock().unwrap().is_empty(),
            "the provider was not asked"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dishonest_provider_is_not_asked_again() {
    let world = World::new().await;
    let bytes = contents(SIZE);
    let liar = world
        .peer("p-1", "a/file", &bytes, Behaviour::LiesAt(10))
        .await;
    let _honest = world.peer("p-2", "a/file", &bytes, Behaviour::Honest).await;
    let answer = world
        .get(&path(&bytes), &[("range", "bytes=0-70000")])
        .await;
    assert!(!answer.broken && answer.body == bytes[..=70_000]);
    assert!(liar.requests.load(Ordering::SeqCst) <= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_wrong_byte_ends_the_use_of_a_provider() {
    let world = World::new().await;
    // Few enough pieces for a single request.
    let bytes = contents(200_000);
    let liar = world
        .peer("p-1", "a/file", &bytes, Behaviour::LiesAt(10))
        .await;
    let answer = world.get(&path(&bytes), &[]).await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.code(), "corrupt_contents");
    // Other failures are retried, and a fresh list of providers gives everyone another chance.
    assert_eq!(liar.requests.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn dishonest_providers_cause_no_wrong_bytes() {
    let world = World::new().await;
    let bytes = contents(SIZE);
    let _liar = world
        .peer("p-1", "a/file", &bytes, Behaviour::LiesAt(MIDDLE))
        .await;
    let answer = world.get(&path(&bytes), &[]).await;
    assert_eq!(answer.status, 200);
    assert!(answer.broken, "the incomplete body ended without an error");
    let right = MIDDLE as usize;
    assert!(answer.body.len() <= right && answer.body == bytes[..answer.body.len()]);

    let piece = format!("bytes={MIDDLE}-{}", MIDDLE + 10);
    let answer = world.get(&path(&bytes), &[("range", &piece)]).await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.code(), "corrupt_contents");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_providers_the_body_ends_with_an_error() {
    let world = World::with_gateway(short_timeouts()).await;
    let bytes = contents(SIZE);
    let peer = world
        .peer("p-1", "a/file", &bytes, Behaviour::BreaksAt(MIDDLE))
        .await;
    let answer = world.get(&path(&bytes), &[]).await;
    assert!(answer.broken);
    assert_eq!(answer.header("content-length"), SIZE.to_string());
    assert!(answer.body.len() < SIZE && answer.body == bytes[..answer.body.len()]);
    // A resumed transfer continues where the first ended.
    peer.set_behaviour(Behaviour::Honest);
    let range = format!("bytes={}-", answer.body.len());
    let rest = world.get(&path(&bytes), &[("range", &range)]).await;
    assert_eq!(rest.status, 206);
    assert!([answer.body, rest.body].concat() == bytes);
    // Without any data, the status reports the error.
    peer.set_behaviour(Behaviour::Busy);
    let answer = world.get(&path(&bytes), &[]).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.code(), "unavailable");
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_most_providers_misstate_does_not_hide_the_file() {
    let world = World::new().await;
    let bytes = contents(200_000);
    let hash = ContentHash::of(&bytes);
    // The same number of pieces, so that the real piece hashes fold.
    let shorter = bytes.slice(..199_999);
    for (id, user) in [("p-1", "ben"), ("p-2", "cleo")] {
        let token = world.session(user).await;
        let (claim, manner) = (("a/file", hash), Behaviour::Honest);
        let liar = world.claiming(&token, id, claim, &shorter, manner).await;
        std::mem::forget(liar);
    }
    let _honest = world.peer("p-3", "a/file", &bytes, Behaviour::Honest).await;
    let answer = world.get(&path(&bytes), &[]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-length"), "200000");
    assert!(!answer.broken && answer.body == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_ends_with_its_session() {
    let world = World::with(|config| {
        config.ticket_lifetime = Duration::from_secs(2);
        // Slow enough that the session ends before the transfer.
        config.gateway.limit = std::num::NonZeroU64::new(2 << 20);
    })
    .await;
    let bytes = contents(32 << 20);
    let _peer = world.peer("p-1", "a/file", &bytes, Behaviour::Honest).await;
    let token = world.session("ben").await;
    let bearer = format!("Bearer {token}");
    let header = [("authorization", &*bearer)];
    let answer = world.begin("GET", &path(&bytes), &header, "").await;
    assert_eq!(answer.status(), 200);
    world.ask("POST", "/logout", &header, "").await;
    let mut received = 0;
    let mut body = answer.into_body();
    loop {
        match http_body_util::BodyExt::frame(&mut body).await {
            Some(Ok(frame)) => received += frame.data_ref().unwrap().len(),
            Some(Err(_)) => break,
            None => panic!("the transfer was completed"),
        }
    }
    assert!(received < bytes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_ends_the_transfer() {
    let world = World::with_gateway(GatewayConfig {
        transfers_max: 1,
        ..GatewayConfig::default()
    })
    .await;
    let bytes = contents(32 << 20);
    let manner = Behaviour::StallsAt(3 << 20);
    let peer = world.peer("p-1", "a/file", &bytes, manner).await;
    let answer = world.begin("GET", &path(&bytes), &[], "").await;
    assert_eq!(answer.status(), 200);
    until("the provider is asked", || peer.open() > 0).await;
    drop(answer);
    // Well before the timeout for a stalled provider.
    let began = std::time::Instant::now();
    until("the provider's transfer ends", || peer.open() == 0).await;
    assert!(began.elapsed() < Duration::from_secs(8));
    peer.set_behaviour(Behaviour::Honest);
    let answer = world.get(&path(&bytes), &[("range", "bytes=0-9")]).await;
    assert_eq!(answer.status, 206, "the slot is still taken");
}
