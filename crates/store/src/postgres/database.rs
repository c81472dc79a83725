//! The interface of [`crate::database`] for PostgreSQL.

use std::error::Error;

use convite_core::model::{IndexEntry, Page};
use convite_core::{ContentHash, PeerId, Problem, SpaceName, UnixMillis};
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::connections::Connection;
use super::{PostgresStore, changes, listing, orphans, partials, paths, publication, transaction};
use crate::database::{Access, Backend, Database, FileChange, Lock, Running};
use crate::error::DbResult;
use crate::rows::{Parameter, Parameters, Row, Value};
use crate::{AccountId, ListedPeer, Load, PeerKey, Quotas, Tally, Viewer};

impl ToSql for Parameter<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (*self, ty) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Integer(number), &Type::BOOL) => (number != 0).to_sql(ty, out),
            (Self::Integer(number), &Type::INT8) => number.to_sql(ty, out),
            (Self::Text(text), &Type::TEXT) => text.to_sql(ty, out),
            (Self::Bytes(bytes), &Type::BYTEA) => bytes.to_sql(ty, out),
            (parameter, ty) => Err(format!("{parameter:?} is no {ty}").into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::BOOL | Type::INT8 | Type::TEXT | Type::BYTEA)
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(match *ty {
            Type::BOOL => Self::Integer(bool::from_sql(ty, raw)?.into()),
            // The type of a number in a statement, such as `SELECT 1`.
            Type::INT4 => Self::Integer(i32::from_sql(ty, raw)?.into()),
            Type::INT8 => Self::Integer(i64::from_sql(ty, raw)?),
            Type::BYTEA => Self::Bytes(raw.to_vec()),
            _ => Self::Text(String::from_sql(ty, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(
            *ty,
            Type::BOOL | Type::INT4 | Type::INT8 | Type::TEXT | Type::BYTEA
        )
    }
}

fn values<'a>(parameters: Parameters<'a>) -> Vec<Parameter<'a>> {
    parameters
        .iter()
        .map(|value| value.to_parameter())
        .collect()
}

fn references<'a>(values: &'a [Parameter<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values.iter().map(|value| value as _).collect()
}

fn row_from(row: &tokio_postgres::Row) -> DbResult<Row> {
    let values = (0..row.len()).map(|column| row.try_get(column));
    Ok(Row::new(values.collect::<Result<_, _>>()?))
}

impl Database for Connection {
    async fn execute(&mut self, sql: &str, parameters: Parameters<'_>) -> DbResult<u64> {
        let values = values(parameters);
        Self::execute(self, sql, &references(&values)).await
    }

    async fn rows(&mut self, sql: &str, parameters: Parameters<'_>) -> DbResult<Vec<Row>> {
        let values = values(parameters);
        let rows = Self::rows(self, sql, &references(&values)).await?;
        rows.iter().map(row_from).collect()
    }

    async fn lock(
        &mut self,
        sql: &str,
        parameters: Parameters<'_>,
        lock: Lock,
    ) -> DbResult<Vec<Row>> {
        let clause = match lock {
            Lock::Share => "FOR SHARE",
            Lock::NoKeyUpdate => "FOR NO KEY UPDATE",
            Lock::Update => "FOR UPDATE",
        };
        Database::rows(self, &format!("{sql} {clause}"), parameters).await
    }

    async fn lock_founding(&mut self) -> DbResult<()> {
        self.one("SELECT position FROM change_log FOR UPDATE", &[])
            .await?;
        Ok(())
    }

    async fn last_change(&mut self) -> DbResult<i64> {
        changes::last(self).await
    }

    fn path_key(path: &str) -> String {
        paths::key(path).into_owned()
    }

    async fn change_files(&mut self, change: &FileChange<'_>) -> DbResult<Tally> {
        let (tally, changed) = publication::change_files(self, change).await?;
        self.changed.extend(changed);
        Ok(tally)
    }

    async fn index(
        &mut self,
        viewer: &Viewer,
        peer: Option<&PeerId>,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> DbResult<Page<IndexEntry>> {
        listing::index(self, viewer, peer, limit, cursor, now).await
    }

    async fn peers(
        &mut self,
        viewer: &Viewer,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> DbResult<Page<ListedPeer>> {
        listing::peers(self, viewer, limit, cursor, now).await
    }

    async fn listed_peer(
        &mut self,
        viewer: &Viewer,
        peer: &PeerId,
        now: UnixMillis,
    ) -> DbResult<Option<ListedPeer>> {
        listing::peer(self, viewer, peer, now).await
    }

    async fn can_see(&mut self, viewer: &Viewer, hash: &ContentHash) -> DbResult<bool> {
        partials::sees(self, viewer, hash).await
    }

    async fn put_announcement(
        &mut self,
        peer: PeerKey,
        account: AccountId,
        hash: &ContentHash,
        size: i64,
    ) -> DbResult<()> {
        partials::put(self, peer, account, hash, size).await
    }

    async fn audience(&mut self, peer: PeerKey, hash: &ContentHash) -> DbResult<Vec<SpaceName>> {
        partials::audience(self, peer, hash).await
    }

    async fn delete_unseen_announcements(&mut self, account: Option<AccountId>) -> DbResult<()> {
        partials::delete_unseen(self, account).await
    }

    async fn correct_own_times(&mut self, now: UnixMillis, limit: i64) -> DbResult<()> {
        let sql = "UPDATE replicas SET lease = $1 WHERE lease > $2";
        Self::execute(self, sql, &[&now.0, &limit]).await?;
        Ok(())
    }

    async fn sweep_own_tables(&mut self) -> DbResult<()> {
        orphans::sweep(self).await
    }

    /// Writes to a row. A read-only server, such as a standby, rejects this even if no row matches.
    async fn check_writable(&mut self, _now: UnixMillis) -> DbResult<()> {
        let sql = "UPDATE accounts SET disabled = disabled
                   WHERE id = (SELECT min(id) FROM accounts)";
        Self::execute(self, sql, &[]).await?;
        Ok(())
    }
}

impl Backend for PostgresStore {
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
        match access {
            // A single statement is a transaction.
            Access::Read | Access::LongRead | Access::WriteUnsynced => {
                let mut db = self.connections.get().await?;
                Ok(operation(&mut db, &input).await?)
            }
            Access::Write | Access::WriteFiles | Access::WriteAlways => {
                transaction!(self, db => operation(db, &input))
            }
        }
    }

    fn database_load(&self) -> Load {
        self.connections.load()
    }
}
