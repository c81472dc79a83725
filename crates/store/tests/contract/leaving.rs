//! Files of a member that leaves a space, and of a space that is removed.

use std::sync::Arc;

use convite_core::ErrorCode;
use convite_core::administration::AuditAction;
use convite_store::{Store, Viewer};

use crate::spaces::*;
use crate::world::*;

pub async fn leaving_a_space_takes_the_files_out_of_it(store: Arc<dyn Store>) {
    make(&store, "lab").await;
    let ana = member(&store, "ana", &["lab"]).await;
    let bea = member(&store, "bea", &["lab"]).await;
    let shared = [file("s/open", "1"), file_in("lab", "s/a", "abc")];
    publish(&store, "ana", ana, 0, upsert(&shared)).await;
    publish(
        &store,
        "bea",
        bea,
        0,
        upsert(&[file_in("lab", "s/b", "bb")]),
    )
    .await;
    let announced = store
        .announce(
            &peer("ana"),
            ana,
            &eyes(&store, ana).await,
            &file("x", "bb").hash,
            2,
            NOW,
        )
        .await;
    assert!(announced.unwrap().is_news);
    let sync = store.begin_full(&peer("ana"), ana, NOW).await.unwrap();
    take_out(&store, "lab", "ana").await;
    assert_eq!(
        seen(&store, &eyes(&store, bea).await, "bb").await,
        [
            "ana:s/open@-",
            "bea:s/b@lab",
            "ana=1",
            "bea=1",
            "[\"b\"] at [\"bea\"]",
            "1 [\"open\"] (1, 1)",
            "2 [\"b\"] (1, 1)",
        ]
    );
    assert_eq!(eyes(&store, ana).await, anyone());
    assert_eq!(store.totals(NOW).await.unwrap().files, 2);
    // Its index must be published again, its running publication is cancelled, and the other peer's
    // index is unchanged.
    assert_eq!(register(&store, "ana", ana, NOW).await, 0);
    assert_eq!(register(&store, "bea", bea, NOW).await, 1);
    let void = store.add_full(sync, vec![], NOW).await.unwrap_err();
    assert_eq!(void.code, ErrorCode::GenerationMismatch);
    let user = "ana".parse().unwrap();
    let again = store
        .remove_member(&space("lab"), &user, &entry(AuditAction::MemberRemove))
        .await;
    assert_eq!(again.unwrap_err().code, ErrorCode::NotFound);
    // A member that is added again must publish everything again.
    publish(&store, "ana", ana, 0, upsert(&[])).await;
    let_in(&store, "lab", "ana").await;
    assert_eq!(register(&store, "ana", ana, NOW).await, 0);
}

pub async fn a_space_that_is_removed_takes_its_files_with_it(store: Arc<dyn Store>) {
    make(&store, "lab").await;
    let taken = store
        .create_space(&space("LAB"), &entry(AuditAction::SpaceAdd), NOW)
        .await;
    assert_eq!(taken.unwrap_err().code, ErrorCode::SpaceTaken);
    let ana = member(&store, "ana", &["lab"]).await;
    publish(
        &store,
        "ana",
        ana,
        0,
        upsert(&[file_in("lab", "s/a", "abc")]),
    )
    .await;
    let eyes_before = eyes(&store, ana).await;
    let removed = entry(AuditAction::SpaceRemove);
    store.remove_space(&space("lab"), &removed).await.unwrap();
    store.finish_removals().await.unwrap();
    assert_eq!(eyes(&store, ana).await, anyone());
    let again = store.remove_space(&space("lab"), &removed).await;
    assert_eq!(again.unwrap_err().code, ErrorCode::NotFound);
    assert_eq!(store.totals(NOW).await.unwrap().files, 0);
    assert_eq!(register(&store, "ana", ana, NOW).await, 0);
    // A new space with the same name is a different space.
    make(&store, "lab").await;
    let_in(&store, "lab", "ana").await;
    assert_ne!(eyes(&store, ana).await, eyes_before);
}

pub async fn what_is_removed_is_seen_by_nobody_outside_while_it_goes(store: Arc<dyn Store>) {
    make(&store, "lab").await;
    let ana = member(&store, "ana", &["lab"]).await;
    let bea = member(&store, "bea", &["lab"]).await;
    // More than one transaction removes, mixed with files that stay.
    let files: Vec<_> = (0..20_010)
        .map(|n| match n % 2_001 {
            0 => file(&format!("s/{n:05}"), "open"),
            _ => file_in("lab", &format!("s/{n:05}"), "abc"),
        })
        .collect();
    publish(&store, "ana", ana, 0, upsert(&files)).await;
    let (user, removed) = ("ana".parse().unwrap(), entry(AuditAction::MemberRemove));
    let remove_member = async || {
        let lab = space("lab");
        let removed = store.remove_member(&lab, &user, &removed).await;
        removed.unwrap();
    };
    let files = async |viewer: &Viewer| {
        let peers = store.peers(viewer, 10, None, NOW).await.unwrap().items;
        peers[0].summary.files
    };
    let inside = eyes(&store, bea).await;
    remove_member().await;
    // The removed member no longer sees the files; the other members still do.
    assert_eq!(files(&eyes(&store, ana).await).await, 10);
    assert_eq!(files(&inside).await, 20_010);
    let hash = file("x", "abc").hash;
    let located = store
        .locate(&eyes(&store, ana).await, &hash, None, NOW)
        .await;
    assert_eq!(located.unwrap(), None);
    // A member that is added again meanwhile keeps its files.
    let_in(&store, "lab", "ana").await;
    store.finish_removals().await.unwrap();
    assert_eq!(files(&inside).await, 20_010);
    // The sweep completes what a crash interrupted.
    remove_member().await;
    store.sweep(100, NOW).await.unwrap();
    assert_eq!(files(&inside).await, 10);
    assert_eq!(store.totals(NOW).await.unwrap().files, 10);
    assert_eq!(store.locate(&inside, &hash, None, NOW).await.unwrap(), None);
    assert_eq!(register(&store, "ana", ana, NOW).await, 0);
}
