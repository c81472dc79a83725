//! Files of which providers claim several sizes: a false one keeps nobody from the true one.

use convite_core::ErrorCode;
use convite_core::model::Provider;

use super::*;

/// More than any disk has room for.
const HUGE: u64 = 1 << 50;

/// A provider that claims `size` and is not there.
fn absent(peer: &str, size: u64) -> Provider {
    Provider {
        peer: peer.parse().unwrap(),
        addresses: vec!["127.0.0.1:1".parse().unwrap()],
        size,
        ticket: TICKET.to_owned(),
        partial: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_size_keeps_nobody_from_the_file() {
    for claimed in [HUGE, u64::MAX, 5, SIZE as u64 + 1] {
        let mut scene = Scene::new();
        scene
            .provide("good", &[b"http/1.1"], Manner::Honest, open())
            .await;
        // More claim the false size than the true one, and so it is tried first.
        for peer in ["liar_1", "liar_2"] {
            scene.providers.push(absent(peer, claimed));
        }
        let began = std::time::Instant::now();
        let fetched = scene.fetch_as(claimed).await.unwrap().unwrap();
        assert_eq!(fetched.bytes, SIZE as u64);
        assert!(scene.is_whole());
        let took = began.elapsed();
        assert!(
            took < Duration::from_secs(20),
            "it took {took:?} with {claimed}"
        );
        let left = scene.folder.path().join("home/downloads");
        let left = std::fs::read_dir(left).unwrap().count();
        assert_eq!(left, 0, "something is left of the false size {claimed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn that_there_is_no_room_is_told_though_somebody_claims_another_size() {
    let mut scene = Scene::new();
    let manner = Manner::FlipsAByte;
    scene.provide("liar", &[b"http/1.1"], manner, open()).await;
    for peer in ["good_1", "good_2"] {
        scene.providers.push(absent(peer, HUGE));
    }
    let problem = scene.fetch_as(SIZE as u64).await.err().unwrap();
    assert_eq!(problem.code, ErrorCode::NoSpace, "{problem}");
}
