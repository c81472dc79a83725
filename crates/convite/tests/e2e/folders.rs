//! Folders in the lists of commands, and commands that take only files.

use std::fs;

use convite_client::{Credentials, DirectoryClient, Registering};
use convite_core::model::FileEntry;
use convite_core::{ContentHash, EntryKind, SearchScope};
use tokio::runtime::Runtime;

use crate::harness::{Directory, Home, text, wait_until};

fn hash(contents: &str) -> ContentHash {
    ContentHash::of(contents.as_bytes())
}

/// Registers a peer of this home that serves nothing, and publishes these entries.
fn publish(home: &Home, id: &str, entries: Vec<FileEntry>) -> DirectoryClient {
    let credentials = convite_client::Home::open(home.root()).unwrap();
    let credentials = Credentials::load(&credentials).unwrap().unwrap();
    let client = DirectoryClient::new(&credentials).unwrap();
    let id = id.parse().unwrap();
    Runtime::new().unwrap().block_on(async {
        let registered = client.register_peer(&Registering::new(&id, 5001)).await;
        registered.unwrap();
        let published = client.publish_index_change(&id, 0, 1, entries, Vec::new());
        published.await.unwrap();
    });
    DirectoryClient::new(&credentials).unwrap()
}

fn folder(path: &str, size: u64, files: u64) -> FileEntry {
    FileEntry::folder(path.parse().unwrap(), size, files, hash(path))
}

#[test]
fn folders_are_listed_and_not_downloaded_as_files() {
    let directory = Directory::with("");
    let (ana, ben, eve) = (
        directory.member("ana"),
        directory.member("ben"),
        directory.member("eve"),
    );
    ana.write("photos/holiday/beach.jpg", b"beach");
    let _ana = ana.peer("ana-1", &ana.path("photos"), "");
    let entries = vec![
        folder("photos", 8, 2),
        folder("photos/holiday", 8, 2),
        FileEntry::file("photos/holiday/moon.jpg".parse().unwrap(), 5, hash("moon")),
        FileEntry::file("photos/holiday/sun.jpg".parse().unwrap(), 3, hash("sun")),
        // Also the name of a file, and also the hash of a file.
        folder("other/beach.jpg", 1, 1),
        FileEntry::folder("other/claim".parse().unwrap(), 1, 1, hash("beach")),
    ];
    let client = publish(&eve, "eve-1", entries);
    wait_until("search finds the folders", || {
        let found = ben.json("search holiday --type folder").objects();
        (found.len() == 2).then_some(())
    });
    let found = ben.json("search holiday").ok().objects();
    for hit in &found[..2] {
        assert_eq!(
            (text(hit, "name"), text(hit, "kind")),
            ("holiday".into(), "folder".into())
        );
    }
    let mut counts: Vec<_> = found[..2]
        .iter()
        .map(|hit| (hit["files"].as_u64(), hit["size"].as_u64()))
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, [(Some(1), Some(5)), (Some(2), Some(8))]);
    let file = found.iter().find(|hit| hit["name"] == "sun.jpg").unwrap();
    assert_eq!(
        (text(file, "kind"), file["files"].is_null()),
        ("file".into(), true)
    );
    assert!(ben.run("search holiday").ok().stdout.contains("holiday/ "));
    let listed = ben.json("index --peer eve-1").ok().objects();
    let kinds: Vec<_> = listed
        .iter()
        .filter_map(|one| one["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["folder"; 4]);
    let index = ben.run("index --peer eve-1").ok().stdout;
    assert!(index.contains("photos/holiday/ "), "{index}");
    assert_eq!(
        ben.json("peers")
            .ok()
            .objects()
            .iter()
            .find(|peer| peer["id"] == "eve-1")
            .unwrap()["files"],
        2
    );

    // A folder is refused by commands that take only files, by any of its names; files that it contains
    // are listed.
    let by_hash = hash("photos/holiday").to_string();
    for name in [
        "holiday",
        "photos/holiday",
        "eve-1:photos/holiday",
        &by_hash,
    ] {
        for command in ["link", "load --on ana-1"] {
            let ended = ben.run(&format!("{command} {name}")).ends(1);
            assert!(
                ended.stderr.contains("is a folder"),
                "{command}: {}",
                ended.stderr
            );
            let lists = ended.stdout.contains("beach.jpg") && ended.stdout.contains("moon.jpg");
            assert_eq!(lists, name != by_hash, "{command}: {}", ended.stdout);
        }
    }
    // A file with the name of a folder, or with a hash that is claimed to be that of a folder.
    for name in ["beach.jpg".to_owned(), hash("beach").to_string()] {
        ben.run(&format!("get {name} -o out/beach")).ok();
        assert_eq!(fs::read(ben.path("out/beach")).unwrap(), b"beach");
        fs::remove_file(ben.path("out/beach")).unwrap();
    }
    let level = Runtime::new().unwrap().block_on(async {
        let (hash, within) = (hash("photos/holiday"), SearchScope::Visible);
        client.list_folder(&hash, &within, 1, None).await.unwrap()
    });
    assert_eq!(
        (level.items[0].name.as_str(), level.items[0].kind),
        ("moon.jpg", EntryKind::File)
    );
    assert!(level.next_cursor.is_some());
}
