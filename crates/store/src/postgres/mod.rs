//! Store on PostgreSQL or a compatible server. Several directories (replicas) can share one
//! database.
//!
//! All queries use a pool of connections (`connections`); the process keeps no state. Row locks
//! serialize conflicting transactions: on a peer while its files change, on a content that may be
//! deleted, and on the single row that numbers the changes (`changes`). A transaction that loses a
//! conflict is retried. `database` implements the interface for the operations that are written
//! once. The operations on files and contents (`publication`, `query`, `changes`, `listing`) have
//! statements of their own.

mod address;
mod changes;
mod connections;
mod database;
mod listing;
mod messenger;
mod migrations;
mod named;
mod orphans;
mod partials;
mod paths;
mod publication;
mod query;
mod replicas;
mod shared;
mod sizes;
mod spaces;
mod tls;

use std::time::Duration;

use convite_core::Problem;

use crate::error::DbError;
use crate::{Quotas, Settings};
use address::Address;
use connections::Connections;
use messenger::Messenger;

/// Environment variable with the database password, as in other PostgreSQL clients.
const PASSWORD: &str = "PGPASSWORD";
/// Maximum number of attempts for a transaction that conflicts with others.
const TRIES: u32 = 12;
/// Delay before the second attempt. Doubled for each further attempt, up to `PAUSE_MAX`.
const PAUSE: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// Runs `$body` with `$db` as one transaction, and retries it after a conflict. `$body` is a future
/// of an `DbResult`; its failure rolls the transaction back.
macro_rules! transaction {
    ($store:expr, $db:ident => $body:expr) => {{
        let mut tries = 0;
        loop {
            let outcome = async {
                let mut transaction = $store.connections.begin().await?;
                let $db = transaction.db()?;
                match $body.await {
                    Ok(value) => $crate::postgres::changes::commit(transaction)
                        .await
                        .map(|()| value),
                    Err(failure) => {
                        transaction.roll_back().await;
                        Err(failure)
                    }
                }
            };
            match outcome.await {
                Err(failure) if $crate::postgres::pause(&failure, &mut tries).await => {}
                outcome => break outcome.map_err(convite_core::Problem::from),
            }
        }
    }};
}
use transaction;

/// A store on a database server that other directories can share.
pub struct PostgresStore {
    connections: Connections,
    messenger: Messenger,
    quotas: Quotas,
}

impl PostgresStore {
    /// Connects to the server at `url` and applies pending migrations. If several directories start
    /// at the same time, one of them migrates.
    ///
    /// The password may be in `$PGPASSWORD` instead of the URL.
    ///
    /// # Errors
    /// Returns `invalid_argument` for an invalid URL (the message does not contain it),
    /// `unavailable` if the server cannot be reached, and `internal` if it refuses the connection
    /// or the migration fails.
    pub async fn open(url: &str, settings: Settings) -> Result<Self, Problem> {
        let password = std::env::var(PASSWORD).ok();
        let address = Address::parse(url, password.filter(|text| !text.is_empty()))?;
        migrations::run(&address).await?;
        Ok(Self {
            connections: Connections::new(&address)?,
            messenger: Messenger::start(address),
            quotas: settings.quotas,
        })
    }
}

/// Returns whether to retry a transaction, after a delay.
async fn pause(error: &DbError, tries: &mut u32) -> bool {
    *tries += 1;
    if *tries >= TRIES || !error.is_retryable() {
        return false;
    }
    let pause = PAUSE.saturating_mul(1 << (*tries).min(10)).min(PAUSE_MAX);
    tokio::time::sleep(pause).await;
    true
}
