//! What a listener puts up with from those who connect to it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::Network;

/// How many connections there may be, how slow they may be, and what a request may be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; further ones wait in the kernel's queue. At most half of the files that the
    /// process may have open.
    pub connections: usize,
    /// Connections at once from one [`Network`]; further ones are dropped. At most a quarter of those
    /// files.
    pub connections_per_network: usize,
    /// A connection that has not shaken hands by then is dropped.
    pub handshake: Duration,
    /// A request whose headers have not come by then is dropped, and so is a connection without a
    /// first request.
    pub headers: Duration,
    /// A connection without a request for so long is closed.
    pub idle: Duration,
    /// A connection is cut if an answer lies ready for so long and nothing of it is taken.
    pub stall: Duration,
    /// How much of an answer is handed over at once, in bytes: with `stall`, the slowest that one
    /// may read; and what a connection that reads nothing costs, times `streams`.
    pub chunk: usize,
    /// Requests at once on one HTTP/2 connection.
    pub streams: u32,
    /// The most bytes of headers of one HTTP/2 request; an HTTP/1.1 one may have a few times that.
    pub header_bytes: u32,
    /// The most headers of one HTTP/1.1 request.
    pub headers_count: usize,
    /// HTTP/2 flow-control window of a stream, in bytes: what may come in and not be read yet.
    pub stream_window: u32,
    /// The same of a connection.
    pub connection_window: u32,
}

impl Default for Limits {
    /// Those of a peer: a few connections, with many bytes.
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
            stream_window: crate::STREAM_WINDOW,
            connection_window: crate::CONNECTION_WINDOW,
        }
    }
}

impl Limits {
    /// Those of a directory: many connections, with small messages both ways.
    pub fn of_a_directory() -> Self {
        Self {
            stall: Duration::from_secs(30),
            chunk: 32 << 10,
            stream_window: 512 << 10,
            connection_window: 1 << 20,
            ..Self::default()
        }
    }

    /// How often a connection is looked at.
    pub(crate) fn tick(&self) -> Duration {
        let soonest = self.headers.min(self.idle).min(self.stall);
        (soonest / 4).clamp(Duration::from_millis(10), Duration::from_secs(5))
    }
}

/// How many connections each network has.
#[derive(Clone, Default)]
pub(crate) struct Guests {
    counts: Arc<Mutex<HashMap<Network, usize>>>,
}

/// One connection, counted until this is dropped.
pub(crate) struct Guest {
    guests: Guests,
    network: Network,
}

impl Guests {
    /// One more from `address`, unless its network has as many as it may.
    pub(crate) fn admit(&self, address: IpAddr, limits: &Limits) -> Option<Guest> {
        let max = limits.connections_per_network;
        let network = Network::of(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(network).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Guest {
            guests: self.clone(),
            network,
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let counts = &self.guests.counts;
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.network);
            }
        }
    }
}
