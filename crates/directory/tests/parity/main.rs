//! Tests of a real directory with TLS, through both APIs.

#![allow(clippy::disallowed_methods, reason = "tests start tasks without names")]
#![allow(clippy::unwrap_used)]

mod activity;
mod admin_scenes;
mod apis;
mod audit_log;
mod backup;
mod certificates;
#[path = "../../../store/tests/cluster/mod.rs"]
mod cluster;
mod cookies;
mod data_loss;
mod events;
mod find_files;
mod folders;
mod grpc_only;
mod lifetimes;
mod loads;
mod login_and_publish;
mod monitoring;
mod openapi;
mod operations;
mod page;
mod rate_limits;
mod reader_tickets;
mod replicas;
mod rest_only;
mod scenarios;
mod space_isolation;
mod spaces;
mod swarm;
mod uploads;
