//! Invites: the right to make an account.

use async_trait::async_trait;
use convite_core::model::Role;
use convite_core::{ErrorCode, Problem, UnixMillis};

use crate::SecretHash;

/// An invite to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteRecord {
    /// The hash of its code.
    pub code: SecretHash,
    /// The role of accounts made with it.
    pub role: Role,
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
    /// Keeps an invite.
    async fn create_invite(&self, invite: &InviteRecord, now: UnixMillis) -> Result<(), Problem>;

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
