//! Lists, providers, and search result summaries.

use std::sync::Arc;

use convite_core::model::FileEntry;
use convite_core::{ContentHash, EntryKind, ErrorCode};
use convite_store::{ContentKey, Store};

use crate::world::*;

async fn key_of(store: &Arc<dyn Store>, file: &FileEntry) -> ContentKey {
    let all = store.contents(ContentKey(0), 1000).await.unwrap();
    let found = all
        .iter()
        .find(|d| (d.hash, d.size) == (file.hash, file.size));
    found.unwrap().key
}

pub async fn the_index_comes_in_pages_without_gaps_or_repeats(store: Arc<dyn Store>) {
    let mut expected = Vec::new();
    // With an empty and an offline peer in between.
    for (id, count) in [("a", 7), ("b", 0), ("c", 5), ("d", 1), ("e", 4)] {
        let files: Vec<_> = (0..count).map(|n| file(&format!("s/{n}"), id)).collect();
        let account = sharing(&store, id, &files).await;
        if id == "c" {
            store.leave(&peer(id), account, NOW).await.unwrap();
        } else {
            expected.extend((0..count).map(|n| format!("{id}:s/{n}")));
        }
    }
    for limit in [1, 2, 3, 6, 7, 8, 11, 12, 13, 1000] {
        let index = whole_index(&store, limit, NOW).await;
        let seen: Vec<_> = index
            .iter()
            .map(|e| format!("{}:{}", e.peer, e.file.path))
            .collect();
        assert_eq!(seen, expected, "pages of {limit}");
    }
    let first = store
        .index(&anyone(), Some(&peer("a")), 5, None, NOW)
        .await
        .unwrap();
    let cursor = first.next_cursor.unwrap();
    let second = store
        .index(&anyone(), Some(&peer("a")), 5, Some(&cursor), NOW)
        .await
        .unwrap();
    assert_eq!((first.items.len(), second.items.len()), (5, 2));
    assert_eq!(second.next_cursor, None);
    assert!(second.items.iter().all(|e| e.peer == peer("a")));
    let none = store
        .index(&anyone(), Some(&peer("none")), 5, None, NOW)
        .await
        .unwrap();
    assert!(none.items.is_empty());
}

pub async fn many_contents_are_located_as_each_of_them(store: Arc<dyn Store>) {
    let bob = sharing(&store, "bob", &[file("s/1", "one"), file("s/2", "two")]).await;
    sharing(
        &store,
        "eve",
        &[file("s/1", "one"), file("s/x", "shared by eve")],
    )
    .await;
    let off = sharing(&store, "off", &[file("s/off", "offline")]).await;
    store.leave(&peer("off"), off, NOW).await.unwrap();
    let hash = |contents: &str| ContentHash::of(contents.as_bytes());
    let announced = store
        .announce(&peer("bob"), bob, &anyone(), &hash("offline"), 7, NOW)
        .await;
    assert!(announced.unwrap().is_news);
    // A folder with the hash of a file.
    let claimed = FileEntry {
        kind: EntryKind::Folder,
        files: 1,
        ..file("s/folder", "two")
    };
    sharing(&store, "fay", &[claimed]).await;
    let mut wanted = vec![hash("two"), hash("unknown"), hash("one"), hash("offline")];
    wanted.extend([hash("one"), hash("shared by eve")]);
    for kind in [None, Some(EntryKind::File), Some(EntryKind::Folder)] {
        let all = store.locate_many(&anyone(), &wanted, kind, NOW).await;
        let all = all.unwrap();
        let mut found = 0;
        for (hash, located) in wanted.iter().zip(&all) {
            let one = store.locate(&anyone(), hash, kind, NOW).await.unwrap();
            assert_eq!(*located, one, "{hash} as {kind:?}");
            found += usize::from(located.as_ref().is_some_and(|file| file.hash == *hash));
        }
        let expected = if kind == Some(EntryKind::Folder) {
            1
        } else {
            5
        };
        assert_eq!((all.len(), found), (6, expected), "{kind:?}");
    }
    let none = store.locate_many(&anyone(), &[], None, NOW).await.unwrap();
    assert_eq!(none, []);
}

pub async fn a_cursor_of_another_list_is_refused(store: Arc<dyn Store>) {
    sharing(&store, "a", &[file("s/1", "1")]).await;
    sharing(&store, "b", &[file("s/1", "1")]).await;
    let peers = store
        .peers(&anyone(), 1, None, NOW)
        .await
        .unwrap()
        .next_cursor
        .unwrap();
    let index = store
        .index(&anyone(), None, 1, None, NOW)
        .await
        .unwrap()
        .next_cursor
        .unwrap();
    let refused = store
        .peers(&anyone(), 1, Some(&index), NOW)
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidArgument);
    for cursor in [&*peers, "", "?", "%00", &"A".repeat(10_000)] {
        let refused = store
            .index(&anyone(), None, 1, Some(cursor), NOW)
            .await
            .unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidArgument, "{cursor}");
    }
}

pub async fn a_lying_size_does_not_spoil_the_honest_one(store: Arc<dyn Store>) {
    let honest = file("s/film.mkv", "contents");
    let mut lie = honest.clone();
    lie.size = 1 << 40;
    lie.path = "s/lie.mkv".parse().unwrap();
    // The false claims come first, also by name.
    sharing(&store, "a-liar", std::slice::from_ref(&lie)).await;
    let located = store
        .locate(&anyone(), &honest.hash, None, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((located.size, located.providers.len()), (1 << 40, 1));
    sharing(&store, "b", std::slice::from_ref(&honest)).await;
    sharing(&store, "c", std::slice::from_ref(&honest)).await;
    sharing(&store, "a-second", std::slice::from_ref(&lie)).await;
    sharing(&store, "d", std::slice::from_ref(&honest)).await;
    let located = store
        .locate(&anyone(), &honest.hash, None, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(located.size, 8);
    assert_eq!(located.hash, honest.hash);
    let providers: Vec<_> = located
        .providers
        .iter()
        .map(|p| (p.peer.as_str(), p.size))
        .collect();
    assert_eq!(
        providers,
        [
            ("a-liar", 1 << 40),
            ("a-second", 1 << 40),
            ("b", 8),
            ("c", 8),
            ("d", 8)
        ]
    );
    assert!(located.providers.iter().all(|p| p.ticket.is_empty()));
    assert_eq!(located.providers[0].addresses.len(), 1);
    assert_eq!(located.names, ["film.mkv", "lie.mkv"]);
    let keys = [key_of(&store, &lie).await, key_of(&store, &honest).await];
    let summaries = store.summaries(&anyone(), &keys, NOW).await.unwrap();
    let seen: Vec<_> = summaries.iter().map(|s| (s.size, s.providers)).collect();
    assert_eq!(seen, [(1 << 40, 2), (8, 3)]);
    let nobody = convite_core::ContentHash::of(b"nobody has this");
    assert_eq!(
        store.locate(&anyone(), &nobody, None, NOW).await.unwrap(),
        None
    );
}

pub async fn sizes_that_tie_go_to_the_smaller(store: Arc<dyn Store>) {
    let small = file("s/a", "a");
    let mut large = small.clone();
    large.size = 99;
    sharing(&store, "a", &[large]).await;
    sharing(&store, "b", std::slice::from_ref(&small)).await;
    let located = store
        .locate(&anyone(), &small.hash, None, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(located.size, 1);
}

pub async fn names_come_most_common_first(store: Arc<dyn Store>) {
    let names = |names: &[&str]| -> Vec<_> {
        names
            .iter()
            .map(|name| file(&format!("s/{name}"), "x"))
            .collect()
    };
    sharing(&store, "a", &names(&["rare", "common", "usual"])).await;
    sharing(&store, "b", &names(&["common", "usual"])).await;
    sharing(&store, "c", &names(&["dir/common"])).await;
    let many: Vec<_> = (0..30).map(|n| format!("many{n:02}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let hidden = sharing(&store, "d", &names(&["hidden", "rare"])).await;
    store.leave(&peer("d"), hidden, NOW).await.unwrap();
    let hash = file("s/x", "x").hash;
    let located = store
        .locate(&anyone(), &hash, None, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(located.names, ["common", "usual", "rare"]);
    // With the folder of each name: the first of several folders.
    sharing(&store, "f", &[file("a/deep/usual", "x"), file("top", "x")]).await;
    let key = key_of(&store, &file("s/x", "x")).await;
    let summary = store
        .summaries(&anyone(), &[key], NOW)
        .await
        .unwrap()
        .remove(0);
    let places: Vec<_> = summary.names.iter().zip(&summary.folders).collect();
    let places: Vec<_> = places
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    assert_eq!(
        places,
        [
            ("common", "s"),
            ("usual", "a/deep"),
            ("rare", "s"),
            ("top", "")
        ]
    );
    sharing(&store, "e", &names(&many)).await;
    let located = store
        .locate(&anyone(), &hash, None, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(located.names.len(), 10);
    assert_eq!(located.names[..2], ["common", "usual"]);
}

pub async fn summaries_keep_the_order_and_skip_the_hidden(store: Arc<dyn Store>) {
    let files: Vec<_> = (0..5)
        .map(|n| file(&format!("s/{n}"), &"x".repeat(n)))
        .collect();
    sharing(&store, "ana", &files[..4]).await;
    let hidden = sharing(&store, "bea", &files[3..]).await;
    let mut keys = Vec::new();
    for file in &files {
        keys.push(key_of(&store, file).await);
    }
    keys.push(ContentKey(999));
    keys.reverse();
    let sizes = async || {
        let summaries = store.summaries(&anyone(), &keys, NOW).await.unwrap();
        let sizes: Vec<_> = summaries.iter().map(|s| (s.size, s.providers)).collect();
        sizes
    };
    assert_eq!(sizes().await, [(4, 1), (3, 2), (2, 1), (1, 1), (0, 1)]);
    store.leave(&peer("bea"), hidden, NOW).await.unwrap();
    assert_eq!(sizes().await, [(3, 1), (2, 1), (1, 1), (0, 1)]);
    for n in 0..11 {
        sharing(&store, &format!("p{n}"), &files[..1]).await;
    }
    let summary = &store
        .summaries(&anyone(), &[key_of(&store, &files[0]).await], NOW)
        .await
        .unwrap()[0];
    assert_eq!((summary.providers, summary.peers.len()), (12, 10));
    assert_eq!(summary.names, ["0"]);
    assert_eq!(summary.hash, files[0].hash);
}

pub async fn a_content_under_very_many_names_is_answered(store: Arc<dyn Store>) {
    let files: Vec<_> = (0..3000)
        .map(|n| file(&format!("s/{n:04}/__init__.py"), ""))
        .collect();
    sharing(&store, "a", &files).await;
    sharing(&store, "b", &files[..2]).await;
    let located = store
        .locate(&anyone(), &files[0].hash, None, NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(located.names, ["__init__.py"]);
    assert_eq!(located.providers.len(), 2);
}
