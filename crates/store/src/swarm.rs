//! Swarms: the peers that download a content and provide the parts they already have.

use async_trait::async_trait;
use convite_core::{ContentHash, PeerId, Problem, SpaceName, UnixMillis};

use crate::{AccountId, Viewer};

/// Maximum number of contents that one peer can announce at a time.
pub const ANNOUNCEMENTS_MAX: u64 = 256;

/// An announcement, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Whether it is new or has a new size.
    pub is_news: bool,
    /// The spaces in which the account saw the content when it announced it first, by name. Only
    /// viewers that see all of them see the announcement.
    pub audience: Vec<SpaceName>,
}

/// The partial providers.
///
/// Each method is one transaction unless stated otherwise. All methods return `internal` if the
/// database fails; further errors are listed per method.
#[async_trait]
pub trait Swarm: Send + Sync + 'static {
    /// Lists a peer of `account` as a partial provider of a content while its lease lasts.
    ///
    /// # Errors
    /// Returns `not_found` if the account has no such peer, if the peer has left, or if `viewer`
    /// can see no file of the content on any peer, online or not; `too_many_requests` above
    /// [`ANNOUNCEMENTS_MAX`] contents per peer; `invalid_argument` if the size is out of bounds.
    async fn announce(
        &self,
        peer: &PeerId,
        account: AccountId,
        viewer: &Viewer,
        hash: &ContentHash,
        size: u64,
        now: UnixMillis,
    ) -> Result<Announced, Problem>;

    /// Withdraws an announcement. Does nothing if there is none.
    ///
    /// # Errors
    /// Returns `not_found` if the account has no such peer or the peer has left.
    async fn withdraw(
        &self,
        peer: &PeerId,
        account: AccountId,
        hash: &ContentHash,
        now: UnixMillis,
    ) -> Result<(), Problem>;

    /// Returns the contents that a peer has announced, whether it is online or not.
    async fn announced(&self, peer: &PeerId) -> Result<Vec<ContentHash>, Problem>;
}
