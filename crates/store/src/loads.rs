//! Loads: what accounts have peers fetch, and how far that is.
//!
//! The row says what was last reported; how a load stands follows from it, from the peer's lease and
//! from the time ([`show`]), so that nobody has to note that a peer has gone.

use std::time::Duration;

use async_trait::async_trait;
use convite_core::loads::{LoadId, LoadReport, LoadState, LoadSummary};
use convite_core::model::Page;
use convite_core::{ContentHash, ErrorCode, PeerId, Problem, Terms, UnixMillis, UserName};

use crate::{AccountId, AuditEntry, PeerKey};

/// A peer that may be asked to load, online or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its number.
    pub key: PeerKey,
    /// Whose it is,
    pub account: AccountId,
    /// by name.
    pub user: UserName,
    /// For whom it does what.
    pub terms: Terms,
}

/// A load to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLoad {
    /// What to name it by.
    pub id: LoadId,
    /// Who asks.
    pub account: AccountId,
    /// Who is to fetch.
    pub peer: PeerKey,
    /// What.
    pub hash: ContentHash,
    /// Its size in bytes.
    pub size: u64,
    /// What it is called.
    pub name: String,
}

/// A load that its peer has still to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenLoad {
    /// What to name it by.
    pub id: LoadId,
    /// Who asks,
    pub account: AccountId,
    /// by name.
    pub user: UserName,
    /// What to fetch.
    pub hash: ContentHash,
    /// Its size in bytes.
    pub size: u64,
    /// What it is called.
    pub name: String,
}

/// The most loads of an account that are not over.
pub const LOADS_MAX: u32 = 1_000;
/// For how long a load waits for its peer to begin, or to go on, in milliseconds: an hour.
pub const LOAD_PATIENCE: i64 = Duration::from_secs(60 * 60).as_millis() as i64;
/// A running load of which a peer that is off the list has said nothing for this long, in
/// milliseconds, waits for it to come back: a minute.
pub const LOAD_SILENCE: i64 = Duration::from_secs(60).as_millis() as i64;
/// For how long a load that is over is remembered, in milliseconds: a day.
pub const LOAD_KEPT: i64 = Duration::from_secs(24 * 60 * 60).as_millis() as i64;

/// Why a load failed that no peer has said anything of for [`LOAD_PATIENCE`].
pub(crate) const AWAY: &str = "the peer was away for too long";

/// The loads.
///
/// Every method is one transaction. Errors are `internal` for a failing database, and what each
/// method names.
#[async_trait]
pub trait Loads: Send + Sync + 'static {
    /// The peer of that id, online or not; none for one that is transient.
    async fn host(&self, peer: &PeerId) -> Result<Option<Host>, Problem>;

    /// Keeps a load, and writes `entry`. If the account has that peer load that content already,
    /// nothing happens. Returns the id of the one that is kept, and whether it is new.
    ///
    /// # Errors
    /// `too_many_requests` if the account has [`LOADS_MAX`] that are not over.
    async fn create_load(
        &self,
        load: &NewLoad,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<(LoadId, bool), Problem>;

    /// A load of an account.
    async fn load_of(
        &self,
        account: AccountId,
        load: LoadId,
        now: UnixMillis,
    ) -> Result<Option<LoadSummary>, Problem>;

    /// The loads of an account, newest first. `cursor` is what the page before returned.
    ///
    /// # Errors
    /// `invalid_argument` for a cursor that no page returned.
    async fn loads(
        &self,
        account: AccountId,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<LoadSummary>, Problem>;

    /// What a peer has still to load, the oldest first, at most `limit`.
    async fn open_loads(
        &self,
        peer: PeerKey,
        limit: u32,
        now: UnixMillis,
    ) -> Result<Vec<OpenLoad>, Problem>;

    /// Notes what a peer of `account` says of a load that it has still to do. Returns who asked for
    /// it.
    ///
    /// # Errors
    /// `not_found` if it is not one of that peer's, the peer not one of the account's, or the load
    /// over.
    async fn report_load(
        &self,
        peer: &PeerId,
        account: AccountId,
        load: LoadId,
        report: &LoadReport,
        now: UnixMillis,
    ) -> Result<AccountId, Problem>;
}

/// How a load stands, of which `state` was reported at `touched`, and what of its rate and message
/// is true now.
pub(crate) fn show(
    mut load: LoadSummary,
    touched: i64,
    online: bool,
    now: UnixMillis,
) -> LoadSummary {
    if load.state.is_over() {
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

/// What one load too many is refused with.
pub(crate) fn too_many() -> Problem {
    Problem::new(
        ErrorCode::TooManyRequests,
        format!("you have {LOADS_MAX} loads that are not over"),
    )
    .hint("wait for some of them: `convite load --list` shows them")
}

/// What is said of a load that is not there, over, or another's.
pub(crate) fn unknown(load: LoadId) -> Problem {
    Problem::not_found(format!("there is no load {load} to report of"))
        .hint("it may be over, or have been given to another peer")
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
