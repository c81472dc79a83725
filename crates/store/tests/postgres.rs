//! Guarantees of a shared database: concurrent changes by several directories, and crashes.

#![allow(clippy::disallowed_methods, reason = "tests start tasks without names")]
#![allow(clippy::unwrap_used)]

#[path = "cluster/mod.rs"]
mod cluster;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cluster::Cluster;
use convite_core::model::{FileEntry, Role};
use convite_core::{ContentHash, ErrorCode, PeerId, SharingPolicy, UnixMillis};
use convite_store::{
    AccountId, Admission, ContentKey, Holder, IndexChange, News, Registration, Settings, Store,
    Viewer,
};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

async fn open(url: &str) -> Arc<dyn Store> {
    convite_store::open(url, Settings::default()).await.unwrap()
}

fn file(path: &str, contents: u64) -> FileEntry {
    FileEntry::file(
        path.parse().unwrap(),
        1,
        ContentHash::of(&contents.to_le_bytes()),
    )
}

fn change(upsert: Vec<FileEntry>, remove: &[String]) -> IndexChange {
    IndexChange {
        upsert,
        remove: remove.iter().map(|path| path.parse().unwrap()).collect(),
    }
}

async fn sharing(store: &Arc<dyn Store>, id: &str) -> (PeerId, AccountId) {
    let granted = Admission::Granted(Role::Member);
    let user = id.parse().unwrap();
    let account = store.create_account(&user, "", granted, NOW).await.unwrap();
    let registration = Registration {
        id: id.parse().unwrap(),
        account: account.id,
        session: [7; 32],
        addresses: Vec::new(),
        lease: UnixMillis(NOW.0 + 1),
        transient: false,
        terms: SharingPolicy::default(),
        holder: Holder::default(),
    };
    store.register_peer(&registration, NOW).await.unwrap();
    (registration.id, account.id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_misses_nothing_of_many_who_publish_at_once() {
    const WRITERS: u64 = 6;
    const ROUNDS: u64 = 40;
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let url = cluster.database();
    let replicas = [open(&url).await, open(&url).await, open(&url).await];
    let done = Arc::new(AtomicBool::new(false));
    let follower = {
        let (store, done) = (open(&url).await, Arc::clone(&done));
        tokio::spawn(async move {
            let (mut position, mut followed) = (0, BTreeMap::new());
            loop {
                let last_round = done.load(Ordering::Acquire);
                let changes = store.changes(position, 7).await.unwrap();
                assert!(!changes.lost);
                let is_level = changes.position == position;
                position = changes.position;
                for (key, document) in changes.contents {
                    followed.insert(key, document);
                }
                if is_level && last_round {
                    return (position, followed);
                }
            }
        })
    };
    let writers = (0..WRITERS).map(|writer| {
        let store = Arc::clone(&replicas[(writer % 3) as usize]);
        tokio::spawn(async move {
            let (peer, account) = sharing(&store, &format!("p{writer}")).await;
            for round in 0..ROUNDS {
                // Contents that all peers share, gain and lose repeatedly, each in another order.
                let files = (0..5).map(|n| {
                    let contents = (round * (writer + 1) + n) % 8;
                    file(&format!("s/{n}"), contents)
                });
                let gone = [format!("s/{}", round % 5)];
                let mut upsert: Vec<_> = files.collect();
                upsert.remove((round % 5) as usize);
                store
                    .publish_change(&peer, account, round, round + 1, change(upsert, &gone), NOW)
                    .await
                    .unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    done.store(true, Ordering::Release);
    let (position, followed) = follower.await.unwrap();
    let store = &replicas[0];
    assert_eq!(position, store.last_change().await.unwrap());
    let walked = store.contents(ContentKey(0), 1000).await.unwrap();
    let followed: Vec<_> = followed.into_values().flatten().collect();
    assert_eq!(followed, walked);
    // No content without a peer remains.
    assert!(walked.iter().all(|document| !document.peers.is_empty()));
    store.sweep(u64::MAX, NOW).await.unwrap();
    let left = cluster.sql(
        &url,
        "SELECT count(*) FROM contents c WHERE NOT EXISTS (SELECT FROM files WHERE content = c.id)",
    );
    assert_eq!(left, "0");
    let numbered = cluster.sql(&url, "SELECT count(*) = max(seq) FROM changes");
    assert_eq!(numbered, "t", "the log has gaps");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_publish_for_one_peer_take_turns() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let url = cluster.database();
    let (one, two) = (open(&url).await, open(&url).await);
    let (peer, account) = sharing(&one, "p").await;
    let all = (0..20).map(|n| {
        let (store, peer) = (Arc::clone([&one, &two][n % 2]), peer.clone());
        tokio::spawn(async move {
            let change = change(vec![file(&format!("s/{n}"), n as u64)], &[]);
            // All have the same base: one succeeds and the others fail.
            let done = store.publish_change(&peer, account, 0, 10 + n as u64, change, NOW);
            done.await.map_err(|problem| problem.code)
        })
    });
    let mut published = 0;
    for one in all.collect::<Vec<_>>() {
        match one.await.unwrap() {
            Ok(_) => published += 1,
            Err(code) => assert_eq!(code, ErrorCode::GenerationMismatch),
        }
    }
    assert_eq!(published, 1);
    assert_eq!(one.totals(NOW).await.unwrap().files, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_a_crash_of_the_server() {
    let Some(cluster) = Cluster::start(cluster::QUICK) else {
        return;
    };
    let store = open(&cluster.database()).await;
    let (peer, account) = sharing(&store, "p").await;
    let mut acknowledged = 0;
    for n in 0..30_u64 {
        if n % 10 == 5 {
            cluster.crash_and_restart();
        }
        // A broken connection is detected at its next use. The peer retries.
        for try_ in 0.. {
            let change = change(vec![file(&format!("s/{n:02}"), n)], &[]);
            let done = store
                .publish_change(&peer, account, n, n + 1, change, NOW)
                .await;
            match done {
                Ok(_) => break,
                Err(problem) => assert_eq!(problem.code, ErrorCode::Unavailable, "{problem:?}"),
            }
            assert!(try_ < 50);
        }
        acknowledged += 1;
    }
    let index = store
        .index(&Viewer::everyone(), None, 1000, None, NOW)
        .await
        .unwrap();
    assert_eq!(index.items.len(), acknowledged);
    assert_eq!(store.last_change().await.unwrap(), acknowledged as i64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_secret_is_kept_and_news_reach_the_others() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let url = cluster.database();
    let (one, two) = (open(&url).await, open(&url).await);
    let (here, there) = (one.shared().unwrap(), two.shared().unwrap());
    assert_eq!(here.secret("key").await.unwrap(), None);
    let (a, b) = tokio::join!(
        here.keep_secret("key", None, b"a"),
        there.keep_secret("key", None, b"b")
    );
    let kept = a.unwrap();
    assert_eq!(kept, b.unwrap());
    let stale = there.keep_secret("key", Some(b"none of them"), b"c").await;
    assert_eq!(stale.unwrap(), kept);
    let new = there.keep_secret("key", Some(&kept), b"d").await.unwrap();
    assert_eq!(new, b"d");
    assert_eq!(here.secret("key").await.unwrap().unwrap(), b"d");

    let (mut heard, mut own) = (there.listen(), here.listen());
    let hash = ContentHash::of(b"x");
    let limit = Duration::from_secs(60);
    let mut wait_for = async |wanted: &News| {
        // A new subscriber first receives `Anything`.
        while heard.recv().await.unwrap() != *wanted {
            here.tell(wanted.clone());
        }
    };
    let news = News::Providers(vec![hash]);
    here.tell(news.clone());
    let heard = tokio::time::timeout(limit, wait_for(&news)).await;
    heard.expect("the notification arrives in time");
    // A replica does not receive its own notifications.
    while let Ok(news) = own.try_recv() {
        assert_eq!(news, News::Anything);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_too_long_for_an_index_are_kept_whole() {
    let Some(cluster) = Cluster::shared() else {
        return;
    };
    let store = open(&cluster.database()).await;
    let (peer, account) = sharing(&store, "p").await;
    // All bytes differ, so that compression does not make the paths fit.
    let part = |n: u64| ContentHash::of(&n.to_le_bytes()).to_string();
    let base: Vec<String> = (0..61).map(part).collect();
    let paths: Vec<String> = ["a", "b", "c"]
        .map(|last| format!("{}/{last}", base.join("/")))
        .into();
    assert!(paths[0].len() > 3_900);
    let files: Vec<_> = paths.iter().map(|path| file(path, 1)).collect();
    let whole = change(files, &[]);
    store
        .publish_change(&peer, account, 0, 1, whole, NOW)
        .await
        .unwrap();
    let mut seen = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = store
            .index(&Viewer::everyone(), None, 1, cursor.as_deref(), NOW)
            .await
            .unwrap();
        seen.extend(page.items.iter().map(|entry| entry.file.path.to_string()));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    seen.sort();
    assert_eq!(seen, paths);
    let gone = change(Vec::new(), &paths[..2]);
    let tally = store.publish_change(&peer, account, 1, 2, gone, NOW).await;
    assert_eq!(tally.unwrap().removed, 2);
    let documents = store.contents(ContentKey(0), 9).await.unwrap();
    assert_eq!(documents[0].paths, paths[2..]);
}

/// After very many files have been published, the server has no statistics yet and assumes that
/// many rows have the same hash.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_found_by_its_hash_also_before_the_tables_were_analyzed() {
    const FILES: u64 = 20_000;
    let Some(cluster) = Cluster::start("-c fsync=off -c autovacuum=off") else {
        return;
    };
    let url = cluster.database();
    let store = open(&url).await;
    let (peer, account) = sharing(&store, "p").await;
    let files = (0..FILES).map(|n| file(&format!("s/{n:05}"), n)).collect();
    store
        .publish_change(&peer, account, 0, 1, change(files, &[]), NOW)
        .await
        .unwrap();
    drop(store);
    // The rows that a connection read are counted at the latest when it ends.
    let settled = || {
        let others = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        while cluster.sql(&url, others) != "0" {
            std::thread::yield_now();
        }
        let read =
            "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'contents_pkey'";
        cluster.sql(&url, read).parse::<u64>().unwrap()
    };
    let before = settled();
    let store = open(&url).await;
    let viewer = Viewer::everyone();
    // From the sixth execution on, PostgreSQL may use a generic plan.
    for n in FILES - 10..FILES {
        let hash = ContentHash::of(&n.to_le_bytes());
        let found = store.locate(&viewer, &hash, None, NOW).await.unwrap();
        assert_eq!(found.unwrap().providers.len(), 1);
    }
    drop(store);
    let read = settled() - before;
    assert!(read < FILES, "read {read} rows to find ten files");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_to_be_without_the_password() {
    let refused =
        convite_store::open("postgres://u:hunter2@127.0.0.1:1/d", Settings::default()).await;
    let problem = refused.err().unwrap();
    assert_eq!(problem.code, ErrorCode::Unavailable);
    assert!(!format!("{problem:?}").contains("hunter2"), "{problem:?}");
    assert!(problem.hint.is_some());
}
