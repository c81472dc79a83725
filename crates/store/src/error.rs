//! Errors of the store.
//!
//! [`DbError`] lists every reason why an operation can fail. It becomes a [`Problem`] here, and
//! nowhere else: this file has the texts for users, and decides what is logged.

use convite_core::remote_fetch::LoadId;
use convite_core::{ErrorCode, PeerId, Problem, SpaceName, UserName};
use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;

use crate::{ANNOUNCEMENTS_MAX, LINKS_MAX, LOADS_MAX};

/// Result of a statement or an operation.
pub type DbResult<T> = Result<T, DbError>;

/// Reason why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    // Accounts.
    #[error("user '{0}' already exists")]
    UserTaken(UserName),
    #[error("there is no user '{0}'")]
    UnknownUser(UserName),
    #[error("this is the directory's last administrator")]
    LastAdmin,

    // Invites and sessions.
    #[error("this invite is invalid, already used, or expired")]
    InvalidInvite,
    #[error("there is no invite with this id")]
    UnknownInvite,
    #[error("there is no session with this id")]
    UnknownSession,

    // Spaces.
    #[error("there is no space '{0}'")]
    UnknownSpace(SpaceName),
    #[error("space '{0}' already exists")]
    SpaceTaken(SpaceName),
    /// Also for a space that does not exist, so that callers cannot find out which spaces exist.
    #[error("you are not a member of space '{0}'")]
    CallerNotMember(SpaceName),
    #[error("'{user}' is not a member of space '{space}'")]
    UserNotMember { user: UserName, space: SpaceName },

    // Peers.
    /// Also for a peer of another account.
    #[error("you have no registered peer '{0}'")]
    UnknownPeer(PeerId),
    #[error("there is no peer '{0}'")]
    NoSuchPeer(PeerId),
    /// Transient peers share nothing, so that deleting them stays cheap.
    #[error("peer '{0}' exists for one download only and cannot share files")]
    TransientCannotShare(PeerId),
    #[error("the peer id '{0}' belongs to another account")]
    OwnedByOtherAccount(PeerId),
    #[error("the peer id '{0}' belongs to a permanent peer")]
    BelongsToPermanentPeer(PeerId),
    #[error("another of your peers is online as '{0}'")]
    IdInUse(PeerId),
    /// Two processes have the same home key. The earlier one gets this error.
    #[error("another process with this home's key runs as peer '{0}'")]
    Replaced(PeerId),

    // Publications and announcements.
    #[error("the {what} is out of bounds: {number}")]
    OutOfBounds { what: &'static str, number: u64 },
    #[error("the generation of a change must be greater than its base")]
    GenerationNotAboveBase,
    #[error("the directory holds generation {held} of the index, not {base}")]
    WrongBase { held: u64, base: u64 },
    #[error("a newer publication of this peer's index has started")]
    Superseded,
    /// A hash has one kind and one size, and each further claim adds work to every lookup of it.
    #[error("this account claims two sizes or kinds for the hash {0}")]
    TwoClaims(String),
    #[error("no peer shares this file")]
    ContentNotVisible,
    #[error("peer '{0}' has already announced {ANNOUNCEMENTS_MAX} files")]
    TooManyAnnouncements(PeerId),

    // Links and remote fetches.
    #[error("you have {LINKS_MAX} active links")]
    TooManyLinks,
    #[error("you have {LOADS_MAX} unfinished remote downloads")]
    TooManyFetches,
    /// It does not exist, is finished, or belongs to another peer.
    #[error("there is no unfinished remote download {0} on this peer")]
    UnknownFetch(LoadId),

    // All nouns.
    #[error("an account may have at most {most}")]
    Quota {
        most: String,
        advice: &'static str,
        setting: &'static str,
    },
    #[error("the cursor is invalid for this list")]
    InvalidCursor,

    // The database.
    /// A row has an invalid value. The text names its type, for the log.
    #[error("the database is damaged")]
    Damaged(&'static str),
    /// A conflict with another transaction. Nothing was changed, and a retry may succeed.
    #[error("too many concurrent changes to the same data")]
    Conflict,
    #[error("the directory's disk is full: {0} bytes left")]
    NoSpace(u64),
    #[error("the database file was removed or replaced while the directory was running")]
    FileReplaced,
    #[error("the database has stopped")]
    Stopped,
    #[error("a query was aborted")]
    Aborted,
    #[error("the database failed")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the database failed")]
    Postgres(#[from] tokio_postgres::Error),
    #[error("the database cannot be reached")]
    NoConnection(PoolError),
}

impl DbError {
    /// Returns whether nothing was changed and a retry may succeed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Conflict => true,
            // A foreign key violation: a content was deleted after it was found.
            Self::Postgres(error) => matches!(
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

    fn code(&self) -> ErrorCode {
        match self {
            Self::UserTaken(_) => ErrorCode::UserTaken,
            Self::LastAdmin => ErrorCode::LastAdmin,
            Self::InvalidInvite => ErrorCode::InviteInvalid,
            Self::SpaceTaken(_) => ErrorCode::SpaceTaken,
            Self::CallerNotMember(_) => ErrorCode::PermissionDenied,
            Self::UnknownUser(_)
            | Self::UnknownInvite
            | Self::UnknownSession
            | Self::UnknownSpace(_)
            | Self::UserNotMember { .. }
            | Self::UnknownPeer(_)
            | Self::NoSuchPeer(_)
            | Self::ContentNotVisible
            | Self::UnknownFetch(_) => ErrorCode::NotFound,
            Self::OwnedByOtherAccount(_)
            | Self::BelongsToPermanentPeer(_)
            | Self::IdInUse(_)
            | Self::Replaced(_) => ErrorCode::PeerTaken,
            Self::TransientCannotShare(_)
            | Self::OutOfBounds { .. }
            | Self::GenerationNotAboveBase
            | Self::TwoClaims(_)
            | Self::InvalidCursor => ErrorCode::InvalidArgument,
            Self::WrongBase { .. } | Self::Superseded => ErrorCode::GenerationMismatch,
            Self::TooManyAnnouncements(_) | Self::TooManyLinks | Self::TooManyFetches => {
                ErrorCode::TooManyRequests
            }
            Self::Quota { .. } => ErrorCode::Quota,
            Self::NoSpace(_) => ErrorCode::NoSpace,
            Self::Conflict | Self::FileReplaced | Self::NoConnection(_) => ErrorCode::Unavailable,
            Self::Damaged(_)
            | Self::Stopped
            | Self::Aborted
            | Self::Sqlite(_)
            | Self::Postgres(_) => ErrorCode::Internal,
        }
    }

    /// Returns what the user can do. Errors without a hint say so by their message.
    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::UserTaken(_) => "choose another name, or log in if this is your account",
            Self::UnknownUser(_) => "list the users with `convite user list`",
            Self::LastAdmin => {
                "make another user an administrator first: `convite user role NAME admin`"
            }
            Self::InvalidInvite => "ask the person who invited you for a new one",
            Self::UnknownInvite => "list the invites to see their ids",
            Self::UnknownSession => "list the sessions to see their ids",
            Self::UnknownSpace(_) => {
                "list the spaces with `convite space list`, or create this one with `convite space \
                 add`"
            }
            Self::SpaceTaken(_) => "choose another name",
            Self::CallerNotMember(_) => {
                "list your spaces with `convite space list`, or ask an administrator to add you"
            }
            Self::UserNotMember { .. } => "list the members with `convite space member list`",
            Self::UnknownPeer(_) => "register it first; `convite peer` does this when it starts",
            Self::NoSuchPeer(_) => "list the online peers with `convite peers`",
            Self::TransientCannotShare(_) => "register it without `transient`",
            Self::OwnedByOtherAccount(_) => "choose another id with --id",
            Self::BelongsToPermanentPeer(_) => {
                "choose another id for a peer that exists for one download"
            }
            Self::IdInUse(_) => {
                "give this one another id with `--id`, or stop the other one first; a peer that \
                 was killed goes offline within a minute"
            }
            Self::Replaced(_) => {
                "a copy of a home is the same peer; use a new home and run `convite join` there"
            }
            Self::WrongBase { .. } => "publish the whole index",
            Self::Superseded => "publish the whole index, one publication at a time",
            Self::TwoClaims(_) => "publish the true one from each of your peers",
            Self::ContentNotVisible => "announce a file that a search or lookup returned",
            Self::TooManyAnnouncements(_) => "withdraw the files that it no longer downloads",
            Self::TooManyLinks => {
                "wait until some of them expire, or create links that expire sooner"
            }
            Self::TooManyFetches => {
                "wait until some of them finish; list them with `convite load --list`"
            }
            Self::UnknownFetch(_) => "it may have finished, or been moved to another peer",
            Self::InvalidCursor => "omit it to get the first page",
            Self::Conflict => "try again in a few seconds",
            Self::NoSpace(_) => "ask the operator of the directory to free disk space",
            Self::FileReplaced => {
                "stop the directory, restore the file or a backup, and start the directory again"
            }
            Self::NoConnection(_) => {
                "try again in a few seconds; see the directory's log for the cause"
            }
            Self::Damaged(_) | Self::Sqlite(_) | Self::Postgres(_) => {
                "see the directory's log for the cause"
            }
            Self::OutOfBounds { .. }
            | Self::GenerationNotAboveBase
            | Self::Quota { .. }
            | Self::Stopped
            | Self::Aborted => return None,
        })
    }
}

impl From<PoolError> for DbError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::Postgres(error),
            other => Self::NoConnection(other),
        }
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        match &error {
            DbError::Quota {
                advice, setting, ..
            } => {
                return Self::new(error.code(), error.to_string()).hint(format!(
                    "{advice}; the limit is the directory's setting {setting}"
                ));
            }
            DbError::Damaged(what) => {
                tracing::error!(what, "the database contains an invalid value");
            }
            DbError::NoConnection(error) => {
                tracing::error!(%error, "no database connection available");
            }
            DbError::Sqlite(error) => return sqlite(error),
            DbError::Postgres(error) => return postgres(error),
            _ => {}
        }
        let problem = Self::new(error.code(), error.to_string());
        match error.hint() {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

fn failed() -> Problem {
    Problem::new(ErrorCode::Internal, "the database failed")
        .hint("see the directory's log for the cause")
}

fn unreachable_database() -> Problem {
    Problem::new(ErrorCode::Unavailable, "the database cannot be reached")
        .hint("try again in a few seconds; see the directory's log for the cause")
}

/// Logs an SQLite error and returns an error that reveals nothing about it.
///
/// The text of an SQLite error contains at most SQL: values are bound, never inserted into the
/// statement.
pub fn sqlite(error: &rusqlite::Error) -> Problem {
    tracing::error!(%error, "database error");
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => {
            Problem::new(ErrorCode::NoSpace, "the directory's disk is full")
                .hint("ask the operator of the directory to free disk space")
        }
        _ => failed(),
    }
}

/// Logs a PostgreSQL error and returns an error that reveals nothing about it.
///
/// The server's `DETAIL` is not logged, because it contains values.
pub fn postgres(error: &tokio_postgres::Error) -> Problem {
    let Some(said) = error.as_db_error() else {
        // A broken or refused connection, or a failed TLS handshake. None of these messages
        // contains the password.
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::error!(%error, cause, "database connection failed");
        return unreachable_database();
    };
    let (code, message) = (said.code().code(), said.message());
    tracing::error!(code, message, "database error");
    match *said.code() {
        SqlState::DISK_FULL => Problem::new(ErrorCode::NoSpace, "the database's disk is full")
            .hint("ask the operator of the directory to free space on the database's disk"),
        // Shutting down, starting, out of connections, or a timeout.
        SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::TOO_MANY_CONNECTIONS
        | SqlState::QUERY_CANCELED
        | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        | SqlState::READ_ONLY_SQL_TRANSACTION
        | SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED => unreachable_database(),
        _ => failed(),
    }
}

/// Logs a failed migration and returns the error for it.
pub fn migration(error: &refinery::Error) -> Problem {
    tracing::error!(%error, "database migration failed");
    let problem = |message, hint| Problem::new(ErrorCode::Internal, message).hint(hint);
    match error.kind() {
        refinery::error::Kind::DivergentVersion(..) => problem(
            "the database was created by an older version of convite",
            "its tables cannot be migrated: start with a new database, or use the version of \
             convite that created it",
        ),
        refinery::error::Kind::MissingVersion(_) => problem(
            "the database was created by a newer version of convite",
            "use the version of convite that created it, or a newer one",
        ),
        _ => problem(
            "cannot migrate the database tables",
            "see the directory's log for the cause",
        ),
    }
}
