//! Messages from the tasks of a transfer.

use std::io;
use std::time::Duration;

use convite_core::Problem;
use convite_core::model::LocatedFile;
use convite_swarm::{Event, ProviderId, RequestId};

use crate::connection::Connection;
use crate::loss::Loss;

/// A message from a task of a transfer.
pub(crate) enum TaskEvent {
    /// An event for the planner.
    Plan(Event),
    /// A provider was dialled.
    Dialled(ProviderId, Result<DialledProvider, Loss>),
    /// The directory answered a query.
    Located(Result<LocatedFile, Problem>),
    /// The request failed, and the connection with it.
    Broken(RequestId, Loss),
    /// Writing a piece failed.
    SinkFailed(io::Error),
    /// A provider is gone, without a request in progress.
    Gone(ProviderId, Loss),
}

/// A connected provider; what is necessary to verify its pieces is known.
pub(crate) struct DialledProvider {
    pub(crate) connection: Connection,
    /// The time that it took to connect.
    pub(crate) delay: Duration,
}
