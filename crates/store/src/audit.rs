//! The audit log: who did what, when, to whom, and what was refused.

use std::net::IpAddr;

use async_trait::async_trait;
use convite_core::administration::{Act, AuditRecord, Outcome};
use convite_core::model::Page;
use convite_core::{Problem, UnixMillis, UserName};

/// What the log is to remember.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: UnixMillis,
    /// Who; none if that is not known, or for the directory itself.
    pub actor: Option<UserName>,
    /// What.
    pub action: Act,
    /// On whom or what; never a secret.
    pub target: String,
    /// From where.
    pub address: Option<IpAddr>,
    /// How it ended.
    pub outcome: Outcome,
}

/// For how long what failed or was refused is added up in one line, in milliseconds: an hour.
pub const AUDIT_WINDOW: i64 = 60 * 60 * 1000;

/// The most lines of what failed or was refused in that time; what is beyond is added up in one
/// line for each act, without actor, target and address.
pub const AUDIT_LINES_MAX: u64 = 1000;

/// The audit log.
///
/// Every method is one transaction. Errors are `internal` for a failing database, and what each
/// method names. The methods that administer take an entry too, and write it in their transaction.
#[async_trait]
pub trait Audit: Send + Sync + 'static {
    /// Remembers what was done. What failed or was refused is added to a line of the last
    /// [`AUDIT_WINDOW`] that is otherwise equal, and takes no more than [`AUDIT_LINES_MAX`] lines in
    /// that time: whoever is refused cannot fill the disk.
    async fn record(&self, entry: &AuditEntry) -> Result<(), Problem>;

    /// The log, newest first. `cursor` is what the page before returned.
    ///
    /// # Errors
    /// `invalid_argument` for a cursor that no page returned.
    async fn audit(&self, limit: u32, cursor: Option<&str>) -> Result<Page<AuditRecord>, Problem>;
}
