//! Sets of IP addresses in CIDR notation.

use std::net::IpAddr;
use std::str::FromStr;

use convite_core::Problem;
use ipnet::IpNet;

/// A network or a single address: `10.0.0.0/8`, `2001:db8::/32`, `10.0.0.7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet(IpNet);

impl Subnet {
    /// Returns whether the network contains an address. An IPv4-mapped IPv6 address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Subnet {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let network = text.parse::<IpNet>().ok().or_else(|| {
            let address: IpAddr = text.parse().ok()?;
            Some(IpNet::from(address.to_canonical()))
        });
        network.map(Self).ok_or_else(|| {
            let shown = convite_core::display::escape(text);
            Problem::invalid(format!("'{shown}' is neither an address nor a network"))
                .hint("use the form 10.0.0.7 or 10.0.0.0/24")
        })
    }
}
