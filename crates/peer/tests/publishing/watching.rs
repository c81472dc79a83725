//! Changes that the system tells of, with nothing looked at by the clock.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use convite_core::ContentHash;

use super::{Group, Held, end};

/// From a change to the directory's knowing it, on a machine that does much else: it takes less
/// than one second on one that does not.
const SOON: Duration = Duration::from_secs(8);

fn watched() -> Group {
    Group {
        rescan: Duration::from_secs(3600),
        ..Group::new()
    }
}

impl Group {
    fn in_share(&self, name: &str) -> PathBuf {
        self.place.path().join("share").join(name)
    }

    /// Waits until the directory knows it, which has to be soon.
    async fn soon(&self, known: impl Fn(&Held) -> bool) {
        let began = Instant::now();
        self.directory.until(known).await;
        let took = began.elapsed();
        assert!(took < SOON, "it took {took:?}");
    }

    async fn soon_paths(&self, paths: &[&str]) {
        self.soon(|held| held.files.keys().eq(paths)).await;
    }
}

#[tokio::test]
async fn what_is_added_changed_renamed_and_removed_is_told_soon() {
    let group = watched();
    group.write("a", "one");
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();

    fs::write(group.in_share("b"), "two").unwrap();
    group.soon_paths(&["share/a", "share/b"]).await;
    fs::write(group.in_share("a"), "one, changed").unwrap();
    let changed = ContentHash::of(b"one, changed");
    group
        .soon(|held| held.files["share/a"].hash == changed)
        .await;

    // A tree that appears at once, whose inner folders nobody could watch in time.
    fs::create_dir_all(group.in_share("x/y/z")).unwrap();
    fs::write(group.in_share("x/y/z/deep"), "deep").unwrap();
    fs::write(group.in_share("x/.hidden"), "no").unwrap();
    group
        .soon_paths(&["share/a", "share/b", "share/x/y/z/deep"])
        .await;
    // It is watched by now.
    fs::write(group.in_share("x/y/z/later"), "later").unwrap();
    group.soon(|held| held.files.len() == 4).await;

    fs::rename(group.in_share("x"), group.in_share("w")).unwrap();
    group
        .soon_paths(&[
            "share/a",
            "share/b",
            "share/w/y/z/deep",
            "share/w/y/z/later",
        ])
        .await;
    fs::write(group.in_share("w/y/again"), "again").unwrap();
    group.soon(|held| held.files.len() == 5).await;

    fs::remove_file(group.in_share("b")).unwrap();
    fs::remove_dir_all(group.in_share("w")).unwrap();
    group.soon_paths(&["share/a"]).await;
    end(peer, &stop).await;
}

#[tokio::test]
async fn a_file_is_hashed_when_it_is_not_being_written_any_more() {
    let group = watched();
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    let path = group.in_share("growing");
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    for length in 1..=20 {
        ticks.tick().await;
        fs::write(&path, vec![7; length]).unwrap();
        assert_eq!(peer.hashed(), 0, "it was hashed while it was written");
    }
    let whole = ContentHash::of(&[7; 20]);
    group
        .soon(|held| {
            held.files
                .get("share/growing")
                .is_some_and(|f| f.hash == whole)
        })
        .await;
    end(peer, &stop).await;
}

#[tokio::test]
async fn a_file_that_is_replaced_is_served_as_what_it_is_and_a_moved_one_is_not_hashed_again() {
    let group = watched();
    group.write("a", "one");
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    assert_eq!(peer.hashed(), 1);
    fs::rename(group.in_share("a"), group.in_share("b")).unwrap();
    group.soon_paths(&["share/b"]).await;
    assert_eq!(peer.hashed(), 1, "the same file was hashed again");

    // As editors save: a new file takes the name.
    let new = group.place.path().join("new");
    fs::write(&new, "saved").unwrap();
    fs::rename(&new, group.in_share("b")).unwrap();
    let saved = ContentHash::of(b"saved");
    group.soon(|held| held.files["share/b"].hash == saved).await;
    end(peer, &stop).await;
}

#[tokio::test]
async fn ten_thousand_new_files_are_known_in_time() {
    const FILES: usize = 10_000;
    let group = watched();
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    let began = Instant::now();
    for folder in 0..100 {
        fs::create_dir(group.in_share(&folder.to_string())).unwrap();
        for file in 0..FILES / 100 {
            let name = format!("{folder}/{file}");
            fs::write(group.in_share(&name), &name).unwrap();
        }
    }
    group
        .directory
        .until(|held| held.files.len() == FILES)
        .await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(30), "it took {took:?}");
    end(peer, &stop).await;
}
