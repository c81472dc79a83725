//! Database migrations. Replicas that start at the same time migrate one after the other.

use convite_core::Problem;

use super::address::Address;
use crate::error::{self, DbResult};

mod embedded {
    refinery::embed_migrations!("migrations/postgres");
}

/// Key of the advisory lock: "convite" in ASCII, so that no other program on the same database uses
/// it.
const TURN: i64 = 0x0063_6f6e_7669_7465;

/// Applies pending migrations on a separate connection.
#[expect(
    clippy::disallowed_methods,
    reason = "this crate is below `convite_net`"
)]
pub(super) async fn run(address: &Address) -> Result<(), Problem> {
    let connecting = address.config.connect(address.tls.clone());
    let (mut client, connection) = connecting.await.map_err(|error| refused(&error))?;
    let driver = tokio::spawn(connection);
    // The connection holds the lock and releases it when it closes.
    let turn = async {
        client
            .execute("SELECT pg_advisory_lock($1)", &[&TURN])
            .await?;
        DbResult::Ok(())
    };
    turn.await.map_err(Problem::from)?;
    let done = embedded::migrations::runner().run_async(&mut client).await;
    drop(client);
    let _ = driver.await;
    done.map(drop).map_err(|error| error::migration(&error))
}

/// Returns the error for a failed connection at start. It contains the server's message, because
/// its reader operates the directory.
fn refused(error: &tokio_postgres::Error) -> Problem {
    let Some(said) = error.as_db_error() else {
        let problem = error::postgres(error);
        return match std::error::Error::source(error) {
            Some(cause) => Problem::new(
                problem.code,
                format!("the database cannot be reached: {cause}"),
            )
            .hint("check that the database is running, and check the host, port and sslmode in its URL"),
            None => problem,
        };
    };
    let shown = convite_core::display::escape(said.message()).into_owned();
    let problem = error::postgres(error);
    Problem::new(
        problem.code,
        format!("the database refused the connection: {shown}"),
    )
    .hint("check the user, the database name and the password ($PGPASSWORD or in the URL)")
}
