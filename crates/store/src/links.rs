//! Links: limited permission to download one file without an account.

use std::time::Duration;

use async_trait::async_trait;
use convite_core::{ContentHash, Problem, UnixMillis, UserName};

use crate::{AccountId, AuditEntry, SecretHash};

/// A link to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    /// Hash of its token.
    pub token: SecretHash,
    /// Account whose permissions apply to the download.
    pub account: AccountId,
    /// Content hash of the file.
    pub hash: ContentHash,
    /// Name that the file is offered under, if one was chosen.
    pub name: Option<String>,
    /// Number of uses.
    pub uses: u32,
    /// Expiry.
    pub expires: UnixMillis,
}

/// A usable link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRecord {
    /// User who created it.
    pub user: UserName,
    /// Content hash of the file.
    pub hash: ContentHash,
    /// Name that the file is offered under, if one was chosen.
    pub name: Option<String>,
    /// Whether the requesting network has already started a use.
    pub begun: bool,
}

/// Result of a use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkUse {
    /// One use was spent.
    Begun,
    /// The request continues a use that the same network started.
    GoneOn,
    /// The link has expired or is used up.
    Refused,
}

/// Maximum number of active links per account.
pub const LINKS_MAX: u32 = 1_000;

/// Time after the start of a use in which the same network may start the download again, in
/// milliseconds: ten minutes. It may resume the download until the link expires.
pub const LINK_GRACE: i64 = Duration::from_secs(10 * 60).as_millis() as i64;

/// The links.
///
/// A use belongs to the network that started it. For [`LINK_GRACE`] that network may start the
/// download again without spending another use; until the link expires, it may resume the download.
///
/// Each method is one transaction. All methods return `internal` if the database fails; further
/// errors are listed per method.
#[async_trait]
pub trait Links: Send + Sync + 'static {
    /// Stores a link.
    ///
    /// # Errors
    /// Returns `too_many_requests` if the account has [`LINKS_MAX`] active links.
    async fn create_link(
        &self,
        link: &NewLink,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<(), Problem>;

    /// Returns the link with this token hash if it has not expired and `network` may start or
    /// continue a use.
    async fn link(
        &self,
        token: &SecretHash,
        network: &str,
        now: UnixMillis,
    ) -> Result<Option<LinkRecord>, Problem>;

    /// Uses a link from `network`. `begins` means that the request starts at the beginning of the
    /// file. If this spends a use, writes `entry`.
    async fn use_link(
        &self,
        token: &SecretHash,
        network: &str,
        begins: bool,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<LinkUse, Problem>;
}

/// Returns whether a request may continue a use that its network started at `since`.
pub(crate) fn goes_on(since: Option<i64>, begins: bool, now: UnixMillis) -> bool {
    since.is_some_and(|since| !begins || now.0 < since.saturating_add(LINK_GRACE))
}
