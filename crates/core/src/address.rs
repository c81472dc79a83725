//! Where a peer or a directory can be dialled.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Problem;

/// A host (IP address or DNS name) and a port: `192.0.2.7:5001`, `[2001:db8::7]:5001`,
/// `peer.example:5001`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddress {
    /// IP address without brackets, or DNS name.
    host: Box<str>,
    /// Never 0.
    port: u16,
}

impl PeerAddress {
    /// The host, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The IP address, unless the host is a DNS name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// From a host (IP address without brackets, or DNS name) and a port.
    ///
    /// # Errors
    /// `invalid_argument` if either is not valid.
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
            return Err(refuse(&format!("{host}:{port}")));
        }
        Ok(Self {
            host: host.into(),
            port,
        })
    }
}

fn refuse(text: &str) -> Problem {
    let shown: String = crate::display::escape(text).chars().take(200).collect();
    Problem::invalid(format!("'{shown}' is not an address"))
        .hint("an address is HOST:PORT, as in 192.0.2.7:5001 or [2001:db8::7]:5001")
}

impl From<SocketAddr> for PeerAddress {
    /// The port must not be 0, which no bound or connected socket has.
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
        let (host, port) = text.rsplit_once(':').ok_or_else(|| refuse(text))?;
        let port = port.parse().map_err(|_| refuse(text))?;
        let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(inner) if inner.parse::<std::net::Ipv6Addr>().is_ok() => inner,
            Some(_) => return Err(refuse(text)),
            None if host.contains(':') => return Err(refuse(text)),
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
}
