//! Invites: permission to create an account.

use async_trait::async_trait;
use convite_core::administration::InviteSummary;
use convite_core::model::{Page, Role};
use convite_core::{Problem, SpaceName, UnixMillis};

use crate::{AuditEntry, SecretHash};

/// A stored invite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteRecord {
    /// Hash of its code.
    pub code: SecretHash,
    /// Role of the accounts created with it.
    pub role: Role,
    /// Space that these accounts are added to.
    pub space: Option<SpaceName>,
    /// Number of remaining uses; `None` for no limit.
    pub uses: Option<u32>,
    /// Expiry.
    pub expires: UnixMillis,
    /// If there is no administrator yet, the account created with it becomes one.
    pub founds: bool,
}

/// The invites.
///
/// Each method is one transaction unless stated otherwise. All methods return `internal` if the
/// database fails; further errors are listed per method.
#[async_trait]
pub trait Invites: Send + Sync + 'static {
    /// Stores an invite. `entry` is `None` for an invite that the directory creates itself.
    ///
    /// # Errors
    /// Returns `not_found` if its space does not exist.
    async fn create_invite(
        &self,
        invite: &InviteRecord,
        entry: Option<&AuditEntry>,
        now: UnixMillis,
    ) -> Result<(), Problem>;

    /// Lists the invites that can still be used, by id. `cursor` comes from the previous page.
    ///
    /// # Errors
    /// Returns `invalid_argument` for an invalid cursor.
    async fn invites(
        &self,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<InviteSummary>, Problem>;

    /// Revokes the invite with this id ([`public_id`](crate::public_id)).
    ///
    /// # Errors
    /// Returns `not_found` if there is no such invite.
    async fn revoke_invite(&self, id: &str, entry: &AuditEntry) -> Result<(), Problem>;

    /// Returns the invite with this code hash, if it can still be used.
    async fn invite(
        &self,
        code: &SecretHash,
        now: UnixMillis,
    ) -> Result<Option<InviteRecord>, Problem>;
}
