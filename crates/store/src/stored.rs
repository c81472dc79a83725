//! Reading back what was written, in the words of the core: a row that holds anything else is damaged.

use convite_core::{ErrorCode, Problem, Terms, UserName};

/// A row holds what was never written to it.
pub(crate) fn damaged(what: &'static str) -> Problem {
    tracing::error!(what, "the database holds what cannot be read");
    Problem::new(ErrorCode::Internal, "the database is damaged")
        .hint("the log of the directory has the cause")
}

/// A user name as it was stored.
pub(crate) fn user_name(text: &str) -> Result<UserName, Problem> {
    text.parse().map_err(|_| damaged("a user name"))
}

/// What a peer does for others, as it was stored.
pub(crate) fn terms(uploads: &str, loads: &str) -> Result<Terms, Problem> {
    let list = |text: &str| text.parse().map_err(|_| damaged("a list of accounts"));
    Ok(Terms {
        uploads: list(uploads)?,
        loads: list(loads)?,
    })
}
