//! The interface of [`crate::database`] for SQLite.
//!
//! A statement is run before its future is returned, so an operation never waits, and
//! [`run_to_end`] runs it like a function.

use std::future::ready;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use convite_core::model::{IndexEntry, Page};
use convite_core::{ContentHash, PeerId, Problem, SpaceName, UnixMillis};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection};

use super::disk::Adds;
use super::{SqliteStore, changes, listing, partials, publication};
use crate::database::{Access, Backend, Database, FileChange, Lock, Running};
use crate::error::{DbError, DbResult};
use crate::rows::{Parameter, Parameters, Row, Value};
use crate::{AccountId, ListedPeer, Load, PeerKey, Quotas, Tally, Viewer};

/// Names of the parameters. No statement has more.
const PARAMETERS: [&str; 12] = [
    "$1", "$2", "$3", "$4", "$5", "$6", "$7", "$8", "$9", "$10", "$11", "$12",
];

/// Runs an operation to its end on this thread.
pub(super) fn run_to_end<T>(operation: impl Future<Output = DbResult<T>>) -> DbResult<T> {
    match pin!(operation).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        // Not reached: an operation waits for nothing but its statements.
        Poll::Pending => Err(DbError::Aborted),
    }
}

impl rusqlite::ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// Reads a row.
fn row_from(row: &rusqlite::Row<'_>, columns: usize) -> DbResult<Row> {
    let value = |column| {
        Ok(match row.get_ref(column)? {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Integer(number),
            ValueRef::Real(_) => return Err(DbError::Damaged("a column")),
            ValueRef::Text(text) => {
                let text = std::str::from_utf8(text).map_err(|_| DbError::Damaged("a text"))?;
                Value::Text(text.to_owned())
            }
            ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
        })
    };
    let values = (0..columns).map(value).collect::<DbResult<_>>()?;
    Ok(Row::new(values))
}

/// Prepares a statement and binds its parameters.
fn prepared<'a>(
    db: &'a Connection,
    sql: &str,
    parameters: Parameters<'_>,
) -> DbResult<CachedStatement<'a>> {
    let mut statement = db.prepare_cached(sql)?;
    for (name, parameter) in PARAMETERS.iter().zip(parameters) {
        // SQLite numbers `$1` and so on in the order in which they occur.
        if let Some(index) = statement.parameter_index(name)? {
            statement.raw_bind_parameter(index, parameter.to_parameter())?;
        }
    }
    Ok(statement)
}

fn execute(db: &Connection, sql: &str, parameters: Parameters<'_>) -> DbResult<u64> {
    Ok(prepared(db, sql, parameters)?.raw_execute()? as u64)
}

fn rows(db: &Connection, sql: &str, parameters: Parameters<'_>) -> DbResult<Vec<Row>> {
    let mut statement = prepared(db, sql, parameters)?;
    let columns = statement.column_count();
    let mut found = statement.raw_query();
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        rows.push(row_from(row, columns)?);
    }
    Ok(rows)
}

impl Database for Connection {
    fn execute(
        &mut self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> impl Future<Output = DbResult<u64>> + Send {
        ready(execute(self, sql, parameters))
    }

    fn rows(
        &mut self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> impl Future<Output = DbResult<Vec<Row>>> + Send {
        ready(rows(self, sql, parameters))
    }

    fn lock(
        &mut self,
        sql: &str,
        parameters: Parameters<'_>,
        _lock: Lock,
    ) -> impl Future<Output = DbResult<Vec<Row>>> + Send {
        ready(rows(self, sql, parameters))
    }

    async fn lock_founding(&mut self) -> DbResult<()> {
        Ok(())
    }

    fn last_change(&mut self) -> impl Future<Output = DbResult<i64>> + Send {
        ready(changes::last(self))
    }

    fn path_key(path: &str) -> String {
        path.to_owned()
    }

    fn change_files(
        &mut self,
        change: &FileChange<'_>,
    ) -> impl Future<Output = DbResult<Tally>> + Send {
        ready(publication::change_files(self, change))
    }

    fn index(
        &mut self,
        viewer: &Viewer,
        peer: Option<&PeerId>,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> impl Future<Output = DbResult<Page<IndexEntry>>> + Send {
        ready(listing::index(self, viewer, peer, limit, cursor, now))
    }

    fn peers(
        &mut self,
        viewer: &Viewer,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> impl Future<Output = DbResult<Page<ListedPeer>>> + Send {
        ready(listing::peers(self, viewer, limit, cursor, now))
    }

    fn listed_peer(
        &mut self,
        viewer: &Viewer,
        peer: &PeerId,
        now: UnixMillis,
    ) -> impl Future<Output = DbResult<Option<ListedPeer>>> + Send {
        ready(listing::peer(self, viewer, peer, now))
    }

    fn can_see(
        &mut self,
        viewer: &Viewer,
        hash: &ContentHash,
    ) -> impl Future<Output = DbResult<bool>> + Send {
        ready(partials::sees(self, viewer, hash))
    }

    fn put_announcement(
        &mut self,
        peer: PeerKey,
        account: AccountId,
        hash: &ContentHash,
        size: i64,
    ) -> impl Future<Output = DbResult<()>> + Send {
        ready(partials::put(self, peer, account, hash, size))
    }

    fn audience(
        &mut self,
        peer: PeerKey,
        hash: &ContentHash,
    ) -> impl Future<Output = DbResult<Vec<SpaceName>>> + Send {
        ready(partials::audience(self, peer, hash))
    }

    fn delete_unseen_announcements(
        &mut self,
        account: Option<AccountId>,
    ) -> impl Future<Output = DbResult<()>> + Send {
        ready(partials::delete_unseen(self, account))
    }

    async fn correct_own_times(&mut self, _now: UnixMillis, _limit: i64) -> DbResult<()> {
        Ok(())
    }

    async fn sweep_own_tables(&mut self) -> DbResult<()> {
        Ok(())
    }

    /// Writes the time into the file header, into a field that SQLite leaves to applications and
    /// that this one does not use otherwise. (An update that does not change a row would write
    /// nothing.)
    fn check_writable(&mut self, now: UnixMillis) -> impl Future<Output = DbResult<()>> + Send {
        let version = now.0 / 1000 % i64::from(i32::MAX);
        let written = self.pragma_update(None, "user_version", version);
        ready(written.map_err(DbError::from))
    }
}

impl Backend for SqliteStore {
    type Connection = Connection;

    fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    async fn run<I, T, F>(&self, access: Access, input: I, operation: F) -> Result<T, Problem>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'a> Fn(&'a mut Connection, &'a I) -> Running<'a, T> + Send + Sync + 'static,
    {
        let operation = move |db: &mut Connection| run_to_end(operation(db, &input));
        match access {
            Access::Read => self.readers.read(operation),
            Access::LongRead => self.readers.read_long(operation).await,
            Access::Write => self.writer.write(operation).await,
            Access::WriteFiles => self.writer.write_files(Adds::Much, operation).await,
            Access::WriteAlways => self.writer.write_always(operation).await,
            Access::WriteUnsynced => self.writer.write_unsynced(operation).await,
        }
    }

    fn database_load(&self) -> Load {
        let (open, busy) = self.readers.in_use();
        let written = self.writer.written();
        Load {
            // The write connection is always open.
            connections: open + 1,
            busy: busy + u64::from(written.is_writing),
            queued: written.queued,
            transactions: written.transactions,
            transaction_time: written.time,
        }
    }
}
