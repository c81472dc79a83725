//! The directory's tables in PostgreSQL, or what speaks its protocol: for several directories on one
//! database, replicas of each other.
//!
//! A pool of connections (`connections`) runs whatever comes; nothing is kept in the process. What
//! one thread did for SQLite, row locks do here: of a peer while its files change, of a content
//! that may go, and of the one row that numbers the changes (`changes`). Transactions that lose
//! against each other are run again. Each noun has a room with its statements, at the end of which
//! stands its trait.

mod accounts;
mod address;
mod audit;
mod changes;
mod connections;
mod failure;
mod invites;
mod links;
mod listing;
mod loads;
mod messenger;
mod migrations;
mod orphans;
mod partials;
mod paths;
mod peers;
mod publish;
mod query;
mod removals;
mod replicas;
mod sessions;
mod shared;
mod sizes;
mod spaces;
mod tls;
mod upkeep;

use std::time::Duration;

use convite_core::Problem;

use address::Address;
use connections::Connections;
use messenger::Messenger;

/// The variable with the database's password, as for every program that speaks to PostgreSQL.
const PASSWORD: &str = "PGPASSWORD";
/// How often a transaction that another overtook is run.
const TRIES: u32 = 12;
/// The wait before the second try; each after it waits twice as long, up to the last.
const PAUSE: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// Runs what `$body` does on `$db` as one transaction, again if another transaction overtook it.
/// `$body` gives an `Outcome` and ends with what to return; a failure undoes all of it.
macro_rules! transaction {
    ($store:expr, $db:ident => $body:expr) => {{
        let mut tries = 0;
        loop {
            let outcome = async {
                let transaction = $store.connections.begin().await?;
                let $db = transaction.db()?;
                match $body.await {
                    Ok(value) => transaction.commit().await.map(|()| value),
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

/// The tables of a directory on a server that other directories may share.
pub struct PostgresStore {
    connections: Connections,
    messenger: Messenger,
}

impl PostgresStore {
    /// Connects to the server that `url` names, and brings the tables up to date; of several that
    /// start at once one does.
    ///
    /// The password may be in `$PGPASSWORD` rather than in the URL.
    ///
    /// # Errors
    /// `invalid_argument` for a URL that cannot be read (it is not repeated); `unavailable` if the
    /// server cannot be reached; `internal` if it refuses, or cannot be migrated.
    pub async fn open(url: &str) -> Result<Self, Problem> {
        let password = std::env::var(PASSWORD).ok();
        let address = Address::parse(url, password.filter(|text| !text.is_empty()))?;
        migrations::run(&address).await?;
        Ok(Self {
            connections: Connections::new(&address)?,
            messenger: Messenger::start(address),
        })
    }
}

/// Whether to run a transaction again; waits first.
async fn pause(failure: &failure::Failure, tries: &mut u32) -> bool {
    *tries += 1;
    if *tries >= TRIES || !failure.is_worth_another_try() {
        return false;
    }
    let pause = PAUSE.saturating_mul(1 << (*tries).min(10)).min(PAUSE_MAX);
    tokio::time::sleep(pause).await;
    true
}
