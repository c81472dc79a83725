//! The events, actions and limits of a download: the interface between planner and caller.

use std::ops::Range;
use std::time::Duration;

use convite_core::PieceIndex;

/// The number assigned to a provider by the caller, constant during the download.
pub type ProviderId = u32;

/// The number of a request, unique in a download.
pub type RequestId = u64;

/// Limits and timeouts of a download. The defaults are suitable for all uses.
#[derive(Debug, Clone)]
pub struct DownloadLimits {
    /// Maximum concurrent requests to a provider: two, so that one is in transit while another is
    /// read.
    pub requests_per_provider: usize,
    /// Target duration of a request.
    pub request_time: Duration,
    /// Target duration of a request in a swarm; shorter, so that pieces are chosen late.
    pub request_time_in_swarm: Duration,
    /// Maximum size of a request, in bytes.
    pub request_max: u64,
    /// Size of the first request, in bytes. Until the rate is known, the size is multiplied by four
    /// with each reply.
    pub request_first: u64,
    /// Whether to request the last piece first. It proves the file size if providers claim
    /// different ones.
    pub prove_size: bool,
    /// Maximum number of connected providers.
    pub max_providers: usize,
    /// Timeout for a request without received bytes. Its pieces are then requested from another
    /// provider.
    pub stall_timeout: Duration,
    /// Time without received bytes after which a download with a window requests pieces also from
    /// another provider. It is doubled for a provider that regularly needs this long to answer.
    pub hedge_after: Duration,
    /// Timeout for a provider to report which pieces it holds.
    pub report_timeout: Duration,
    /// Minimum rate in bytes per second, which determines the time limit for a piece.
    pub min_rate: u64,
    /// Time without a usable provider after which the download fails.
    pub give_up_after: Duration,
    /// The same while a provider is busy, or others are downloading the file.
    pub give_up_after_busy: Duration,
    /// The same if all known providers are certainly lost and the directory names no other: long
    /// enough for a peer to restart.
    pub give_up_after_gone: Duration,
    /// Interval of directory queries for more providers while there are some.
    pub locate_interval: Duration,
}

impl Default for DownloadLimits {
    fn default() -> Self {
        Self {
            requests_per_provider: 2,
            request_time: Duration::from_millis(500),
            request_time_in_swarm: Duration::from_millis(100),
            request_max: 32 << 20,
            request_first: 64 << 10,
            prove_size: false,
            max_providers: 24,
            stall_timeout: Duration::from_secs(4),
            hedge_after: Duration::from_millis(300),
            report_timeout: Duration::from_secs(10),
            min_rate: 256,
            give_up_after: Duration::from_secs(30),
            give_up_after_busy: Duration::from_secs(120),
            give_up_after_gone: Duration::from_millis(1_500),
            locate_interval: Duration::from_secs(60),
        }
    }
}

/// The reason why a provider or a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderFailure {
    /// The provider is unreachable or disconnected. Can be retried.
    Unreachable,
    /// The provider no longer has the file, or is certainly offline. It is not waited for.
    Gone,
    /// The provider serves too many others. Can be retried.
    Busy,
    /// The provider refuses access because the ticket has expired. A new ticket may help.
    Refused,
    /// The piece hashes of the provider do not match the content. It is not used again.
    Dishonest,
}

/// An event reported to a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A deadline has passed.
    Tick,
    /// The directory names a provider, for the first time or again.
    Found(ProviderId),
    /// The distance of a provider, 0 for the nearest. Sent before [`Event::Found`], and again when
    /// a better value is known. All distances are equal by default.
    Distance(ProviderId, u8),
    /// The directory has answered. [`Event::Found`] was sent for all named providers before.
    Located,
    /// The query to the directory failed.
    LocateFailed,
    /// The directory no longer names a provider. Sent before [`Event::Located`].
    Unlisted(ProviderId),
    /// A dialled provider answered, and its piece hashes are verified. It receives no requests
    /// until it reports the pieces it holds.
    Ready(ProviderId),
    /// A provider holds every piece.
    HasAll(ProviderId),
    /// A provider holds these pieces, in addition to those reported before. May be empty.
    Has(ProviderId, Vec<PieceIndex>),
    /// A provider has promised these pieces to a downloader, possibly to this one. Others will soon
    /// hold them.
    Promised(ProviderId, Vec<PieceIndex>),
    /// A provider promised these pieces to a downloader before this download connected.
    PromisedBefore(ProviderId, Vec<PieceIndex>),
    /// A provider is lost, with all its requests.
    Lost(ProviderId, ProviderFailure),
    /// Bytes were received for a request.
    Received(RequestId, u64),
    /// A piece was verified against the content hash and written.
    Verified(RequestId, PieceIndex),
    /// A piece does not match its hash.
    Corrupt(RequestId, PieceIndex),
    /// A request ended. Its undelivered pieces are missing again.
    Ended(RequestId),
    /// A reader needs these pieces in order. From now on, only they are requested, those at the
    /// start first, and requests for others are cancelled. The start is the next piece that the
    /// reader needs; it may move in either direction. The caller needs memory for no other pieces,
    /// and drops those that arrive from cancelled requests.
    Window(Range<PieceIndex>),
    /// The caller no longer has these pieces, which were verified: a reader may return to them.
    Discarded(Range<PieceIndex>),
    /// Stop requesting until [`Event::Resume`]. Connections and state are kept.
    Pause,
    /// Continue after [`Event::Pause`].
    Resume,
    /// Cancel the download. The next action is [`Action::Finish`].
    Cancel,
}

/// An action for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Connect to a provider and verify its piece hashes. Answered by [`Event::Ready`] or
    /// [`Event::Lost`].
    Dial(ProviderId),
    /// Request pieces from a provider.
    Request {
        /// The provider.
        provider: ProviderId,
        /// Number of the request.
        request: RequestId,
        /// The pieces in the order to send them; never empty, all held by the provider.
        pieces: Vec<PieceIndex>,
    },
    /// Cancel a request. No further event about it is expected.
    Cancel(RequestId),
    /// Disconnect from a provider, because another takes its place or it timed out.
    Disconnect(ProviderId),
    /// Disconnect permanently from a provider that sent wrong data.
    Ban(ProviderId),
    /// Query the directory for providers. Answered by [`Event::Located`] or
    /// [`Event::LocateFailed`].
    Locate,
    /// The download has ended. No further events are expected.
    Finish(DownloadOutcome),
}

/// The result of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownloadOutcome {
    /// Every wanted piece is verified.
    Complete,
    /// There was no usable provider for the time of [`DownloadLimits::give_up_after`].
    NoProviders,
    /// Every reachable provider sent wrong bytes.
    AllDishonest,
    /// The download was cancelled.
    Cancelled,
}
