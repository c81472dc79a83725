//! Receiving a content from its providers.
//!
//! A [`Transfer`] executes the plan of a [`convite_swarm::Download`]: it dials providers, follows
//! the pieces that they hold, receives pieces, and verifies each one before it is written to the
//! caller's [`PieceSink`]: a file, memory, or several files. Nothing unverified reaches a sink. What
//! is received, and how its pieces are verified, is a [`Content`]. A [`ContentReader`] returns its
//! bytes in order.

mod availability;
mod connection;
mod content;
mod folder;
mod http1;
mod locality;
mod loss;
mod pieces;
mod rate_limit;
mod reader;
mod receive;
mod report;
mod sink;
mod task_event;
mod transfer;

pub use connection::{Connection, Grpc, dial};
pub use content::{Content, FileContent, FilePieceVerifier, PieceVerifier};
pub use folder::{FolderContent, FolderPieceVerifier, fetch_manifests};
pub use http1::Http1Provider;
pub use loss::{Loss, describe_losses, no_provider_left};
pub use rate_limit::RateLimit;
pub use reader::{ContentReader, ReadError, ReaderConfig};
pub use sink::{PieceBuffer, PieceSink, PieceWrite};
pub use transfer::{LookupFuture, ProviderLookup, Transfer, TransferConfig, TransferEvent};
