//! Files in a share that are not shared are counted and named.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use convite_peer::RunningPeer;

use super::{Group, end};

/// Returns reason, count and the first paths of each group.
fn skipped(peer: &RunningPeer) -> Vec<(String, u64, Vec<String>)> {
    let skipped = peer.status().shares.remove(0).skipped.into_iter();
    skipped
        .map(|group| (group.reason, group.count, group.paths))
        .collect()
}

async fn becomes(
    peer: &RunningPeer,
    what: &str,
    is: impl Fn(&[(String, u64, Vec<String>)]) -> bool,
) {
    let looking = async {
        while !is(&skipped(peer)) {
            peer.changed().await;
        }
    };
    let looked = tokio::time::timeout(Duration::from_secs(30), looking).await;
    assert!(looked.is_ok(), "{what}: {:?}", skipped(peer));
}

#[tokio::test]
async fn hidden_non_utf8_and_other_files_are_counted_and_named() {
    let mut group = Group::new();
    group.rescan = Duration::from_secs(600);
    let share = group.place.path().join("share");
    group.write("seen", "seen");
    fs::write(share.join(".dot"), "x").unwrap();
    fs::create_dir_all(share.join(".git/objects")).unwrap();
    fs::write(share.join(".git/objects/x"), "x").unwrap();
    fs::write(share.join(OsStr::from_bytes(b"caf\xe9.txt")), "x").unwrap();
    std::os::unix::fs::symlink("seen", share.join("link")).unwrap();
    let (mut peer, stop) = group.start().await.unwrap();
    assert_eq!(peer.first_scan_done().await.unwrap(), 1);
    let named = |reason: &str, paths: &[&str]| {
        let paths = paths
            .iter()
            .map(|path| (*path).to_owned())
            .collect::<Vec<_>>();
        (reason.to_owned(), paths.len() as u64, paths)
    };
    assert_eq!(
        skipped(&peer),
        [
            named("hidden", &[".dot", ".git"]),
            named("not_utf8", &["caf\u{fffd}.txt"]),
            named("not_regular", &["link"]),
        ]
    );
    // A file that was renamed is shared and no longer counted.
    fs::rename(share.join(".dot"), share.join("dot")).unwrap();
    group.directory.until(|held| held.files.len() == 2).await;
    peer.state().files.rescan.notify_one();
    becomes(&peer, "the renamed file is shared", |now| now[0].1 == 1).await;
    end(peer, &stop).await;
}

#[tokio::test]
async fn changing_file_is_reported_as_skipped() {
    let group = Group::new();
    let share = group.place.path().join("share");
    let log = fs::File::create(share.join("log")).unwrap();
    log.set_len(8 << 20).unwrap();
    let writing = tokio_util::sync::CancellationToken::new();
    let stopped = writing.clone();
    let writer = std::thread::spawn(move || {
        use std::os::unix::fs::FileExt;
        while !stopped.is_cancelled() {
            log.write_all_at(b"x", 0).unwrap();
        }
    });
    let (peer, stop) = group.start().await.unwrap();
    let is_changing = |now: &[(String, u64, Vec<String>)]| {
        now.iter().any(|(reason, count, paths)| {
            (reason.as_str(), *count) == ("changing", 1) && paths == &["log"]
        })
    };
    becomes(&peer, "the file is changing", is_changing).await;
    writing.cancel();
    writer.join().unwrap();
    becomes(&peer, "the file stays unchanged", <[_]>::is_empty).await;
    group.directory.until(|held| held.files.len() == 1).await;
    end(peer, &stop).await;
}
