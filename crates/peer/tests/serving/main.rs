//! What a peer serves and refuses, over real connections.

#![allow(clippy::disallowed_methods, reason = "tests start tasks without names")]
#![allow(clippy::unwrap_used)]

mod folders;
mod forms;
mod grpc;
mod http;
mod limits;
mod metrics;
mod origins;
mod partial;
mod peer;
mod python;
mod uploads;
mod visibility;

pub(crate) use peer::{Peer, claims, contents};
