//! Tests of the gateway with a real directory and honest, slow, broken or dishonest providers.
//!
//! The providers use HTTP without TLS, so that the tests can simulate them; the verification of
//! peers' identities is covered by the end-to-end tests.

#![allow(clippy::disallowed_methods, reason = "tests start tasks without names")]
#![allow(clippy::unwrap_used)]

mod fake_providers;
mod limits;
mod links;
mod previews;
mod provider_failures;
mod reads;
mod tokens;
mod uploads;
mod world;
