//! Upkeep: forgetting what has run out, and counting what is there.

use std::time::Duration;

use async_trait::async_trait;
use convite_core::{Problem, UnixMillis};

/// The most lines of the audit log that are kept.
pub const AUDIT_MAX: u64 = 100_000;

/// For how long lines of the audit log are kept, in milliseconds: 400 days.
pub const AUDIT_KEPT: i64 = 400 * 24 * 60 * 60 * 1000;

/// What is counted of a directory, whoever may see it: for those who run it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Accounts that are not disabled.
    pub accounts: u64,
    /// Peers online, without transient ones.
    pub peers: u64,
    /// Files of peers, online or not.
    pub files: u64,
    /// Sessions that have not ended.
    pub sessions: u64,
}

/// How busy the database is, seen from this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Changes that wait for their turn to be written.
    pub queued: u64,
    /// Transactions that changed something, or tried to, since the start.
    pub transactions: u64,
    /// The time that they took together, commits included.
    pub transaction_time: Duration,
    /// Connections that are open.
    pub connections: u64,
    /// Those of them that are in use.
    pub busy: u64,
}

/// The whole of the tables.
///
/// Every method is one transaction unless it says otherwise. Errors are `internal` for a failing
/// database, and what each method names.
#[async_trait]
pub trait Upkeep: Send + Sync + 'static {
    /// Forgets what has run out (transient peers and links at once; sessions, invites, announcements and loads a
    /// day after they ended) and all but the last `keep_changes` entries of the change log and the last [`AUDIT_MAX`]
    /// lines of the audit log, of these also what is older than [`AUDIT_KEPT`].
    async fn sweep(&self, keep_changes: u64, now: UnixMillis) -> Result<(), Problem>;

    /// Takes out, in many short transactions, the files that nobody may see any more since a member, a
    /// space or a peer was removed. Stopped on the way, it leaves the rest to the next that comes;
    /// [`Self::sweep`] is one.
    async fn finish_removals(&self) -> Result<(), Problem>;

    /// Counts for status pages, without going through all files.
    async fn totals(&self, now: UnixMillis) -> Result<Totals, Problem>;

    /// Writes something of no meaning and waits until it is on disk: proves that changes can be
    /// made just now.
    ///
    /// # Errors
    /// What a change would fail with.
    async fn check_writable(&self, now: UnixMillis) -> Result<(), Problem>;

    /// How busy the database is. Asks nothing of it.
    fn load(&self) -> Load;
}

/// For how long what has run out is remembered, in milliseconds: a day.
pub(crate) const REMEMBERED: i64 = 24 * 60 * 60 * 1000;
