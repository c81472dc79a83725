//! The addresses of the network interfaces, which can change while a process runs.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

/// The interval at which the interfaces are read.
pub const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Returns the addresses of all interfaces; empty if the system does not provide them.
pub fn addresses() -> Vec<IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces.iter().map(if_addrs::Interface::ip).collect()
}

/// Detects changes of the interface addresses by reading them every [`POLL_INTERVAL`].
#[derive(Debug)]
pub struct InterfaceWatch {
    known: Vec<IpAddr>,
    ticks: Interval,
}

impl InterfaceWatch {
    /// Starts with the current addresses. Must be called within a Tokio runtime.
    pub fn new() -> Self {
        let mut ticks = interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            known: addresses(),
            ticks,
        }
    }

    /// Returns the addresses as last read.
    pub fn known(&self) -> &[IpAddr] {
        &self.known
    }

    /// Waits until the addresses change. Cancel safe.
    pub async fn changed(&mut self) {
        loop {
            self.ticks.tick().await;
            let now = addresses();
            let is_same = now.len() == self.known.len()
                && now.iter().all(|address| self.known.contains(address));
            if !is_same {
                self.known = now;
                return;
            }
        }
    }
}

impl Default for InterfaceWatch {
    fn default() -> Self {
        Self::new()
    }
}
