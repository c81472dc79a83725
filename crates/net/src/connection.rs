//! What is known of a connection, and the HTTP/2 parameters of every connection.

use std::net::SocketAddr;

/// HTTP/2 flow-control window of a stream, in bytes. One stream fills a link of 1 Gbit/s at 30 ms.
pub(crate) const STREAM_WINDOW: u32 = 4 << 20;
/// HTTP/2 flow-control window of a connection, in bytes: the most that a receiver has to buffer.
pub(crate) const CONNECTION_WINDOW: u32 = 8 << 20;
/// The maximum HTTP/2 frame size accepted, in bytes. Larger frames cost less under TLS.
pub(crate) const FRAME: u32 = 1 << 20;

/// The connection that a request arrived on. It is in the extensions of every request.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionInfo {
    /// Address of the client.
    pub remote: SocketAddr,
    /// Local address of the connection.
    pub local: SocketAddr,
    /// Whether the connection uses TLS.
    pub tls: bool,
}
