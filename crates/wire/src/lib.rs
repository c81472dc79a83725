//! The network protocol: protobuf messages, REST bodies, tickets, invite links, and checked
//! conversions between them and the types of [`convite_core`].

pub mod activity;
mod administration;
pub mod attachment;
pub mod chunk;
pub mod codec;
pub mod convert;
pub mod form_part;
pub mod invite;
mod loads;
pub mod methods;
mod paseto;
pub mod pieces;
pub mod range;
pub mod reader_ticket;
pub mod rest;
pub mod status;
pub mod ticket;
pub mod upload_ticket;

/// Code generated from `proto/convite/v1`.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    tonic::include_proto!("convite.v1");
}

/// The descriptors of the .proto files, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
