//! What a peer serves, to whom, and what it refuses, over real connections.

#![allow(clippy::unwrap_used)]

mod grpc;
mod http;
mod limits;
mod metrics;
mod origins;
mod partial;
mod peer;
mod python;
mod uploads;

pub(crate) use peer::{Peer, contents, sign};
