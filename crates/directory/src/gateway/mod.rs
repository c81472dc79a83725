//! The gateway: file contents through the directory, for readers that are not peers (browsers,
//! curl).
//!
//! The directory stores no contents. It receives pieces from the providers of a file with tickets of
//! the caller's account, verifies each against the content hash, and then sends it on, in order
//! ([`ContentReader`](convite_provider::ContentReader)). A provider that fails is replaced during
//! the transfer, and one that sends wrong data is excluded; when none is left, the body ends with an
//! error, so that a part is not mistaken for the whole. The right to read is checked again after half
//! of the tickets' lifetime.
//!
//! Modules: `limits` (number of transfers, rate), `hashes` (memory for piece hashes), `prepare` (the
//! size and the first bytes), `body` (the response body); and `forward`, uploads from a browser to a
//! peer's inbox, with `progress`, the detection of stalls.
//!
//! Memory per transfer, independent of the size of the file and the speed of the reader: the window
//! of 8 MiB, up to as much again while pieces are received from two providers, and two pieces (of at
//! most 4 MiB each) that are being sent; the HTTP/2 buffers of up to four connections; and the piece
//! hashes. Of those, 16 MiB are cached for later readers, and the total of all transfers is bounded
//! (`hashes`): files of more than 2 TiB are not served.

mod body;
mod forward;
mod hashes;
mod limits;
mod prepare;
mod progress;

use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use convite_core::model::LocatedFile;
use convite_core::{ErrorCode, Problem};
use convite_provider::ProviderLookup;
use convite_store::AccountId;
use tokio_util::sync::CancellationToken;

pub use body::GatewayBody;
pub use prepare::PreparedTransfer;

use hashes::{HashMemory, PieceHashCache};
use limits::{RateLimiter, TransferSlots};

/// Size of the pieces in memory that are received ahead of the reader, in bytes.
const WINDOW_BYTES: u64 = 8 << 20;
/// Maximum number of providers that a transfer is connected to.
const PROVIDERS_MAX: usize = 4;

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
    /// Time without a usable provider after which a transfer fails. A provider
    /// that sends no data is replaced earlier.
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

    /// Prepares the transfer of a file for an account: takes a slot, and waits for the first bytes of
    /// the part that `wanted` returns for the size of the file. The part must be within the file;
    /// an empty one contacts no provider.
    ///
    /// # Errors
    /// Returns the errors of `locate`; `overloaded` if the gateway is at its limit; `too_large` for
    /// a file of more than 2 TiB; `unavailable` if no provider sends the bytes; `corrupt_contents`
    /// if every provider sends wrong data.
    pub(crate) async fn open(
        self: &Arc<Self>,
        account: AccountId,
        file: LocatedFile,
        locate: ProviderLookup,
        wanted: &(dyn Fn(u64) -> Range<u64> + Send + Sync),
    ) -> Result<PreparedTransfer, Problem> {
        self.must_be_enabled()?;
        let slot = self.slots.take(account)?;
        prepare::open(self, slot, file, locate, wanted).await
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
