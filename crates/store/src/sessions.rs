//! Login sessions.

use std::net::IpAddr;

use async_trait::async_trait;
use convite_core::administration::SessionSummary;
use convite_core::model::Page;
use convite_core::{PeerId, Problem, UnixMillis};

use crate::{AccountId, AccountRecord, AuditEntry, SecretHash, Viewer};

/// A session that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// The account.
    pub account: AccountRecord,
    /// Spaces that the account can see.
    pub viewer: Viewer,
    /// Peer registered in this session, if any.
    pub peer: Option<PeerId>,
    /// Expiry.
    pub expires: UnixMillis,
}

/// The sessions.
///
/// Each method is one transaction unless stated otherwise. All methods return `internal` if the
/// database fails; further errors are listed per method.
#[async_trait]
pub trait Sessions: Send + Sync + 'static {
    /// Creates a session from `address`. Returns `false` and creates none if the account has been
    /// disabled or its password hash is no longer `password_hash`: the account may change while the
    /// password is checked, and such a change ends only sessions that already exist.
    async fn create_session(
        &self,
        token: &SecretHash,
        account: AccountId,
        password_hash: &str,
        address: Option<IpAddr>,
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<bool, Problem>;

    /// Returns the session with this token hash. An expired session is returned, with `expires` in
    /// the past, until it is swept, so that the caller can be told that it has expired.
    async fn session(&self, token: &SecretHash) -> Result<Option<SessionRecord>, Problem>;

    /// Sets a new expiry for a session that is used at `now`.
    async fn extend_session(
        &self,
        token: &SecretHash,
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), Problem>;

    /// Ends a session and the leases of its peers. Does nothing if the session does not exist.
    async fn end_session(&self, token: &SecretHash, now: UnixMillis) -> Result<(), Problem>;

    /// Lists the active sessions, or only those of one account, by id. `cursor` comes from the
    /// previous page.
    ///
    /// # Errors
    /// Returns `invalid_argument` for an invalid cursor.
    async fn sessions(
        &self,
        of: Option<AccountId>,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<SessionSummary>, Problem>;

    /// Ends the session with this id ([`public_id`](crate::public_id)) like [`Self::end_session`].
    /// With `of`, only if it belongs to that account. The account's name is prepended to the target
    /// of `entry`.
    ///
    /// # Errors
    /// Returns `not_found` if there is no such session.
    async fn revoke_session(
        &self,
        id: &str,
        of: Option<AccountId>,
        entry: &AuditEntry,
    ) -> Result<(), Problem>;
}
