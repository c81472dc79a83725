//! What the audit log keeps: so many lines of each kind, for so long, on both databases.
#![allow(clippy::unwrap_used)]

#[path = "cluster/mod.rs"]
mod cluster;

use std::sync::Arc;

use cluster::Cluster;
use convite_core::UnixMillis;
use convite_core::administration::{AuditAction, AuditOutcome, AuditRecord};
use convite_store::{
    AUDIT_KEPT, AUDIT_LINES_MAX, AUDIT_MAX, AUDIT_WINDOW, AuditEntry, Settings, Store,
};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
/// How many lines of a kind there are beyond those that are kept.
const BEYOND: u64 = 10;

fn at(millis: i64) -> UnixMillis {
    UnixMillis(NOW.0 + millis)
}

fn entry(action: AuditAction, target: &str, outcome: AuditOutcome, at: UnixMillis) -> AuditEntry {
    AuditEntry {
        at,
        actor: Some("ana".parse().unwrap()),
        action,
        target: target.to_owned(),
        address: None,
        outcome,
    }
}

async fn log(store: &Arc<dyn Store>) -> Vec<AuditRecord> {
    store.audit(1_000_000, None).await.unwrap().items
}

/// A database that a test can also write to by SQL.
struct Database {
    store: Arc<dyn Store>,
    url: String,
    server: Option<&'static Cluster>,
    _folder: tempfile::TempDir,
}

impl Database {
    /// An SQLite file, and a database on a server if there is one.
    async fn each() -> Vec<Self> {
        let mut all = Vec::new();
        for server in [None, Cluster::shared()] {
            let folder = tempfile::tempdir().unwrap();
            let file = format!("sqlite:{}", folder.path().join("d.sqlite").display());
            let url = server.map_or(file, Cluster::database);
            all.push(Self {
                store: convite_store::open(&url, Settings::default())
                    .await
                    .unwrap(),
                url,
                server,
                _folder: folder,
            });
        }
        // Where the server is missing, the file is there twice.
        all.truncate(1 + usize::from(all[1].server.is_some()));
        all
    }

    fn sql(&self, sql: &str) {
        match self.server {
            Some(server) => drop(server.sql(&self.url, sql)),
            None => {
                let path = self.url.strip_prefix("sqlite:").unwrap();
                let db = rusqlite::Connection::open(path).unwrap();
                db.execute_batch(sql).unwrap();
            }
        }
    }

    /// Adds lines of a kind, each with a target of its own, as if they had been recorded.
    fn fill(&self, kind: &str, outcome: &str, lines: u64) {
        self.sql(&format!(
            "WITH RECURSIVE numbers(i) AS (
                 SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < {lines})
             INSERT INTO audit (kind, at, last, times, actor, action, target, address, outcome)
                 SELECT '{kind}', {now}, {now}, 1, 'eve', 'login', 'number ' || i, '', '{outcome}'
                 FROM numbers",
            now = NOW.0
        ));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_one_kind_push_out_none_of_another() {
    for database in Database::each().await {
        let store = &database.store;
        // The oldest line of all.
        let made = entry(AuditAction::UserAdd, "ben", AuditOutcome::Done, NOW);
        store.record(&made).await.unwrap();
        for (kind, outcome) in [("routine", "done"), ("refused", "refused")] {
            database.fill(kind, outcome, AUDIT_MAX + BEYOND);
        }
        store.sweep(0, NOW).await.unwrap();
        let log = log(store).await;
        for (action, outcome, lines) in [
            (AuditAction::UserAdd, AuditOutcome::Done, 1),
            (AuditAction::Login, AuditOutcome::Done, AUDIT_MAX),
            (AuditAction::Login, AuditOutcome::Refused, AUDIT_MAX),
        ] {
            let alike = |line: &&AuditRecord| (line.action, line.outcome) == (action, outcome);
            let mut alike = log.iter().filter(alike);
            // The oldest go, the newest stay.
            let newest = alike.next().unwrap();
            assert_eq!(alike.count() as u64 + 1, lines, "{action:?} {outcome:?}");
            if action == AuditAction::Login {
                assert_eq!(newest.target, format!("number {}", AUDIT_MAX + BEYOND));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_acts_take_a_bounded_number_of_lines() {
    for database in Database::each().await {
        let store = &database.store;
        database.fill("refused", "refused", AUDIT_LINES_MAX - 1);
        let refused = async |target: &str, millis| {
            let entry = entry(
                AuditAction::Login,
                target,
                AuditOutcome::Refused,
                at(millis),
            );
            store.record(&entry).await.unwrap();
        };
        refused("the last with a line of its own", 1).await;
        for number in 0..BEYOND {
            refused(&format!("more {number}"), 1).await;
        }
        let lines = log(store).await;
        assert_eq!(lines.len() as u64, AUDIT_LINES_MAX + 1);
        assert_eq!(lines[1].target, "the last with a line of its own");
        // What is beyond is added up, and only its number is kept.
        assert_eq!((&*lines[0].target, lines[0].times), ("", BEYOND));
        assert_eq!(lines[0].actor, None);
        // What is done has a line all the same, and after an hour there is room again.
        let made = entry(AuditAction::UserAdd, "ben", AuditOutcome::Done, at(2));
        store.record(&made).await.unwrap();
        refused("an hour later", 2 + AUDIT_WINDOW).await;
        let lines = log(store).await;
        assert_eq!(lines.len() as u64, AUDIT_LINES_MAX + 3);
        assert_eq!(lines[0].target, "an hour later");
        assert_eq!(lines[1].target, "ben");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_every_kind_end_with_their_age() {
    for database in Database::each().await {
        let store = &database.store;
        for (age, name) in [(0, "old"), (10, "young")] {
            for (action, outcome) in [
                (AuditAction::UserAdd, AuditOutcome::Done),
                (AuditAction::LinkUse, AuditOutcome::Done),
                (AuditAction::Login, AuditOutcome::Refused),
            ] {
                let entry = entry(action, name, outcome, at(age));
                store.record(&entry).await.unwrap();
            }
        }
        for (now, left) in [(0, 6), (5, 3), (11, 0)] {
            store.sweep(0, at(AUDIT_KEPT + now)).await.unwrap();
            let log = log(store).await;
            assert_eq!(log.len(), left, "{log:?}");
            let young = log.iter().filter(|line| line.target == "young");
            assert_eq!(young.count(), left.min(3));
        }
    }
}
