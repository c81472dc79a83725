//! The change log and the listing of all contents, from which the search index is built.

use std::sync::Arc;

use convite_store::{Changes, ContentDocument, ContentKey, DOCUMENT_PATHS_MAX, Store};

use crate::world::*;

/// Returns the changes after `position`: the new position, size and paths of each content sorted by
/// size, and the number of deleted contents.
async fn news(store: &Arc<dyn Store>, position: i64) -> (i64, Vec<(u64, Vec<String>)>, usize) {
    let changes = store.changes(position, 1000).await.unwrap();
    assert!(!changes.lost);
    assert_eq!(changes.position, store.last_change().await.unwrap());
    let gone = changes
        .contents
        .iter()
        .filter(|(_, d)| d.is_empty())
        .count();
    let documents = changes.contents.into_iter().flat_map(|(_, d)| d);
    let mut there: Vec<_> = documents.map(|d| (d.size, d.paths)).collect();
    there.sort();
    (changes.position, there, gone)
}

fn there(size: u64, paths: &[&str]) -> (u64, Vec<String>) {
    (size, paths.iter().map(|path| (*path).to_owned()).collect())
}

pub async fn the_log_tells_of_every_change_and_nothing_else(store: Arc<dyn Store>) {
    let (at0, seen, gone) = news(&store, 0).await;
    assert_eq!((at0, seen.len(), gone), (0, 0, 0));
    let ana = sharing(&store, "ana", &[file("s/a", "1"), file("s/b", "22")]).await;
    let (at1, seen, gone) = news(&store, at0).await;
    assert_eq!(seen, [there(1, &["s/a"]), there(2, &["s/b"])]);
    assert_eq!(gone, 0);

    // Another provider and another name.
    let bea = sharing(&store, "bea", &[file("t/c", "22")]).await;
    let changes = store.changes(at1, 1000).await.unwrap();
    assert_eq!(
        changes.contents[0].1[0].modified,
        file("t/c", "22").modified
    );
    let document = changes.contents[0].1[0].clone();
    assert_eq!(document.paths, ["s/b", "t/c"]);
    assert_eq!(document.peers.len(), 2);
    let (at2, ..) = news(&store, at1).await;

    // Online and offline transitions change no document.
    store.leave(&peer("bea"), bea, NOW).await.unwrap();
    register(&store, "bea", bea, NOW).await;
    // Neither does the same file again, or another modification time.
    let mut touched = file("s/a", "1");
    touched.modified = 99;
    publish(&store, "ana", ana, 1, upsert(&[touched, file("s/b", "22")])).await;
    assert_eq!(store.last_change().await.unwrap(), at2);

    // New contents at the same path: the old content is deleted.
    publish(&store, "ana", ana, 2, upsert(&[file("s/a", "333")])).await;
    let (at3, seen, gone) = news(&store, at2).await;
    assert_eq!(seen, [there(3, &["s/a"])]);
    assert_eq!(gone, 1);

    // A moved file keeps its content.
    let mut change = upsert(&[file("s/moved", "333")]);
    change.remove = remove(&["s/a"]).remove;
    publish(&store, "ana", ana, 3, change).await;
    let (at4, seen, gone) = news(&store, at3).await;
    assert_eq!((seen, gone), (vec![there(3, &["s/moved"])], 0));

    // A full publication.
    let sync = store.begin_full(&peer("ana"), ana, NOW).await.unwrap();
    store
        .add_full(sync, vec![file("s/new", "4444")], NOW)
        .await
        .unwrap();
    let (at5, seen, _) = news(&store, at4).await;
    assert_eq!(seen, [there(4, &["s/new"])]);
    store.finish_full(sync, 9, NOW).await.unwrap();
    let (_, seen, gone) = news(&store, at5).await;
    assert_eq!((seen, gone), (vec![there(2, &["t/c"])], 1));
}

pub async fn the_log_comes_in_runs(store: Arc<dyn Store>) {
    let files: Vec<_> = (0..25)
        .map(|n| file(&format!("s/{n}"), &format!("{n}")))
        .collect();
    let ana = sharing(&store, "ana", &files).await;
    publish(&store, "ana", ana, 1, remove(&["s/3"])).await;
    let mut followed = std::collections::BTreeMap::new();
    let mut position = 0;
    loop {
        let changes = store.changes(position, 4).await.unwrap();
        assert!(changes.contents.len() <= 4 && !changes.lost);
        if changes.position == position {
            assert!(changes.contents.is_empty());
            break;
        }
        position = changes.position;
        for (key, document) in changes.contents {
            followed.insert(key, document);
        }
    }
    assert_eq!(position, store.last_change().await.unwrap());
    let documents: Vec<ContentDocument> = followed.into_values().flatten().collect();
    assert_eq!(
        documents,
        store.contents(ContentKey(0), 1000).await.unwrap()
    );
    assert_eq!(documents.len(), 24);
}

pub async fn a_swept_log_is_lost_to_those_behind(store: Arc<dyn Store>) {
    let files: Vec<_> = (0..10)
        .map(|n| file(&format!("s/{n}"), &format!("{n}")))
        .collect();
    sharing(&store, "ana", &files).await;
    let lost = async |position| {
        let changes = store.changes(position, 100).await.unwrap();
        assert!(!changes.lost || changes.contents.is_empty());
        changes.lost
    };
    assert_eq!(store.last_change().await.unwrap(), 10);
    store.sweep(3, NOW).await.unwrap();
    assert_eq!(store.last_change().await.unwrap(), 10);
    assert!(lost(0).await);
    assert!(lost(6).await);
    assert!(!lost(7).await);
    assert!(!lost(10).await);
    // A position from before a restore.
    assert!(lost(11).await);
    store.sweep(0, NOW).await.unwrap();
    assert!(lost(9).await);
    let up_to_date = store.changes(10, 100).await.unwrap();
    let expected = Changes {
        position: 10,
        ..Changes::default()
    };
    assert_eq!(up_to_date, expected);
    sharing(&store, "bea", &files[..1]).await;
    assert_eq!(store.changes(10, 100).await.unwrap().position, 11);
    assert!(lost(9).await);
}

pub async fn a_walk_over_contents_sees_each_once(store: Arc<dyn Store>) {
    let files: Vec<_> = (0..25)
        .map(|n| file(&format!("s/{n}"), &"x".repeat(n)))
        .collect();
    sharing(&store, "ana", &files).await;
    let hidden = sharing(&store, "bea", &files[..3]).await;
    store.leave(&peer("bea"), hidden, NOW).await.unwrap();
    let mut sizes = Vec::new();
    let mut after = ContentKey(0);
    loop {
        let run = store.contents(after, 7).await.unwrap();
        let Some(last) = run.last() else {
            break;
        };
        assert!(run.len() <= 7 && run.iter().all(|d| d.key > after));
        after = last.key;
        sizes.extend(run.iter().map(|d| d.size));
        for document in &run {
            // Offline peers are included, because they may return at any time.
            assert_eq!(document.peers.len(), if document.size < 3 { 2 } else { 1 });
        }
    }
    sizes.sort_unstable();
    assert_eq!(sizes, (0..25).collect::<Vec<u64>>());
}

pub async fn documents_hold_a_bounded_number_of_paths(store: Arc<dyn Store>) {
    let files: Vec<_> = (0..200).map(|n| file(&format!("s/{n}"), "")).collect();
    sharing(&store, "ana", &files).await;
    sharing(&store, "bea", &files).await;
    let document = &store.contents(ContentKey(0), 9).await.unwrap()[0];
    let distinct: std::collections::BTreeSet<_> = document.paths.iter().collect();
    assert_eq!(document.paths.len(), DOCUMENT_PATHS_MAX);
    assert_eq!(distinct.len(), DOCUMENT_PATHS_MAX);
    assert_eq!(document.peers.len(), 2);
}

pub async fn content_keys_are_never_used_again(store: Arc<dyn Store>) {
    let ana = sharing(&store, "ana", &[file("s/a", "a")]).await;
    let first = store.contents(ContentKey(0), 9).await.unwrap()[0].key;
    publish(&store, "ana", ana, 1, remove(&["s/a"])).await;
    publish(&store, "ana", ana, 2, upsert(&[file("s/b", "b")])).await;
    let second = store.contents(ContentKey(0), 9).await.unwrap()[0].key;
    assert!(second > first);
}
