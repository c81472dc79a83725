//! Connections to the server: lent out of a pool, each with its statements prepared once.
//!
//! A transaction that is dropped before its commit closes its connection, so that none goes back
//! into the pool half done. What a replica that stalls or vanishes holds locked is let go by the
//! server, which ends transactions that wait for their client ([`IDLE_IN_TRANSACTION`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use convite_core::{ErrorCode, Problem};
use deadpool_postgres::{Hook, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::address::Address;
use super::failure::{Failure, Outcome};
use crate::Load;

/// Connections of one replica; whoever needs one more waits. PostgreSQL allows 100 in all unless told
/// otherwise.
const CONNECTIONS_MAX: usize = 16;
/// How long to wait for a connection in the pool, and for a new one.
const WAIT: Duration = Duration::from_secs(10);
/// After this long a transaction whose client says nothing is undone.
const IDLE_IN_TRANSACTION: &str = "SET idle_in_transaction_session_timeout = '10s'";
/// How each connection is set up. Every query here goes by an index, as it was written; a planner
/// that has seen a table nearly empty, and keeps that plan while a million rows come in, must not
/// think otherwise.
const SETTINGS: [&str; 6] = [
    IDLE_IN_TRANSACTION,
    "SET statement_timeout = '60s'",
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    "SET jit = off",
];

/// Lends out connections.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Pool,
    work: Arc<Work>,
}

/// The transactions that have ended.
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
                        // What speaks the protocol need not know every setting.
                        if let Err(error) = client.batch_execute(setting).await {
                            tracing::debug!(%error, setting, "a setting was not taken");
                        }
                    }
                    Ok(())
                })
            }))
            .build()
            .map_err(|error| {
                Problem::new(
                    ErrorCode::Internal,
                    format!("no pool of connections: {error}"),
                )
            })?;
        Ok(Self {
            pool,
            work: Arc::default(),
        })
    }

    /// How busy they are.
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

    /// A connection on which each statement is a transaction of its own.
    pub(super) async fn get(&self) -> Outcome<Connection> {
        Ok(Connection {
            client: self.pool.get().await?,
        })
    }

    /// A connection with a transaction begun: each statement sees what others have committed by its
    /// start, and rows that it locks stay as they are.
    pub(super) async fn begin(&self) -> Outcome<Transaction> {
        let transaction = Transaction {
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

/// The values of a statement's parameters.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A connection out of the pool.
pub(super) struct Connection {
    client: Object,
}

impl Connection {
    pub(super) async fn rows(&self, sql: &str, values: Values<'_>) -> Outcome<Vec<Row>> {
        let statement = self.client.prepare_cached(sql).await?;
        Ok(self.client.query(&statement, values).await?)
    }

    /// The only row, if there is one.
    pub(super) async fn row(&self, sql: &str, values: Values<'_>) -> Outcome<Option<Row>> {
        let statement = self.client.prepare_cached(sql).await?;
        Ok(self.client.query_opt(&statement, values).await?)
    }

    /// The one row that there always is.
    pub(super) async fn one(&self, sql: &str, values: Values<'_>) -> Outcome<Row> {
        let statement = self.client.prepare_cached(sql).await?;
        Ok(self.client.query_one(&statement, values).await?)
    }

    /// Returns how many rows it changed.
    pub(super) async fn execute(&self, sql: &str, values: Values<'_>) -> Outcome<u64> {
        let statement = self.client.prepare_cached(sql).await?;
        Ok(self.client.execute(&statement, values).await?)
    }
}

/// A transaction under way. Dropped before its end it closes its connection, and is undone.
pub(super) struct Transaction {
    /// None once it has ended.
    connection: Option<Connection>,
    began: Instant,
    work: Arc<Work>,
}

impl Transaction {
    /// What its statements run on.
    pub(super) fn db(&self) -> Outcome<&Connection> {
        self.connection.as_ref().ok_or(Failure::Overtaken)
    }

    /// Keeps what was changed.
    pub(super) async fn commit(mut self) -> Outcome<()> {
        self.db()?.client.batch_execute("COMMIT").await?;
        // Back into the pool.
        drop(self.connection.take());
        Ok(())
    }

    /// Runs a last statement and commits, both sent at once: what the statement locks is let go
    /// however slow, or dead, this replica is.
    pub(super) async fn commit_with(mut self, sql: &str, values: Values<'_>) -> Outcome<()> {
        let client = &self.db()?.client;
        let statement = client.prepare_cached(sql).await?;
        // If the statement fails, the server takes COMMIT for ROLLBACK.
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

    /// Undoes what was changed, and keeps the connection.
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
            // Out of the pool: closing it undoes the transaction.
            drop(Object::take(connection.client));
        }
    }
}
