//! What only the SQLite file promises: what was acknowledged is in it.
#![allow(clippy::unwrap_used)]

use convite_core::model::{FileEntry, Role};
use convite_core::{ContentHash, ErrorCode, Terms, UnixMillis};
use convite_store::{Admission, IndexChange, Registration, Store};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn change(n: u64) -> IndexChange {
    IndexChange {
        upsert: vec![FileEntry {
            path: format!("s/{n}").parse().unwrap(),
            size: n,
            hash: ContentHash::of(&n.to_le_bytes()),
            modified: 0,
            space: None,
        }],
        remove: Vec::new(),
    }
}

async fn open(path: &std::path::Path) -> std::sync::Arc<dyn Store> {
    let url = format!("sqlite:{}", path.display());
    convite_store::open(&url).await.unwrap()
}

async fn count(store: &std::sync::Arc<dyn Store>) -> usize {
    store
        .index(&convite_store::Viewer::everyone(), None, 1000, None, NOW)
        .await
        .unwrap()
        .items
        .len()
}

#[tokio::test]
async fn a_copy_made_as_if_by_a_crash_has_every_acknowledged_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("live.sqlite");
    let store = open(&path).await;
    let user = "ana".parse().unwrap();
    let granted = Admission::Granted(Role::Admin);
    let account = store
        .create_account(&user, "phc", granted, NOW)
        .await
        .unwrap();
    let id = "laptop".parse().unwrap();
    let registration = Registration {
        id,
        account: account.id,
        session: [7; 32],
        addresses: Vec::new(),
        lease: UnixMillis(NOW.0 + 1),
        transient: false,
        terms: Terms::default(),
    };
    store.register_peer(&registration, NOW).await.unwrap();
    for n in 1..=20 {
        let published = store
            .publish_change(&registration.id, account.id, n - 1, n, change(n), NOW)
            .await;
        assert_eq!(published.unwrap().upserted, 1);
        // What a killed process leaves: the files as they are, no checkpoint, no goodbye.
        let copy = folder.path().join(format!("copy{n}.sqlite"));
        for suffix in ["", "-wal"] {
            let from = format!("{}{suffix}", path.display());
            std::fs::copy(from, format!("{}{suffix}", copy.display())).unwrap();
        }
        assert_eq!(count(&open(&copy).await).await, n as usize);
    }
    drop(store);
    let again = open(&path).await;
    assert_eq!(count(&again).await, 20);
    assert_eq!(again.last_change().await.unwrap(), 20);
    assert_eq!(again.account(&user).await.unwrap(), Some(account));
}

#[tokio::test]
async fn changes_sent_at_once_share_commits_and_fail_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("d.sqlite")).await;
    let made = (0..200).map(|n| {
        let store = std::sync::Arc::clone(&store);
        tokio::spawn(async move {
            // Every second name occurs twice.
            let user = format!("user{}", n / 2 * 2).parse().unwrap();
            let granted = Admission::Granted(Role::Member);
            store.create_account(&user, "phc", granted, NOW).await
        })
    });
    let mut taken = 0;
    for one in made.collect::<Vec<_>>() {
        if let Err(problem) = one.await.unwrap() {
            assert_eq!(problem.code, ErrorCode::UserTaken);
            taken += 1;
        }
    }
    assert_eq!(taken, 100);
    assert_eq!(store.totals(NOW).await.unwrap().accounts, 100);
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_may_read_the_database() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/d.sqlite");
    let _store = open(&path).await;
    for suffix in ["", "-wal"] {
        let file = format!("{}{suffix}", path.display());
        let mode = std::fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[tokio::test]
async fn what_is_no_database_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.txt");
    std::fs::write(
        &path,
        "dear diary, this is not a database at all\n".repeat(100),
    )
    .unwrap();
    let refused = convite_store::sqlite::SqliteStore::open(&path)
        .err()
        .unwrap();
    assert_eq!(refused.code, ErrorCode::Internal);
    assert!(refused.hint.is_some());
    let unknown = convite_store::open("mysql://user:secret@host/db").await;
    let refused = unknown.err().unwrap();
    assert_eq!(refused.code, ErrorCode::InvalidArgument);
    assert!(!refused.message.contains("secret"));
}
