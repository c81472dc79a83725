//! What goes wrong between a query and its caller: either an answer of ours (a [`Problem`]) or a
//! database that fails, which is logged here and shown to nobody.

use convite_core::{ErrorCode, Problem};

/// Why a transaction is given up.
pub(super) enum Failure {
    /// Part of the contract: goes to the caller as it is.
    Problem(Problem),
    /// Not the caller's doing.
    Database(rusqlite::Error),
}

pub(super) type Outcome<T> = Result<T, Failure>;

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Problem(problem) => problem,
            Failure::Database(error) => database(&error),
        }
    }
}

/// Logs a failing database, and says no more of it than a stranger may know.
///
/// The text of an SQLite error holds SQL at the most: values are bound, never spliced.
pub(super) fn database(error: &rusqlite::Error) -> Problem {
    tracing::error!(%error, "the database failed");
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => {
            Problem::new(ErrorCode::Internal, "the disk of the database is full")
                .hint("make room on the disk of the directory")
        }
        _ => Problem::new(ErrorCode::Internal, "the database failed")
            .hint("the log of the directory has the cause"),
    }
}
