//! The state of a download.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use convite_core::{PieceIndex, PieceLayout};

use crate::costs::PieceCosts;
use crate::event::{DownloadLimits, DownloadOutcome, ProviderId, RequestId};
use crate::pieces::PieceSet;
use crate::provider::Provider;

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) provider: ProviderId,
    /// Requested pieces that are not verified yet.
    pub(crate) pending: Vec<PieceIndex>,
    pub(crate) last_progress: Duration,
    /// Whether any byte was received.
    pub(crate) has_received: bool,
    /// Bytes received of pieces that are not verified yet.
    pub(crate) unverified: u64,
}

/// The state of directory queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LocateState {
    /// A query is pending.
    Pending,
    /// The next query is due at this time.
    DueAt(Duration),
}

/// A download. See the crate documentation for its states.
#[derive(Debug)]
pub struct Download {
    pub(crate) costs: PieceCosts,
    pub(crate) limits: DownloadLimits,
    /// The pieces to download.
    pub(crate) wanted: PieceSet,
    pub(crate) verified: PieceSet,
    /// Wanted, and neither verified nor requested.
    pub(crate) missing: PieceSet,
    /// The cost of all missing pieces in bytes.
    pub(crate) missing_cost: u64,
    pub(crate) providers: BTreeMap<ProviderId, Provider>,
    pub(crate) requests: BTreeMap<RequestId, Request>,
    /// The pieces that a reader needs in order; `None` if all are needed and the order is free.
    pub(crate) window: Option<Range<PieceIndex>>,
    /// Time since which the last missing pieces of the window are too few for a request.
    pub(crate) short_end_since: Option<Duration>,
    /// For each piece, the number of known copies, held or promised.
    pub(crate) copies: Vec<u16>,
    /// Whether others are known to download the file.
    pub(crate) in_swarm: bool,
    /// Seed of this download's order of pieces and providers.
    pub(crate) seed: u64,
    pub(crate) next_request: RequestId,
    pub(crate) locate: LocateState,
    /// Consecutive directory queries that found no usable provider.
    pub(crate) failed_locates: u32,
    /// Whether the directory answered the last query and named no usable provider.
    pub(crate) located_none: bool,
    /// Time since which there is no usable provider.
    pub(crate) unusable_since: Option<Duration>,
    pub(crate) paused: bool,
    /// Time of the last event.
    pub(crate) now: Duration,
    pub(crate) outcome: Option<DownloadOutcome>,
}

impl Download {
    /// Creates a download of the pieces that are not in `verified`. It starts with its first event,
    /// which may be `Event::Tick`. Downloads of the same file should have different seeds.
    pub fn new(
        layout: impl Into<PieceLayout>,
        verified: PieceSet,
        limits: DownloadLimits,
        seed: u64,
    ) -> Self {
        let costs = PieceCosts::new(layout.into());
        let count = costs.piece_count();
        let mut missing = PieceSet::full(count);
        for index in verified.iter() {
            missing.remove(index);
        }
        Self {
            missing_cost: missing.iter().map(|piece| costs.of(piece)).sum(),
            costs,
            limits,
            wanted: PieceSet::full(count),
            window: None,
            short_end_since: None,
            verified,
            missing,
            providers: BTreeMap::new(),
            requests: BTreeMap::new(),
            copies: vec![0; count as usize],
            in_swarm: false,
            seed,
            next_request: 0,
            locate: LocateState::DueAt(Duration::ZERO),
            failed_locates: 0,
            located_none: false,
            unusable_since: Some(Duration::ZERO),
            paused: false,
            now: Duration::ZERO,
            outcome: None,
        }
    }

    /// Restricts a new download to these pieces: it is complete when they are verified.
    pub fn of_pieces(mut self, wanted: PieceSet) -> Self {
        for piece in 0..self.costs.piece_count() {
            if !wanted.contains(piece) {
                self.remove_missing(piece);
            }
        }
        self.wanted = wanted;
        self
    }

    pub(crate) fn add_missing(&mut self, piece: PieceIndex) {
        if self.missing.insert(piece) {
            self.missing_cost += self.costs.of(piece);
        }
    }

    pub(crate) fn remove_missing(&mut self, piece: PieceIndex) {
        if self.missing.remove(piece) {
            self.missing_cost -= self.costs.of(piece);
        }
    }

    /// Returns the verified pieces.
    pub fn verified(&self) -> &PieceSet {
        &self.verified
    }

    /// Returns the number of providers that can be sent requests now.
    pub fn ready(&self) -> usize {
        self.providers.values().filter(|p| p.is_ready()).count()
    }
}
