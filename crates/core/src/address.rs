//! Network addresses of peers and directories.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Problem;

/// A host (IP address or DNS name) and a port: `192.0.2.7:5001`, `[2001:db8::7]:5001`,
/// `peer.example:5001`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddress {
    /// An IP address without brackets, or a DNS name.
    host: Box<str>,
    /// Never 0.
    port: u16,
}

impl PeerAddress {
    /// Returns the host; an IPv6 address has no brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, which is never 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the IP address, or `None` if the host is a DNS name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Creates an address from a host (IP address without brackets, or DNS name) and a port.
    ///
    /// # Errors
    /// Returns `invalid_argument` if the host or the port is not valid.
    pub fn new(host: &str, port: u16) -> Result<Self, Problem> {
        let is_name = || {
            host.len() <= 253
                && host.split('.').all(|label| {
                    !label.is_empty()
                        && label.len() <= 63
                        && label
                            .bytes()
                            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                })
        };
        if port == 0 || !(host.parse::<IpAddr>().is_ok() || is_name()) {
            return Err(invalid_address(&format!("{host}:{port}")));
        }
        Ok(Self {
            host: host.into(),
            port,
        })
    }
}

fn invalid_address(text: &str) -> Problem {
    let shown: String = crate::display::escape(text).chars().take(200).collect();
    if text.contains('/') {
        return Problem::invalid(format!(
            "'{shown}' is not an address: it contains a scheme or a path"
        ))
        .hint(
            "an address is HOST:PORT; behind a proxy the directory needs its own host name or port, it \
             cannot be a path of another site",
        );
    }
    Problem::invalid(format!("'{shown}' is not an address"))
        .hint("an address is HOST:PORT, as in 192.0.2.7:5001 or [2001:db8::7]:5001")
}

impl From<SocketAddr> for PeerAddress {
    /// `address` must not have port 0, which no bound or connected socket has.
    fn from(address: SocketAddr) -> Self {
        Self {
            host: address.ip().to_canonical().to_string().into(),
            port: address.port(),
        }
    }
}

impl FromStr for PeerAddress {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let (host, port) = text.rsplit_once(':').ok_or_else(|| invalid_address(text))?;
        let port = port.parse().map_err(|_| invalid_address(text))?;
        let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(inner) if inner.parse::<std::net::Ipv6Addr>().is_ok() => inner,
            Some(_) => return Err(invalid_address(text)),
            None if host.contains(':') => return Err(invalid_address(text)),
            None => host,
        };
        Self::new(host, port)
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// An address whose port is optional: a [`PeerAddress`], or an IP address with or without brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressInput {
    /// Host and port.
    WithPort(PeerAddress),
    /// An IP address without a port.
    IpOnly(IpAddr),
}

impl AddressInput {
    /// Returns the address, with `port` if it has no port of its own.
    ///
    /// # Errors
    /// Returns `invalid_argument` if `port` is needed and is 0.
    pub fn with_port(&self, port: u16) -> Result<PeerAddress, Problem> {
        match self {
            Self::WithPort(address) => Ok(address.clone()),
            Self::IpOnly(ip) => PeerAddress::new(&ip.to_string(), port),
        }
    }
}

/// Returns the addresses, with `port` for those that have no port of their own.
///
/// # Errors
/// Returns `invalid_argument` if `port` is needed and is 0.
pub fn with_port(given: &[AddressInput], port: u16) -> Result<Vec<PeerAddress>, Problem> {
    given
        .iter()
        .map(|address| address.with_port(port))
        .collect()
}

impl FromStr for AddressInput {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let inner = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        match inner.unwrap_or(text).parse() {
            Ok(ip) => Ok(Self::IpOnly(ip)),
            Err(_) => text.parse().map(Self::WithPort),
        }
    }
}

impl fmt::Display for AddressInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WithPort(address) => address.fmt(f),
            Self::IpOnly(ip) => ip.fmt(f),
        }
    }
}

impl Serialize for AddressInput {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AddressInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::names::from_text(deserializer)
    }
}

impl Serialize for PeerAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PeerAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::names::from_text(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip_and_others_are_refused() {
        for good in [
            "127.0.0.1:1",
            "[::1]:5001",
            "host.example:65535",
            "my_host:80",
        ] {
            assert_eq!(good.parse::<PeerAddress>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            ":",
            "host",
            "host:",
            "host:0",
            "host:70000",
            "::1:80",
            "[host]:80",
            "a b:1",
            "a/b:1",
            "http://a:1",
            "a..b:1",
            "\u{202e}:1",
        ] {
            assert!(bad.parse::<PeerAddress>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_bare_ip_address_gets_the_port_that_is_known() {
        for (given, whole) in [
            ("192.0.2.7", "192.0.2.7:5001"),
            ("2001:db8::7", "[2001:db8::7]:5001"),
            ("[2001:db8::7]", "[2001:db8::7]:5001"),
            ("[2001:db8::7]:80", "[2001:db8::7]:80"),
            ("host.example:80", "host.example:80"),
        ] {
            let address: AddressInput = given.parse().unwrap();
            assert_eq!(address.with_port(5001).unwrap().to_string(), whole);
        }
        for bad in ["", "host.example", "[host]", "192.0.2.7:0", "192.0.2"] {
            assert!(bad.parse::<AddressInput>().is_err(), "{bad}");
        }
    }
}
