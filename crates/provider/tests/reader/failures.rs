//! Providers that fail while they are read from.

use std::sync::atomic::Ordering;
use std::time::Duration;

use convite_provider::ReadError;

use crate::fake_provider::Behaviour::{self, Honest};
use crate::world::{World, until};

const SIZE: usize = (9 << 20) + 12_345;
const MIDDLE: u64 = 5 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_provider_is_replaced() {
    for manner in [
        Behaviour::LiesAt(0),
        Behaviour::LiesAt(MIDDLE),
        Behaviour::BreaksAt(0),
        Behaviour::BreaksAt(MIDDLE),
        Behaviour::StallsAt(MIDDLE),
        Behaviour::WrongHashes,
        Behaviour::KeepsWaiting,
        Behaviour::Busy,
        Behaviour::Lacking,
    ] {
        let world = World::new(SIZE, &[manner, Honest]).await;
        let (read, error) = world.read(&mut world.reader(0..SIZE as u64)).await;
        assert!(error.is_none() && read == world.bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_are_never_returned() {
    let world = World::new(SIZE, &[Behaviour::LiesAt(MIDDLE)]).await;
    let mut reader = world.reader(0..SIZE as u64);
    let (read, error) = world.read(&mut reader).await;
    assert!(matches!(error, Some(ReadError::AllDishonest)), "{error:?}");
    assert!(read.len() as u64 <= MIDDLE && read == world.bytes[..read.len()]);
    // The error stays.
    assert!(reader.next().await.is_err());
    let peer = &world.peers[0];
    let told = || peer.reports.load(Ordering::SeqCst) == 1;
    until("the wrong piece is reported", told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_before_the_failure_are_returned_and_then_the_reasons() {
    let world = World::new(SIZE, &[Behaviour::BreaksAt(MIDDLE)]).await;
    let (read, error) = world.read(&mut world.reader(0..SIZE as u64)).await;
    // The provider closes the connection, which may interrupt requests for earlier pieces.
    assert!(!read.is_empty() && read.len() as u64 <= MIDDLE);
    assert!(read == world.bytes[..read.len()]);
    let Some(ReadError::NoProviders(reasons)) = error else {
        panic!("{error:?}");
    };
    assert_eq!(reasons[0].0, world.peers[0].id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_returns_is_used_again() {
    let world = World::new(SIZE, &[Behaviour::Busy]).await;
    let mut reader = world.reader(0..SIZE as u64);
    let peer = world.peers[0].clone();
    until("the directory is asked again", || world.queries() > 0).await;
    peer.set_behaviour(Honest);
    let (read, error) = world.read(&mut reader).await;
    assert!(error.is_none() && read == world.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn few_providers_at_once_are_asked_for_many_piece_hashes() {
    let mut world = World::new(1000, &[Behaviour::KeepsWaiting; 5]).await;
    let asked = |world: &World| -> usize {
        let asked = world.peers.iter();
        asked.map(|p| p.asked_hashes.load(Ordering::SeqCst)).sum()
    };
    // All of them for the hashes of a small file.
    world.size = 1 << 30;
    let _small = world.reader(0..1);
    until("all are asked", || asked(&world) == 5).await;
    world.size = 1 << 40;
    let _large = world.reader(0..1);
    until("two are asked", || asked(&world) >= 7).await;
    // All connections were made long before.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(asked(&world), 7);
}
