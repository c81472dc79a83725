//! Bringing the tables up to date. Replicas that start at once take turns.

use convite_core::{ErrorCode, Problem};

use super::address::Address;
use super::failure::{Outcome, database};

mod embedded {
    refinery::embed_migrations!("migrations/postgres");
}

/// Any number that no other program on the same database locks: "convite" in ASCII.
const TURN: i64 = 0x0063_6f6e_7669_7465;

/// Runs the migrations that are missing, on a connection of its own.
pub(super) async fn run(address: &Address) -> Result<(), Problem> {
    let connecting = address.config.connect(address.tls.clone());
    let (mut client, connection) = connecting.await.map_err(|error| refused(&error))?;
    let driver = tokio::spawn(connection);
    // Held by the connection, and let go with it.
    let turn = async {
        client
            .execute("SELECT pg_advisory_lock($1)", &[&TURN])
            .await?;
        Outcome::Ok(())
    };
    turn.await.map_err(Problem::from)?;
    let done = embedded::migrations::runner().run_async(&mut client).await;
    drop(client);
    let _ = driver.await;
    done.map(drop).map_err(|error| {
        tracing::error!(%error, "the tables could not be brought up to date");
        Problem::new(
            ErrorCode::Internal,
            "the tables of the database cannot be brought up to date",
        )
        .hint("a newer version of convite may have written them; the log has the cause")
    })
}

/// At the start whoever is told is who runs the directory: what the server says helps him.
fn refused(error: &tokio_postgres::Error) -> Problem {
    let Some(said) = error.as_db_error() else {
        let problem = database(error);
        return match std::error::Error::source(error) {
            Some(cause) => Problem::new(
                problem.code,
                format!("the database cannot be reached: {cause}"),
            )
            .hint("check the host, the port and the sslmode of its URL, and that it is running"),
            None => problem,
        };
    };
    let shown = convite_core::display::escape(said.message()).into_owned();
    let problem = database(error);
    Problem::new(problem.code, format!("the database refuses: {shown}"))
        .hint("check the user, the database and the password ($PGPASSWORD or in the URL)")
}
