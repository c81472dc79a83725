//! Sessions: who has logged in.

use async_trait::async_trait;
use convite_core::{PeerId, Problem, UnixMillis};

use crate::{AccountId, AccountRecord, SecretHash};

/// A session that is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Whose.
    pub account: AccountRecord,
    /// The peer that was registered in this session, if one was.
    pub peer: Option<PeerId>,
    /// When it ends.
    pub expires: UnixMillis,
}

/// The sessions.
///
/// Every method is one transaction unless it says otherwise. Errors are `internal` for a failing
/// database, and what each method names.
#[async_trait]
pub trait Sessions: Send + Sync + 'static {
    /// Begins a session.
    async fn create_session(
        &self,
        token: &SecretHash,
        account: AccountId,
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), Problem>;

    /// The session of that token hash. One that has run out is still returned (its `expires` lies
    /// in the past) until it is swept, so that its bearer can be told so.
    async fn session(&self, token: &SecretHash) -> Result<Option<SessionRecord>, Problem>;

    /// Puts off the end of a session.
    async fn extend_session(&self, token: &SecretHash, expires: UnixMillis) -> Result<(), Problem>;

    /// Ends a session and the leases of the peers registered in it. Nothing happens if it is gone.
    async fn end_session(&self, token: &SecretHash, now: UnixMillis) -> Result<(), Problem>;
}
