//! A copy of the whole database while others go on writing to it, and the checks of one that is to
//! take its place. All of it blocks.

use std::path::Path;

use convite_core::display::escape;
use convite_core::{ErrorCode, Problem};
use rusqlite::{Connection, ErrorCode as SqliteCode, OpenFlags};

use super::connections::{latest_schema, prepare};
use super::failure::database;

/// Copies the database at `from`, as it is at one moment, into the file `to`, which must be empty
/// or not there. Others read and write meanwhile; what they write is in the log that grows beside
/// the database until the copy is done. Returns the version of the tables.
///
/// # Errors
/// `internal` if `from` cannot be read or `to` not be written.
pub fn copy(from: &Path, to: &Path) -> Result<u32, Problem> {
    let target = to.to_str().ok_or_else(|| {
        Problem::invalid("the path of a backup is not UTF-8").hint("choose a plainer path")
    })?;
    let connection = open(from)?;
    connection
        .execute("VACUUM INTO ?", [target])
        .map_err(|error| database(&error))?;
    // Of the copy: a newer program may have brought the original's up to date just now.
    schema(&open(to)?)
}

/// Checks that the database at `path` is whole and that this program knows its tables; returns
/// their version.
///
/// # Errors
/// `corrupt_contents` for one that is damaged; `invalid_argument` for one of a newer program.
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
            "the database has tables of version {schema}, and this program knows them up to {}",
            latest_schema()
        ))
        .hint("use the version of convite that wrote it, or a newer one"));
    }
    Ok(schema)
}

/// Ends all sessions, so that everybody has to log in again.
///
/// # Errors
/// `internal` if the database fails.
pub fn end_all_sessions(path: &Path) -> Result<(), Problem> {
    let end = "BEGIN IMMEDIATE;
        DELETE FROM sessions;
        UPDATE peers SET session = NULL, lease = 0;
        COMMIT";
    let done = open(path)?.execute_batch(end);
    done.map_err(|error| database(&error))
}

/// Whether another process has the database at `path` open.
///
/// # Errors
/// `internal` if it cannot be opened.
pub fn is_in_use(path: &Path) -> Result<bool, Problem> {
    let connection = open(path)?;
    // Wanting it for oneself alone fails while anybody else has it, idle or not.
    let alone = connection
        .busy_timeout(std::time::Duration::ZERO)
        .and_then(|()| {
            connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; ROLLBACK")
        });
    match alone {
        Ok(()) => Ok(false),
        Err(error) if error.sqlite_error_code() == Some(SqliteCode::DatabaseBusy) => Ok(true),
        Err(error) => Err(database(&error)),
    }
}

fn open(path: &Path) -> Result<Connection, Problem> {
    prepare(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|error| {
        let _ = database(&error);
        Problem::new(
            ErrorCode::Internal,
            format!(
                "the database {} cannot be opened",
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
    version.map_err(|error| database(&error))
}
