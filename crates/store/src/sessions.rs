//! Sessions: who has logged in.

use std::net::IpAddr;

use async_trait::async_trait;
use convite_core::administration::SessionSummary;
use convite_core::model::Page;
use convite_core::{PeerId, Problem, UnixMillis};

use crate::{AccountId, AccountRecord, AuditEntry, SecretHash, Viewer};

/// A session that is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Whose.
    pub account: AccountRecord,
    /// What the account may see.
    pub viewer: Viewer,
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
    /// Begins a session, from `address`; returns whether it did. It does not if the account is disabled
    /// by then, or has another password than the one of this hash: whoever checks a password takes
    /// his time, and what happens to the account meanwhile ends only the sessions that there are.
    async fn create_session(
        &self,
        token: &SecretHash,
        account: AccountId,
        password_hash: &str,
        address: Option<IpAddr>,
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<bool, Problem>;

    /// The session of that token hash. One that has run out is still returned (its `expires` lies
    /// in the past) until it is swept, so that its bearer can be told so.
    async fn session(&self, token: &SecretHash) -> Result<Option<SessionRecord>, Problem>;

    /// Puts off the end of a session that is used `now`.
    async fn extend_session(
        &self,
        token: &SecretHash,
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), Problem>;

    /// Ends a session and the leases of the peers registered in it. Nothing happens if it is gone.
    async fn end_session(&self, token: &SecretHash, now: UnixMillis) -> Result<(), Problem>;

    /// The sessions that have not run out, or only those of an account, by id. `cursor` is what the
    /// page before returned.
    ///
    /// # Errors
    /// `invalid_argument` for a cursor that no page returned.
    async fn sessions(
        &self,
        of: Option<AccountId>,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<SessionSummary>, Problem>;

    /// Ends the session of that id (see [`public_id`](crate::public_id)), of any account or only
    /// of one, as [`Self::end_session`] does. The name of the account is put before the target of
    /// `entry`.
    ///
    /// # Errors
    /// `not_found`.
    async fn revoke_session(
        &self,
        id: &str,
        of: Option<AccountId>,
        entry: &AuditEntry,
    ) -> Result<(), Problem>;
}

/// What an id that no session has is refused with.
pub(crate) fn unknown() -> Problem {
    Problem::not_found("there is no session of that id").hint("the list of sessions has the ids")
}
