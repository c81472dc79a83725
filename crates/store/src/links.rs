//! Links: the right to fetch one file without an account, a few times and for a while.

use std::time::Duration;

use async_trait::async_trait;
use convite_core::{ContentHash, ErrorCode, Problem, UnixMillis, UserName};

use crate::{AccountId, AuditEntry, SecretHash};

/// A link to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLink {
    /// The hash of its token.
    pub token: SecretHash,
    /// Through whose eyes it shows the file.
    pub account: AccountId,
    /// What it opens.
    pub hash: ContentHash,
    /// How often.
    pub uses: u32,
    /// When it ends.
    pub expires: UnixMillis,
}

/// A link that opens something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkRecord {
    /// Who made it.
    pub user: UserName,
    /// What it opens.
    pub hash: ContentHash,
}

/// What became of a use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkUse {
    /// One use is spent.
    Begun,
    /// It goes on with a use that was begun there.
    GoneOn,
    /// The link is over, or used up.
    Refused,
}

/// The most links of an account that are not over.
pub const LINKS_MAX: u32 = 1_000;

/// For how long a use lets the same network begin again, in milliseconds: ten minutes. What goes on
/// with the file, rather than beginning it, may do so until the link is over.
pub const LINK_GRACE: i64 = Duration::from_secs(10 * 60).as_millis() as i64;

/// The links.
///
/// A use belongs to the network that began it: for [`LINK_GRACE`] from there anything may be asked
/// for again, and until the link is over what goes on with the file, without spending another.
///
/// Every method is one transaction. Errors are `internal` for a failing database, and what each
/// method names.
#[async_trait]
pub trait Links: Send + Sync + 'static {
    /// Keeps a link.
    ///
    /// # Errors
    /// `too_many_requests` if the account has [`LINKS_MAX`] that are not over.
    async fn create_link(
        &self,
        link: &NewLink,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<(), Problem>;

    /// The link of that token hash, if it is not over and `network` may use it, or go on with a use.
    async fn link(
        &self,
        token: &SecretHash,
        network: &str,
        now: UnixMillis,
    ) -> Result<Option<LinkRecord>, Problem>;

    /// Uses a link from `network`; `begins` says that the file is asked for from its beginning. If
    /// that spends a use, `entry` is written.
    async fn use_link(
        &self,
        token: &SecretHash,
        network: &str,
        begins: bool,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<LinkUse, Problem>;
}

/// Whether who began a use at `since` may go on with it.
pub(crate) fn goes_on(since: Option<i64>, begins: bool, now: UnixMillis) -> bool {
    since.is_some_and(|since| !begins || now.0 < since.saturating_add(LINK_GRACE))
}

/// What one link too many is refused with.
pub(crate) fn too_many() -> Problem {
    Problem::new(
        ErrorCode::TooManyRequests,
        format!("you have {LINKS_MAX} links that are not over"),
    )
    .hint("wait until some of them are over, or let new ones last for a shorter time")
}
