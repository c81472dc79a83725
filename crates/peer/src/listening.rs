//! Where a peer listens, and where it says that it does.

use std::io;
use std::net::{IpAddr, SocketAddr};

use convite_core::{ErrorCode, PeerAddress, Problem};
use tokio::net::TcpListener;

use crate::config::Ports;

/// Listens where it is wanted.
///
/// # Errors
/// `in_use` if no such port is free.
pub(crate) async fn listen(bind: IpAddr, ports: &Ports) -> Result<TcpListener, Problem> {
    let taken = |what: String| {
        Problem::new(ErrorCode::InUse, what)
            .hint("choose another with `--port`, or `--port 0` for any free one")
    };
    match ports {
        Ports::Any => TcpListener::bind((bind, 0))
            .await
            .map_err(|e| taken(format!("cannot listen on {bind}: {}", why(&e)))),
        Ports::Exactly(port) => TcpListener::bind((bind, *port))
            .await
            .map_err(|e| taken(format!("cannot listen on port {port}: {}", why(&e)))),
        Ports::FirstFree(range) => {
            for port in range.clone() {
                if let Ok(listener) = TcpListener::bind((bind, port)).await {
                    return Ok(listener);
                }
            }
            Err(taken(format!(
                "no port from {} to {} is free",
                range.start(),
                range.end()
            )))
        }
    }
}

/// Without the number of the error where words say it.
fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "already in use".to_owned(),
        io::ErrorKind::PermissionDenied => "ports below 1024 need rights".to_owned(),
        _ => error.to_string(),
    }
}

/// Where others may dial a listener: the extra addresses, then its own, or those of all
/// interfaces if it listens on all.
pub(crate) fn advertised(extra: &[PeerAddress], listener: SocketAddr) -> Vec<PeerAddress> {
    let mut addresses = extra.to_vec();
    if !listener.ip().is_unspecified() {
        addresses.push(listener.into());
    } else {
        let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        let usable = interfaces
            .iter()
            .map(|interface| interface.ip())
            .filter(|ip| match ip {
                IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
                // Without a scope, which no address here has, a link-local one leads nowhere.
                IpAddr::V6(ip) => {
                    listener.is_ipv6() && !ip.is_loopback() && !ip.is_unicast_link_local()
                }
            });
        addresses.extend(usable.map(|ip| SocketAddr::new(ip, listener.port()).into()));
    }
    let mut seen = std::collections::HashSet::new();
    addresses.retain(|address| seen.insert(address.clone()));
    addresses
}
