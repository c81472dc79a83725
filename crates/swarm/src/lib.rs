//! The download planner: decides which pieces to request from which provider, without I/O.
//!
//! A [`Download`] takes events with the time since its start and returns actions. It performs no
//! I/O, reads no clock, uses no randomness and awaits nothing, so the production code can be
//! simulated with many seeds (`tests/sim`). The caller owns sockets and files.
//!
//! States of a provider: *known* → *dialling* → *ready* → *lost* (may be retried) or *banned*
//! (never again). If there are too many providers to connect to, each download selects its own
//! subset (`pool`). States of a piece: *missing* → *requested* (from one provider, at the end
//! from two) → *verified*. A download ends once, with [`Action::Finish`].
//!
//! For a reader, a download has a window that moves ([`Event::Window`]): it requests only pieces in the
//! window, in order (`sequential`), and replaces a provider that stalls at once (`hedging`).

mod costs;
mod download;
mod duplicates;
mod event;
mod hedging;
mod invariants;
mod pieces;
mod pool;
mod provider;
mod selection;
mod sequential;
mod state;
mod timeouts;
mod upload;

pub use event::{
    Action, DownloadLimits, DownloadOutcome, Event, ProviderFailure, ProviderId, RequestId,
};
pub use pieces::PieceSet;
pub use state::Download;
pub use upload::{Admission, Slots, TokenBucket};
