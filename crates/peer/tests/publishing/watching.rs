//! Changes reported by the system, without periodic scans.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use convite_core::ContentHash;

use super::{Group, Held, end};

/// The longest time from a change until it is published, on a busy machine. On an idle one it takes
/// less than a second.
const SOON: Duration = Duration::from_secs(60);

/// The time without writes after which a file is hashed.
const QUIET: Duration = Duration::from_millis(500);

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

    /// Waits until the condition holds in the directory, within `SOON`.
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
async fn changes_are_published_soon() {
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

    // A tree that appears at once, so that its inner folders could not be watched in time.
    fs::create_dir_all(group.in_share("x/y/z")).unwrap();
    fs::write(group.in_share("x/y/z/deep"), "deep").unwrap();
    fs::write(group.in_share("x/.hidden"), "no").unwrap();
    group
        .soon_paths(&["share/a", "share/b", "share/x/y/z/deep"])
        .await;
    // The new folder is watched now.
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
async fn file_is_hashed_after_its_last_write() {
    let group = watched();
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    let path = group.in_share("growing");
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let mut written = Instant::now();
    let (mut hashed, mut length) = (0, 0);
    // Requires twenty consecutive writes in time: on a busy machine a late write makes the file
    // look complete.
    let mut in_time = 0;
    while in_time < 20 {
        ticks.tick().await;
        let is_in_time = written.elapsed() < QUIET / 2;
        length += 1;
        fs::write(&path, vec![7; length]).unwrap();
        written = Instant::now();
        let before = std::mem::replace(&mut hashed, peer.hashed());
        in_time = if is_in_time { in_time + 1 } else { 0 };
        let rest = in_time == 0 || hashed == before;
        assert!(rest, "the file was hashed while it was being written");
        assert!(
            length < 2_000,
            "this machine is too slow to write every 100 ms"
        );
    }
    let whole = ContentHash::of(&vec![7; length]);
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
async fn replaced_file_is_rehashed_and_moved_folder_is_not() {
    let group = watched();
    fs::create_dir(group.in_share("a")).unwrap();
    group.write("a/f", "one");
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    assert_eq!(peer.hashed(), 1);
    fs::rename(group.in_share("a"), group.in_share("b")).unwrap();
    group.soon_paths(&["share/b/f"]).await;
    assert_eq!(peer.hashed(), 1, "the same file was hashed again");

    // As editors save: a new file is renamed to the name.
    let new = group.place.path().join("new");
    fs::write(&new, "saved").unwrap();
    fs::rename(&new, group.in_share("b/f")).unwrap();
    let saved = ContentHash::of(b"saved");
    group
        .soon(|held| held.files["share/b/f"].hash == saved)
        .await;
    end(peer, &stop).await;
}

#[tokio::test]
async fn ten_thousand_new_files_are_published_in_time() {
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
    assert!(took < SOON, "it took {took:?}");
    end(peer, &stop).await;
}
