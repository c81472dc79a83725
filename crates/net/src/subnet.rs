//! Sets of IP addresses in CIDR notation.

use std::net::IpAddr;
use std::str::FromStr;

use convite_core::Problem;

/// A network or a single address: `10.0.0.0/8`, `2001:db8::/32`, `10.0.0.7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    address: IpAddr,
    bits: u32,
}

impl Subnet {
    /// Returns whether the network contains an address. An IPv4-mapped IPv6 address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Subnet {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let parsed = address.parse().ok().and_then(|address: IpAddr| {
            let address = address.to_canonical();
            let all = if address.is_ipv4() { 32 } else { 128 };
            let bits = match bits {
                // `parse` would accept `+8`.
                Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                    bits.parse().ok()?
                }
                Some(_) => return None,
                None => all,
            };
            (bits <= all).then_some(Self { address, bits })
        });
        parsed.ok_or_else(|| {
            let shown = convite_core::display::escape(text);
            Problem::invalid(format!("'{shown}' is neither an address nor a network"))
                .hint("use the form 10.0.0.7 or 10.0.0.0/24")
        })
    }
}
