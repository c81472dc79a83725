//! How far away a provider is: in a network of this machine, or by how long it takes to answer.

use std::net::IpAddr;
use std::time::Duration;

use convite_core::model::Provider;
use if_addrs::{IfAddr, get_if_addrs};

/// In a network that this machine has a link in.
const HERE: u8 = 0;
/// Elsewhere, and nothing more is known.
const ELSEWHERE: u8 = 16;

/// The networks that this machine has links in.
pub(crate) struct Networks(Vec<IfAddr>);

impl Networks {
    /// As they are now.
    pub(crate) fn here() -> Self {
        let interfaces = get_if_addrs().unwrap_or_default();
        Self(
            interfaces
                .into_iter()
                .map(|interface| interface.addr)
                .collect(),
        )
    }

    /// How far away a provider is as far as its addresses tell.
    pub(crate) fn distance(&self, provider: &Provider) -> u8 {
        let mut ips = provider.addresses.iter().filter_map(|address| address.ip());
        if ips.any(|ip| self.0.iter().any(|network| contains(network, ip))) {
            HERE
        } else {
            ELSEWHERE
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

/// Whether that is in a network of this machine.
pub(crate) fn is_here(distance: u8) -> bool {
    distance == HERE
}

/// How far away one that is not here is, by how long it took to connect: a step for each doubling,
/// so that small differences do not matter.
pub(crate) fn distance_by(delay: Duration) -> u8 {
    let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    (1 + (millis + 1).ilog2() as u8).min(ELSEWHERE - 1)
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
    fn the_same_subnet_is_near_and_delays_come_in_steps() {
        let networks = Networks(vec![IfAddr::V4(Ifv4Addr {
            ip: "192.168.7.5".parse().unwrap(),
            netmask: "255.255.255.0".parse().unwrap(),
            prefixlen: 24,
            broadcast: None,
        })]);
        assert_eq!(networks.distance(&provider("192.168.7.200:1")), HERE);
        assert_eq!(networks.distance(&provider("192.168.8.200:1")), ELSEWHERE);
        assert_eq!(networks.distance(&provider("host.example:1")), ELSEWHERE);
        let by = |millis| distance_by(Duration::from_millis(millis));
        assert!(HERE < by(0) && by(0) < by(3) && by(3) < by(40) && by(40) < by(300));
        assert_eq!(by(20), by(25));
        assert!(by(1_000_000) < ELSEWHERE);
    }
}
