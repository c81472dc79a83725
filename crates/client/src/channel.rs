//! One HTTP/2 connection to the directory, re-established at the first address that answers when it
//! breaks or its replica stops responding.
//!
//! The channel resends a request that never left this machine. It does not resend one that may have
//! arrived: only the caller knows whether that is safe.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use convite_core::{ErrorCode, PeerAddress, Problem, UnixMillis};
use convite_net::clock::DirectoryClock;
use convite_net::dial::{Expected, Http2, SendError};
use convite_net::task;
use convite_net::tls;
use convite_wire::invite::Fingerprint;
use convite_wire::status::to_status;
use http::{Request, Response};
use hyper::body::Incoming;
use parking_lot::Mutex as StdMutex;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use tonic::Status;
use tonic::body::Body;

use crate::addresses::Addresses;
use crate::happy_eyeballs;
use crate::liveness::{GivenUp, LivenessTimeout, ResponseBody, with_liveness};
use crate::retry::{Retry, chance};

/// Interval between pings to a replica that owes an answer.
const PING_INTERVAL: Duration = Duration::from_millis(750);
/// Maximum number of attempts to send a request that has not left this machine.
const RESENDS: u32 = 8;

/// A `tower` service for tonic's clients. Clones share the connection.
#[derive(Clone)]
pub struct Channel {
    shared: Arc<Shared>,
}

/// Request extension: the liveness timeout of the request, and the connection that carries it.
#[derive(Clone, Default)]
pub(crate) struct CallState {
    liveness: LivenessTimeout,
    /// `None` until the request is sent.
    line: Arc<StdMutex<Option<GivenUp>>>,
}

impl CallState {
    /// Creates a state with a liveness timeout. It applies only if another replica could take
    /// over.
    pub(crate) fn with(liveness: LivenessTimeout) -> Self {
        Self {
            liveness,
            line: Arc::default(),
        }
    }
}

/// Callback for address changes, with the addresses last passed to it.
struct Keeper {
    keep: Box<dyn Fn(Vec<PeerAddress>) + Send + Sync>,
    kept: Vec<PeerAddress>,
}

/// Reads addresses that another process may have saved. Blocking.
type ReadAddresses = Arc<dyn Fn() -> Vec<PeerAddress> + Send + Sync>;

struct Shared {
    expected: Option<Expected>,
    clock: DirectoryClock,
    addresses: StdMutex<Addresses>,
    keeper: StdMutex<Option<Keeper>>,
    elsewhere: StdMutex<Option<ReadAddresses>>,
    line: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Line>,
    /// Time and cause of the last failed dial. Callers that waited for it share the result.
    failed: Option<(Instant, Problem)>,
}

/// A connection to one replica.
#[derive(Clone)]
struct Line {
    address: PeerAddress,
    connection: Http2<Body>,
    given_up: GivenUp,
    /// Another replica could take over from this one.
    replaceable: bool,
}

impl Channel {
    /// Creates a channel to the directory at `addresses`. It connects on first use.
    ///
    /// # Errors
    /// Returns `invalid_argument` if `addresses` is empty.
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
                elsewhere: StdMutex::default(),
                clock: DirectoryClock::default(),
                line: Mutex::default(),
            }),
        })
    }

    /// Returns the known addresses of the directory, best first.
    pub fn addresses(&self) -> Vec<PeerAddress> {
        self.shared.addresses.lock().in_order().to_vec()
    }

    /// Returns whether the connection is not encrypted.
    pub fn is_plaintext(&self) -> bool {
        self.shared.expected.is_none()
    }

    /// Returns the directory's clock, as its answers show it.
    pub fn clock(&self) -> DirectoryClock {
        self.shared.clock.clone()
    }

    /// Sets a function that supplies more addresses when no known one answers.
    pub(crate) fn read_addresses(
        &self,
        read: impl Fn() -> Vec<PeerAddress> + Send + Sync + 'static,
    ) {
        *self.shared.elsewhere.lock() = Some(Arc::new(read));
    }

    /// Sets a function that is called with the addresses, best first, when they change.
    pub(crate) fn keep_addresses(&self, keep: impl Fn(Vec<PeerAddress>) + Send + Sync + 'static) {
        *self.shared.keeper.lock() = Some(Keeper {
            keep: Box::new(keep),
            kept: self.addresses(),
        });
    }

    /// Adds the replicas that the directory named.
    pub(crate) async fn told(&self, replicas: &[PeerAddress]) {
        let (news, choice) = {
            let mut addresses = self.shared.addresses.lock();
            (addresses.told(replicas), addresses.has_choice())
        };
        if !news {
            return;
        }
        self.shared.keep();
        // A connection made when there was no alternative has no liveness check. The next call
        // opens one that has.
        let mut state = self.shared.line.lock().await;
        state.open.take_if(|line| choice && !line.replaceable);
    }

    /// Makes the next request use another replica, if there is one.
    pub(crate) fn turn_away(&self, call: &CallState) {
        if self.shared.addresses.lock().has_choice()
            && let Some(line) = call.line.lock().as_ref()
        {
            line.set();
        }
    }
}

impl Shared {
    fn keep(&self) {
        let addresses = self.addresses.lock().in_order().to_vec();
        if let Some(keeper) = self.keeper.lock().as_mut()
            && keeper.kept != addresses
        {
            keeper.kept.clone_from(&addresses);
            (keeper.keep)(addresses);
        }
    }

    /// Returns an open connection. Dials repeatedly until the retry time is over.
    async fn line(&self) -> Result<Line, Problem> {
        let mut retry = Retry::for_call(std::time::Instant::now());
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

    /// Returns the open connection, or dials a new one.
    async fn open_line(&self) -> Result<Line, Problem> {
        let asked = Instant::now();
        // Held while dialling, so that concurrent callers share one attempt.
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
            self.addresses.lock().failed(&line.address);
        }
        let mut dialled = self.dial().await;
        // Another process may have saved newer addresses.
        if dialled.is_err() && self.read_elsewhere().await {
            dialled = self.dial().await;
        }
        match dialled {
            Ok((address, connection, replaceable)) => {
                self.addresses.lock().answered(&address);
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
                    None => problem.hint(
                        "check that the directory is running and that this machine can reach it",
                    ),
                };
                state.failed = Some((Instant::now(), problem.clone()));
                Err(problem)
            }
        }
    }

    /// Returns the first address that answers, its connection, and whether another could take over.
    async fn dial(&self) -> Result<(PeerAddress, Http2<Body>, bool), Problem> {
        let (places, replaceable) = {
            let addresses = self.addresses.lock();
            (addresses.in_order().to_vec(), addresses.has_choice())
        };
        let ping_interval = replaceable.then_some(PING_INTERVAL);
        let dialled =
            happy_eyeballs::connect_first(&places, self.expected.as_ref(), ping_interval).await;
        dialled.map(|(address, connection)| (address, connection, replaceable))
    }

    /// Adds addresses that another process of this home saved. Returns whether there are new ones.
    async fn read_elsewhere(&self) -> bool {
        let Some(read) = self.elsewhere.lock().clone() else {
            return false;
        };
        let found = task::start_blocking(move || read()).await;
        self.addresses.lock().given(&found.unwrap_or_default())
    }

    /// Records the directory's clock from the `Date` header of an answer (RFC 9110, section 6.6.1).
    fn note_clock(&self, answer: &Response<Incoming>) {
        let date = answer.headers().get(http::header::DATE);
        let date = date.and_then(|date| date.to_str().ok());
        if let Some(Ok(theirs)) = date.map(httpdate::parse_http_date) {
            // The header has whole seconds: on average, half a second has passed.
            let theirs = UnixMillis::from(theirs).after(Duration::from_millis(500));
            self.clock.record(theirs, SystemTime::now().into());
        }
    }

    async fn send(&self, mut request: Request<Body>) -> Result<Response<ResponseBody>, Problem> {
        let call = request
            .extensions()
            .get::<CallState>()
            .cloned()
            .unwrap_or_default();
        for _ in 0..RESENDS {
            let line = self.line().await?;
            *call.line.lock() = Some(line.given_up.clone());
            let timeout = line.replaceable.then_some(call.liveness);
            let received = line.connection.last_received().clone();
            let sending = line.connection.send(request);
            let problem = match with_liveness(&received, timeout, sending).await {
                Ok(Ok(response)) => {
                    self.note_clock(&response);
                    return Ok(response
                        .map(|body| ResponseBody::new(body, received, timeout, line.given_up)));
                }
                Ok(Err(SendError::Unsent(back))) => {
                    line.given_up.set();
                    request = *back;
                    continue;
                }
                Ok(Err(SendError::Broken(error))) => broken(&error, self.expected.is_none()),
                Err(silent) => silent,
            };
            line.given_up.set();
            return Err(problem);
        }
        Err(Problem::new(
            ErrorCode::Unavailable,
            "the directory accepts no requests",
        ))
    }
}

fn broken(error: &hyper::Error, is_plaintext: bool) -> Problem {
    let problem = Problem::new(
        ErrorCode::Unavailable,
        format!("lost the connection to the directory: {error}"),
    );
    if is_plaintext {
        problem.hint(
            "this home connects without encryption; if the directory now uses TLS, run `convite logout`, then \
             `convite join` with a new invite link",
        )
    } else {
        problem
    }
}

impl tower::Service<Request<Body>> for Channel {
    type Response = Response<ResponseBody>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Status>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = self.shared.clone();
        Box::pin(async move { shared.send(request).await.map_err(|p| to_status(&p)) })
    }
}
