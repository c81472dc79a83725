//! A provider in the planner: its state, rate and requests.

use std::time::Duration;

use convite_core::PieceIndex;

use crate::event::RequestId;
use crate::pieces::PieceSet;

/// The state of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProviderState {
    /// Not connected, because the maximum number of connections is reached.
    Known,
    /// Connecting, or fetching and verifying piece hashes.
    Dialling,
    /// Can be sent requests.
    Ready,
    /// Unreachable or disconnected; can be retried at this time.
    Lost(Duration),
    /// Sent wrong bytes.
    Banned,
}

/// The time for which a provider that stalled is avoided, doubled each time.
const STALL_PENALTY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) state: ProviderState,
    /// The pieces it has reported to hold.
    pub(crate) held: PieceSet,
    /// How often it has become ready.
    pub(crate) connections: u32,
    /// Whether it has reported its pieces since it was dialled.
    pub(crate) has_reported: bool,
    /// Time at which it last became ready.
    pub(crate) ready_since: Duration,
    /// Time since which a piece is awaited from it, if any is.
    pub(crate) waiting_since: Option<Duration>,
    /// Whether it was lost because it was serving others.
    pub(crate) is_busy: bool,
    /// Whether it is certainly lost and has not answered since.
    pub(crate) is_gone: bool,
    /// Number of completed requests. The request size grows with it until the rate is known.
    pub(crate) answered: u32,
    /// Time at which it last sent bytes, or was sent a request while it had none.
    pub(crate) last_progress: Duration,
    /// Time of the request that it received while it had none, until it answers.
    pub(crate) asked_at: Option<Duration>,
    /// A recent maximum of its time to answer a request.
    pub(crate) response_time: Duration,
    /// How often it stalled until another provider sent its pieces, since it last sent one.
    pub(crate) stalls: u32,
    /// Time until which others are preferred, because it stalled.
    pub(crate) avoided_until: Duration,
    /// Active requests, oldest first.
    pub(crate) requests: Vec<RequestId>,
    /// Distance, 0 for the nearest.
    pub(crate) distance: u8,
    /// Time since which all missing pieces it holds are promised to others.
    pub(crate) all_promised_since: Option<Duration>,
    /// Consecutive losses without a verified piece in between.
    pub(crate) failures: u32,
    pub(crate) rate: Rate,
}

impl Provider {
    pub(crate) fn new(pieces: u32) -> Self {
        Self {
            state: ProviderState::Known,
            held: PieceSet::empty(pieces),
            connections: 0,
            has_reported: false,
            ready_since: Duration::ZERO,
            waiting_since: None,
            is_busy: false,
            is_gone: false,
            answered: 0,
            last_progress: Duration::ZERO,
            asked_at: None,
            response_time: Duration::ZERO,
            stalls: 0,
            avoided_until: Duration::ZERO,
            distance: 0,
            all_promised_since: None,
            requests: Vec::new(),
            failures: 0,
            rate: Rate::default(),
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.state == ProviderState::Ready
    }

    /// Records bytes received at `now`.
    pub(crate) fn received(&mut self, now: Duration, bytes: u64) {
        self.last_progress = now;
        if bytes > 0
            && let Some(asked_at) = self.asked_at.take()
        {
            let newest = now.saturating_sub(asked_at);
            // Decreases slowly, so that a regular delay is remembered.
            self.response_time = newest.max(self.response_time * 7 / 8);
        }
        self.rate.received(now, bytes);
    }

    /// Records that another provider sent its pieces, because it stalled.
    pub(crate) fn stalled(&mut self, now: Duration) {
        self.avoided_until = now + STALL_PENALTY * (1 << self.stalls.min(5));
        self.stalls += 1;
    }

    /// Records a request sent at `now`.
    pub(crate) fn asked(&mut self, now: Duration, request: RequestId) {
        if self.requests.is_empty() {
            self.rate.begin(now);
            self.waiting_since = Some(now);
            self.last_progress = now;
            self.asked_at = Some(now);
        }
        self.requests.push(request);
    }

    pub(crate) fn has(&self, piece: PieceIndex) -> bool {
        self.held.contains(piece)
    }
}

/// The receive rate: an exponentially weighted mean over windows of at least [`Rate::WINDOW`].
#[derive(Debug, Default)]
pub(crate) struct Rate {
    bytes_per_second: Option<f64>,
    window_start: Duration,
    window_bytes: u64,
}

impl Rate {
    const WINDOW: Duration = Duration::from_millis(100);
    /// The weight of the newest window.
    const NEWEST: f64 = 0.3;

    /// Starts a new window when bytes are awaited again.
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

    /// Returns the rate, or `None` before the first window has passed.
    pub(crate) fn bytes_per_second(&self) -> Option<f64> {
        self.bytes_per_second
    }
}
