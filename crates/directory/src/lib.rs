//! The directory: who is in the group, what each one shares, who is online. Never contents.
//!
//! The use cases are methods of [`Service`], one file per noun in `service/`; they know neither
//! HTTP nor a database driver. `rest/` and `grpc/` are two doors to them: decode, call, encode.
//! [`start`] puts it together: storage, search index, certificate authority, listener, and the
//! tasks in the background.

pub mod authority;
pub mod backup;
pub mod config;
mod credentials;
mod files;
mod follower;
pub mod gate;
mod grpc;
mod news;
mod observe;
pub mod passwords;
pub mod relay;
mod replicas;
mod rest;
mod run;
pub mod service;
pub mod throttle;
mod tls;
mod vault;
mod web;

use convite_core::{ErrorCode, Problem};

pub use config::DirectoryConfig;
pub use relay::RelayConfig;
pub use rest::openapi_json;
pub use run::{RunningDirectory, start};
pub use service::Service;

/// Secrets, from the operating system.
fn random_bytes<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Problem::new(
            ErrorCode::Internal,
            format!("no randomness to be had: {error}"),
        )
    })?;
    Ok(bytes)
}
