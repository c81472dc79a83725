//! Listening and dialling, the same way for the directory and for peers.
//!
//! One accept loop ([`serve`]) that speaks HTTP/1.1 and HTTP/2 over TLS or plaintext; one way to
//! dial ([`dial`]) that trusts exactly one authority, known by its fingerprint ([`tls`]).

mod descriptors;
pub mod dial;
mod heard;
mod limits;
mod network;
pub mod origin;
pub mod proxy;
mod pulse;
pub mod request_id;
mod serve;
pub mod tls;
pub mod trace;

use std::net::SocketAddr;

pub use heard::Heard;
pub use limits::Limits;
pub use network::Network;
pub use serve::{DRAIN, serve, serve_behind};

/// What is known of the connection that a request came over; in the extensions of every request.
#[derive(Debug, Clone, Copy)]
pub struct Connection {
    /// Who dialled.
    pub remote: SocketAddr,
    /// The address that was dialled.
    pub local: SocketAddr,
    /// Whether it is encrypted.
    pub tls: bool,
}

/// HTTP/2 flow-control window of a stream, in bytes: one stream fills a link of 1 Gbit/s at 30 ms.
const STREAM_WINDOW: u32 = 4 << 20;
/// HTTP/2 flow-control window of a connection, in bytes: what a receiver may have to hold.
const CONNECTION_WINDOW: u32 = 8 << 20;
/// The largest HTTP/2 frame accepted, in bytes: fewer, larger frames cost less under TLS.
const FRAME: u32 = 1 << 20;

/// Makes `ring` the process's cryptography. Every entry point calls it; later calls do nothing.
pub fn install_crypto() {
    // Fails only if a provider is installed already, which can only be this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
