//! The directory server: accounts, peers, and the index of what each peer shares. It stores no file
//! contents.
//!
//! The use cases are methods of [`Service`], one file per noun in `service/`; they depend on
//! neither HTTP nor a database driver. `rest/` and `grpc/` are APIs over them: decode, call,
//! encode. [`start`] assembles storage, search index, certificate authority, listener and
//! background tasks.

mod addresses;
mod answer;
pub mod authority;
pub mod backup;
pub mod clock;
pub mod config;
pub mod cost_class;
mod credentials;
mod files;
pub mod gateway;
mod grpc;
pub mod identity;
mod index_sync;
pub mod middleware;
mod notifications;
mod observe;
pub mod operations;
pub mod passwords;
mod replicas;
mod rest;
mod run;
mod secrets;
pub mod service;
pub mod throttle;
mod tls;
mod web;

pub use authority::stored_fingerprint;
pub use config::DirectoryConfig;
pub use convite_store::{Quotas, Settings};
pub use gateway::GatewayConfig;
pub use rest::{openapi_json, operations_page, routes_of};
pub use run::{RunningDirectory, start};
pub use service::Service;
pub use tls::CertificateFiles;
