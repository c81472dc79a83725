//! The distance of a provider: in a local network, or estimated from its response time.

use std::net::IpAddr;
use std::time::Duration;

use convite_core::model::Provider;
use if_addrs::{IfAddr, get_if_addrs};

/// The distance of a provider in a network that this machine is connected to.
const DISTANCE_LOCAL: u8 = 0;
/// The distance of other providers before the first connection.
const DISTANCE_UNKNOWN: u8 = 16;

/// The networks that this machine is connected to.
pub(crate) struct Networks(Vec<IfAddr>);

impl Networks {
    /// Returns the current networks.
    pub(crate) fn current() -> Self {
        let interfaces = get_if_addrs().unwrap_or_default();
        Self(
            interfaces
                .into_iter()
                .map(|interface| interface.addr)
                .collect(),
        )
    }

    /// Returns the distance of a provider, judged by its addresses.
    pub(crate) fn distance(&self, provider: &Provider) -> u8 {
        let mut ips = provider.addresses.iter().filter_map(|address| address.ip());
        if ips.any(|ip| self.0.iter().any(|network| contains(network, ip))) {
            DISTANCE_LOCAL
        } else {
            DISTANCE_UNKNOWN
        }
    }
}

fn contains(network: &IfAddr, ip: IpAddr) -> bool {
    match (network, ip) {
        (IfAddr::V4(v4), IpAddr::V4(ip)) => {
            let mask = u32::from(v4.netmask);
            mask != 0 && u32::from(v4.ip) & mask == u32::from(ip) & mask
        }
        (IfAddr::V6(v6), IpAddr::V6(ip)) => {
            let mask = u128::from(v6.netmask);
            mask != 0 && u128::from(v6.ip) & mask == u128::from(ip) & mask
        }
        _ => false,
    }
}

/// Returns whether the distance means a local network.
pub(crate) fn is_local(distance: u8) -> bool {
    distance == DISTANCE_LOCAL
}

/// Returns the distance of a provider outside the local networks, by the time to connect. It grows
/// by one for each doubling, so that small differences do not matter.
pub(crate) fn distance_by(delay: Duration) -> u8 {
    let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    (1 + (millis + 1).ilog2() as u8).min(DISTANCE_UNKNOWN - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use if_addrs::Ifv4Addr;

    fn provider(address: &str) -> Provider {
        Provider {
            peer: "p".parse().unwrap(),
            addresses: vec![address.parse().unwrap()],
            size: 1,
            ticket: String::new(),
            partial: false,
        }
    }

    #[test]
    fn same_subnet_is_local_and_delays_are_logarithmic() {
        let networks = Networks(vec![IfAddr::V4(Ifv4Addr {
            ip: "192.168.7.5".parse().unwrap(),
            netmask: "255.255.255.0".parse().unwrap(),
            prefixlen: 24,
            broadcast: None,
        })]);
        assert_eq!(
            networks.distance(&provider("192.168.7.200:1")),
            DISTANCE_LOCAL
        );
        assert_eq!(
            networks.distance(&provider("192.168.8.200:1")),
            DISTANCE_UNKNOWN
        );
        assert_eq!(
            networks.distance(&provider("host.example:1")),
            DISTANCE_UNKNOWN
        );
        let by = |millis| distance_by(Duration::from_millis(millis));
        assert!(DISTANCE_LOCAL < by(0) && by(0) < by(3) && by(3) < by(40) && by(40) < by(300));
        assert_eq!(by(20), by(25));
        assert!(by(1_000_000) < DISTANCE_UNKNOWN);
    }
}
