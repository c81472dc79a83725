//! One HTTP/2 connection to the directory, made anew when it breaks or falls silent, at whichever
//! of its addresses answers first.
//!
//! A request that never left is sent again from here. One that may have arrived is not: only the
//! caller knows whether it may happen twice.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use convite_core::{ErrorCode, PeerAddress, Problem};
use convite_net::dial::{Expected, Http2, SendFailed};
use convite_net::tls;
use convite_wire::invite::Fingerprint;
use convite_wire::status::to_status;
use http::{Request, Response};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use tonic::Status;
use tonic::body::Body;

use crate::addresses::Addresses;
use crate::race;
use crate::retry::{Retry, chance};
use crate::silence::{Answer, Patience, unless_silent};

/// How often a replica that owes an answer is asked for a sign of life.
const BEAT: Duration = Duration::from_millis(750);
/// How often a request that never left is sent another way.
const RESENDS: u32 = 8;

/// A `tower` service that tonic's clients run over. Clones share the connection.
#[derive(Clone)]
pub struct Channel {
    shared: Arc<Shared>,
}

/// Travels in the extensions of a request: how long its replica may be silent, and the line it went
/// by.
#[derive(Clone, Default)]
pub(crate) struct Course {
    silence: Patience,
    /// None until the request is sent.
    line: Arc<StdMutex<Option<GivenUp>>>,
}

impl Course {
    /// With a silence after which the replica is given up, if another can stand in for it.
    pub(crate) fn with(silence: Patience) -> Self {
        Self {
            silence,
            line: Arc::default(),
        }
    }
}

/// Whether a line is used no more: its replica broke it off, fell silent or turned somebody away.
#[derive(Clone, Default)]
pub(crate) struct GivenUp(Arc<AtomicBool>);

impl GivenUp {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What is told of news, and what it was told last.
struct Keeper {
    keep: Box<dyn Fn(Vec<PeerAddress>) + Send + Sync>,
    kept: Vec<PeerAddress>,
}

struct Shared {
    expected: Option<Expected>,
    addresses: StdMutex<Addresses>,
    keeper: StdMutex<Option<Keeper>>,
    line: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Line>,
    /// When dialling last failed, and how: those who waited for it meanwhile share the news.
    failed: Option<(Instant, Problem)>,
}

/// A connection to one replica.
#[derive(Clone)]
struct Line {
    address: PeerAddress,
    connection: Http2<Body>,
    given_up: GivenUp,
    /// Another replica could stand in for this one.
    replaceable: bool,
}

impl Channel {
    /// A channel to the directory at `addresses`, dialled when it is first used.
    ///
    /// # Errors
    /// `invalid_argument` if there is no address.
    pub fn new(
        addresses: Vec<PeerAddress>,
        authority: Option<Fingerprint>,
    ) -> Result<Self, Problem> {
        if addresses.is_empty() {
            return Err(Problem::invalid("the directory has no address"));
        }
        let expected = authority
            .map(|Fingerprint(pin)| Expected::new(tls::client_config(pin), tls::DIRECTORY_NAME))
            .transpose()?;
        Ok(Self {
            shared: Arc::new(Shared {
                expected,
                addresses: StdMutex::new(Addresses::new(addresses)),
                keeper: StdMutex::default(),
                line: Mutex::default(),
            }),
        })
    }

    /// Where the directory may be, best first, as far as is known by now.
    pub fn addresses(&self) -> Vec<PeerAddress> {
        self.shared.addresses().in_order().to_vec()
    }

    /// Whether the connection is not encrypted.
    pub fn is_plaintext(&self) -> bool {
        self.shared.expected.is_none()
    }

    /// Has `keep` called with the addresses, best first, whenever there is news of them.
    pub(crate) fn keep_addresses(&self, keep: impl Fn(Vec<PeerAddress>) + Send + Sync + 'static) {
        *lock(&self.shared.keeper) = Some(Keeper {
            keep: Box::new(keep),
            kept: self.addresses(),
        });
    }

    /// The directory says where its replicas are.
    pub(crate) async fn told(&self, replicas: &[PeerAddress]) {
        let (news, choice) = {
            let mut addresses = self.shared.addresses();
            (addresses.told(replicas), addresses.has_choice())
        };
        if !news {
            return;
        }
        self.shared.keep();
        // A line from when there was no other is not watched: the next call has one that is.
        let mut state = self.shared.line.lock().await;
        state.open.take_if(|line| choice && !line.replaceable);
    }

    /// The replica that a request went to cannot answer now: the next goes to another, if there is
    /// one.
    pub(crate) fn turn_away(&self, course: &Course) {
        if self.shared.addresses().has_choice()
            && let Some(line) = lock(&course.line).as_ref()
        {
            line.set();
        }
    }
}

fn lock<T>(mutex: &StdMutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn addresses(&self) -> MutexGuard<'_, Addresses> {
        lock(&self.addresses)
    }

    fn keep(&self) {
        let addresses = self.addresses().in_order().to_vec();
        if let Some(keeper) = lock(&self.keeper).as_mut()
            && keeper.kept != addresses
        {
            keeper.kept.clone_from(&addresses);
            (keeper.keep)(addresses);
        }
    }

    /// An open line; dials, again and again while nobody answers, until patience is at its end.
    async fn line(&self) -> Result<Line, Problem> {
        let mut retry = Retry::within_patience(std::time::Instant::now());
        loop {
            let problem = match self.open_line().await {
                Err(problem) if problem.code == ErrorCode::Unavailable => problem,
                other => return other,
            };
            match retry.pause(std::time::Instant::now(), chance()) {
                Some(pause) => sleep(pause).await,
                None => return Err(problem),
            }
        }
    }

    /// The open line, or a new one if an address answers.
    async fn open_line(&self) -> Result<Line, Problem> {
        let asked = Instant::now();
        // Held while dialling, so that callers at the same time share one attempt.
        let mut state = self.line.lock().await;
        if let Some(line) = &state.open
            && !line.connection.is_closed()
            && !line.given_up.is_set()
        {
            return Ok(line.clone());
        }
        match &state.failed {
            Some((at, problem)) if *at > asked => return Err(problem.clone()),
            _ => {}
        }
        if let Some(line) = state.open.take() {
            self.addresses().failed(&line.address);
        }
        let (places, replaceable) = {
            let addresses = self.addresses();
            (addresses.in_order().to_vec(), addresses.has_choice())
        };
        let beat = replaceable.then_some(BEAT);
        match race::first_to_answer(&places, self.expected.as_ref(), beat).await {
            Ok((address, connection)) => {
                self.addresses().answered(&address);
                self.keep();
                let line = Line {
                    address,
                    connection,
                    given_up: GivenUp::default(),
                    replaceable,
                };
                state.failed = None;
                state.open = Some(line.clone());
                Ok(line)
            }
            Err(problem) => {
                let problem = match problem.hint {
                    Some(_) => problem,
                    None => {
                        problem.hint("is the directory running, and reachable from this machine?")
                    }
                };
                state.failed = Some((Instant::now(), problem.clone()));
                Err(problem)
            }
        }
    }

    async fn send(&self, mut request: Request<Body>) -> Result<Response<Answer>, Problem> {
        let course = request
            .extensions()
            .get::<Course>()
            .cloned()
            .unwrap_or_default();
        for _ in 0..RESENDS {
            let line = self.line().await?;
            *lock(&course.line) = Some(line.given_up.clone());
            let patience = line.replaceable.then_some(course.silence);
            let heard = line.connection.heard().clone();
            let sending = line.connection.send(request);
            let problem = match unless_silent(&heard, patience, sending).await {
                Ok(Ok(response)) => {
                    return Ok(
                        response.map(|body| Answer::new(body, heard, patience, line.given_up))
                    );
                }
                Ok(Err(SendFailed::Unsent(back))) => {
                    line.given_up.set();
                    request = *back;
                    continue;
                }
                Ok(Err(SendFailed::Broken(error))) => broken(&error),
                Err(silent) => silent,
            };
            line.given_up.set();
            return Err(problem);
        }
        Err(Problem::new(
            ErrorCode::Unavailable,
            "the directory takes no request",
        ))
    }
}

fn broken(error: &hyper::Error) -> Problem {
    Problem::new(
        ErrorCode::Unavailable,
        format!("the connection to the directory broke: {error}"),
    )
}

impl tower::Service<Request<Body>> for Channel {
    type Response = Response<Answer>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, Status>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = self.shared.clone();
        Box::pin(async move { shared.send(request).await.map_err(|p| to_status(&p)) })
    }
}
