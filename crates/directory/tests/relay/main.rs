//! Contents through a real directory, from providers that are honest, slow, broken or lying.
//!
//! They speak HTTP without TLS, so that they can be made up here; that a relay believes only the
//! peer that it means to ask is tested with real peers, end to end.

#![allow(clippy::unwrap_used)]

mod asking;
mod failing;
mod limits;
mod links;
mod peers;
mod reading;
mod uploads;
