//! Preparation of a transfer: the piece hashes, and with them the size of the file.
//!
//! The size is a claim of the providers. If they agree, it is trusted until the last piece is
//! verified: if all of them are wrong, the transfer ends there with an error. If they disagree, a
//! claimed size is first proven with its last piece.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use convite_core::model::LocatedFile;
use convite_core::{ContentHash, ErrorCode, PieceGeometry, PieceHashes, PieceIndex, Problem};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::hashes::HashMemoryPermit;
use super::limits::TransferSlot;
use super::provider::{Piece, ProviderFailure};
use super::provider_pool::ProviderPool;
use super::{Gateway, ProviderLookup};

/// Time limit for the preparation; a request may take 30 seconds.
const PREPARATION_TIMEOUT: Duration = Duration::from_secs(25);
/// Number of consecutive failures, without a piece in between, after which a run fails.
const CONSECUTIVE_FAILURES_MAX: u32 = 9;

/// A file that is ready for the transfer.
pub struct PreparedTransfer {
    pub(super) source: Arc<PieceSource>,
    pub(super) slot: TransferSlot,
}

impl PreparedTransfer {
    /// Returns the size of the file in bytes.
    pub fn size(&self) -> u64 {
        self.source.hashes.geometry().file_size()
    }
}

/// The source of the pieces of one file.
pub(super) struct PieceSource {
    pub(super) gateway: Arc<Gateway>,
    pub(super) hashes: Arc<PieceHashes>,
    pool: ProviderPool,
    _memory: Option<HashMemoryPermit>,
}

impl PieceSource {
    /// Fetches pieces in order, switching to another provider after a failure, until all have
    /// arrived. Returns early, without an error, if the receiver is dropped.
    pub(super) async fn fetch(
        &self,
        mut wanted: Range<PieceIndex>,
        out: mpsc::Sender<Piece>,
    ) -> Result<(), Problem> {
        let mut lacking = HashSet::new();
        let mut failures = 0;
        while !wanted.is_empty() && !out.is_closed() {
            let provider = self.pool.next(&lacking).await?;
            let before = wanted.start;
            let fetched = provider
                .connection
                .fetch(&self.hashes, &mut wanted, &out)
                .await;
            let Err(failure) = fetched else {
                return Ok(());
            };
            self.pool.failed(&provider.peer, failure);
            if failure == ProviderFailure::Lacking {
                lacking.insert(provider.peer);
            }
            failures = if wanted.start > before {
                0
            } else {
                failures + 1
            };
            backoff(failures).await?;
        }
        Ok(())
    }
}

/// Waits after a failure; not after the first ones, so that another provider is tried immediately.
async fn backoff(failures: u32) -> Result<(), Problem> {
    if failures > CONSECUTIVE_FAILURES_MAX {
        return Err(Problem::new(
            ErrorCode::Unavailable,
            "the sources of this file repeatedly disconnect",
        ));
    }
    if let Some(doublings) = failures.checked_sub(4) {
        sleep(Duration::from_millis(50) * 2u32.pow(doublings.min(5))).await;
    }
    Ok(())
}

pub(super) async fn open(
    gateway: &Arc<Gateway>,
    slot: TransferSlot,
    file: LocatedFile,
    locate: ProviderLookup,
) -> Result<PreparedTransfer, Problem> {
    let preparing = async {
        let claims = claims(&file);
        let contested = claims.len() > 1;
        let mut problem = Problem::not_found("no online peer shares this file");
        for size in claims {
            match with_size(gateway, &file, size, &locate, contested).await {
                Ok(source) => return Ok(source),
                Err(failed) => problem = failed,
            }
        }
        Err(problem)
    };
    let source = timeout(PREPARATION_TIMEOUT, preparing)
        .await
        .map_err(|_| {
            Problem::new(
                ErrorCode::Unavailable,
                "the sources of this file took too long to answer",
            )
            .hint("try again in a moment")
        })??;
    Ok(PreparedTransfer {
        source: Arc::new(source),
        slot,
    })
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

async fn with_size(
    gateway: &Arc<Gateway>,
    file: &LocatedFile,
    size: u64,
    locate: &ProviderLookup,
    contested: bool,
) -> Result<PieceSource, Problem> {
    let geometry = PieceGeometry::new(size)
        .ok_or_else(|| Problem::invalid("the file size exceeds the maximum"))?;
    let memory = gateway.hash_memory.take(geometry.piece_count())?;
    let pool = ProviderPool::new(gateway, file, size, Arc::clone(locate));
    let kept = gateway.hashes.get(&file.hash, size);
    let hashes = match kept {
        Some(hashes) => hashes,
        None => {
            let hashes = piece_hashes(&pool, &file.hash, geometry).await?;
            let hashes = Arc::new(hashes);
            gateway.hashes.keep(&hashes);
            hashes
        }
    };
    let source = PieceSource {
        gateway: Arc::clone(gateway),
        hashes,
        pool,
        _memory: memory,
    };
    if contested && let Some(last) = geometry.piece_count().checked_sub(1) {
        let (out, mut piece) = mpsc::channel(1);
        source.fetch(last..last + 1, out).await?;
        piece
            .recv()
            .await
            .ok_or_else(|| Problem::new(ErrorCode::Unavailable, "the last piece did not arrive"))?;
    }
    Ok(source)
}

async fn piece_hashes(
    pool: &ProviderPool,
    hash: &ContentHash,
    geometry: PieceGeometry,
) -> Result<PieceHashes, Problem> {
    if geometry.piece_count() <= 1 {
        let only = vec![*hash.as_bytes(); geometry.piece_count() as usize];
        return PieceHashes::verify(geometry, *hash, only);
    }
    let mut lacking = HashSet::new();
    for failures in 1.. {
        let provider = pool.next(&lacking).await?;
        match provider.connection.piece_hashes(hash, geometry).await {
            Ok(hashes) => return Ok(hashes),
            Err(failure) => {
                pool.failed(&provider.peer, failure);
                if failure == ProviderFailure::Lacking {
                    lacking.insert(provider.peer);
                }
            }
        }
        backoff(failures).await?;
    }
    Err(Problem::new(
        ErrorCode::Unavailable,
        "the piece hashes of this file did not arrive",
    ))
}
