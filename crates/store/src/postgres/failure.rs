//! What goes wrong between a query and its caller: an answer of ours (a [`Problem`]), a transaction
//! that lost against another and is worth another try, or a database that fails.

use convite_core::{ErrorCode, Problem};
use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

/// Why a transaction is given up.
#[derive(Debug)]
pub(super) enum Failure {
    /// Part of the contract: goes to the caller as it is.
    Problem(Problem),
    /// Another transaction was quicker; the same again may succeed.
    Overtaken,
    /// Not the caller's doing.
    Database(tokio_postgres::Error),
    /// No connection to be had.
    Pool(PoolError),
}

pub(super) type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// Whether nothing happened, and the same again may succeed.
    pub(super) fn is_worth_another_try(&self) -> bool {
        match self {
            Self::Overtaken => true,
            // A foreign key: the content was swept away between finding and using it.
            Self::Database(error) => matches!(
                error.code(),
                Some(
                    &SqlState::T_R_SERIALIZATION_FAILURE
                        | &SqlState::T_R_DEADLOCK_DETECTED
                        | &SqlState::FOREIGN_KEY_VIOLATION
                )
            ),
            _ => false,
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}

impl From<PoolError> for Failure {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::Database(error),
            other => Self::Pool(other),
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Problem(problem) => problem,
            Failure::Overtaken => Self::new(
                ErrorCode::Unavailable,
                "too many changes at once to the same things",
            )
            .hint("try again in a few seconds"),
            Failure::Database(error) => database(&error),
            Failure::Pool(error) => {
                tracing::error!(%error, "no connection to the database");
                unreachable_database()
            }
        }
    }
}

fn unreachable_database() -> Problem {
    Problem::new(ErrorCode::Unavailable, "the database cannot be reached")
        .hint("try again in a few seconds; the log of the directory has the cause")
}

/// Logs a failing database, and says no more of it than a stranger may know.
///
/// Of what the server says, `DETAIL` is left out: it repeats values.
pub(super) fn database(error: &tokio_postgres::Error) -> Problem {
    let Some(said) = error.as_db_error() else {
        // A broken connection, a refused one, a TLS handshake: none of them repeats the password.
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::error!(%error, cause, "the connection to the database failed");
        return unreachable_database();
    };
    let (code, message) = (said.code().code(), said.message());
    tracing::error!(code, message, "the database failed");
    match *said.code() {
        SqlState::DISK_FULL => {
            Problem::new(ErrorCode::Internal, "the disk of the database is full")
                .hint("make room on the disk of the database")
        }
        // Shutting down, starting up, full, or tired of waiting for a lock.
        SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::TOO_MANY_CONNECTIONS
        | SqlState::QUERY_CANCELED
        | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        | SqlState::READ_ONLY_SQL_TRANSACTION
        | SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED => unreachable_database(),
        _ => Problem::new(ErrorCode::Internal, "the database failed")
            .hint("the log of the directory has the cause"),
    }
}
