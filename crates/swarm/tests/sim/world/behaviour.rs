//! What a provider does: its rate, and when and how it fails.

use std::time::Duration;

use convite_swarm::ProviderFailure;

/// The behaviour of a provider.
#[derive(Clone, Default)]
pub struct Behaviour {
    /// Bytes per second.
    pub rate: u64,
    /// Time from a request to its first byte.
    pub delay: Duration,
    /// Fraction of the pieces that are wrong.
    pub lies: f64,
    /// Sends the piece hashes of another file.
    pub dishonest_hashes: bool,
    /// Time at which its connections break and no new ones are accepted.
    pub vanishes: Option<Duration>,
    /// Time at which it is online again.
    pub returns: Option<Duration>,
    /// Time from which it sends nothing but stays connected.
    pub stalls: Option<Duration>,
    /// Time from which it disconnects instead of answering a request; it can be dialled again.
    pub refuses: Option<Duration>,
    /// Time from which it answers again.
    pub relents: Option<Duration>,
    /// Whether it reports that it is busy when it refuses.
    pub is_busy: bool,
    /// Whether its refusal or absence is certain: it reports that it lost the file, or its machine
    /// refuses connections.
    pub is_certain: bool,
    /// Time after `vanishes` until which the directory still names it.
    pub is_named_for: Option<Duration>,
    /// Never reports its pieces.
    pub is_mute: bool,
    /// Holds only every nth piece, permanently.
    pub holds_every: Option<u32>,
    /// Disconnects in the middle of every piece.
    pub breaks: bool,
    /// Sends some bytes of the current piece every second.
    pub drips: bool,
    /// Sends a byte per second and never a whole piece.
    pub trickles: bool,
}

impl Behaviour {
    /// Returns whether it never fails, and holds a piece.
    pub fn is_usable(&self, piece: u32) -> bool {
        let holds = self
            .holds_every
            .is_none_or(|every| piece.is_multiple_of(every));
        let ends = [self.vanishes, self.stalls, self.refuses];
        let fails = self.breaks || self.trickles || self.is_mute || self.dishonest_hashes;
        holds && self.lies == 0.0 && !fails && ends.iter().all(Option::is_none)
    }

    pub fn is_there(&self, now: Duration) -> bool {
        let gone = self.vanishes.is_some_and(|at| now >= at);
        !gone || self.returns.is_some_and(|at| now >= at)
    }

    /// Returns whether the directory names it.
    pub fn is_named(&self, now: Duration) -> bool {
        let named_for = self.is_named_for.unwrap_or_default();
        let until = self.vanishes.map(|at| at.saturating_add(named_for));
        self.is_there(now) || until.is_some_and(|until| now < until)
    }

    /// Returns the failure of dialling it while it is offline.
    pub fn absence(&self) -> ProviderFailure {
        if self.is_certain {
            ProviderFailure::Gone
        } else {
            ProviderFailure::Unreachable
        }
    }

    /// Returns the failure of a request that it refuses.
    pub fn loss(&self) -> ProviderFailure {
        match (self.is_certain, self.is_busy) {
            (true, _) => ProviderFailure::Gone,
            (false, true) => ProviderFailure::Busy,
            (false, false) => ProviderFailure::Unreachable,
        }
    }
}
