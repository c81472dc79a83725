//! Providers that fail in every way, and what their readers notice of it.

use std::time::Duration;

use convite_core::ContentHash;
use convite_directory::RelayConfig;

use crate::asking::{World, path, until};
use crate::peers::{Manner, contents};

const SIZE: usize = (9 << 20) + 12_345;
/// In the middle of the third run of pieces.
const MIDDLE: u64 = 5 << 20;

/// Stalled providers are given up soon.
fn hasty() -> RelayConfig {
    RelayConfig {
        stall: Duration::from_millis(300),
        ..RelayConfig::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_fails_is_replaced_in_mid_file() {
    for manner in [
        Manner::LiesAt(0),
        Manner::LiesAt(MIDDLE),
        Manner::BreaksAt(0),
        Manner::BreaksAt(MIDDLE),
        Manner::StallsAt(MIDDLE),
        Manner::WrongHashes,
        Manner::Busy,
        Manner::Lacking,
    ] {
        let world = World::relaying(hasty()).await;
        let bytes = contents(SIZE);
        let failing = world.peer("p-1", "a/file", &bytes, manner).await;
        let _honest = world.peer("p-2", "a/file", &bytes, Manner::Honest).await;
        // Whoever's turn comes first, each is asked in one of the two.
        for _ in 0..2 {
            let answer = world.get(&path(&bytes), &[]).await;
            assert_eq!(answer.status, 200);
            assert!(!answer.broken && answer.body == bytes);
        }
        assert!(!failing.users.lock().unwrap().is_empty(), "was not asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_lies_is_asked_no_more() {
    let world = World::new().await;
    let bytes = contents(SIZE);
    let liar = world
        .peer("p-1", "a/file", &bytes, Manner::LiesAt(10))
        .await;
    let _honest = world.peer("p-2", "a/file", &bytes, Manner::Honest).await;
    // The first piece is in one run: the liar may have been at most in the two beside it.
    let answer = world
        .get(&path(&bytes), &[("range", "bytes=0-70000")])
        .await;
    assert!(!answer.broken && answer.body == bytes[..=70_000]);
    assert!(liar.users.lock().unwrap().len() <= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn from_liars_alone_no_wrong_byte_comes() {
    let world = World::new().await;
    let bytes = contents(SIZE);
    let _liar = world
        .peer("p-1", "a/file", &bytes, Manner::LiesAt(MIDDLE))
        .await;
    let answer = world.get(&path(&bytes), &[]).await;
    assert_eq!(answer.status, 200);
    assert!(answer.broken, "a part passed for the whole");
    let right = MIDDLE as usize;
    assert!(answer.body.len() <= right && answer.body == bytes[..answer.body.len()]);

    let piece = format!("bytes={MIDDLE}-{}", MIDDLE + 10);
    let answer = world.get(&path(&bytes), &[("range", &piece)]).await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.code(), "corrupt_contents");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nobody_is_left_the_body_breaks_off() {
    let world = World::new().await;
    let bytes = contents(SIZE);
    let peer = world
        .peer("p-1", "a/file", &bytes, Manner::BreaksAt(MIDDLE))
        .await;
    let answer = world.get(&path(&bytes), &[]).await;
    assert!(answer.broken);
    assert_eq!(answer.header("content-length"), SIZE.to_string());
    assert!(answer.body.len() < SIZE && answer.body == bytes[..answer.body.len()]);
    // A resume goes on where it ended.
    peer.behave(Manner::Honest);
    let range = format!("bytes={}-", answer.body.len());
    let rest = world.get(&path(&bytes), &[("range", &range)]).await;
    assert_eq!(rest.status, 206);
    assert!([answer.body, rest.body].concat() == bytes);
    // Nothing at all has come: there is still room for a status.
    peer.behave(Manner::Busy);
    let answer = world.get(&path(&bytes), &[]).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.code(), "unavailable");
    assert!(answer.headers.contains_key("retry-after"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_most_lie_about_does_not_keep_the_file_away() {
    let world = World::new().await;
    let bytes = contents(200_000);
    let hash = ContentHash::of(&bytes);
    // As many pieces, so that the true piece hashes fold.
    let shorter = bytes.slice(..199_999);
    for id in ["p-1", "p-2"] {
        let manner = Manner::Honest;
        let liar = world.claiming(id, "a/file", hash, &shorter, manner).await;
        std::mem::forget(liar);
    }
    let _honest = world.peer("p-3", "a/file", &bytes, Manner::Honest).await;
    let answer = world.get(&path(&bytes), &[]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-length"), "200000");
    assert!(!answer.broken && answer.body == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_loses_his_session_loses_the_rest_of_the_file() {
    let world = World::with(|config| {
        config.ticket_lifetime = Duration::from_millis(200);
        // Slow enough for the session to end before the file does.
        config.relay.limit = std::num::NonZeroU64::new(2 << 20);
    })
    .await;
    let bytes = contents(32 << 20);
    let _peer = world.peer("p-1", "a/file", &bytes, Manner::Honest).await;
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
            None => panic!("all of it came"),
        }
    }
    assert!(received < bytes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_ends_the_relay() {
    let world = World::relaying(RelayConfig {
        relays_max: 1,
        ..RelayConfig::default()
    })
    .await;
    let bytes = contents(32 << 20);
    let manner = Manner::StallsAt(3 << 20);
    let peer = world.peer("p-1", "a/file", &bytes, manner).await;
    let answer = world.begin("GET", &path(&bytes), &[], "").await;
    assert_eq!(answer.status(), 200);
    until("the provider is asked", || peer.open() > 0).await;
    drop(answer);
    // Long before the provider would be given up.
    let began = std::time::Instant::now();
    until("the provider is let go", || peer.open() == 0).await;
    assert!(began.elapsed() < Duration::from_secs(8));
    peer.behave(Manner::Honest);
    let answer = world.get(&path(&bytes), &[("range", "bytes=0-9")]).await;
    assert_eq!(answer.status, 206, "its slot is not free");
}
