//! Checks which addresses of a peer may be dialled.
//!
//! A peer announces its own addresses, so it could make others connect to machines that it cannot
//! reach itself, such as this machine or link-local neighbours. The check applies to the resolved
//! address, not to the text (`127.1`, `0`, `2130706433` are names to the parser and addresses to
//! the resolver).
//!
//! A literal loopback or link-local address is dialled, because the directory lists such an address
//! only for a peer that it sees at one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use convite_core::{ErrorCode, PeerAddress, Problem};
use tokio::time::timeout;

/// The time limit of a name lookup.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum number of addresses of a name that are tried.
const RESOLVED_MAX: usize = 8;

/// Resolves a peer's address to at least one literal address.
///
/// # Errors
/// Returns `unavailable` if the name is unknown or has no address that may be dialled.
pub(crate) async fn resolve_peer(address: &PeerAddress) -> Result<Vec<PeerAddress>, Problem> {
    let unreachable = |cause: &str| {
        Problem::new(
            ErrorCode::Unavailable,
            format!("cannot reach {address}: {cause}"),
        )
    };
    if let Some(ip) = address.ip() {
        return if is_unicast(ip) {
            Ok(vec![address.clone()])
        } else {
            Err(unreachable("it is not a unicast address"))
        };
    }
    let asked = tokio::net::lookup_host((address.host(), address.port()));
    let found = timeout(LOOKUP_TIMEOUT, asked)
        .await
        .map_err(|_| unreachable("the name lookup timed out"))?
        .map_err(|_| unreachable("unknown host name"))?;
    let mut machines: Vec<PeerAddress> = Vec::new();
    for machine in found.take(RESOLVED_MAX) {
        if is_not_local(machine.ip()) && !machines.contains(&machine.into()) {
            machines.push(machine.into());
        }
    }
    if machines.is_empty() {
        Err(unreachable(
            "its host name resolves to this machine or to no usable address",
        ))
    } else {
        Ok(machines)
    }
}

/// Returns whether an address is a unicast address.
pub fn is_unicast(ip: IpAddr) -> bool {
    match embedded(ip) {
        IpAddr::V4(ip) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast(),
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_multicast(),
    }
}

/// Returns whether an address denotes the same machine for every client: a unicast address that is
/// neither loopback nor link-local.
pub fn is_not_local(ip: IpAddr) -> bool {
    let near = match embedded(ip) {
        // All of 0.0.0.0/8 denotes this host (RFC 1122, section 3.2.1.3).
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local() || ip.octets()[0] == 0,
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local(),
    };
    is_unicast(ip) && !near
}

/// Returns the IPv4 address embedded in an IPv6 address, if any: IPv4-mapped, IPv4-compatible (RFC
/// 4291, section 2.5.5), or with the well-known NAT64 prefix (RFC 6052).
fn embedded(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = ip.to_canonical() else {
        return ip.to_canonical();
    };
    let last = || IpAddr::V4(Ipv4Addr::from_bits(six.to_bits() as u32));
    match six.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => last(),
        [0, 0, 0, 0, 0, 0, _, _] if six != Ipv6Addr::LOCALHOST && !six.is_unspecified() => last(),
        _ => IpAddr::V6(six),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_and_of_no_machine_are_told_apart() {
        for (text, one, elsewhere) in [
            ("192.0.2.7", true, true),
            ("10.0.0.7", true, true),
            ("2001:db8::7", true, true),
            ("fd00::7", true, true),
            ("127.0.0.1", true, false),
            ("127.1.2.3", true, false),
            ("::1", true, false),
            ("::ffff:127.0.0.1", true, false),
            ("::127.0.0.1", true, false),
            ("64:ff9b::7f00:1", true, false),
            ("169.254.169.254", true, false),
            ("::ffff:169.254.1.1", true, false),
            ("fe80::1", true, false),
            ("0.1.2.3", true, false),
            ("0.0.0.0", false, false),
            ("::", false, false),
            ("::ffff:0.0.0.0", false, false),
            ("255.255.255.255", false, false),
            ("224.0.0.1", false, false),
            ("ff02::1", false, false),
        ] {
            let ip = text.parse().unwrap();
            assert_eq!(is_unicast(ip), one, "{text}");
            assert_eq!(is_not_local(ip), elsewhere, "{text}");
        }
    }

    #[tokio::test]
    async fn names_that_lead_to_this_machine_are_refused_however_they_are_written() {
        for name in ["localhost", "127.1", "0", "2130706433", "0x7f.1", "0177.1"] {
            let address = PeerAddress::new(name, 5001).unwrap();
            let resolved = resolve_peer(&address).await;
            assert_eq!(resolved.unwrap_err().code, ErrorCode::Unavailable, "{name}");
        }
        for literal in ["0.0.0.0", "224.0.0.1", "::", "ff02::1"] {
            let address = PeerAddress::new(literal, 5001).unwrap();
            assert!(resolve_peer(&address).await.is_err(), "{literal}");
        }
        let literal: PeerAddress = "127.0.0.1:5001".parse().unwrap();
        assert_eq!(resolve_peer(&literal).await.unwrap(), [literal]);
    }
}
