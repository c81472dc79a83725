//! Swarms: who is fetching a content, and holds a part of it.

use async_trait::async_trait;
use convite_core::{ContentHash, ErrorCode, PeerId, Problem, UnixMillis};

use crate::{AccountId, Viewer};

/// The most contents that one peer can be announced for at a time.
pub const ANNOUNCEMENTS_MAX: u64 = 256;

/// The partial providers.
///
/// Every method is one transaction unless it says otherwise. Errors are `internal` for a failing
/// database, and what each method names.
#[async_trait]
pub trait Swarm: Send + Sync + 'static {
    /// Lists a peer of `account` as partial provider of a content while its lease lasts; returns
    /// whether that is news (a size other than before is).
    ///
    /// # Errors
    /// `not_found` if there is no such peer of this account, or it left, or no file of the content
    /// that `viewer` may see (its peer online or not); `too_many_requests` above
    /// [`ANNOUNCEMENTS_MAX`] contents of one peer; `invalid_argument` for a size out of bounds.
    async fn announce(
        &self,
        peer: &PeerId,
        account: AccountId,
        viewer: &Viewer,
        hash: &ContentHash,
        size: u64,
        now: UnixMillis,
    ) -> Result<bool, Problem>;

    /// Takes back an announcement; nothing happens if there is none.
    ///
    /// # Errors
    /// `not_found` if there is no such peer of this account, or it left.
    async fn withdraw(
        &self,
        peer: &PeerId,
        account: AccountId,
        hash: &ContentHash,
        now: UnixMillis,
    ) -> Result<(), Problem>;

    /// The contents that a peer is announced for, online or not.
    async fn announced(&self, peer: &PeerId) -> Result<Vec<ContentHash>, Problem>;
}

/// What one announcement more than [`ANNOUNCEMENTS_MAX`] is refused with.
pub(crate) fn too_many(peer: &PeerId) -> Problem {
    Problem::new(
        ErrorCode::TooManyRequests,
        format!("peer '{peer}' has announced {ANNOUNCEMENTS_MAX} files already"),
    )
    .hint("withdraw those that it fetches no more")
}

/// What an announcement is refused with of a content of which there is nothing to see.
pub(crate) fn unseen() -> Problem {
    Problem::not_found("nobody shares this file")
        .hint("announce what a search or a look-up has found")
}
