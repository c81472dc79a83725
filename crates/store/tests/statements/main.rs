//! Checks that every PostgreSQL statement reads at most a small multiple of the rows that it needs,
//! regardless of the size of the tables, of the server's statistics, and of the distribution of the
//! rows.
//!
//! The server explains each statement that it runs (`auto_explain`), including its own foreign key
//! checks, while `exercise` calls every method of the store. A statement in the source that was not
//! run fails the test, so that new statements are covered. For SQLite, whose plans do not depend on
//! the contents of the tables, the test reads the plans (`sqlite`).
#![allow(clippy::unwrap_used)]

#[path = "../cluster/mod.rs"]
mod cluster;
mod exercise;
mod source;
mod sqlite;

use std::collections::{BTreeMap, BTreeSet};

use cluster::Cluster;
use convite_store::{Quotas, Settings};
use serde_json::Value;

/// Rows in each of the larger tables.
const ROWS: u64 = 200_000;
/// Maximum number of rows that a statement may read. `exercise` requests up to sixty at once.
const TOUCHED_MAX: f64 = 3_000.0;

const EXPLAINED: &str = "-c fsync=off -c full_page_writes=off -c autovacuum=off \
    -c session_preload_libraries=auto_explain -c auto_explain.log_min_duration=0 \
    -c auto_explain.log_analyze=on -c auto_explain.log_timing=off \
    -c auto_explain.log_nested_statements=on -c auto_explain.log_format=json \
    -c logging_collector=on -c log_destination=jsonlog -c log_filename=explained.log \
    -c log_rotation_age=0 -c log_rotation_size=0";

/// Statements that scan a table on purpose, with the reason.
const WALKS: &[(&str, &str)] = &[
    (
        "SELECT s.name, (SELECT count(*) FROM memberships m",
        "counts the members of each space on a page",
    ),
    (
        "SELECT (SELECT count(*) FROM accounts WHERE NOT disabled)",
        "counts for monitoring",
    ),
    (
        "SELECT id FROM peers WHERE NOT departed AND lease > $1",
        "lists all online peers",
    ),
    (
        "SELECT p.name, a.name, p.addresses,",
        "a page of online peers, skipping offline ones",
    ),
    (
        "SELECT p.name, coalesce(f.whole, f.path), c.size",
        "a page of their files",
    ),
    (
        "SELECT n.peer, n.space FROM peer_files n",
        "once per sweep: pending deletions",
    ),
    (
        "DELETE FROM partials WHERE (SELECT lease",
        "once per sweep: all announcements",
    ),
    (
        "DELETE FROM partials x WHERE",
        "once per removed space: all announcements",
    ),
    (
        "DELETE FROM audit WHERE kind = $1",
        "once per sweep: the index of the kept lines, and the oldest lines",
    ),
    ("UPDATE sessions SET expires = $1 +", "once per sweep"),
    ("UPDATE invites SET expires = $1 +", "once per sweep"),
    (
        "UPDATE audit SET last = $3 WHERE kind = $1",
        "once per sweep: the oldest lines",
    ),
    ("DELETE FROM sessions WHERE expires <= $1", "once per sweep"),
    ("DELETE FROM invites WHERE expires <= $1", "once per sweep"),
    (
        "UPDATE peers SET lease = $1 WHERE lease > $2",
        "after a clock jump",
    ),
    (
        "UPDATE loads SET touched = $1 WHERE touched > $2",
        "after a clock jump",
    ),
    (
        "DELETE FROM changes WHERE seq <=",
        "once per sweep: the removed rows",
    ),
    (
        "DELETE FROM contents c WHERE c.id",
        "once per sweep, after a large removal",
    ),
];

/// Statements that run only in a race between two transactions, or after a fault.
const NOT_RUN: &[&str] = &[
    "INSERT INTO orphans",
    "SELECT pg_advisory_lock($1)",
    "SELECT pg_notify",
];

/// Quotas so small that the statements at the limits run.
const SETTINGS: Settings = Settings {
    quotas: Quotas {
        peers: 3,
        downloads: 3,
        sessions: 3,
        files: 1_000_000,
        path_bytes: 1 << 30,
        invites: 1_000,
    },
    disk_reserve: 0,
};

/// Fills the tables: very many peers with a few files each.
fn fill(cluster: &Cluster, url: &str) {
    let hash = |what: &str| format!("decode(md5('{what}' || i) || md5('2{what}' || i), 'hex')");
    let (content, token) = (hash("c"), hash("t"));
    cluster.sql(
        url,
        &format!(
            "SET auto_explain.log_min_duration = -1;
             INSERT INTO accounts (name, role, password_hash, created)
                 SELECT 'u' || i, 'member', '', 0 FROM generate_series(1, 2000) i;
             INSERT INTO spaces (name, created) SELECT 's' || i, 0 FROM generate_series(1, 500) i;
             INSERT INTO memberships (account, space, since)
                 SELECT 1 + i % 2000, 1 + i / 2000, 0 FROM generate_series(0, 19999) i;
             INSERT INTO peers (name, account, session, addresses, generation, lease, since,
                     departed, attempt)
                 SELECT 'p' || i, 1 + i % 2000, {token}, '[]', 1, 1800000030000, 0, i % 3 = 0, 0
                 FROM generate_series(1, 20000) i;
             INSERT INTO sessions (token, account, expires, created, used)
                 SELECT {token}, 1 + i % 2000, 1900000000000, 0, 0
                 FROM generate_series(1, {ROWS}) i;
             INSERT INTO contents (hash, kind, size, files) SELECT {content}, 0, i, 0
                 FROM generate_series(1, {ROWS}) i;
             INSERT INTO files (peer, path, name, content, modified, attempt, space)
                 SELECT 1 + i % 20000, 's/file-' || i, i, i, 0, 0, 0
                 FROM generate_series(1, {ROWS}) i;
             INSERT INTO peer_files (peer, space, files, folders, bytes)
                 SELECT peer, space, count(*), 0, sum(length(path)) FROM files
                 GROUP BY peer, space;
             INSERT INTO partials (hash, peer, size)
                 SELECT {content}, i, i FROM generate_series(1, 20000) i;
             INSERT INTO invites (code, role, uses, expires, founds, created)
                 SELECT {token}, 'member', 1, 1900000000000, FALSE, 0
                 FROM generate_series(1, 20000) i;
             INSERT INTO links (token, account, hash, uses, expires, created)
                 SELECT {token}, 1 + i % 2000, {content}, 1, 1900000000000, 0
                 FROM generate_series(1, 20000) i;
             INSERT INTO loads (id, account, peer, hash, size, name, state, bytes, rate, message,
                     created, touched)
                 SELECT i, 1 + i % 2000, 1 + i % 20000, {content}, i, '', 'waiting', 0, 0, '', i,
                     1800000000000 FROM generate_series(1, 20000) i;
             INSERT INTO audit (kind, at, last, times, actor, action, target, address, outcome)
                 SELECT CASE i % 100 WHEN 0 THEN 'administration' WHEN 1 THEN 'refused'
                         ELSE 'routine' END,
                     1800000000000, 1800000000000, 1, 'u' || i % 2000, 'login', '', '',
                     CASE i % 100 WHEN 1 THEN 'refused' ELSE 'done' END
                 FROM generate_series(1, {ROWS}) i;
             INSERT INTO changes (seq, content) SELECT i, i FROM generate_series(1, {ROWS}) i;
             UPDATE change_log SET position = {ROWS}"
        ),
    );
}

/// Moves nearly all files to one peer.
fn skew(cluster: &Cluster, url: &str) {
    cluster.sql(
        url,
        "SET auto_explain.log_min_duration = -1;
         UPDATE files SET peer = 1 WHERE peer % 100 <> 0 AND peer <= 20000 AND space = 0;
         DELETE FROM peer_files WHERE peer <= 20000;
         INSERT INTO peer_files (peer, space, files, folders, bytes)
             SELECT peer, space, count(*), 0, sum(length(path)) FROM files WHERE peer <= 20000
             GROUP BY peer, space;
         ANALYZE",
    );
}

/// The maximum number of rows that each statement read, with the table and plan.
type Touched = BTreeMap<String, (f64, String)>;

/// Adds up the rows read by the scans of a plan, per table.
fn add_up(plan: &Value, tables: &mut BTreeMap<String, f64>) {
    let number = |name: &str| plan[name].as_f64().unwrap_or(0.0);
    let table = plan["Relation Name"].as_str();
    // Part of a bitmap scan has only an index name.
    let table = table.or_else(|| plan["Index Name"].as_str());
    let node = plan["Node Type"].as_str().unwrap_or_default();
    if let Some(table) = table.filter(|_| node.contains("Scan")) {
        let rows = number("Actual Rows")
            + number("Rows Removed by Filter")
            + number("Rows Removed by Index Recheck");
        *tables.entry(table.to_owned()).or_default() += rows * number("Actual Loops");
    }
    for part in plan["Plans"].as_array().into_iter().flatten() {
        add_up(part, tables);
    }
}

/// Returns what the server has explained for a database since the last call.
fn explained(cluster: &Cluster, url: &str, from: &mut usize) -> Touched {
    let path = cluster.data().join("log/explained.json");
    let end = format!("SELECT 'the end of {}'", *from);
    cluster.sql(url, &end);
    let is_end = |line: &str| line.contains(&end);
    let text = loop {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if text.get(*from..).unwrap_or_default().lines().any(is_end) {
            break text;
        }
        std::thread::yield_now();
    };
    let mut touched = Touched::new();
    for line in text[*from..].lines() {
        let Ok(entry) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let message = entry["message"].as_str().unwrap_or_default();
        let Some((_, plan)) = message.split_once("plan:\n") else {
            continue;
        };
        let plan: Value = serde_json::from_str(plan).unwrap();
        let statement = source::plain(plan["Query Text"].as_str().unwrap_or_default());
        let mut tables = BTreeMap::new();
        add_up(&plan["Plan"], &mut tables);
        let most = tables.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let (table, rows) = most.unwrap_or_default();
        let worst = touched.entry(statement).or_insert((0.0, String::new()));
        if rows >= worst.0 {
            *worst = (rows, format!("{table}: {}", plan["Plan"]));
        }
    }
    *from = text.len();
    touched
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_statement_looks_rows_up_by_their_whole_key() {
    let Some(cluster) = Cluster::start(EXPLAINED) else {
        return;
    };
    let mut from = 0;
    let mut run = BTreeSet::new();
    let mut wrong = Vec::new();
    let url = cluster.database();
    // Creates the tables.
    drop(convite_store::open(&url, SETTINGS).await.unwrap());
    fill(&cluster, &url);
    for known in ["nothing", "many peers", "one peer with nearly all"] {
        match known {
            "nothing" => {}
            "many peers" => drop(cluster.sql(&url, "ANALYZE")),
            _ => skew(&cluster, &url),
        }
        for plans in ["force_custom_plan", "force_generic_plan"] {
            let name = url.rsplit('/').next().unwrap();
            let set = format!("ALTER DATABASE {name} SET plan_cache_mode = {plans}");
            cluster.sql(&url, &set);
            explained(&cluster, &url, &mut from);
            let store = convite_store::open(&url, SETTINGS).await.unwrap();
            exercise::exercise(&store).await;
            drop(store);
            for (statement, (rows, plan)) in explained(&cluster, &url, &mut from) {
                let is_walk = WALKS.iter().any(|(walk, _)| statement.starts_with(walk));
                if rows > TOUCHED_MAX && !is_walk {
                    wrong.push(format!(
                        "statistics of {known}, {plans}: {rows} rows read by\n{statement}\n{plan}\n"
                    ));
                }
                run.insert(statement);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let forgotten: Vec<_> = source::statements("postgres")
        .into_iter()
        .filter(|written| !run.iter().any(|run| written.is(run)))
        .filter(|written| !NOT_RUN.iter().any(|begin| written.begins_with(begin)))
        .collect();
    assert!(forgotten.is_empty(), "never run: {forgotten:#?}");
}
