//! Invites: the right to make an account.

use async_trait::async_trait;
use convite_core::administration::InviteSummary;
use convite_core::model::{Page, Role};
use convite_core::{ErrorCode, Problem, SpaceName, UnixMillis};

use crate::{AuditEntry, SecretHash};

/// An invite to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteRecord {
    /// The hash of its code.
    pub code: SecretHash,
    /// The role of accounts made with it.
    pub role: Role,
    /// The space that accounts made with it come to belong to.
    pub space: Option<SpaceName>,
    /// How often it can still be used; none for without limit.
    pub uses: Option<u32>,
    /// When it ends.
    pub expires: UnixMillis,
    /// Makes the first account an administrator while there is none.
    pub founds: bool,
}

/// The invites.
///
/// Every method is one transaction unless it says otherwise. Errors are `internal` for a failing
/// database, and what each method names.
#[async_trait]
pub trait Invites: Send + Sync + 'static {
    /// Keeps an invite; `entry` is none for one that the directory makes by itself.
    ///
    /// # Errors
    /// `not_found` for its space.
    async fn create_invite(
        &self,
        invite: &InviteRecord,
        entry: Option<&AuditEntry>,
        now: UnixMillis,
    ) -> Result<(), Problem>;

    /// The invites that can still be used, by id. `cursor` is what the page before returned.
    ///
    /// # Errors
    /// `invalid_argument` for a cursor that no page returned.
    async fn invites(
        &self,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<InviteSummary>, Problem>;

    /// Revokes the invite of that id (see [`public_id`](crate::public_id)).
    ///
    /// # Errors
    /// `not_found`.
    async fn revoke_invite(&self, id: &str, entry: &AuditEntry) -> Result<(), Problem>;

    /// The invite of that code hash, if it can still be used.
    async fn invite(
        &self,
        code: &SecretHash,
        now: UnixMillis,
    ) -> Result<Option<InviteRecord>, Problem>;
}

/// What an invite that lets nobody in is refused with.
pub(crate) fn invalid() -> Problem {
    Problem::new(
        ErrorCode::InviteInvalid,
        "the invite is unknown, used up or over",
    )
    .hint("ask whoever invited you for a new one")
}

/// What an id that no invite has is refused with.
pub(crate) fn unknown() -> Problem {
    Problem::not_found("there is no invite of that id").hint("the list of invites has the ids")
}
