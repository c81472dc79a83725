//! Tests of readers with real connections to honest, slow, broken or dishonest providers.

#![allow(clippy::disallowed_methods, reason = "tests start tasks without names")]
#![allow(clippy::unwrap_used)]

mod failures;
mod fake_provider;
mod permissions;
mod reading;
mod world;
