//! Checks the plans of SQLite: no statement scans a whole table.

use convite_store::Settings;
use convite_store::sqlite::SqliteStore;
use rusqlite::Connection;

use crate::source;

/// Statements that scan a table on purpose, with the reason.
const WALKS: &[(&str, &str)] = &[
    (
        "SELECT a.name, a.role, a.disabled, a.created,",
        "prefix of other statements",
    ),
    (
        "SELECT p.name, a.name, p.addresses,",
        "prefix of other statements",
    ),
    (
        "SELECT (SELECT count(*) FROM accounts",
        "counts for monitoring",
    ),
    (
        "SELECT id FROM peers WHERE NOT departed",
        "lists all online peers",
    ),
    ("UPDATE sessions SET expires = $1 +", "once per sweep"),
    ("UPDATE invites SET expires = $1 +", "once per sweep"),
    ("DELETE FROM sessions WHERE expires", "once per sweep"),
    ("DELETE FROM invites WHERE expires", "once per sweep"),
    (
        "DELETE FROM partials WHERE",
        "once per sweep or removed space",
    ),
    (
        "UPDATE peers SET lease = $1 WHERE lease",
        "after a clock jump",
    ),
    (
        "SELECT 1 FROM accounts WHERE role = 'admin'",
        "until the first administrator exists",
    ),
    (
        "SELECT id FROM accounts WHERE role = 'admin'",
        "once per change of an account's role",
    ),
    ("SELECT count(*) FROM reserve", "a single row"),
    ("DELETE FROM reserve", "a single row"),
    (
        "SELECT max(version) FROM refinery_schema_history",
        "a few rows",
    ),
    ("SELECT seq FROM sqlite_sequence", "one row per table"),
];

#[tokio::test]
async fn no_statement_goes_over_a_whole_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.sqlite");
    let _store = SqliteStore::open(&path, Settings::default()).unwrap();
    let db = Connection::open(&path).unwrap();
    let mut wrong = Vec::new();
    let mut read = 0;
    for written in source::statements("sqlite") {
        // Skip fragments that are not complete statements.
        let Some(Ok(mut plan)) = written
            .whole()
            .map(|sql| db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")))
        else {
            continue;
        };
        read += 1;
        let details = plan.raw_query().mapped(|row| row.get::<_, String>(3));
        let scans = details.map(Result::unwrap).filter(|step| {
            step.starts_with("SCAN ")
                && ![
                    "CONSTANT ROW",
                    "VIRTUAL TABLE",
                    "(subquery",
                    "SCAN own",
                    "SCAN lie",
                    "SCAN v",
                ]
                .iter()
                .any(|harmless| step.contains(harmless))
        });
        let scans: Vec<String> = scans.collect();
        let is_walk = WALKS.iter().any(|(walk, _)| written.begins_with(walk));
        if !scans.is_empty() && !is_walk {
            wrong.push((written, scans));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(read > 90, "read only {read} plans");
}
