//! One provider as the planner sees it: its state, its rate, and what is asked of it.

use std::time::Duration;

use convite_core::PieceIndex;

use crate::event::RequestId;
use crate::pieces::PieceSet;

/// The number that the shell gives a provider, kept for the whole download.
pub type ProviderId = u32;

/// Where a provider stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// There is no room to connect to it.
    Known,
    /// A connection is being made, its piece hashes fetched and verified.
    Dialling,
    /// It can be asked for pieces.
    Ready,
    /// It could not be reached or broke off; it may be tried again at that time.
    Lost(Duration),
    /// It sent wrong bytes.
    Banned,
}

#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) state: State,
    /// What it holds, as far as it has said.
    pub(crate) held: PieceSet,
    /// Whether it has said what it holds since it was dialled.
    pub(crate) has_said: bool,
    /// When it was last ready.
    pub(crate) ready_since: Duration,
    /// Since when a piece is awaited of it, while any is.
    pub(crate) awaited_since: Option<Duration>,
    /// Whether it was lost because it had others to serve.
    pub(crate) is_busy: bool,
    /// How often in a row its requests were answered whole: they double until its rate is known.
    pub(crate) answered: u32,
    /// Requests under way, oldest first.
    pub(crate) requests: Vec<RequestId>,
    /// How far away it is, 0 being the nearest.
    pub(crate) distance: u8,
    /// Since when it holds nothing missing that it has not promised to somebody.
    pub(crate) all_promised: Option<Duration>,
    /// How often in a row it was lost without having sent a verified piece.
    pub(crate) failures: u32,
    pub(crate) rate: Rate,
}

impl Provider {
    pub(crate) fn new(pieces: u32) -> Self {
        Self {
            state: State::Known,
            held: PieceSet::empty(pieces),
            has_said: false,
            ready_since: Duration::ZERO,
            awaited_since: None,
            is_busy: false,
            answered: 0,
            distance: 0,
            all_promised: None,
            requests: Vec::new(),
            failures: 0,
            rate: Rate::default(),
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    pub(crate) fn has(&self, piece: PieceIndex) -> bool {
        self.held.contains(piece)
    }
}

/// How fast bytes come: an exponentially weighted mean over windows of at least [`Rate::WINDOW`].
#[derive(Debug, Default)]
pub(crate) struct Rate {
    bytes_per_second: Option<f64>,
    window_start: Duration,
    window_bytes: u64,
}

impl Rate {
    const WINDOW: Duration = Duration::from_millis(100);
    /// Weight of the newest window.
    const NEWEST: f64 = 0.3;

    /// Bytes begin to be awaited after none were.
    pub(crate) fn begin(&mut self, now: Duration) {
        self.window_start = now;
        self.window_bytes = 0;
    }

    pub(crate) fn received(&mut self, now: Duration, bytes: u64) {
        self.window_bytes += bytes;
        let elapsed = now.saturating_sub(self.window_start);
        if elapsed < Self::WINDOW {
            return;
        }
        let newest = self.window_bytes as f64 / elapsed.as_secs_f64();
        self.bytes_per_second = Some(match self.bytes_per_second {
            None => newest,
            Some(mean) => mean + Self::NEWEST * (newest - mean),
        });
        self.begin(now);
    }

    /// None until a window has passed.
    pub(crate) fn bytes_per_second(&self) -> Option<f64> {
        self.bytes_per_second
    }
}
