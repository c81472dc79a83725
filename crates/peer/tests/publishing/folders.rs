//! Publishing of folders.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use convite_core::{ContentHash, Manifest, ManifestEntry, SpaceName};
use convite_peer::fs::names::UNFINISHED_MARKER;
use convite_peer::sharing::path_hash::hash_path;

use super::{Group, Held, end};

fn watched() -> Group {
    Group {
        rescan: Duration::from_secs(3600),
        ..Group::new()
    }
}

impl Group {
    fn place(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn mkdir(&self, name: &str) {
        fs::create_dir_all(self.place(name)).unwrap();
    }

    /// Returns the published folders with their hashes.
    fn folders(&self) -> BTreeMap<String, ContentHash> {
        self.directory.set(|held| hashes(held))
    }

    /// Returns the hash of a folder on disk, which is computed from scratch.
    fn hash_on_disk(&self, name: &str) -> ContentHash {
        hash_path(&self.place(name)).unwrap().hash
    }

    async fn until_published(&self, name: &str) {
        let path = match name {
            "" => "share".to_owned(),
            name => format!("share/{name}"),
        };
        let hash = self.hash_on_disk(name);
        self.directory
            .until(|held| held.folders.get(&path).is_some_and(|row| row.hash == hash))
            .await;
    }
}

fn hashes(held: &Held) -> BTreeMap<String, ContentHash> {
    let rows = held.folders.iter();
    rows.map(|(path, row)| (path.clone(), row.hash)).collect()
}

fn paths(folders: &BTreeMap<String, ContentHash>) -> Vec<&str> {
    folders.keys().map(String::as_str).collect()
}

#[tokio::test]
async fn folders_are_published_with_what_they_contain() {
    let group = watched();
    group.mkdir("a/empty");
    group.mkdir("a/deep");
    group.write("a/deep/1", "one");
    group.write("a/2", "two");
    let (mut peer, stop) = group.start().await.unwrap();
    assert_eq!(peer.first_scan_done().await.unwrap(), 2);
    let folders = group.folders();
    let all = ["share", "share/a", "share/a/deep", "share/a/empty"];
    assert_eq!(paths(&folders), all);

    let file = |name: &str, contents: &[u8]| {
        let (size, crc32) = (contents.len() as u64, crc32fast::hash(contents));
        ManifestEntry::file(name, size, crc32, ContentHash::of(contents))
    };
    let empty = Manifest::new(Vec::new()).unwrap();
    let deep = Manifest::new(vec![file("1", b"one")]).unwrap();
    let a = Manifest::new(vec![
        file("2", b"two"),
        ManifestEntry::folder("deep", deep.summary()),
        ManifestEntry::folder("empty", empty.summary()),
    ])
    .unwrap();
    assert_eq!(folders["share/a/empty"], empty.hash());
    assert_eq!(folders["share/a/deep"], deep.hash());
    assert_eq!(folders["share/a"], a.hash());
    assert_eq!(folders["share"], group.hash_on_disk(""));
    let row = group.directory.set(|held| held.folders["share/a"].clone());
    assert_eq!((row.files, row.size, row.modified), (2, 6, 0));
    end(peer, &stop).await;
}

#[tokio::test]
async fn a_change_is_published_with_the_folders_above_it() {
    let group = watched();
    group.mkdir("a/x");
    group.mkdir("b");
    group.write("a/x/1", "one");
    group.write("a/2", "two");
    group.write("b/3", "three");
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    let before = group.folders();
    group.write("a/x/1", "one, changed");
    group.until_published("").await;
    let after = group.folders();
    let differs = |path: &&str| before[*path] != after[*path];
    let changed: Vec<_> = paths(&after).into_iter().filter(differs).collect();
    assert_eq!(changed, ["share", "share/a", "share/a/x"]);

    // A new folder, an empty one, one that moved, and one that is gone.
    group.mkdir("c/empty");
    group.write("c/4", "four");
    fs::rename(group.place("a/x"), group.place("b/y")).unwrap();
    group.until_published("").await;
    let all = [
        "share",
        "share/a",
        "share/b",
        "share/b/y",
        "share/c",
        "share/c/empty",
    ];
    assert_eq!(paths(&group.folders()), all);
    assert_eq!(group.folders()["share/b/y"], after["share/a/x"]);
    fs::remove_dir_all(group.place("b")).unwrap();
    group.until_published("").await;
    let all = ["share", "share/a", "share/c", "share/c/empty"];
    assert_eq!(paths(&group.folders()), all);
    end(peer, &stop).await;
}

#[tokio::test]
async fn restart_publishes_no_folder_again() {
    let group = watched();
    group.mkdir("a/b");
    group.write("a/b/1", "one");
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    end(peer, &stop).await;
    let told = group
        .directory
        .set(|held| (held.ever.len(), held.changes, held.wholes));
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    end(peer, &stop).await;
    let now = group
        .directory
        .set(|held| (held.ever.len(), held.changes, held.wholes));
    assert_eq!(told, now);

    // Only what changed while the peer was off; the whole index has folders, too.
    group.write("a/2", "two");
    fs::remove_dir_all(group.place("a/b")).unwrap();
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    assert_eq!(paths(&group.folders()), ["share", "share/a"]);
    assert_eq!(group.folders()["share"], group.hash_on_disk(""));
    let published = group.folders();
    group.directory.set(|held| {
        held.files.clear();
        held.folders.clear();
        held.generation = 0;
    });
    group
        .directory
        .until(|held| hashes(held) == published)
        .await;
    end(peer, &stop).await;
}

#[tokio::test]
async fn a_nested_share_of_another_space_is_no_part_of_the_folder() {
    let group = watched();
    group.mkdir("inner");
    group.write("inner/secret", "for the lab");
    group.write("1", "one");
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    let whole = group.hash_on_disk("");
    assert_eq!(group.folders()["share"], whole);
    let lab: SpaceName = "lab".parse().unwrap();
    let inner = group.place("inner").canonicalize().unwrap();
    peer.state().share(&inner, Some(lab.clone())).unwrap();
    let hash = group.hash_on_disk("inner");
    group
        .directory
        .until(|held| {
            let rows = (held.folders.get("inner"), held.folders.get("share"));
            let (Some(inner), Some(outer)) = rows else {
                return false;
            };
            inner.hash == hash && inner.space.as_ref() == Some(&lab) && outer.hash != whole
        })
        .await;
    let without = Manifest::new(vec![ManifestEntry::file(
        "1",
        3,
        crc32fast::hash(b"one"),
        ContentHash::of(b"one"),
    )]);
    assert_eq!(group.folders()["share"], without.unwrap().hash());
    assert_eq!(paths(&group.folders()), ["inner", "share"]);
    end(peer, &stop).await;
}

#[tokio::test]
async fn a_folder_that_is_being_downloaded_is_not_published() {
    let group = watched();
    group.mkdir("done");
    group.write("done/1", "one");
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    let before = group.folders();
    // As a download does: the marker first, then the files.
    group.mkdir("coming/below");
    fs::write(group.place("coming").join(UNFINISHED_MARKER), "").unwrap();
    group.write("coming/below/2", "two");
    group.write("done/3", "three");
    let done = group.hash_on_disk("done");
    let is_there = |held: &Held| {
        held.files.contains_key("share/coming/below/2") && held.folders["share/done"].hash == done
    };
    group.directory.until(is_there).await;
    group.until_published("").await;
    assert_eq!(paths(&group.folders()), paths(&before));
    let skipped = |reason: &str| {
        let shares = peer.status().shares;
        let skipped = shares[0].skipped.iter().find(|s| s.reason == reason);
        skipped.map(|skipped| skipped.paths.clone())
    };
    assert_eq!(skipped("unfinished"), Some(vec!["coming".to_owned()]));
    fs::remove_file(group.place("coming").join(UNFINISHED_MARKER)).unwrap();
    group.until_published("").await;
    let all = ["share", "share/coming", "share/coming/below", "share/done"];
    assert_eq!(paths(&group.folders()), all);
    assert_eq!(skipped("unfinished"), None);
    end(peer, &stop).await;
}

#[tokio::test]
async fn a_folder_waits_while_a_file_in_it_is_written() {
    let group = watched();
    group.mkdir("a");
    group.mkdir("b");
    group.write("a/log", "1");
    group.write("b/1", "one");
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    let before = group.folders();
    // The log is written all the time. Its folder keeps the last complete state, and other folders
    // do not wait for it.
    group.write("a/2", "two");
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let mut published = false;
    for length in 1..200 {
        ticks.tick().await;
        fs::write(group.place("a/log"), vec![b'x'; length]).unwrap();
        if length == 20 {
            group.write("b/1", "one, changed");
        }
        let now = group.folders();
        // On a busy machine a late write makes the log look complete: then it is published as well.
        published |= now["share/b"] != before["share/b"] && now["share/a"] == before["share/a"];
        if published {
            break;
        }
    }
    assert!(published);
    group.until_published("").await;
    end(peer, &stop).await;
}

#[tokio::test]
async fn executable_files_are_published_as_such() {
    use std::os::unix::fs::PermissionsExt;
    let group = watched();
    group.write("tool", "#!/bin/sh");
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    let before = group.folders();
    let row = |held: &Held| held.files["share/tool"].executable;
    assert!(!group.directory.set(|held| row(held)));
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(group.place("tool"), mode).unwrap();
    group.directory.until(row).await;
    // The bit is not part of the folder's identity.
    assert_eq!(group.folders(), before);
    end(peer, &stop).await;
}
