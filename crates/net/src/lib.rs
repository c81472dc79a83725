//! Network layer shared by the directory and peers.
//!
//! [`serve`] is the accept loop for HTTP/1.1 and HTTP/2 over TLS or plaintext. [`dial`] opens
//! client connections that trust exactly one certificate authority, known by its fingerprint
//! ([`tls`]).

pub mod clock;
mod connection;
mod date;
pub mod destination;
pub mod dial;
mod idle;
pub mod interfaces;
mod last_received;
mod limits;
pub mod min_rate;
mod network;
mod open_files;
pub mod origin;
pub mod permits;
pub mod proxy;
pub mod random;
mod request_body;
pub mod request_id;
mod serve;
mod subnet;
pub mod task;
pub mod tls;
pub mod trace;
mod write_progress;

pub use connection::ConnectionInfo;
pub use last_received::LastReceived;
pub use limits::Limits;
pub use network::Network;
pub use request_body::RequestBody;
pub use serve::{DRAIN_TIMEOUT, serve, serve_behind};
pub use tls::install_crypto;
