//! Remote fetches: files that accounts have requested peers to download, with the progress.
//!
//! A row has the last report. The state that is shown follows from the row, the peer's lease and
//! the time ([`show`]), so nothing has to be stored when a peer goes offline.

use std::time::Duration;

use async_trait::async_trait;
use convite_core::model::Page;
use convite_core::remote_fetch::{LoadId, LoadReport, LoadState, LoadSummary};
use convite_core::{ContentHash, PeerId, Problem, SharingPolicy, UnixMillis, UserName};

use crate::{AccountId, AuditEntry, PeerKey};

/// A peer that can receive requests, online or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Number of the peer.
    pub key: PeerKey,
    /// Account of the peer.
    pub account: AccountId,
    /// Name of the account.
    pub user: UserName,
    /// Sharing policy of the peer.
    pub terms: SharingPolicy,
}

/// A remote fetch to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLoad {
    /// Its id.
    pub id: LoadId,
    /// Requesting account.
    pub account: AccountId,
    /// Peer that is to download the file.
    pub peer: PeerKey,
    /// Content hash.
    pub hash: ContentHash,
    /// Size in bytes.
    pub size: u64,
    /// File name.
    pub name: String,
}

/// A remote fetch that its peer has not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenLoad {
    /// Its id.
    pub id: LoadId,
    /// Requesting account.
    pub account: AccountId,
    /// Name of the account.
    pub user: UserName,
    /// Content hash.
    pub hash: ContentHash,
    /// Size in bytes.
    pub size: u64,
    /// File name.
    pub name: String,
}

/// Maximum number of unfinished remote fetches per account.
pub const LOADS_MAX: u32 = 1_000;
/// Time without a report after which an unfinished remote fetch fails, in milliseconds: an hour.
pub const LOAD_PATIENCE: i64 = Duration::from_secs(60 * 60).as_millis() as i64;
/// Time without a report after which a running remote fetch on an offline peer is shown as waiting,
/// in milliseconds: a minute.
pub const LOAD_SILENCE: i64 = Duration::from_secs(60).as_millis() as i64;
/// Time for which a finished remote fetch is kept, in milliseconds: a day.
pub const LOAD_KEPT: i64 = Duration::from_secs(24 * 60 * 60).as_millis() as i64;

/// Failure message of a remote fetch without a report for [`LOAD_PATIENCE`].
pub(crate) const AWAY: &str = "the peer was offline for too long";

/// The remote fetches.
///
/// Each method is one transaction. All methods return `internal` if the database fails; further
/// errors are listed per method.
#[async_trait]
pub trait Loads: Send + Sync + 'static {
    /// Returns the peer with this id, online or not; `None` if it is transient.
    async fn host(&self, peer: &PeerId) -> Result<Option<Host>, Problem>;

    /// Stores a remote fetch and writes `entry`. Does nothing if the same account already has an
    /// unfinished one of the same content on the same peer. Returns the id of the stored one, and
    /// whether it is new.
    ///
    /// # Errors
    /// Returns `too_many_requests` if the account has [`LOADS_MAX`] unfinished ones.
    async fn create_load(
        &self,
        load: &NewLoad,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<(LoadId, bool), Problem>;

    /// Returns a remote fetch of an account.
    async fn load_of(
        &self,
        account: AccountId,
        load: LoadId,
        now: UnixMillis,
    ) -> Result<Option<LoadSummary>, Problem>;

    /// Lists the remote fetches of an account, newest first. `cursor` comes from the previous page.
    ///
    /// # Errors
    /// Returns `invalid_argument` for an invalid cursor.
    async fn loads(
        &self,
        account: AccountId,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<LoadSummary>, Problem>;

    /// Returns up to `limit` unfinished remote fetches of a peer, oldest first.
    async fn open_loads(
        &self,
        peer: PeerKey,
        limit: u32,
        now: UnixMillis,
    ) -> Result<Vec<OpenLoad>, Problem>;

    /// Stores a report of a peer of `account` about an unfinished remote fetch. Returns the
    /// requesting account.
    ///
    /// # Errors
    /// Returns `not_found` if the peer does not belong to the account, the remote fetch does not
    /// belong to the peer, or it is finished.
    async fn report_load(
        &self,
        peer: &PeerId,
        account: AccountId,
        load: LoadId,
        report: &LoadReport,
        now: UnixMillis,
    ) -> Result<AccountId, Problem>;
}

/// Returns a remote fetch as it is shown at `now`. `touched` is the time of the last report. Rate
/// and message are reset if they no longer apply.
pub(crate) fn show(
    mut load: LoadSummary,
    touched: i64,
    online: bool,
    now: UnixMillis,
) -> LoadSummary {
    if load.state.is_final() {
        load.rate = 0;
        return load;
    }
    let silence = now.0.saturating_sub(touched);
    if silence >= LOAD_PATIENCE {
        load.state = LoadState::Failed;
        load.message = Some(AWAY.to_owned());
    } else if load.state == LoadState::Running && silence >= LOAD_SILENCE && !online {
        load.state = LoadState::Waiting;
    }
    if load.state != LoadState::Running {
        load.rate = 0;
    }
    load
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_makes_a_load_wait_and_then_fail() {
        let load = |state| LoadSummary {
            load: LoadId(1),
            peer: "p".parse().unwrap(),
            hash: ContentHash::of(b"x"),
            name: "x".to_owned(),
            size: 1,
            state,
            bytes: 1,
            rate: 5,
            message: None,
            created_at: 0,
        };
        let stands = |state, silence, online| {
            let shown = show(load(state), 1_000, online, UnixMillis(1_000 + silence));
            (shown.state, shown.rate)
        };
        use LoadState::{Done, Failed, Running, Waiting};
        assert_eq!(stands(Running, LOAD_SILENCE - 1, false), (Running, 5));
        assert_eq!(stands(Running, LOAD_SILENCE, true), (Running, 5));
        assert_eq!(stands(Running, LOAD_SILENCE, false), (Waiting, 0));
        assert_eq!(stands(Running, LOAD_PATIENCE, true), (Failed, 0));
        assert_eq!(stands(Waiting, LOAD_PATIENCE - 1, true), (Waiting, 0));
        assert_eq!(stands(Waiting, LOAD_PATIENCE, false), (Failed, 0));
        assert_eq!(stands(Done, LOAD_KEPT, false), (Done, 0));
    }
}
