//! Dialling several addresses, each a moment after the one before unless that has failed already;
//! the first that answers wins (RFC 8305, "Happy Eyeballs", for replicas). A dead address costs
//! [`STAGGER`], however it is dead: refusing, silent or unreachable.

use std::collections::VecDeque;
use std::time::Duration;

use convite_core::{ErrorCode, PeerAddress, Problem};
use convite_net::dial::{Expected, Http2};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tonic::body::Body;

/// How long an address has before the next is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);
/// How long a name may take to be looked up.
const LOOK_UP: Duration = Duration::from_secs(5);
/// The most machines behind one name that are tried.
const BEHIND_NAME_MAX: usize = 8;

/// One address, as it was given and as it is dialled: a name may stand for several machines.
struct Place {
    given: PeerAddress,
    dialled: PeerAddress,
}

/// What came of one attempt.
enum Outcome {
    Connected(PeerAddress, Http2<Body>),
    Resolved(Vec<Place>),
    Failed(Problem),
}

/// The first of `addresses` that answers, and which it was. With a `beat`, only one that has said
/// something counts ([`Http2::connect_watchfully`]).
///
/// # Errors
/// `unavailable` if none answers; `untrusted` if none does and one is an impostor.
pub(crate) async fn first_to_answer(
    addresses: &[PeerAddress],
    expected: Option<&Expected>,
    beat: Option<Duration>,
) -> Result<(PeerAddress, Http2<Body>), Problem> {
    let mut waiting: VecDeque<Place> = addresses
        .iter()
        .map(|address| Place {
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
                Some(place) => {
                    running.spawn(attempt(place, expected.cloned(), beat));
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
            Ok(Outcome::Connected(given, connection)) => return Ok((given, connection)),
            Ok(Outcome::Resolved(places)) => {
                for place in places.into_iter().rev() {
                    waiting.push_front(place);
                }
                next = Instant::now();
            }
            Ok(Outcome::Failed(problem)) => {
                // An impostor is the more important news than a closed port.
                if worst.is_none() || problem.code == ErrorCode::Untrusted {
                    worst = Some(problem);
                }
                next = Instant::now();
            }
            Err(error) => {
                let problem = Problem::new(ErrorCode::Internal, format!("dialling ended: {error}"));
                worst.get_or_insert(problem);
            }
        }
    }
}

async fn attempt(place: Place, expected: Option<Expected>, beat: Option<Duration>) -> Outcome {
    let Place { given, dialled } = place;
    if dialled.ip().is_none() {
        return look_up(given).await;
    }
    let connected = match beat {
        Some(beat) => Http2::connect_watchfully(&dialled, expected.as_ref(), beat).await,
        None => Http2::connect(&dialled, expected.as_ref()).await,
    };
    match connected {
        Ok(connection) => Outcome::Connected(given, connection),
        Err(problem) => Outcome::Failed(problem),
    }
}

/// The machines behind a name: each is tried, not only the first.
async fn look_up(given: PeerAddress) -> Outcome {
    let failed = |cause: &str| {
        Outcome::Failed(Problem::new(
            ErrorCode::Unavailable,
            format!("cannot reach {given}: {cause}"),
        ))
    };
    match timeout(
        LOOK_UP,
        tokio::net::lookup_host((given.host(), given.port())),
    )
    .await
    {
        Ok(Ok(found)) => {
            let places: Vec<Place> = found
                .take(BEHIND_NAME_MAX)
                .map(|machine| Place {
                    given: given.clone(),
                    dialled: machine.into(),
                })
                .collect();
            match places.is_empty() {
                true => failed("its name has no address"),
                false => Outcome::Resolved(places),
            }
        }
        Ok(Err(_)) => failed("its name is not known"),
        Err(_) => failed("no answer from the name service"),
    }
}
