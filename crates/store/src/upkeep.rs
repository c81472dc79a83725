//! Maintenance: deletion of expired rows, and counts.

use std::time::Duration;

use async_trait::async_trait;
use convite_core::{Problem, UnixMillis};

/// Counts over the whole directory, regardless of visibility, for its operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Accounts that are not disabled.
    pub accounts: u64,
    /// Online peers, without transient ones.
    pub peers: u64,
    /// Files of all peers, online or not.
    pub files: u64,
    /// Sessions that have not ended.
    pub sessions: u64,
}

/// Load of the database, as this process sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Changes that wait to be written.
    pub queued: u64,
    /// Write transactions since the start, including failed ones.
    pub transactions: u64,
    /// Total time of these transactions, including commits.
    pub transaction_time: Duration,
    /// Open connections.
    pub connections: u64,
    /// Connections in use.
    pub busy: u64,
}

/// Maintenance of all tables.
///
/// Each method is one transaction unless stated otherwise. All methods return `internal` if the
/// database fails; further errors are listed per method.
#[async_trait]
pub trait Upkeep: Send + Sync + 'static {
    /// Deletes expired rows: transient peers and links at once; sessions, invites, announcements
    /// and remote fetches a day after their end. Also deletes all but the last `keep_changes`
    /// entries of the change log, and the lines of the audit log beyond `AUDIT_MAX` or older than
    /// `AUDIT_KEPT`.
    async fn sweep(&self, keep_changes: u64, now: UnixMillis) -> Result<(), Problem>;

    /// Deletes, in many short transactions, the files that nobody can see any more because a
    /// member, a space or a peer was removed. If it is interrupted, the next call deletes the rest;
    /// [`Self::sweep`] calls it too.
    async fn finish_removals(&self) -> Result<(), Problem>;

    /// Returns the time that the last [`Self::sweep`] was given.
    async fn last_sweep(&self) -> Result<Option<UnixMillis>, Problem>;

    /// Corrects times that were recorded while the clock was wrong. Leases and reports more than a
    /// day in the future end now; peers that are online renew their leases. What would have been
    /// deleted by the last [`Self::sweep`] was recorded after it with a clock that was behind, and
    /// is treated as created now; [`Self::sweep`] does this too.
    async fn mend_times(&self, now: UnixMillis) -> Result<(), Problem>;

    /// Returns the value stored under `name`.
    async fn mark(&self, name: &str) -> Result<Option<Vec<u8>>, Problem>;

    /// Stores a value under `name` and replaces the previous one.
    async fn set_mark(&self, name: &str, value: &[u8]) -> Result<(), Problem>;

    /// Returns counts for status pages. Does not scan all files.
    async fn totals(&self, now: UnixMillis) -> Result<Totals, Problem>;

    /// Writes a marker and waits until it is on disk, to prove that the database accepts changes.
    ///
    /// # Errors
    /// Returns the error that a change would return.
    async fn check_writable(&self, now: UnixMillis) -> Result<(), Problem>;

    /// Returns the load of the database. Runs no query.
    fn load(&self) -> Load;
}

/// Name under which the time of the last sweep is stored.
pub(crate) const SWEPT: &str = "swept";

/// Parses a stored time.
pub(crate) fn time_from(noted: &[u8]) -> Option<UnixMillis> {
    let text = std::str::from_utf8(noted).ok()?;
    text.parse().ok().map(UnixMillis)
}

/// Time for which expired rows are kept, in milliseconds: a day.
pub(crate) const REMEMBERED: i64 = 24 * 60 * 60 * 1000;
