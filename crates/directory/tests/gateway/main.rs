//! Tests of the gateway with a real directory and honest, slow, broken or dishonest providers.
//!
//! The providers use gRPC without TLS, so that the tests can simulate them; the verification of
//! peers' identities is covered by the end-to-end tests.

#![allow(clippy::disallowed_methods, reason = "tests start tasks without names")]
#![allow(clippy::unwrap_used)]

#[path = "../../../provider/tests/reader/fake_provider.rs"]
mod fake_provider;
mod limits;
mod links;
mod previews;
mod provider_failures;
mod reads;
mod tokens;
mod uploads;
mod world;
