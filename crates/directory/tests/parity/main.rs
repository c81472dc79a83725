//! A real directory, with TLS, asked through both of its doors.

#![allow(clippy::unwrap_used)]

mod activity;
mod administering;
mod auditing;
mod backup;
mod certificates;
#[path = "../../../store/tests/cluster/mod.rs"]
mod cluster;
mod cookies;
mod described;
mod doors;
mod events;
mod finding;
mod grpc_only;
mod life;
mod loads;
mod monitoring;
mod page;
mod replicas;
mod rest_only;
mod scenarios;
mod secrecy;
mod spaces;
mod swarm;
mod throttling;
mod uploads;
