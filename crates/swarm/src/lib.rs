//! What to ask of whom: the plan of a download, pure.
//!
//! A [`Download`] takes events with the time since it began and returns actions. It does no I/O,
//! reads no clock, holds no randomness and awaits nothing, so that the very code that ships is
//! simulated over many seeds (`tests/sim`). The shell around it owns sockets and files.
//!
//! States of a provider: *known* → *dialling* → *ready* → *lost* (may be found again) or *banned*
//! (never again); where there are more than can be connected to, each download has its own choice
//! of them (`company`). States of a piece: *missing* → *asked* (of one provider, at the end of two) →
//! *verified*. A download ends once, with [`Action::Finish`].

mod choice;
mod company;
mod download;
mod event;
mod invariants;
mod patience;
mod pieces;
mod provider;
mod upload;

pub use download::Download;
pub use event::{Action, Event, Failure, Limits, Outcome, RequestId};
pub use pieces::PieceSet;
pub use provider::ProviderId;
pub use upload::{Admission, Slots, TokenBucket};
