//! The peer's listener.

use std::io;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use convite_core::{ErrorCode, Problem};
use tokio::net::TcpListener;

/// The ports that a peer may listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ports {
    /// Any free port.
    Any,
    /// This port.
    Exactly(u16),
    /// The first free port of this range.
    FirstFree(RangeInclusive<u16>),
}

/// Binds the first port that is free.
///
/// # Errors
/// Returns `in_use` if none of the ports is free.
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

/// Returns the reason without the operating system's error number, where the cause is known.
fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "already in use".to_owned(),
        io::ErrorKind::PermissionDenied => "ports below 1024 need administrator rights".to_owned(),
        _ => error.to_string(),
    }
}
