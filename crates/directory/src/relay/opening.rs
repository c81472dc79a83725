//! What must be known before the first byte goes out: the piece hashes, and with them the size.
//!
//! The size of a file is what its providers claim. While they agree it is believed until the last
//! piece is verified: if all of them lie, the body breaks off there. Where they disagree, a claim
//! is proven first, by its last piece.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use convite_core::model::LocatedFile;
use convite_core::{ContentHash, ErrorCode, PieceGeometry, PieceHashes, PieceIndex, Problem};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::company::Company;
use super::hashes::Room;
use super::limits::Slot;
use super::provider::{Failure, Piece};
use super::{Locate, Relay};

/// By then a file is ready to be relayed, or the reader is told that it is not; a request may take
/// 30 seconds.
const OPENING: Duration = Duration::from_secs(25);
/// So many failures one after the other, without a piece between them, end a run.
const SETBACKS_MAX: u32 = 9;

/// A file that can be relayed.
pub struct Opened {
    pub(super) source: Arc<Source>,
    pub(super) slot: Slot,
}

impl Opened {
    /// The size of the file in bytes.
    pub fn size(&self) -> u64 {
        self.source.hashes.geometry().file_size()
    }
}

/// Where the pieces of one file come from.
pub(super) struct Source {
    pub(super) relay: Arc<Relay>,
    pub(super) hashes: Arc<PieceHashes>,
    company: Company,
    _room: Option<Room>,
}

impl Source {
    /// Fetches pieces, in order, from one provider after the other until all have come. Ends
    /// early, without a failure, if nobody takes them any more.
    pub(super) async fn fetch(
        &self,
        mut wanted: Range<PieceIndex>,
        out: mpsc::Sender<Piece>,
    ) -> Result<(), Problem> {
        let mut lacking = HashSet::new();
        let mut setbacks = 0;
        while !wanted.is_empty() && !out.is_closed() {
            let chosen = self.company.next(&lacking).await?;
            let before = wanted.start;
            let fetched = chosen.line.fetch(&self.hashes, &mut wanted, &out).await;
            let Err(failure) = fetched else {
                return Ok(());
            };
            self.company.failed(&chosen.peer, failure);
            if failure == Failure::Lacking {
                lacking.insert(chosen.peer);
            }
            setbacks = if wanted.start > before {
                0
            } else {
                setbacks + 1
            };
            pause_after(setbacks).await?;
        }
        Ok(())
    }
}

/// The first failures are another provider's chance at once; then there is a pause.
async fn pause_after(setbacks: u32) -> Result<(), Problem> {
    if setbacks > SETBACKS_MAX {
        return Err(Problem::new(
            ErrorCode::Unavailable,
            "the providers of this file break off again and again",
        ));
    }
    if let Some(doublings) = setbacks.checked_sub(4) {
        sleep(Duration::from_millis(50) * 2u32.pow(doublings.min(5))).await;
    }
    Ok(())
}

pub(super) async fn open(
    relay: &Arc<Relay>,
    slot: Slot,
    file: LocatedFile,
    locate: Locate,
) -> Result<Opened, Problem> {
    let opening = async {
        let claims = claims(&file);
        let contested = claims.len() > 1;
        let mut problem = Problem::not_found("nobody who is online shares this file");
        for size in claims {
            match with_size(relay, &file, size, &locate, contested).await {
                Ok(source) => return Ok(source),
                Err(failed) => problem = failed,
            }
        }
        Err(problem)
    };
    let source = timeout(OPENING, opening).await.map_err(|_| {
        Problem::new(
            ErrorCode::Unavailable,
            "the providers of this file take too long to answer",
        )
        .hint("try again in a moment")
    })??;
    Ok(Opened {
        source: Arc::new(source),
        slot,
    })
}

/// The sizes that are claimed: the one of the answer, then the others, larger groups first.
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
    relay: &Arc<Relay>,
    file: &LocatedFile,
    size: u64,
    locate: &Locate,
    contested: bool,
) -> Result<Source, Problem> {
    let geometry = PieceGeometry::new(size)
        .ok_or_else(|| Problem::invalid("the file is larger than any can be"))?;
    let room = relay.rooms.take(geometry.piece_count())?;
    let company = Company::new(relay, file, size, Arc::clone(locate));
    let kept = relay.hashes.get(&file.hash, size);
    let hashes = match kept {
        Some(hashes) => hashes,
        None => {
            let hashes = piece_hashes(&company, &file.hash, geometry).await?;
            let hashes = Arc::new(hashes);
            relay.hashes.keep(&hashes);
            hashes
        }
    };
    let source = Source {
        relay: Arc::clone(relay),
        hashes,
        company,
        _room: room,
    };
    if contested && let Some(last) = geometry.piece_count().checked_sub(1) {
        let (out, mut piece) = mpsc::channel(1);
        source.fetch(last..last + 1, out).await?;
        piece
            .recv()
            .await
            .ok_or_else(|| Problem::new(ErrorCode::Unavailable, "the last piece did not come"))?;
    }
    Ok(source)
}

async fn piece_hashes(
    company: &Company,
    hash: &ContentHash,
    geometry: PieceGeometry,
) -> Result<PieceHashes, Problem> {
    if geometry.piece_count() <= 1 {
        let only = vec![*hash.as_bytes(); geometry.piece_count() as usize];
        return PieceHashes::verify(geometry, *hash, only);
    }
    let mut lacking = HashSet::new();
    for setbacks in 1.. {
        let chosen = company.next(&lacking).await?;
        match chosen.line.piece_hashes(hash, geometry).await {
            Ok(hashes) => return Ok(hashes),
            Err(failure) => {
                company.failed(&chosen.peer, failure);
                if failure == Failure::Lacking {
                    lacking.insert(chosen.peer);
                }
            }
        }
        pause_after(setbacks).await?;
    }
    Err(Problem::new(
        ErrorCode::Unavailable,
        "the piece hashes of this file did not come",
    ))
}
