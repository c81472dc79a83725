//! Folders as rows of the index: counts, claims, and the entries of one level.

use std::sync::Arc;

use convite_core::model::{FileEntry, FolderEntry};
use convite_core::{ContentHash, EntryKind, ErrorCode};
use convite_store::{ContentKey, FOLDER_PATH_MAX, Store, Viewer};

use crate::spaces::*;
use crate::world::*;

/// A folder with this manifest, of `size` bytes in `files` files.
pub(crate) fn folder(path: &str, manifest: &str, size: u64, files: u64) -> FileEntry {
    let hash = ContentHash::of(manifest.as_bytes());
    FileEntry::folder(path.parse().unwrap(), size, files, hash)
}

fn folder_in(name: &str, path: &str, manifest: &str, size: u64, files: u64) -> FileEntry {
    FileEntry {
        space: Some(space(name)),
        ..folder(path, manifest, size, files)
    }
}

/// Returns all entries of a level, read in pages of `limit`.
async fn level(
    store: &Arc<dyn Store>,
    viewer: &Viewer,
    hash: &ContentHash,
    limit: u32,
) -> Option<Vec<FolderEntry>> {
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = store
            .folder(viewer, hash, limit, cursor.as_deref(), NOW)
            .await
            .unwrap()?;
        assert!(page.items.len() <= limit as usize);
        all.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Some(all),
        }
    }
}

async fn names(store: &Arc<dyn Store>, viewer: &Viewer, hash: &ContentHash) -> Vec<String> {
    let entries = level(store, viewer, hash, 100).await.unwrap();
    entries.into_iter().map(|entry| entry.name).collect()
}

/// Returns the number of files that everyone can see of a peer, and of all files.
async fn counts(store: &Arc<dyn Store>, id: &str) -> (u64, u64) {
    let listed = store.listed_peer(&anyone(), &peer(id), NOW).await.unwrap();
    let totals = store.totals(NOW).await.unwrap();
    (listed.unwrap().summary.files, totals.files)
}

pub async fn a_folder_is_published_and_found_like_a_file(store: Arc<dyn Store>) {
    let mut tool = file("s/sub/tool", "#!");
    tool.executable = true;
    let of_share = folder("s", "manifest of s", 7, 3);
    let files = [
        of_share.clone(),
        file("s/a", "abcde"),
        folder("s/sub", "manifest of sub", 2, 2),
        file("s/sub/empty", ""),
        tool.clone(),
    ];
    let ana = sharing(&store, "ana", &files).await;
    let index = whole_index(&store, 2, NOW).await;
    let listed: Vec<FileEntry> = index.into_iter().map(|entry| entry.file).collect();
    assert_eq!(listed, files);
    // The same again changes nothing; the executable bit alone is a change of the row.
    let again = publish(&store, "ana", ana, 1, upsert(&files)).await;
    assert_eq!(again, tally(0, 0));
    let before = store.last_change().await.unwrap();
    tool.executable = false;
    let plain = publish(&store, "ana", ana, 2, upsert(&[tool])).await;
    assert_eq!(plain, tally(1, 0));
    assert_eq!(store.last_change().await.unwrap(), before);
    let index = whole_index(&store, 10, NOW).await;
    assert!(!index[4].file.executable);

    let located = store.locate(&anyone(), &of_share.hash, None, NOW).await;
    let located = located.unwrap().unwrap();
    assert_eq!((located.kind, located.size), (EntryKind::Folder, 7));
    assert_eq!(located.files, Some(3));
    assert_eq!(located.names, ["s"]);
    for (path, at) in [("sub", None), ("s/sub", None), ("s/sub", Some(peer("ana")))] {
        let named = store.named(&anyone(), path, at.as_ref(), NOW).await;
        let keys: Vec<ContentKey> = named.unwrap().contents.iter().map(|c| c.key).collect();
        let summary = store.summaries(&anyone(), &keys, NOW).await.unwrap();
        assert_eq!(summary.len(), 1, "{path}");
        assert_eq!(summary[0].kind, EntryKind::Folder);
        assert_eq!((summary[0].size, summary[0].files), (2, 2));
    }
    let documents = store.contents(ContentKey(0), 100).await.unwrap();
    let folders = documents
        .iter()
        .filter(|document| document.kind == EntryKind::Folder);
    assert_eq!(folders.count(), 2);
    let changes = store.changes(0, 100).await.unwrap();
    assert!(changes.contents.iter().any(|(_, documents)| {
        documents
            .iter()
            .any(|one| one.hash == of_share.hash && one.kind == EntryKind::Folder)
    }));
}

pub async fn folders_do_not_count_as_files(store: Arc<dyn Store>) {
    make(&store, "lab").await;
    let ana = member(&store, "ana", &["lab"]).await;
    let first = [
        folder("s", "manifest", 5, 1),
        file("s/a", "abcde"),
        folder("s/b", "empty", 0, 0),
    ];
    publish(&store, "ana", ana, 0, upsert(&first)).await;
    assert_eq!(counts(&store, "ana").await, (1, 1));
    // A path that changes its kind, with and without a change of its space.
    let turned = [file("s", "x"), folder("s/a", "manifest of a", 1, 1)];
    publish(&store, "ana", ana, 1, upsert(&turned)).await;
    assert_eq!(counts(&store, "ana").await, (1, 1));
    publish(&store, "ana", ana, 2, upsert(&[file("s/b", "y")])).await;
    assert_eq!(counts(&store, "ana").await, (2, 2));
    let moved = [folder_in("lab", "s/b", "manifest of b", 1, 1)];
    publish(&store, "ana", ana, 3, upsert(&moved)).await;
    assert_eq!(counts(&store, "ana").await, (1, 1));
    let moved = [file_in("lab", "s", "x"), file_in("lab", "s/b", "y")];
    publish(&store, "ana", ana, 4, upsert(&moved)).await;
    assert_eq!(counts(&store, "ana").await, (0, 2));
    // Only a folder is left that everyone can see: the peer is still listed.
    assert_eq!(paths(&store, NOW).await, ["ana:s/a"]);
    publish(&store, "ana", ana, 5, remove(&["s", "s/a", "s/b"])).await;
    assert_eq!(counts(&store, "ana").await, (0, 0));
    assert_eq!(store.contents(ContentKey(0), 9).await.unwrap(), []);
    // A whole index counts in the same way.
    let sync = store.begin_full(&peer("ana"), ana, NOW).await.unwrap();
    store.add_full(sync, first.to_vec(), NOW).await.unwrap();
    store.finish_full(sync, 9, NOW).await.unwrap();
    assert_eq!(counts(&store, "ana").await, (1, 1));
}

pub async fn a_file_and_a_folder_of_one_hash_are_two_contents(store: Arc<dyn Store>) {
    let (a, shared) = (file("s/a", "true"), folder("x", "true", 9, 2));
    assert_eq!(a.hash, shared.hash);
    let hash = a.hash;
    sharing(&store, "ana", &[a]).await;
    let of = async |kind| {
        let located = store.locate(&anyone(), &hash, kind, NOW).await.unwrap();
        located.map(|one| {
            let ids: Vec<_> = one.providers.iter().map(|p| p.peer.to_string()).collect();
            (one.kind, one.size, one.files, one.names, ids)
        })
    };
    let ids = |of: &[&str]| of.iter().map(ToString::to_string).collect::<Vec<_>>();
    let (a_file, a_folder) = (Some(EntryKind::File), Some(EntryKind::Folder));
    let is_file = (EntryKind::File, 4, None, ids(&["a"]), ids(&["ana"]));
    assert_eq!(of(a_file).await, Some(is_file.clone()));
    assert_eq!(of(None).await, Some(is_file.clone()));
    assert_eq!(of(a_folder).await, None);
    // A false claim of the other kind, which is another content.
    let eve = sharing(&store, "eve", std::slice::from_ref(&shared)).await;
    let is_folder = (EntryKind::Folder, 9, Some(2), ids(&["x"]), ids(&["eve"]));
    assert_eq!(of(a_folder).await, Some(is_folder));
    assert_eq!(of(a_file).await, Some(is_file.clone()));
    assert_eq!(of(None).await, Some(is_file.clone()));
    assert_eq!(store.contents(ContentKey(0), 9).await.unwrap().len(), 2);
    // More of them decide what a hash alone means, but hide nothing.
    sharing(&store, "fay", std::slice::from_ref(&shared)).await;
    assert_eq!(of(a_file).await, Some(is_file));
    assert_eq!(of(None).await.unwrap().4, ids(&["eve", "fay"]));
    for kind in [EntryKind::File, EntryKind::Folder] {
        let spaces = store.lies_in(&anyone(), &hash, kind, NOW).await.unwrap();
        assert_eq!(spaces, Some(Vec::new()));
    }
    // An account claims one kind, one size and one number of files for a hash.
    let a_lie = file("y", "true");
    for lie in [a_lie, folder("y", "true", 2, 2), folder("y", "true", 9, 1)] {
        let refused = store
            .publish_change(&peer("eve"), eve, 1, 2, upsert(&[lie]), NOW)
            .await;
        assert_eq!(refused.unwrap_err().code, ErrorCode::InvalidArgument);
    }
    // It may correct itself.
    let corrected = [file("x", "true"), file("y", "true")];
    publish(&store, "eve", eve, 1, upsert(&corrected)).await;
    assert_eq!(of(a_file).await.unwrap().4, ids(&["ana", "eve"]));
}

pub async fn partial_providers_are_those_of_a_kind_that_is_seen(store: Arc<dyn Store>) {
    let shared = folder("s", "CVM1", 9, 2);
    let ana = sharing(&store, "ana", std::slice::from_ref(&shared)).await;
    let bea = account(&store, "bea").await;
    register(&store, "bea", bea, NOW).await;
    let announced = store
        .announce(&peer("bea"), bea, &anyone(), &shared.hash, 9, NOW)
        .await;
    assert!(announced.unwrap().is_news);
    store.leave(&peer("ana"), ana, NOW).await.unwrap();
    for (kind, expected) in [
        (None, Some(EntryKind::Folder)),
        (Some(EntryKind::Folder), Some(EntryKind::Folder)),
        (Some(EntryKind::File), None),
    ] {
        let located = store.locate(&anyone(), &shared.hash, kind, NOW).await;
        assert_eq!(located.unwrap().map(|one| one.kind), expected, "{kind:?}");
    }
}

pub async fn a_level_of_a_folder_comes_in_pages(store: Arc<dyn Store>) {
    let shared = folder("s", "manifest of s", 99, 9);
    let mut files = vec![shared.clone(), folder("s/m", "manifest of m", 3, 2)];
    // Between the folder and what it contains, and after it, in the order of bytes.
    let names = [
        "\u{1}", "A", "a b", "m!", "m-1", "m", "m.txt", "m0", "mm", "ñ", "文",
    ];
    for name in names.iter().filter(|name| **name != "m") {
        files.push(file(&format!("s/{name}"), name));
    }
    for deep in ["m/x", "m/y/z", "m/y/z2", "no row/of its own"] {
        files.push(file(&format!("s/{deep}"), deep));
    }
    // Not in the folder.
    for other in ["r", "s!", "s0", "s/"] {
        files.push(file(&format!("{}x", other), other));
    }
    files.retain(|one| one.path.as_str() != "s/x");
    files[2].executable = true;
    sharing(&store, "ana", &files).await;
    let mut expected = names.to_vec();
    expected.sort_unstable();
    for limit in [1, 2, 3, 100] {
        let entries = level(&store, &anyone(), &shared.hash, limit).await.unwrap();
        let shown: Vec<_> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(shown, expected, "{limit}");
        let of_m = entries.iter().find(|entry| entry.name == "m").unwrap();
        let of_m = (of_m.kind, of_m.size, of_m.files, of_m.hash);
        let manifest = ContentHash::of(b"manifest of m");
        assert_eq!(of_m, (EntryKind::Folder, 3, Some(2), manifest));
        assert_eq!(entries[0].files, None);
        assert_eq!((entries[0].executable, entries[0].modified), (true, 7));
    }
    let inner = level(&store, &anyone(), &ContentHash::of(b"manifest of m"), 9).await;
    let inner: Vec<_> = inner.unwrap().into_iter().map(|e| e.name).collect();
    assert_eq!(inner, ["x"]);
    // Of an unknown folder, and of a file, there is nothing.
    for hash in [ContentHash::of(b"?"), file("s/A", "A").hash] {
        assert_eq!(level(&store, &anyone(), &hash, 9).await, None);
    }
    let page = store.folder(&anyone(), &shared.hash, 1, None, NOW).await;
    let cursor = page.unwrap().unwrap().next_cursor.unwrap();
    let m = ContentHash::of(b"manifest of m");
    for (hash, cursor) in [(&m, cursor.as_str()), (&shared.hash, "x"), (&m, "")] {
        let refused = store.folder(&anyone(), hash, 1, Some(cursor), NOW).await;
        assert_eq!(refused.unwrap_err().code, ErrorCode::InvalidArgument);
    }
}

pub async fn a_large_level_is_read_without_what_is_inside_of_it(store: Arc<dyn Store>) {
    let shared = folder("s", "large", 1_000, 1_000);
    let mut files = vec![shared.clone()];
    for n in 0..60 {
        files.push(folder(&format!("s/d{n:03}"), &format!("d{n}"), 20, 20));
        files.extend((0..20).map(|m| file(&format!("s/d{n:03}/{m}"), "x")));
    }
    files.extend((0..300).map(|n| file(&format!("s/f{n:03}"), "y")));
    sharing(&store, "ana", &files).await;
    for limit in [7, 100, 1_000] {
        let entries = level(&store, &anyone(), &shared.hash, limit).await.unwrap();
        assert_eq!(entries.len(), 360);
        assert!(entries.is_sorted_by(|a, b| a.name < b.name));
    }
}

pub async fn a_folder_shows_what_is_in_its_space(store: Arc<dyn Store>) {
    for name in ["lab", "board"] {
        make(&store, name).await;
    }
    let ana = member(&store, "ana", &["lab", "board"]).await;
    let bea = member(&store, "bea", &["lab"]).await;
    let eve = member(&store, "eve", &[]).await;
    let hidden = folder_in("lab", "s", "manifest", 3, 2);
    let files = [
        hidden.clone(),
        file_in("lab", "s/a", "a"),
        file_in("lab", "s/b", "bb"),
        // An inner share for others.
        folder_in("board", "s/board", "of the board", 7, 1),
        file_in("board", "s/board/minutes", "minutes"),
        file_in("board", "s/note", "note"),
        file("s/public", "public"),
    ];
    publish(&store, "ana", ana, 0, upsert(&files)).await;
    let (ana_sees, bea_sees) = (eyes(&store, ana).await, eyes(&store, bea).await);
    assert_eq!(names(&store, &bea_sees, &hidden.hash).await, ["a", "b"]);
    assert_eq!(names(&store, &ana_sees, &hidden.hash).await, ["a", "b"]);
    let minutes = ContentHash::of(b"of the board");
    assert_eq!(names(&store, &ana_sees, &minutes).await, ["minutes"]);
    assert_eq!(level(&store, &bea_sees, &minutes, 9).await, None);
    // An account outside, and a view narrowed to another space, see nothing of it.
    let outside = eyes(&store, eve).await;
    let board = store.narrowed(&ana_sees, &space("board")).await.unwrap();
    for viewer in [&outside, &board, &anyone()] {
        assert_eq!(level(&store, viewer, &hidden.hash, 9).await, None);
        let located = store.locate(viewer, &hidden.hash, None, NOW).await.unwrap();
        assert_eq!(located, None);
    }
    // Who only knows the hash, and claims to share it, shows own files and sees no others.
    let claimed = [folder("mine", "manifest", 3, 2), file("mine/own", "own")];
    publish(&store, "eve", eve, 0, upsert(&claimed)).await;
    assert_eq!(names(&store, &outside, &hidden.hash).await, ["own"]);
    let lab = store.narrowed(&bea_sees, &space("lab")).await.unwrap();
    assert_eq!(names(&store, &lab, &hidden.hash).await, ["a", "b"]);
    store.leave(&peer("ana"), ana, NOW).await.unwrap();
    assert_eq!(level(&store, &lab, &hidden.hash, 9).await, None);
}

pub async fn a_folder_with_a_very_long_path_is_not_listed(store: Arc<dyn Store>) {
    let part = "d".repeat(200);
    let path = |length: usize| {
        let mut path = format!("{part}/").repeat(length / 201);
        path.push_str(&"e".repeat(length - path.len()));
        path
    };
    let (long, too_long) = (path(FOLDER_PATH_MAX), path(FOLDER_PATH_MAX + 1));
    let (one, other) = (folder(&long, "one", 1, 1), folder(&too_long, "other", 1, 1));
    let name = "n".repeat(255);
    let files = [
        one.clone(),
        file(&format!("{long}/{name}"), "x"),
        folder(&format!("{long}/o"), "inner", 2, 2),
        file(&format!("{long}/o/{name}/{name}/{name}"), "y"),
        file(&format!("{long}/o/{name}/{name}/z"), "z"),
        file(&format!("{long}/p"), "p"),
        other.clone(),
        file(&format!("{too_long}/x"), "x"),
    ];
    sharing(&store, "ana", &files).await;
    assert_eq!(
        names(&store, &anyone(), &one.hash).await,
        [&*name, "o", "p"]
    );
    assert_eq!(level(&store, &anyone(), &other.hash, 9).await, None);
    // It is found all the same.
    let located = store
        .locate(&anyone(), &other.hash, None, NOW)
        .await
        .unwrap();
    assert!(located.is_some());
}
