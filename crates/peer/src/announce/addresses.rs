//! The addresses that the peer advertises.

use std::net::{IpAddr, SocketAddr};

use convite_core::PeerAddress;
use convite_net::interfaces::InterfaceWatch;

/// The addresses that a peer advertises. They follow the network interfaces of its machine.
pub struct AdvertisedAddresses {
    extra: Vec<PeerAddress>,
    listener: SocketAddr,
    interfaces: InterfaceWatch,
}

impl AdvertisedAddresses {
    /// Advertises `listener` and the additional addresses `extra`.
    pub fn new(extra: Vec<PeerAddress>, listener: SocketAddr) -> Self {
        Self {
            extra,
            listener,
            interfaces: InterfaceWatch::new(),
        }
    }

    /// Returns the additional addresses, then the listener's address, or the addresses of all
    /// interfaces if it listens on all.
    pub fn addresses(&self) -> Vec<PeerAddress> {
        let mut addresses = self.extra.clone();
        if !self.listener.ip().is_unspecified() {
            addresses.push(self.listener.into());
        } else {
            let usable = self.interfaces.known().iter().filter(|ip| match ip {
                IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
                // A link-local IPv6 address without a scope cannot be dialled, and none here has a
                // scope.
                IpAddr::V6(ip) => {
                    self.listener.is_ipv6() && !ip.is_loopback() && !ip.is_unicast_link_local()
                }
            });
            let port = self.listener.port();
            addresses.extend(usable.map(|ip| SocketAddr::new(*ip, port).into()));
        }
        let mut seen = std::collections::HashSet::new();
        addresses.retain(|address| seen.insert(address.clone()));
        addresses
    }

    /// Waits until the addresses change. Never returns if the listener is bound to one address.
    pub async fn changed(&mut self) {
        if !self.listener.ip().is_unspecified() {
            return std::future::pending().await;
        }
        loop {
            let before = self.addresses();
            self.interfaces.changed().await;
            if self.addresses() != before {
                return;
            }
        }
    }
}
