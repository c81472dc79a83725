//! Limits of a listener on connections and requests.

use std::time::Duration;

/// Limits on the number and speed of connections, and on the size of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of connections; further ones wait in the kernel's queue. Reduced to half of
    /// the open file limit.
    pub connections: usize,
    /// Maximum number of connections of one network; further ones are dropped. Reduced to a
    /// quarter of the open file limit.
    pub connections_per_network: usize,
    /// Time limit for the TLS handshake.
    pub handshake: Duration,
    /// Time limit for the headers of a request, and for the first request of a connection.
    pub headers: Duration,
    /// A connection without requests for this long is closed.
    pub idle: Duration,
    /// A connection is closed if response bytes are ready for this long and the client reads none
    /// of them, whether they are in the response body, in a buffer of this process, or (on Linux)
    /// in the kernel.
    pub stall: Duration,
    /// Maximum size of a part of a response, in bytes. `chunk` per `stall` is the slowest rate
    /// allowed; `chunk` times `streams` is the memory cost of a connection that reads nothing.
    pub chunk: usize,
    /// Maximum number of concurrent requests of an HTTP/2 connection.
    pub streams: u32,
    /// Maximum size of the headers of an HTTP/2 request, in bytes; an HTTP/1.1 request may have a
    /// few times as much.
    pub header_bytes: u32,
    /// Maximum number of headers of an HTTP/1.1 request.
    pub headers_count: usize,
    /// HTTP/2 flow-control window of a stream, in bytes: the most received but unread bytes.
    pub stream_window: u32,
    /// HTTP/2 flow-control window of a connection, in bytes.
    pub connection_window: u32,
}

impl Default for Limits {
    /// The limits of a peer: few connections with large transfers.
    fn default() -> Self {
        Self {
            connections: 8192,
            connections_per_network: 1024,
            handshake: Duration::from_secs(10),
            headers: Duration::from_secs(20),
            idle: Duration::from_secs(5 * 60),
            stall: Duration::from_secs(5 * 60),
            chunk: usize::MAX,
            streams: 256,
            header_bytes: 32 << 10,
            headers_count: 100,
            stream_window: crate::connection::STREAM_WINDOW,
            connection_window: crate::connection::CONNECTION_WINDOW,
        }
    }
}

impl Limits {
    /// Returns the limits of a directory: many connections with small messages in both directions.
    pub fn for_directory() -> Self {
        Self {
            stall: Duration::from_secs(30),
            chunk: 32 << 10,
            stream_window: 512 << 10,
            connection_window: 1 << 20,
            ..Self::default()
        }
    }

    /// Returns the interval at which a connection is checked.
    pub(crate) fn check_interval(&self) -> Duration {
        let soonest = self.headers.min(self.idle).min(self.stall);
        (soonest / 4).clamp(Duration::from_millis(10), Duration::from_secs(5))
    }
}
