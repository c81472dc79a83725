//! What a download is told and what it says: the whole language between the plan and its shell.

use std::time::Duration;

use convite_core::PieceIndex;

use crate::provider::ProviderId;

/// The number of a request, never used twice in a download.
pub type RequestId = u64;

/// Bounds and patience of a download; the defaults suit everyone.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Requests under way at one provider: two, so that one is on its way while another is read.
    pub requests_per_provider: usize,
    /// A request asks for about this much time's worth of bytes...
    pub request_time: Duration,
    /// ...and in a swarm for about this much, so that choices are made late,
    pub request_time_in_swarm: Duration,
    /// ...but for no more than this many bytes,
    pub request_max: u64,
    /// and for this many at first, four times as many with each answer until the rate is known.
    pub request_first: u64,
    /// The last piece is asked first: it proves the size, of which providers claim several.
    pub prove_size: bool,
    /// How many providers are connected to at once.
    pub providers: usize,
    /// A request that brings no byte for so long is asked of another provider.
    pub stall: Duration,
    /// A provider that has not said for so long what it holds is given up.
    pub say: Duration,
    /// A piece has to come in the time that it takes at so many bytes a second.
    pub crawl: u64,
    /// Without anyone of whom a piece can be expected for so long, the download gives up...
    pub patience: Duration,
    /// ...but not before so long while a provider is busy, or others are there who fetch the file
    /// too.
    pub patience_with_others: Duration,
    /// How often the directory is asked for more providers while there are some.
    pub refresh: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_provider: 2,
            request_time: Duration::from_millis(500),
            request_time_in_swarm: Duration::from_millis(100),
            request_max: 32 << 20,
            request_first: 64 << 10,
            prove_size: false,
            providers: 24,
            stall: Duration::from_secs(4),
            say: Duration::from_secs(10),
            crawl: 256,
            patience: Duration::from_secs(30),
            patience_with_others: Duration::from_secs(120),
            refresh: Duration::from_secs(60),
        }
    }
}

/// Why a provider or a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It could not be reached, broke off, or does not give the file: it may be tried again.
    Unreachable,
    /// It has too many others to serve: it may be tried again.
    Busy,
    /// It does not let us in any more (the ticket ran out): a new ticket may help.
    Refused,
    /// Its piece hashes do not belong to the content: it is of no use.
    Dishonest,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Nothing but time: a deadline has come.
    Tick,
    /// The directory names a provider, for the first time or again.
    Found(ProviderId),
    /// How far away a provider is, 0 being the nearest; told before it is found, and again when it
    /// is known better. All are equally far until told.
    Distance(ProviderId, u8),
    /// The directory has answered; all it names were [`Event::Found`] before.
    Located,
    /// The directory could not be asked.
    LocateFailed,
    /// A dialled provider answered, and its piece hashes are verified. Nothing is asked of it
    /// until it has said what it holds.
    Ready(ProviderId),
    /// A provider holds every piece.
    HasAll(ProviderId),
    /// A provider holds these pieces, besides those it said before; it may be none.
    Has(ProviderId, Vec<PieceIndex>),
    /// A provider has promised these pieces to somebody: they will soon be held elsewhere. It may
    /// have been to this very download.
    HandedOut(ProviderId, Vec<PieceIndex>),
    /// A provider promised these pieces to somebody before this download knew it.
    HandedOutBefore(ProviderId, Vec<PieceIndex>),
    /// A provider is gone, with all that was asked of it.
    Lost(ProviderId, Failure),
    /// Bytes came in answer to a request.
    Received(RequestId, u64),
    /// A piece was checked against the content hash and written.
    Verified(RequestId, PieceIndex),
    /// A piece is not what its hash says.
    Corrupt(RequestId, PieceIndex),
    /// A request ended; pieces of it that did not come are missing again.
    Ended(RequestId),
    /// Ask for nothing until [`Event::Resume`]; connections and knowledge are kept.
    Pause,
    /// Go on after [`Event::Pause`].
    Resume,
    /// Give up: the next action is [`Action::Finish`].
    Cancel,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Connect to a provider and verify its piece hashes; answer [`Event::Ready`] or
    /// [`Event::Lost`].
    Dial(ProviderId),
    /// Ask a provider for pieces.
    Request {
        /// Of whom.
        provider: ProviderId,
        /// The number of this request.
        request: RequestId,
        /// Which pieces, in the order they are wanted; never empty, all of them held by it.
        pieces: Vec<PieceIndex>,
    },
    /// Give up a request; no event about it is expected any more.
    Cancel(RequestId),
    /// Drop the connection to a provider: another takes its place, or it was waited for in vain.
    HangUp(ProviderId),
    /// Drop the connection to a provider that lies, for good.
    Ban(ProviderId),
    /// Ask the directory who holds the file; answer [`Event::Located`] or
    /// [`Event::LocateFailed`].
    Locate,
    /// The download is over; nothing is expected any more.
    Finish(Outcome),
}

/// How a download ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every piece is verified.
    Complete,
    /// Of nobody could a piece be expected for [`Limits::patience`].
    NoProviders,
    /// Everybody who could be reached sent wrong bytes.
    NoneHonest,
    /// It was told to give up.
    Cancelled,
}
