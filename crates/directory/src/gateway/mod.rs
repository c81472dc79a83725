//! The gateway: file contents through the directory, for readers that are not peers (browsers,
//! curl).
//!
//! The directory stores no contents. It fetches pieces from the providers of a file with tickets of
//! the caller's account, verifies each against the content hash, and then sends it on, in order. A
//! provider that fails is replaced during the transfer, and one that sends wrong data is excluded;
//! when none is left, the body ends with an error, so that a part is not mistaken for the whole.
//!
//! Modules: `limits` (number of transfers, rate), `provider` (client for one peer), `provider_pool`
//! (the providers of a file), `hashes` (piece hashes), `prepare` (preparation), `body` (pieces in
//! order); and `forward`, uploads from a browser to a peer's inbox, with `progress`, the detection
//! of stalls.
//!
//! Memory per transfer: three runs of 2 MiB or of one piece (at most 4 MiB), independent of the
//! size of the file and the speed of the reader; and the piece hashes. Of those, 16 MiB are cached
//! for later readers, and the total of all transfers is bounded (`hashes`): files of more than 2
//! TiB are not served.

mod body;
mod forward;
mod hashes;
mod limits;
mod prepare;
mod progress;
mod provider;
mod provider_pool;

use std::future::Future;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use convite_core::model::LocatedFile;
use convite_core::{ErrorCode, Problem};
use convite_store::AccountId;
use tokio_util::sync::CancellationToken;

pub use body::GatewayBody;
pub use prepare::PreparedTransfer;

use hashes::{HashMemory, PieceHashCache};
use limits::{RateLimiter, TransferSlots};

/// Maximum number of runs of pieces in memory: the one being sent, and two being fetched.
const RUNS_MAX: usize = 3;
/// Size of a run in bytes, unless a single piece is larger.
const RUN_BYTES: u64 = 2 << 20;

/// The settings of the gateway.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Whether the gateway is enabled.
    pub enabled: bool,
    /// Rate limit for all readers together, in bytes per second; `None` for no limit.
    pub limit: Option<NonZeroU64>,
    /// Maximum number of concurrent transfers.
    pub transfers_max: usize,
    /// Maximum number of concurrent transfers per account.
    pub transfers_per_account_max: usize,
    /// Timeout for a reader that takes no data, and for an upload that stalls.
    pub reader_timeout: Duration,
    /// Timeout for a provider that sends no data, after which it is replaced.
    pub provider_timeout: Duration,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            limit: None,
            transfers_max: 32,
            transfers_per_account_max: 8,
            reader_timeout: Duration::from_secs(120),
            provider_timeout: Duration::from_secs(10),
        }
    }
}

/// Looks up the providers of a file for its reader, with tickets, or fails if the reader has no
/// permission. Called again during a transfer.
pub(crate) type ProviderLookup = Arc<dyn Fn() -> LookupFuture + Send + Sync>;
/// The result of [`ProviderLookup`].
pub(crate) type LookupFuture = Pin<Box<dyn Future<Output = Result<LocatedFile, Problem>> + Send>>;

/// The gateway's shared state.
pub(crate) struct Gateway {
    config: GatewayConfig,
    /// Verifies the certificates of peers; `None` without TLS.
    tls: Option<Arc<rustls::ClientConfig>>,
    /// Lifetime of tickets.
    ticket_lifetime: Duration,
    slots: TransferSlots,
    rate_limiter: Option<RateLimiter>,
    hashes: PieceHashCache,
    hash_memory: HashMemory,
    shutdown: CancellationToken,
}

impl Gateway {
    /// Returns a gateway to peers with certificates of the authority with this fingerprint.
    pub(crate) fn new(
        config: GatewayConfig,
        authority: Option<[u8; 32]>,
        ticket_lifetime: Duration,
        shutdown: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            tls: authority.map(convite_net::tls::client_config_negotiated),
            ticket_lifetime,
            slots: TransferSlots::new(config.transfers_max, config.transfers_per_account_max),
            rate_limiter: config.limit.map(RateLimiter::new),
            hashes: PieceHashCache::default(),
            hash_memory: HashMemory::default(),
            config,
            shutdown,
        })
    }

    /// Prepares the transfer of a file for an account: takes a slot, and fetches piece hashes that
    /// fold to the content hash.
    ///
    /// # Errors
    /// Returns the errors of `locate`; `overloaded` if the gateway is at its limit; `too_large` for
    /// a file of more than 2 TiB; `unavailable` if no provider answers; `corrupt_contents` if every
    /// provider that answers sends wrong data.
    pub(crate) async fn open(
        self: &Arc<Self>,
        account: AccountId,
        file: LocatedFile,
        locate: ProviderLookup,
    ) -> Result<PreparedTransfer, Problem> {
        self.must_be_enabled()?;
        let slot = self.slots.take(account)?;
        prepare::open(self, slot, file, locate).await
    }

    /// Requires that the gateway is enabled.
    ///
    /// # Errors
    /// Returns `permission_denied` if it is disabled.
    pub(crate) fn must_be_enabled(&self) -> Result<(), Problem> {
        if self.config.enabled {
            Ok(())
        } else {
            Err(Problem::new(
                ErrorCode::PermissionDenied,
                "this directory does not serve file contents",
            )
            .hint("fetch the file from its peers with `convite get`"))
        }
    }
}
