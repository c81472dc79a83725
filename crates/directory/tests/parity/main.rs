//! A real directory, with TLS, asked through both of its doors.

#![allow(clippy::unwrap_used)]

mod certificates;
mod described;
mod doors;
mod grpc_only;
mod life;
mod rest_only;
mod scenarios;
mod swarm;
mod throttling;
