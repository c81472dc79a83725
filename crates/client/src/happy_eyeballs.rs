//! Connects to the first of several addresses that answers (RFC 8305, "Happy Eyeballs", applied to
//! replicas).
//!
//! A new attempt starts [`STAGGER`] after the previous one, or at once if that one failed. A dead
//! address therefore costs at most [`STAGGER`], whether it refuses, is silent or is unreachable.

use std::collections::VecDeque;
use std::time::Duration;

use convite_core::{ErrorCode, PeerAddress, Problem};
use convite_net::dial::{Expected, Http2};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::body::Body;

/// Delay before the next address is tried in parallel.
const STAGGER: Duration = Duration::from_millis(250);
/// Time limit for a name lookup.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of addresses tried for one host name.
const RESOLVED_MAX: usize = 8;

/// An address as configured and as dialled. One name may resolve to several machines.
struct Candidate {
    given: PeerAddress,
    dialled: PeerAddress,
}

/// Result of one attempt.
enum Attempt {
    Connected(PeerAddress, Http2<Body>),
    Resolved(Vec<Candidate>),
    Failed(Problem),
}

/// Returns the first connection that succeeds, with its address. With a `ping_interval`, a server counts
/// only after it has sent something ([`Http2::connect_with_liveness`]).
///
/// # Errors
/// Returns `unavailable` if no address answers, or `untrusted` if none does and at least one
/// presented a wrong certificate.
pub(crate) async fn connect_first(
    addresses: &[PeerAddress],
    expected: Option<&Expected>,
    ping_interval: Option<Duration>,
) -> Result<(PeerAddress, Http2<Body>), Problem> {
    let mut waiting: VecDeque<Candidate> = addresses
        .iter()
        .map(|address| Candidate {
            given: address.clone(),
            dialled: address.clone(),
        })
        .collect();
    let mut running = JoinSet::new();
    let mut worst: Option<Problem> = None;
    let mut next = Instant::now();
    loop {
        if running.is_empty() || next <= Instant::now() {
            match waiting.pop_front() {
                Some(candidate) => {
                    running.spawn(attempt(candidate, expected.cloned(), ping_interval));
                    next = Instant::now() + STAGGER;
                }
                None if running.is_empty() => {
                    return Err(worst.unwrap_or_else(|| {
                        Problem::new(ErrorCode::Unavailable, "the directory has no address")
                    }));
                }
                None => {}
            }
        }
        let outcome = tokio::select! {
            () = sleep_until(next), if !waiting.is_empty() => continue,
            Some(outcome) = running.join_next() => outcome,
        };
        match outcome {
            Ok(Attempt::Connected(given, connection)) => return Ok((given, connection)),
            Ok(Attempt::Resolved(candidates)) => {
                for candidate in candidates.into_iter().rev() {
                    waiting.push_front(candidate);
                }
                next = Instant::now();
            }
            Ok(Attempt::Failed(problem)) => {
                // A wrong certificate is more important to report than a closed port.
                if worst.is_none() || problem.code == ErrorCode::Untrusted {
                    worst = Some(problem);
                }
                next = Instant::now();
            }
            Err(error) => {
                let problem =
                    Problem::new(ErrorCode::Internal, format!("connecting failed: {error}"));
                worst.get_or_insert(problem);
            }
        }
    }
}

async fn attempt(
    candidate: Candidate,
    expected: Option<Expected>,
    ping_interval: Option<Duration>,
) -> Attempt {
    let Candidate { given, dialled } = candidate;
    if dialled.ip().is_none() {
        return look_up(given).await;
    }
    let connected = match ping_interval {
        Some(ping_interval) => {
            Http2::connect_with_liveness(&dialled, expected.as_ref(), ping_interval).await
        }
        None => Http2::connect(&dialled, expected.as_ref()).await,
    };
    match connected {
        Ok(connection) => Attempt::Connected(given, connection),
        Err(problem) => Attempt::Failed(problem),
    }
}

/// Resolves a host name. All of its addresses are tried.
async fn look_up(given: PeerAddress) -> Attempt {
    let failed = |cause: &str| {
        Attempt::Failed(Problem::new(
            ErrorCode::Unavailable,
            format!("cannot reach {given}: {cause}"),
        ))
    };
    match timeout(
        LOOKUP_TIMEOUT,
        tokio::net::lookup_host((given.host(), given.port())),
    )
    .await
    {
        Ok(Ok(found)) => {
            let candidates: Vec<Candidate> = found
                .take(RESOLVED_MAX)
                .map(|machine| Candidate {
                    given: given.clone(),
                    dialled: machine.into(),
                })
                .collect();
            if candidates.is_empty() {
                failed("its host name has no address")
            } else {
                Attempt::Resolved(candidates)
            }
        }
        Ok(Err(_)) => failed("its host name was not found"),
        Err(_) => failed("the name lookup timed out"),
    }
}
