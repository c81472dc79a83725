//! Publication of shared files.

use std::sync::Arc;

use convite_core::ErrorCode;
use convite_core::model::FileEntry;
use convite_store::{IndexChange, Store};

use crate::world::*;

async fn generation(store: &Arc<dyn Store>, id: &str, account: convite_store::AccountId) -> u64 {
    let renewed = store
        .renew_lease(&peer(id), account, None, at(LEASE), NOW)
        .await;
    renewed.unwrap()
}

pub async fn a_change_is_applied_once(store: Arc<dyn Store>) {
    let ana = sharing(&store, "ana", &[file("s/a", "a"), file("s/b", "b")]).await;
    let change = || IndexChange {
        upsert: vec![file("s/a", "a"), file("s/b", "B"), file("s/c", "c")],
        remove: vec!["s/none".parse().unwrap()],
    };
    assert_eq!(publish(&store, "ana", ana, 1, change()).await, tally(2, 0));
    let before = whole_index(&store, 10, NOW).await;
    // The reply was lost, and the peer sends the change again.
    assert_eq!(publish(&store, "ana", ana, 1, change()).await, tally(2, 0));
    // Only the generation decides, whatever the change contains.
    assert_eq!(
        publish(&store, "ana", ana, 1, remove(&["s/a"])).await,
        tally(2, 0)
    );
    assert_eq!(whole_index(&store, 10, NOW).await, before);
    assert_eq!(
        publish(&store, "ana", ana, 2, remove(&["s/a", "s/x"])).await,
        tally(0, 1)
    );
    assert_eq!(paths(&store, NOW).await, ["ana:s/b", "ana:s/c"]);
    let mut touched = file("s/b", "B");
    touched.modified += 1;
    assert_eq!(
        publish(&store, "ana", ana, 3, upsert(&[touched])).await,
        tally(1, 0)
    );
    assert_eq!(generation(&store, "ana", ana).await, 4);
}

pub async fn a_change_on_another_base_is_refused(store: Arc<dyn Store>) {
    let ana = sharing(&store, "ana", &[]).await;
    for (base, next, code) in [
        (0, 2, ErrorCode::GenerationMismatch),
        (7, 8, ErrorCode::GenerationMismatch),
        (1, 1, ErrorCode::InvalidArgument),
        (2, 1, ErrorCode::InvalidArgument),
        (1, u64::MAX, ErrorCode::InvalidArgument),
    ] {
        let change = upsert(&[file("s/a", "a")]);
        let refused = store
            .publish_change(&peer("ana"), ana, base, next, change, NOW)
            .await;
        assert_eq!(refused.unwrap_err().code, code, "{base} to {next}");
    }
    assert_eq!(paths(&store, NOW).await, [""; 0]);
    assert_eq!(generation(&store, "ana", ana).await, 1);
}

pub async fn of_one_path_the_last_counts_and_an_upsert_outweighs_a_removal(store: Arc<dyn Store>) {
    let ana = sharing(&store, "ana", &[file("s/a", "old")]).await;
    let change = IndexChange {
        upsert: vec![file("s/b", "1"), file("s/a", "22"), file("s/b", "333")],
        remove: vec!["s/a".parse().unwrap(), "s/b".parse().unwrap()],
    };
    assert_eq!(publish(&store, "ana", ana, 1, change).await, tally(2, 0));
    let index = whole_index(&store, 10, NOW).await;
    let files: Vec<_> = index.into_iter().map(|entry| entry.file).collect();
    assert_eq!(files, [file("s/a", "22"), file("s/b", "333")]);
    assert_eq!(store.totals(NOW).await.unwrap().files, 2);
}

pub async fn a_second_size_for_a_hash_is_refused(store: Arc<dyn Store>) {
    let ana = account(&store, "ana").await;
    register(&store, "ana", ana, NOW).await;
    let sized = |path: &str, size| FileEntry {
        size,
        ..file(path, "contents")
    };
    let change = async |base, files: &[FileEntry]| {
        store
            .publish_change(&peer("ana"), ana, base, base + 1, upsert(files), NOW)
            .await
    };
    let two = [sized("s/a", 8), sized("s/b", 9)];
    let refused = change(0, &two).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidArgument);
    assert_eq!(paths(&store, NOW).await, [""; 0]);
    change(0, &two[1..]).await.unwrap();
    let refused = change(1, &two[..1]).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidArgument);
    // A wrong size can be corrected, and other accounts can claim another size.
    change(1, &[sized("s/b", 8), sized("s/c", 8)])
        .await
        .unwrap();
    sharing(&store, "eve", &[sized("s/b", 7)]).await;
    change(2, &[sized("s/d", 8)]).await.unwrap();
    // In a full publication, the old size may belong to a file that the publication removes at its
    // end.
    let whole = async |files: &[FileEntry]| {
        let sync = store.begin_full(&peer("ana"), ana, NOW).await.unwrap();
        let added = store.add_full(sync, files.to_vec(), NOW).await;
        (sync, added)
    };
    let (sync, added) = whole(&[sized("t/a", 9)]).await;
    added.unwrap();
    store.finish_full(sync, 10, NOW).await.unwrap();
    assert_eq!(paths(&store, NOW).await, ["ana:t/a", "eve:s/b"]);
    let (_, added) = whole(&[sized("t/a", 9), sized("t/b", 8)]).await;
    assert_eq!(added.unwrap_err().code, ErrorCode::InvalidArgument);
    // Abandoned attempts do not accumulate.
    let (_, added) = whole(&[sized("t/b", 8)]).await;
    added.unwrap();
    let (_, added) = whole(&[sized("t/c", 7)]).await;
    assert_eq!(added.unwrap_err().code, ErrorCode::InvalidArgument);
}

pub async fn sizes_beyond_bounds_are_refused_and_change_nothing(store: Arc<dyn Store>) {
    let ana = sharing(&store, "ana", &[]).await;
    let mut huge = file("s/z", "z");
    huge.size = i64::MAX as u64 + 1;
    let files = [file("s/a", "a"), huge.clone()];
    let refused = store
        .publish_change(&peer("ana"), ana, 1, 2, upsert(&files), NOW)
        .await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::InvalidArgument);
    let sync = store.begin_full(&peer("ana"), ana, NOW).await.unwrap();
    let refused = store.add_full(sync, files.to_vec(), NOW).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidArgument);
    assert_eq!(paths(&store, NOW).await, [""; 0]);
    assert_eq!(store.last_change().await.unwrap(), 0);
    huge.size = i64::MAX as u64;
    publish(&store, "ana", ana, 1, upsert(&[huge.clone()])).await;
    assert_eq!(whole_index(&store, 1, NOW).await[0].file, huge);
}

pub async fn a_peer_of_another_account_is_not_found(store: Arc<dyn Store>) {
    sharing(&store, "ana", &[]).await;
    let eve = account(&store, "eve").await;
    for id in ["ana", "none"] {
        let id = peer(id);
        let change = upsert(&[file("s/a", "a")]);
        let published = store.publish_change(&id, eve, 1, 2, change, NOW).await;
        assert_eq!(published.unwrap_err().code, ErrorCode::NotFound);
        let begun = store.begin_full(&id, eve, NOW).await;
        assert_eq!(begun.unwrap_err().code, ErrorCode::NotFound);
    }
    assert_eq!(paths(&store, NOW).await, [""; 0]);
}

pub async fn a_whole_index_replaces_what_was_there(store: Arc<dyn Store>) {
    let ana = sharing(&store, "ana", &[file("s/a", "a"), file("s/b", "b")]).await;
    sharing(&store, "bea", &[file("s/a", "a")]).await;
    let sync = store.begin_full(&peer("ana"), ana, NOW).await.unwrap();
    let batch = vec![file("s/b", "b"), file("s/c", "c")];
    assert_eq!(
        store.add_full(sync, batch.clone(), NOW).await.unwrap(),
        tally(1, 0)
    );
    // Sent twice, as after a lost reply.
    assert_eq!(store.add_full(sync, batch, NOW).await.unwrap(), tally(0, 0));
    assert_eq!(
        paths(&store, NOW).await,
        ["ana:s/a", "ana:s/b", "ana:s/c", "bea:s/a"]
    );
    assert_eq!(generation(&store, "ana", ana).await, 1);
    let batch = vec![file("s/d", "d")];
    assert_eq!(store.add_full(sync, batch, NOW).await.unwrap(), tally(1, 0));
    assert_eq!(store.finish_full(sync, 9, NOW).await.unwrap(), tally(0, 1));
    assert_eq!(
        paths(&store, NOW).await,
        ["ana:s/b", "ana:s/c", "ana:s/d", "bea:s/a"]
    );
    assert_eq!(generation(&store, "ana", ana).await, 9);
    assert_eq!(
        store.peers(&anyone(), 1, None, NOW).await.unwrap().items[0]
            .summary
            .files,
        3
    );
}

pub async fn the_same_index_sent_again_gets_the_same_answer(store: Arc<dyn Store>) {
    let ana = sharing(&store, "ana", &[file("s/a", "a")]).await;
    let whole = async |generation, files: &[FileEntry]| {
        let mut sync = store.begin_full(&peer("ana"), ana, NOW).await.unwrap();
        for file in files {
            let taken = store.add_full(sync, vec![file.clone()], NOW).await.unwrap();
            sync.tally.upserted += taken.upserted;
        }
        store.finish_full(sync, generation, NOW).await.unwrap()
    };
    let files = [file("s/b", "b"), file("s/c", "c")];
    assert_eq!(whole(9, &files).await, tally(2, 1));
    assert_eq!(whole(9, &files).await, tally(2, 1));
    // A different index with the same generation is accepted, and gets its own result.
    assert_eq!(whole(9, &files[..1]).await, tally(0, 1));
    assert_eq!(whole(9, &files[..1]).await, tally(0, 1));
    // The same index with another generation changes nothing, and the result says so.
    assert_eq!(whole(10, &files[..1]).await, tally(0, 0));
    assert_eq!(paths(&store, NOW).await, ["ana:s/b"]);
    // The last publication counts, whatever its kind.
    assert_eq!(
        publish(&store, "ana", ana, 10, upsert(&files)).await,
        tally(1, 0)
    );
    assert_eq!(
        publish(&store, "ana", ana, 10, upsert(&files)).await,
        tally(1, 0)
    );
    assert_eq!(whole(12, &files).await, tally(0, 0));
}

pub async fn an_interrupted_index_leaves_nothing_after_the_next(store: Arc<dyn Store>) {
    let ana = sharing(&store, "ana", &[file("s/old", "old")]).await;
    let first = store.begin_full(&peer("ana"), ana, NOW).await.unwrap();
    let batch = vec![file("s/half", "half"), file("s/both", "both")];
    store.add_full(first, batch, NOW).await.unwrap();
    // The peer crashes, returns, and publishes a change and then a full index.
    publish(&store, "ana", ana, 1, upsert(&[file("s/late", "late")])).await;
    let second = store.begin_full(&peer("ana"), ana, NOW).await.unwrap();
    let batch = vec![file("s/both", "both"), file("s/new", "new")];
    store.add_full(second, batch, NOW).await.unwrap();
    assert_eq!(
        store.finish_full(second, 5, NOW).await.unwrap(),
        tally(0, 3)
    );
    assert_eq!(paths(&store, NOW).await, ["ana:s/both", "ana:s/new"]);
}

pub async fn a_newer_attempt_voids_an_older(store: Arc<dyn Store>) {
    let ana = sharing(&store, "ana", &[file("s/a", "a")]).await;
    let older = store.begin_full(&peer("ana"), ana, NOW).await.unwrap();
    let newer = store.begin_full(&peer("ana"), ana, NOW).await.unwrap();
    assert_ne!(older.attempt, newer.attempt);
    let refused = store.add_full(older, vec![file("s/x", "x")], NOW).await;
    assert_eq!(refused.unwrap_err().code, ErrorCode::GenerationMismatch);
    let refused = store.finish_full(older, 5, NOW).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::GenerationMismatch);
    assert_eq!(paths(&store, NOW).await, ["ana:s/a"]);
    assert_eq!(generation(&store, "ana", ana).await, 1);
    assert_eq!(store.finish_full(newer, 6, NOW).await.unwrap(), tally(0, 1));
    assert_eq!(generation(&store, "ana", ana).await, 6);
}

pub async fn a_large_removal_is_complete(store: Arc<dyn Store>) {
    // More than one transaction removes.
    let files: Vec<_> = (0..20_001)
        .map(|n| file(&format!("s/{n}"), "same"))
        .collect();
    let ana = sharing(&store, "ana", &files).await;
    let sync = store.begin_full(&peer("ana"), ana, NOW).await.unwrap();
    store
        .add_full(sync, vec![file("s/7", "same")], NOW)
        .await
        .unwrap();
    assert_eq!(
        store.finish_full(sync, 2, NOW).await.unwrap(),
        tally(0, 20_000)
    );
    assert_eq!(paths(&store, NOW).await, ["ana:s/7"]);
    let sync = store.begin_full(&peer("ana"), ana, NOW).await.unwrap();
    assert_eq!(store.finish_full(sync, 3, NOW).await.unwrap(), tally(0, 1));
    assert!(
        store
            .contents(convite_store::ContentKey(0), 9)
            .await
            .unwrap()
            .is_empty()
    );
}
