//! Fuzz targets: every parser of untrusted bytes. Each function passes the bytes to its parser,
//! checks the result, and panics if it is wrong.
//!
//! `cargo fuzz` runs them with libFuzzer (`fuzz_targets`). The property tests of each crate include
//! the same files (`tests/parsers.rs`), so the two cannot differ.

pub mod folder;
pub mod net;
pub mod search;
pub mod wire;
