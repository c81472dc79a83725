//! Files with several claimed sizes: a false size must not prevent the download of the file.

use convite_core::ErrorCode;
use convite_core::model::Provider;

use super::*;

/// Larger than any disk.
const HUGE: u64 = 1 << 50;

/// Returns a provider that claims `size` and cannot be reached.
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
async fn false_size_does_not_block_the_download() {
    for claimed in [HUGE, u64::MAX, 5, SIZE as u64 + 1, 0] {
        let mut scene = Scene::new();
        scene
            .provide("good", &[b"http/1.1"], Manner::Honest, open())
            .await;
        // More providers claim the false size than the true one, so it is tried first.
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
        assert_eq!(left, 0, "files of the false size {claimed} were left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_space_is_reported_despite_other_sizes() {
    let mut scene = Scene::new();
    let manner = Manner::FlipsAByte;
    scene.provide("liar", &[b"http/1.1"], manner, open()).await;
    for peer in ["good_1", "good_2"] {
        scene.providers.push(absent(peer, HUGE));
    }
    let problem = scene.fetch_as(SIZE as u64).await.err().unwrap();
    assert_eq!(problem.code, ErrorCode::NoSpace, "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_only_claimed_to_be_empty_is_not_stored() {
    let mut scene = Scene::new();
    scene.providers.push(absent("liar", 0));
    let problem = scene.fetch_as(0).await.err().unwrap();
    assert_eq!(problem.code, ErrorCode::CorruptContents, "{problem}");
    assert!(!scene.folder.path().join("fetched").exists());
}
