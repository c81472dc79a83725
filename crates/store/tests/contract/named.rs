//! Lookup of contents by an exact name or path.

use std::sync::Arc;

use convite_core::UnixMillis;
use convite_core::model::FileEntry;
use convite_store::{ContentKey, NAMED_MAX, Store, Viewer};

use crate::spaces::{eyes, file_in, let_in, make};
use crate::world::*;

/// Returns the found paths, sorted.
async fn found(
    store: &Arc<dyn Store>,
    viewer: &Viewer,
    name: &str,
    now: UnixMillis,
) -> Vec<String> {
    let named = store.named(viewer, name, None, now).await.unwrap();
    assert!(!named.more);
    let mut paths: Vec<_> = named.contents.into_iter().map(|c| c.path).collect();
    paths.sort();
    paths
}

pub async fn a_file_is_found_by_its_very_name_or_path(store: Arc<dyn Store>) {
    let long = format!("s/{}last.txt", "deep/".repeat(700));
    let names = [
        "s/!!!",
        "s/a b.txt",
        "s/sub/x.txt",
        "sub/x.txt",
        "s/x.txt.bak",
        "s/\u{1f3b5}.txt",
        "s/%_.txt",
        &long,
    ];
    let files: Vec<_> = names.iter().map(|name| file(name, name)).collect();
    sharing(&store, "a", &files).await;
    for (name, expected) in [
        ("!!!", &["s/!!!"][..]),
        ("s/!!!", &["s/!!!"]),
        ("\u{1f3b5}.txt", &["s/\u{1f3b5}.txt"]),
        ("%_.txt", &["s/%_.txt"]),
        ("last.txt", &[&long]),
        (&long, &[&long]),
        ("x.txt", &["s/sub/x.txt", "sub/x.txt"]),
        // An exact path takes precedence over a path suffix.
        ("sub/x.txt", &["sub/x.txt"]),
        ("s/sub/x.txt", &["s/sub/x.txt"]),
        ("b.txt", &[]),
        ("ub/x.txt", &[]),
        ("X.txt", &[]),
        ("x.txt.ba", &[]),
        ("_.txt", &[]),
        ("other/x.txt", &[]),
        ("", &[]),
    ] {
        assert_eq!(
            found(&store, &anyone(), name, NOW).await,
            expected,
            "{name}"
        );
    }
    let at = |path| {
        let (store, path) = (&store, path);
        async move {
            store
                .named(&anyone(), path, Some(&peer("a")), NOW)
                .await
                .unwrap()
                .contents
                .len()
        }
    };
    assert_eq!(
        (at("s/!!!").await, at(&long).await, at("!!!").await),
        (1, 1, 0)
    );
    let none = store
        .named(&anyone(), "s/!!!", Some(&peer("none")), NOW)
        .await;
    assert!(none.unwrap().contents.is_empty());
}

pub async fn a_name_is_found_among_however_many_names_and_copies(store: Arc<dyn Store>) {
    // One content with more paths than any sample, and many contents with one name.
    let mut files: Vec<FileEntry> = (0..300)
        .map(|n| file(&format!("s/copy-{n:03}"), "same"))
        .collect();
    files.push(file("s/zz-last", "same"));
    files.extend((0..NAMED_MAX + 1).map(|n| file(&format!("s/{n}/README"), &n.to_string())));
    files.extend((0..300).map(|n| file(&format!("t/{n}/LICENSE"), "one licence")));
    sharing(&store, "a", &files).await;
    assert_eq!(
        found(&store, &anyone(), "zz-last", NOW).await,
        ["s/zz-last"]
    );
    assert_eq!(found(&store, &anyone(), "LICENSE", NOW).await.len(), 1);
    let many = store.named(&anyone(), "README", None, NOW).await.unwrap();
    assert_eq!((many.contents.len(), many.more), (NAMED_MAX, true));
    assert_eq!(
        found(&store, &anyone(), "s/77/README", NOW).await,
        ["s/77/README"]
    );
}

pub async fn a_name_shows_what_is_online_and_seen_alone(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    let ben = account(&store, "ben").await;
    make(&store, "lab").await;
    let_in(&store, "lab", "ana").await;
    register(&store, "a", ana, NOW).await;
    register(&store, "b", ben, NOW).await;
    let secret = [
        file_in("lab", "s/x.txt", "secret"),
        file("s/gone.txt", "gone"),
    ];
    publish(&store, "a", ana, 0, upsert(&secret)).await;
    publish(&store, "b", ben, 0, upsert(&[file("t/x.txt", "open")])).await;
    let (ana_sees, ben_sees) = (eyes(&store, ana).await, eyes(&store, ben).await);
    assert_eq!(
        found(&store, &ana_sees, "x.txt", NOW).await,
        ["s/x.txt", "t/x.txt"]
    );
    assert_eq!(found(&store, &ben_sees, "x.txt", NOW).await, ["t/x.txt"]);
    let hidden = store
        .named(&ben_sees, "s/x.txt", Some(&peer("a")), NOW)
        .await
        .unwrap();
    assert!(hidden.contents.is_empty());
    // A file that is moved or removed is no longer found by its old name.
    publish(&store, "a", ana, 1, remove(&["s/gone.txt"])).await;
    assert!(found(&store, &ana_sees, "gone.txt", NOW).await.is_empty());
    assert!(
        found(&store, &ana_sees, "x.txt", at(LEASE + 1))
            .await
            .is_empty()
    );
    let late = store
        .named(&ana_sees, "t/x.txt", Some(&peer("b")), at(LEASE + 1))
        .await
        .unwrap();
    assert!(late.contents.is_empty());
    assert!(store.contents(ContentKey(0), 10).await.unwrap().len() >= 2);
}
