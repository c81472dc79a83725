//! Preparation of a transfer: the size of the file, and its first bytes.
//!
//! The size is a claim of the providers. If they agree, it is trusted until the last piece is
//! verified: if all of them are wrong, the transfer ends there with an error. If they disagree, a
//! claimed size is first proven with its last piece.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use convite_core::model::LocatedFile;
use convite_core::{ErrorCode, PieceGeometry, Problem};
use convite_provider::{
    ContentReader, FileContent, ProviderLookup, ReadError, ReaderConfig, describe_losses,
};
use convite_swarm::DownloadLimits;
use tokio::time::timeout;

use super::hashes::HashMemoryPermit;
use super::limits::TransferSlot;
use super::{Gateway, PROVIDERS_MAX, WINDOW_BYTES};

/// Time limit for the preparation; a request may take 30 seconds.
const PREPARATION_TIMEOUT: Duration = Duration::from_secs(25);
/// Time limit for each size if the providers claim several.
const SIZE_TIMEOUT: Duration = Duration::from_secs(8);

/// A part of a file that is ready to be sent: its first bytes have arrived.
pub struct PreparedTransfer {
    pub(super) gateway: Arc<Gateway>,
    pub(super) slot: TransferSlot,
    pub(super) source: Source,
    size: u64,
    /// The length of the part in bytes.
    pub(super) length: u64,
}

impl PreparedTransfer {
    /// Returns the size of the file in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// The bytes of the part.
pub(super) struct Source {
    /// Verified, and not in `reader`; `None` if the part is empty.
    pub(super) first: Option<Bytes>,
    pub(super) reader: ContentReader,
    _memory: Option<HashMemoryPermit>,
}

pub(super) async fn open(
    gateway: &Arc<Gateway>,
    slot: TransferSlot,
    file: LocatedFile,
    locate: ProviderLookup,
    wanted: &(dyn Fn(u64) -> Range<u64> + Send + Sync),
) -> Result<PreparedTransfer, Problem> {
    let claims = claims(&file);
    let is_contested = claims.len() > 1;
    let preparing = async {
        let mut problem = Problem::not_found("no online peer shares this file");
        for size in claims {
            let claim = Claim {
                file: &file,
                size,
                is_contested,
            };
            let part = wanted(size);
            let length = part.end - part.start;
            let opened = claim.open(gateway, &locate, part);
            let opened = match is_contested {
                true => timeout(SIZE_TIMEOUT, opened).await,
                false => Ok(opened.await),
            };
            match opened.unwrap_or_else(|_| Err(too_slow())) {
                Ok(source) => return Ok((source, size, length)),
                Err(failed) => problem = failed,
            }
        }
        Err(problem)
    };
    let prepared = timeout(PREPARATION_TIMEOUT, preparing).await;
    let (source, size, length) = prepared.map_err(|_| too_slow())??;
    Ok(PreparedTransfer {
        gateway: Arc::clone(gateway),
        slot,
        source,
        size,
        length,
    })
}

fn too_slow() -> Problem {
    Problem::new(
        ErrorCode::Unavailable,
        "the sources of this file took too long to answer",
    )
    .hint("try again in a moment")
}

/// Returns the claimed sizes: first that of the lookup, then the others, most common first.
fn claims(file: &LocatedFile) -> Vec<u64> {
    let mut claims = vec![file.size];
    for provider in &file.providers {
        if !claims.contains(&provider.size) {
            claims.push(provider.size);
        }
    }
    let supporters = |size: u64| file.providers.iter().filter(|p| p.size == size).count();
    claims[1..].sort_by_key(|size| std::cmp::Reverse(supporters(*size)));
    claims
}

/// A size that providers claim.
struct Claim<'a> {
    file: &'a LocatedFile,
    size: u64,
    is_contested: bool,
}

impl Claim<'_> {
    /// Waits for the first bytes of `part`, and for the proof of the size if it is contested.
    async fn open(
        &self,
        gateway: &Gateway,
        locate: &ProviderLookup,
        part: Range<u64>,
    ) -> Result<Source, Problem> {
        let geometry = PieceGeometry::new(self.size)
            .ok_or_else(|| Problem::invalid("the file size exceeds the maximum"))?;
        let memory = gateway.hash_memory.take(geometry.piece_count())?;
        let known = gateway.hashes.get(&self.file.hash, self.size);
        let is_known = known.is_some();
        let content = Arc::new(FileContent::new(self.file.hash, geometry, known));
        let config = ReaderConfig {
            content: content.clone(),
            layout: geometry.into(),
            window: WINDOW_BYTES,
            limits: limits(gateway),
            located: self.file.clone(),
            lookup: locate.clone(),
            tls: gateway.tls.clone(),
        };
        let proof = self.size.saturating_sub(1)..self.size;
        let start = if self.is_contested {
            proof
        } else {
            part.clone()
        };
        let mut reader = ContentReader::start(config, start)?;
        if self.is_contested {
            reader.next().await.map_err(problem)?;
            reader.seek(part);
        }
        let first = reader.next().await.map_err(problem)?;
        if !is_known && let Some(hashes) = content.hashes() {
            gateway.hashes.keep(hashes);
        }
        Ok(Source {
            first,
            reader,
            _memory: memory,
        })
    }
}

fn limits(gateway: &Gateway) -> DownloadLimits {
    let (defaults, timeout) = (DownloadLimits::default(), gateway.config.provider_timeout);
    DownloadLimits {
        max_providers: PROVIDERS_MAX,
        stall_timeout: defaults.stall_timeout.min(timeout),
        report_timeout: timeout,
        give_up_after: timeout,
        give_up_after_busy: timeout,
        // The right to read is checked again, and the tickets are renewed.
        locate_interval: gateway.ticket_lifetime / 2,
        ..defaults
    }
}

/// Returns the error for the reader of a file.
pub(super) fn problem(error: ReadError) -> Problem {
    match error {
        ReadError::AllDishonest => Problem::new(
            ErrorCode::CorruptContents,
            "every source of this file sent wrong data",
        ),
        ReadError::NoProviders(reasons) => {
            let mut message = "no source of this file can be reached".to_owned();
            if !reasons.is_empty() {
                message = format!("{message}; {}", describe_losses(&reasons));
            }
            Problem::new(ErrorCode::Unavailable, message).hint("try again in a moment")
        }
        ReadError::Refused(problem) => problem,
        ReadError::Failed => Problem::new(ErrorCode::Internal, "the transfer failed"),
    }
}
