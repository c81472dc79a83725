//! Attacks on a real directory: hand-written bytes, slow clients, floods, forged names.

#![allow(clippy::disallowed_methods, reason = "tests start tasks without names")]
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "the parity suite uses more of it")]
#[path = "../parity/apis.rs"]
mod apis;
mod fairness;
mod floods;
mod names;
mod origins;
mod outgoing_tls;
mod overload;
mod proxies;
mod raw;
mod requests;
mod slow_clients;
