//! Contents through the directory, for readers that are no peers: browsers, curl.
//!
//! The directory holds none of it. It fetches pieces from the providers of a file with tickets of
//! the account that asks, verifies each against the content hash, and only then hands it on, in
//! order. A provider that fails is replaced in mid-file, one that lies is dropped; when nobody is
//! left the body ends in an error, so that nobody takes a part for the whole.
//!
//! Rooms: `limits` (how many at once, how fast), `provider` (one peer, spoken to over HTTP),
//! `company` (the providers of one file, whose turn it is), `hashes`, `opening` (what must be known before
//! the first byte), `body` (pieces in order, as they are asked for); and `forward`, files on their
//! way from a browser to a peer's inbox, with `progress`, whether they move.
//!
//! Memory of one relay: three runs of 2 MiB, or of one piece (4 MiB at most), whatever the size of
//! the file and however slow the reader; and its piece hashes. Of those, 16 MiB are kept for the next
//! reader, and what all relays hold is bounded (`hashes`): files of more than 2 TiB are not relayed.

mod body;
mod company;
mod forward;
mod hashes;
mod limits;
mod opening;
mod progress;
mod provider;

use std::future::Future;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use convite_core::model::LocatedFile;
use convite_core::{ErrorCode, Problem};
use convite_store::AccountId;
use tokio_util::sync::CancellationToken;

pub use body::RelayBody;
pub use opening::Opened;

use hashes::{KeptHashes, Rooms};
use limits::{Pace, Slots};

/// How many runs of pieces are in memory at most: the one that is being sent, and two that come.
const RUNS: usize = 3;
/// The bytes of a run, unless a single piece is larger.
const RUN: u64 = 2 << 20;

/// How much a directory relays.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// Whether it relays at all.
    pub enabled: bool,
    /// The most bytes a second, for all readers together; none for no limit.
    pub limit: Option<NonZeroU64>,
    /// Files relayed at once.
    pub relays_max: usize,
    /// Files relayed at once to one account.
    pub relays_per_account_max: usize,
    /// A reader that takes nothing for so long is given up; so is an upload of which nothing moves.
    pub patience: Duration,
    /// A provider that sends nothing for so long is replaced.
    pub stall: Duration,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            limit: None,
            relays_max: 32,
            relays_per_account_max: 8,
            patience: Duration::from_secs(120),
            stall: Duration::from_secs(10),
        }
    }
}

/// Finds the providers of a file for whoever reads it, with tickets, and says that he may not if he
/// may no more. Asked again while a relay lasts.
pub(crate) type Locate = Arc<dyn Fn() -> Located + Send + Sync>;
/// What [`Locate`] gives.
pub(crate) type Located = Pin<Box<dyn Future<Output = Result<LocatedFile, Problem>> + Send>>;

/// What all relays of a directory share.
pub(crate) struct Relay {
    config: RelayConfig,
    /// Whom peers must prove to be; none in plaintext.
    tls: Option<Arc<rustls::ClientConfig>>,
    /// For how long tickets open a file.
    ticket_lifetime: Duration,
    slots: Slots,
    pace: Option<Pace>,
    hashes: KeptHashes,
    rooms: Rooms,
    shutdown: CancellationToken,
}

impl Relay {
    /// Relays from peers that are certified by the authority of that fingerprint.
    pub(crate) fn new(
        config: RelayConfig,
        authority: Option<[u8; 32]>,
        ticket_lifetime: Duration,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            tls: authority.map(convite_net::tls::client_config_either),
            ticket_lifetime,
            slots: Slots::new(config.relays_max, config.relays_per_account_max),
            pace: config.limit.map(Pace::new),
            hashes: KeptHashes::default(),
            rooms: Rooms::default(),
            config,
            shutdown,
        })
    }

    /// Makes ready to relay a file to an account: a slot, providers, and piece hashes that fold to
    /// the content hash.
    ///
    /// # Errors
    /// Those of `locate`; `overloaded` if too much is relayed already; `too_large` for a file of more than
    /// 2 TiB; `unavailable` if no provider answers;
    /// `corrupt_contents` if all that answer lie.
    pub(crate) async fn open(
        self: &Arc<Self>,
        account: AccountId,
        file: LocatedFile,
        locate: Locate,
    ) -> Result<Opened, Problem> {
        self.must_be_enabled()?;
        let slot = self.slots.take(account)?;
        opening::open(self, slot, file, locate).await
    }

    /// Lets pass where contents are relayed.
    ///
    /// # Errors
    /// `permission_denied` where they are not.
    pub(crate) fn must_be_enabled(&self) -> Result<(), Problem> {
        match self.config.enabled {
            true => Ok(()),
            false => Err(Problem::new(
                ErrorCode::PermissionDenied,
                "this directory hands on no contents",
            )
            .hint("fetch the file from its peers, with `convite get`")),
        }
    }
}
