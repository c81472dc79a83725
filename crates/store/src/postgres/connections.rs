//! Pool of connections to the server. Each connection prepares a statement once.
//!
//! Dropping a transaction before its commit closes its connection, so that the pool never contains
//! a connection with an open transaction. The server ends transactions of replicas that stall or
//! disappear, which releases their locks ([`IDLE_IN_TRANSACTION`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use convite_core::{ErrorCode, Problem};
use deadpool_postgres::{Hook, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::address::Address;
use crate::Load;
use crate::error::{DbError, DbResult};

/// Maximum number of connections per replica. Further requests wait. PostgreSQL's default limit is
/// 100 in total.
const CONNECTIONS_MAX: usize = 16;
/// Timeout for getting a connection from the pool, and for opening one.
const WAIT: Duration = Duration::from_secs(10);
/// The server rolls back a transaction whose client is idle for this long.
const IDLE_IN_TRANSACTION: &str = "SET idle_in_transaction_session_timeout = '10s'";
/// Settings of each connection. Every query is written to use an index. Without these settings, a
/// planner that has seen a nearly empty table could keep a sequential plan while a million rows are
/// added.
const SETTINGS: [&str; 8] = [
    IDLE_IN_TRANSACTION,
    "SET statement_timeout = '60s'",
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    // Use each index alone: no full index scans to combine indexes or to materialize rows.
    "SET enable_bitmapscan = off",
    "SET enable_material = off",
    "SET jit = off",
];

/// The connection pool.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Pool,
    work: Arc<Work>,
}

/// Statistics of ended transactions.
#[derive(Default)]
struct Work {
    transactions: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Connections {
    pub(super) fn new(address: &Address) -> Result<Self, Problem> {
        let config = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_config(address.config.clone(), address.tls.clone(), config);
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS_MAX)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(WAIT))
            .runtime(Runtime::Tokio1)
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async move {
                    for setting in SETTINGS {
                        // Compatible servers may not support every setting.
                        if let Err(error) = client.batch_execute(setting).await {
                            tracing::debug!(%error, setting, "the server rejected a setting");
                        }
                    }
                    Ok(())
                })
            }))
            .build()
            .map_err(|error| {
                Problem::new(
                    ErrorCode::Internal,
                    format!("cannot create the connection pool: {error}"),
                )
            })?;
        Ok(Self {
            pool,
            work: Arc::default(),
        })
    }

    /// Returns the load of the pool.
    pub(super) fn load(&self) -> Load {
        let pool = self.pool.status();
        Load {
            queued: pool.waiting as u64,
            transactions: self.work.transactions.load(Ordering::Relaxed),
            transaction_time: Duration::from_nanos(self.work.nanoseconds.load(Ordering::Relaxed)),
            connections: pool.size as u64,
            busy: pool.size.saturating_sub(pool.available) as u64,
        }
    }

    /// Returns a connection in which each statement is a separate transaction.
    pub(super) async fn get(&self) -> DbResult<Connection> {
        Ok(Connection {
            client: self.pool.get().await?,
            changed: Vec::new(),
        })
    }

    /// Begins a transaction: each statement sees what was committed before it, and rows that it
    /// locks do not change.
    pub(super) async fn begin(&self) -> DbResult<Transaction> {
        let mut transaction = Transaction {
            connection: Some(self.get().await?),
            began: Instant::now(),
            work: Arc::clone(&self.work),
        };
        let client = &transaction.db()?.client;
        client
            .batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED")
            .await?;
        Ok(transaction)
    }
}

/// Parameter values of a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection from the pool.
pub struct Connection {
    client: Object,
    /// Contents that the transaction has changed, for the change log.
    pub(super) changed: Vec<i64>,
}

impl Connection {
    pub(super) async fn rows(&self, sql: &str, values: Values<'_>) -> DbResult<Vec<Row>> {
        let statement = self.client.prepare_cached(sql).await?;
        Ok(self.client.query(&statement, values).await?)
    }

    /// Returns the only row, if there is one.
    pub(super) async fn row(&self, sql: &str, values: Values<'_>) -> DbResult<Option<Row>> {
        let statement = self.client.prepare_cached(sql).await?;
        Ok(self.client.query_opt(&statement, values).await?)
    }

    /// Returns the only row of a query that always returns one.
    pub(super) async fn one(&self, sql: &str, values: Values<'_>) -> DbResult<Row> {
        let statement = self.client.prepare_cached(sql).await?;
        Ok(self.client.query_one(&statement, values).await?)
    }

    /// Returns the number of changed rows.
    pub(super) async fn execute(&self, sql: &str, values: Values<'_>) -> DbResult<u64> {
        let statement = self.client.prepare_cached(sql).await?;
        Ok(self.client.execute(&statement, values).await?)
    }
}

/// An open transaction. Dropping it closes its connection, which rolls it back.
pub(super) struct Transaction {
    /// `None` after the end of the transaction.
    connection: Option<Connection>,
    began: Instant,
    work: Arc<Work>,
}

impl Transaction {
    /// Returns the connection for its statements.
    pub(super) fn db(&mut self) -> DbResult<&mut Connection> {
        self.connection.as_mut().ok_or(DbError::Conflict)
    }

    /// Commits the transaction.
    pub(super) async fn commit(mut self) -> DbResult<()> {
        self.db()?.client.batch_execute("COMMIT").await?;
        // Returns the connection to the pool.
        drop(self.connection.take());
        Ok(())
    }

    /// Runs a last statement and commits. Both are sent at once, so that the server releases the
    /// statement's locks even if this replica is slow or dies.
    pub(super) async fn commit_with(mut self, sql: &str, values: Values<'_>) -> DbResult<()> {
        let client = &self.db()?.client;
        let statement = client.prepare_cached(sql).await?;
        // If the statement fails, the server treats COMMIT as ROLLBACK.
        let (done, committed) = tokio::join!(
            biased;
            client.execute(&statement, values),
            client.batch_execute("COMMIT"),
        );
        done?;
        committed?;
        drop(self.connection.take());
        Ok(())
    }

    /// Rolls the transaction back and returns the connection to the pool.
    pub(super) async fn roll_back(mut self) {
        let Ok(db) = self.db() else {
            return;
        };
        if db.client.batch_execute("ROLLBACK").await.is_ok() {
            drop(self.connection.take());
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let took = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.work.nanoseconds.fetch_add(took, Ordering::Relaxed);
        self.work.transactions.fetch_add(1, Ordering::Relaxed);
        if let Some(connection) = self.connection.take() {
            // Taken from the pool: closing the connection rolls the transaction back.
            drop(Object::take(connection.client));
        }
    }
}
