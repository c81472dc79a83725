//! The interface of a database, over which most operations are written once.
//!
//! Statements have one text for both databases. Its parameters are `$1`, `$2` and so on. Joins are
//! scalar subqueries (`(SELECT name FROM accounts WHERE id = s.account)`), because both databases
//! run these as a lookup by the key, whatever their planners assume about the tables.
//!
//! The operations are asynchronous. A statement of SQLite never waits for anything but the disk, so
//! its futures are ready when they are first polled, and `sqlite` runs an operation to its end on
//! the thread that owns the connection.

use std::pin::Pin;

use convite_core::model::{FileEntry, IndexEntry, Page};
use convite_core::{ContentHash, PeerId, Problem, SpaceName, UnixMillis};

use crate::error::{DbError, DbResult};
use crate::rows::{Column, Parameters, Row};
use crate::{AccountId, ListedPeer, Load, PeerKey, Quotas, Tally, Viewer};

/// How a transaction accesses the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads a few rows. SQLite does this on the calling thread.
    Read,
    /// Reads many rows.
    LongRead,
    /// Writes. Refused while SQLite's disk is full.
    Write,
    /// Writes very many rows. Refused while less of SQLite's disk is free than is reserved.
    WriteFiles,
    /// Writes almost nothing, or deletes. Accepted on a full disk.
    WriteAlways,
    /// Like `WriteAlways`, with a single statement, and a power failure may undo it. For changes
    /// that are repeated anyway, such as lease renewals.
    WriteUnsynced,
}

/// A running operation.
pub type Running<'a, T> = Pin<Box<dyn Future<Output = DbResult<T>> + Send + 'a>>;

/// A store: runs operations as transactions.
pub trait Backend: Send + Sync + 'static {
    type Connection: Database;

    fn quotas(&self) -> &Quotas;

    /// Runs an operation as one transaction, which a failure rolls back. PostgreSQL repeats an
    /// operation that conflicts with others, so it must have no effect outside of the database.
    /// `input` is what the operation needs beside the connection.
    fn run<I, T, F>(
        &self,
        access: Access,
        input: I,
        operation: F,
    ) -> impl Future<Output = Result<T, Problem>> + Send
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'a> Fn(&'a mut Self::Connection, &'a I) -> Running<'a, T> + Send + Sync + 'static;

    /// Returns the load of the database.
    fn database_load(&self) -> Load;
}

/// A change to the files of a peer.
pub struct FileChange<'a> {
    pub peer: PeerKey,
    /// The newest full publication of the peer.
    pub attempt: i64,
    /// Path keys of the files to remove.
    pub remove: &'a [String],
    /// Files to store, sorted by path without duplicates.
    pub upsert: &'a [FileEntry],
    /// The change is part of a full publication. Until that ends, other files of the peer may be
    /// outdated.
    pub is_full: bool,
    pub quotas: &'a Quotas,
}

impl FileChange<'_> {
    /// Returns the attempt to which a file of the peer must belong to count for its account.
    pub fn counted_attempt(&self) -> Option<i64> {
        self.is_full.then_some(self.attempt)
    }
}

/// Strength of a row lock in PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// Other transactions cannot change the rows.
    Share,
    /// Other transactions can neither change nor lock the rows, but can refer to them.
    NoKeyUpdate,
    /// Other transactions cannot use the rows at all.
    Update,
}

/// A connection.
pub trait Database: Send + Sized + 'static {
    /// Returns the number of changed rows.
    fn execute(
        &mut self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> impl Future<Output = DbResult<u64>> + Send;

    /// Returns all rows.
    fn rows(
        &mut self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> impl Future<Output = DbResult<Vec<Row>>> + Send;

    /// Returns the rows of a `SELECT`, and locks them until the transaction ends. SQLite has only
    /// one writer at a time and needs no locks.
    fn lock(
        &mut self,
        sql: &str,
        parameters: Parameters<'_>,
        lock: Lock,
    ) -> impl Future<Output = DbResult<Vec<Row>>> + Send;

    /// Returns the first row, if there is one.
    fn row(
        &mut self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> impl Future<Output = DbResult<Option<Row>>> + Send {
        async move { Ok(self.rows(sql, parameters).await?.into_iter().next()) }
    }

    /// Returns the first column of the first row, if there is one.
    fn value<T: Column>(
        &mut self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> impl Future<Output = DbResult<Option<T>>> + Send {
        async move {
            let row = self.row(sql, parameters).await?;
            row.map(|row| row.get(0)).transpose()
        }
    }

    /// Returns the only column of a row that always exists, such as a count.
    fn count<T: Column + Send>(
        &mut self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> impl Future<Output = DbResult<T>> + Send {
        async move {
            let value = self.value(sql, parameters).await?;
            value.ok_or(DbError::Damaged(T::NAME))
        }
    }

    // Statements that differ between the databases.

    /// Waits for other transactions that have called this, until they end.
    fn lock_founding(&mut self) -> impl Future<Output = DbResult<()>> + Send;

    /// Returns the position of the last entry of the change log.
    fn last_change(&mut self) -> impl Future<Output = DbResult<i64>> + Send;

    /// Returns the value of the column `path` of `files` for a path.
    fn path_key(path: &str) -> String;

    /// Changes files, deletes contents without files, and logs the changed contents. Checks the
    /// sizes and the quota of the account.
    fn change_files(
        &mut self,
        change: &FileChange<'_>,
    ) -> impl Future<Output = DbResult<Tally>> + Send;

    /// Lists the files of online peers, as [`Files::index`](crate::Files::index) does.
    fn index(
        &mut self,
        viewer: &Viewer,
        peer: Option<&PeerId>,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> impl Future<Output = DbResult<Page<IndexEntry>>> + Send;

    /// Lists the online peers, as [`Peers::peers`](crate::Peers::peers) does.
    fn peers(
        &mut self,
        viewer: &Viewer,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> impl Future<Output = DbResult<Page<ListedPeer>>> + Send;

    /// Returns one of these peers.
    fn listed_peer(
        &mut self,
        viewer: &Viewer,
        peer: &PeerId,
        now: UnixMillis,
    ) -> impl Future<Output = DbResult<Option<ListedPeer>>> + Send;

    /// Returns whether `viewer` can see any file of a content, on an online or offline peer.
    fn can_see(
        &mut self,
        viewer: &Viewer,
        hash: &ContentHash,
    ) -> impl Future<Output = DbResult<bool>> + Send;

    /// Stores an announcement of a peer, with the spaces in which its account can see the content.
    fn put_announcement(
        &mut self,
        peer: PeerKey,
        account: AccountId,
        hash: &ContentHash,
        size: i64,
    ) -> impl Future<Output = DbResult<()>> + Send;

    /// Returns the spaces stored with an announcement, by name.
    fn audience(
        &mut self,
        peer: PeerKey,
        hash: &ContentHash,
    ) -> impl Future<Output = DbResult<Vec<SpaceName>>> + Send;

    /// Deletes announcements of an account's peers (or of all peers) for contents of which the
    /// account can no longer see a file.
    fn delete_unseen_announcements(
        &mut self,
        account: Option<AccountId>,
    ) -> impl Future<Output = DbResult<()>> + Send;

    /// Corrects times that are after `limit` in tables that only this database has.
    fn correct_own_times(
        &mut self,
        now: UnixMillis,
        limit: i64,
    ) -> impl Future<Output = DbResult<()>> + Send;

    /// Deletes expired rows from tables that only this database has.
    fn sweep_own_tables(&mut self) -> impl Future<Output = DbResult<()>> + Send;

    /// Writes a marker, to prove that the database accepts changes.
    fn check_writable(&mut self, now: UnixMillis) -> impl Future<Output = DbResult<()>> + Send;
}
