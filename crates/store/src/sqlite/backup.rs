//! Backup of a database that is in use, and checks before a restore. All functions block.

use std::path::Path;

use convite_core::display::escape;
use convite_core::{ErrorCode, Problem};
use rusqlite::{Connection, ErrorCode as SqliteCode, OpenFlags};

use super::connections::{latest_schema, prepare};
use crate::error;

/// Copies a snapshot of the database at `from` into the file `to`, which must be empty or must not
/// exist. Others can read and write meanwhile; the write-ahead log grows until the copy is done.
/// Returns the schema version.
///
/// # Errors
/// Returns `internal` if `from` cannot be read or `to` cannot be written.
pub fn copy(from: &Path, to: &Path) -> Result<u32, Problem> {
    let target = to.to_str().ok_or_else(|| {
        Problem::invalid("the path of the backup is not valid UTF-8").hint("choose another path")
    })?;
    let connection = open(from)?;
    connection
        .execute("VACUUM INTO ?", [target])
        .map_err(|error| error::sqlite(&error))?;
    // Read from the copy: a newer program may have just migrated the original.
    schema(&open(to)?)
}

/// Checks that the database at `path` is intact and that this program supports its schema. Returns
/// the schema version.
///
/// # Errors
/// Returns `corrupt_contents` if it is damaged, and `invalid_argument` if a newer program created
/// it.
pub fn check(path: &Path) -> Result<u32, Problem> {
    let connection = open(path)?;
    let damaged = || {
        Problem::new(ErrorCode::CorruptContents, "the database is damaged")
            .hint("use another backup")
    };
    let said: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|_| damaged())?;
    if said != "ok" {
        return Err(damaged());
    }
    let schema = schema(&connection).map_err(|_| damaged())?;
    if schema > latest_schema() {
        return Err(Problem::invalid(format!(
            "the database has schema version {schema}; this program supports versions up to {}",
            latest_schema()
        ))
        .hint("use the version of convite that created it, or a newer one"));
    }
    Ok(schema)
}

/// Ends all sessions, so that all users must log in again.
///
/// # Errors
/// Returns `internal` if the database fails.
pub fn end_all_sessions(path: &Path) -> Result<(), Problem> {
    let end = "BEGIN IMMEDIATE;
        DELETE FROM sessions;
        UPDATE peers SET session = NULL, lease = 0;
        COMMIT";
    let done = open(path)?.execute_batch(end);
    done.map_err(|error| error::sqlite(&error))
}

/// Returns whether another process has the database at `path` open.
///
/// # Errors
/// Returns `internal` if it cannot be opened.
pub fn is_in_use(path: &Path) -> Result<bool, Problem> {
    let connection = open(path)?;
    // An exclusive lock fails while another process has the database open, even idle.
    let alone = connection
        .busy_timeout(std::time::Duration::ZERO)
        .and_then(|()| {
            connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; ROLLBACK")
        });
    match alone {
        Ok(()) => Ok(false),
        Err(error) if error.sqlite_error_code() == Some(SqliteCode::DatabaseBusy) => Ok(true),
        Err(error) => Err(error::sqlite(&error)),
    }
}

fn open(path: &Path) -> Result<Connection, Problem> {
    prepare(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|error| {
        let _ = error::sqlite(&error);
        Problem::new(
            ErrorCode::Internal,
            format!(
                "cannot open the database {}",
                escape(&path.to_string_lossy())
            ),
        )
    })
}

fn schema(connection: &Connection) -> Result<u32, Problem> {
    let version = connection.query_row(
        "SELECT max(version) FROM refinery_schema_history",
        [],
        |row| row.get(0),
    );
    version.map_err(|error| error::sqlite(&error))
}
