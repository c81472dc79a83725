//! What goes over the network: the protocol's messages, the REST bodies, tickets, invite links,
//! and the checked conversions between them and the words of [`convite_core`].

mod activity;
mod administration;
pub mod attachment;
pub mod chunk;
pub mod convert;
pub mod invite;
mod loads;
pub mod methods;
mod paseto;
pub mod pieces;
pub mod range;
pub mod rest;
pub mod status;
pub mod ticket;
pub mod upload_ticket;

/// Generated from `proto/convite/v1`.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    tonic::include_proto!("convite.v1");
}

/// The compiled .proto files, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
