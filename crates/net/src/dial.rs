//! Client connections to a directory or a peer, over TLS or (by choice) plaintext.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use convite_core::{ErrorCode, PeerAddress, Problem};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::{ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::Instrument;

use crate::connection::{CONNECTION_WINDOW, FRAME, STREAM_WINDOW};
use crate::date::http_date;
use crate::last_received::{LastReceived, ReceiveTrackedStream};
use crate::{destination, task, trace};

/// The time limit for a connection attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The delay after which the next address is tried while the previous one has not answered.
const STAGGER: Duration = Duration::from_millis(250);
/// The interval of keep-alive pings to a silent server, and the time limit for the reply.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// The expected identity of a server.
#[derive(Clone)]
pub struct Expected {
    config: Arc<rustls::ClientConfig>,
    name: ServerName<'static>,
}

impl Expected {
    /// Expects a certificate for `name` that `config` accepts ([`crate::tls`]).
    ///
    /// # Errors
    /// Returns `invalid_argument` if `name` is not a valid host name.
    pub fn new(config: Arc<rustls::ClientConfig>, name: &str) -> Result<Self, Problem> {
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| Problem::invalid("the server name is not valid"))?;
        Ok(Self { config, name })
    }

    /// Returns the same expectation, restricted to HTTP/1.1.
    pub fn http1_only(&self) -> Self {
        Self {
            config: crate::tls::http1_only(&self.config),
            name: self.name.clone(),
        }
    }
}

/// A connected stream, encrypted if a server identity was expected.
pub enum Stream {
    /// TLS.
    Encrypted(Box<TlsStream<TcpStream>>),
    /// Plain TCP.
    Plaintext(TcpStream),
}

impl Stream {
    /// Returns whether to use HTTP/2: over TLS only if it was negotiated (RFC 9113, section 3.2);
    /// in plaintext always, by prior knowledge (section 3.3).
    fn is_http2(&self) -> bool {
        match self {
            Self::Encrypted(stream) => {
                stream.get_ref().1.alpn_protocol() == Some(crate::tls::HTTP2)
            }
            Self::Plaintext(_) => true,
        }
    }
}

/// Connects to `address`, over TLS if a server identity is expected.
///
/// # Errors
/// Returns `unavailable` if there is no answer in time, and `untrusted` if the server is not the
/// expected one.
pub async fn connect(
    address: &PeerAddress,
    expected: Option<&Expected>,
) -> Result<Stream, Problem> {
    Ok(try_connect(address, expected).await?)
}

async fn try_connect(
    address: &PeerAddress,
    expected: Option<&Expected>,
) -> Result<Stream, ConnectFailure> {
    let dialled = TcpStream::connect((address.host(), address.port()));
    let stream = timeout(CONNECT_TIMEOUT, dialled)
        .await
        .map_err(|_| unreachable(address, "no answer"))?
        .map_err(|error| ConnectFailure {
            problem: unreachable(address, io_cause(&error)),
            is_certain: error.kind() == io::ErrorKind::ConnectionRefused,
        })?;
    stream
        .set_nodelay(true)
        .map_err(|error| unreachable(address, &error.to_string()))?;
    let Some(expected) = expected else {
        return Ok(Stream::Plaintext(stream));
    };
    let handshake =
        TlsConnector::from(expected.config.clone()).connect(expected.name.clone(), stream);
    let stream = timeout(CONNECT_TIMEOUT, handshake)
        .await
        .map_err(|_| unreachable(address, "no answer to the TLS handshake"))?
        .map_err(|error| handshake_problem(address, &error))?;
    Ok(Stream::Encrypted(Box::new(stream)))
}

/// A failed connection attempt.
#[derive(Debug, Clone)]
pub struct ConnectFailure {
    /// The problem of the attempt that failed last.
    pub problem: Problem,
    /// Whether waiting cannot help: each address refuses connections or presents an invalid
    /// certificate.
    pub is_certain: bool,
}

impl ConnectFailure {
    /// Adds a further failed attempt.
    fn add(&mut self, failed: Self) {
        self.is_certain &= failed.is_certain;
        self.problem = failed.problem;
    }
}

impl From<Problem> for ConnectFailure {
    fn from(problem: Problem) -> Self {
        Self {
            is_certain: problem.code == ErrorCode::Untrusted,
            problem,
        }
    }
}

impl From<ConnectFailure> for Problem {
    fn from(failure: ConnectFailure) -> Self {
        failure.problem
    }
}

fn io_cause(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::TimedOut => "no answer",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no route to host",
        _ => "connection failed",
    }
}

fn unreachable(address: &PeerAddress, cause: &str) -> Problem {
    Problem::new(
        ErrorCode::Unavailable,
        format!("cannot reach {address}: {cause}"),
    )
}

/// Distinguishes an untrusted server (or a reinstalled directory) from a network failure.
fn handshake_problem(address: &PeerAddress, error: &io::Error) -> Problem {
    let inner = error
        .get_ref()
        .and_then(|e| e.downcast_ref::<rustls::Error>());
    let cause = match inner {
        Some(rustls::Error::InvalidCertificate(cause)) => cause,
        Some(other) => return unreachable(address, &format!("TLS: {other}")),
        None => return unreachable(address, &format!("TLS: {error}")),
    };
    use rustls::CertificateError as E;
    if let Some(why) = wrong_time(address, cause) {
        return Problem::new(ErrorCode::Untrusted, why).hint(CLOCK_HINT);
    }
    let message = match cause {
        E::UnknownIssuer | E::BadSignature => {
            format!("{address} is not the directory you joined: its certificate differs")
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            format!("the certificate of {address} is for another name")
        }
        other => format!("the certificate of {address} is not valid: {other}"),
    };
    Problem::new(ErrorCode::Untrusted, message).hint(
        "if the directory was reinstalled, ask its administrator for a new invite, then run `convite \
         logout` and `convite join`; otherwise someone may be intercepting the connection",
    )
}

/// The hint for a certificate that is not valid at the current time.
const CLOCK_HINT: &str = "check the clocks of both machines and correct the wrong one \
     (on Linux: `timedatectl set-ntp true`)";

/// Describes a certificate that is not valid at this time, with the time used for the check.
fn wrong_time(address: &PeerAddress, cause: &rustls::CertificateError) -> Option<String> {
    use rustls::CertificateError as E;
    let shown = |time: UnixTime| http_date(time.as_secs());
    match cause {
        E::Expired => Some(format!("the certificate of {address} has expired")),
        E::ExpiredContext { time, not_after } => Some(format!(
            "the certificate of {address} expired at {}; the time here is {}",
            shown(*not_after),
            shown(*time)
        )),
        E::NotValidYet => Some(format!("the certificate of {address} is not yet valid")),
        E::NotValidYetContext { time, not_before } => Some(format!(
            "the certificate of {address} is valid from {}; the time here is {}",
            shown(*not_before),
            shown(*time)
        )),
        _ => None,
    }
}

macro_rules! on_stream {
    ($stream:expr, $io:ident => $body:expr) => {
        match $stream {
            Stream::Encrypted($io) => $body,
            Stream::Plaintext($io) => $body,
        }
    };
}

/// An HTTP/2 connection, shared by its clones. Implements the `tower` service that tonic clients
/// need.
pub struct Http2<B> {
    sender: http2::SendRequest<B>,
    last_received: LastReceived,
}

/// A request without a response.
pub enum SendError<B> {
    /// The request was not sent and can be retried on another connection.
    Unsent(Box<Request<B>>),
    /// The request was sent, at least in part; its effect is unknown.
    Broken(hyper::Error),
}

impl<B> Clone for Http2<B> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            last_received: self.last_received.clone(),
        }
    }
}

impl<B> Http2<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Connects and performs the HTTP/2 handshake.
    ///
    /// # Errors
    /// As [`connect`].
    pub async fn connect(
        address: &PeerAddress,
        expected: Option<&Expected>,
    ) -> Result<Self, Problem> {
        let stream = connect(address, expected).await?;
        Self::begin(address, stream, KEEP_ALIVE_INTERVAL).await
    }

    /// Like [`Self::connect`], for a server that has replicas: also waits for the first bytes of
    /// the server, and pings it after each `ping_interval` without received bytes while a request is
    /// pending.
    ///
    /// # Errors
    /// As [`connect`].
    pub async fn connect_with_liveness(
        address: &PeerAddress,
        expected: Option<&Expected>,
        ping_interval: Duration,
    ) -> Result<Self, Problem> {
        let stream = connect(address, expected).await?;
        let connection = Self::begin(address, stream, ping_interval).await?;
        timeout(CONNECT_TIMEOUT, connection.last_received.wait_first())
            .await
            .map_err(|_| unreachable(address, "no answer in HTTP/2"))?;
        Ok(connection)
    }

    async fn begin(
        address: &PeerAddress,
        stream: Stream,
        ping_interval: Duration,
    ) -> Result<Self, Problem> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .keep_alive_interval(ping_interval)
            .keep_alive_timeout(KEEP_ALIVE_INTERVAL);
        let (sender, last_received) = on_stream!(stream, io => {
            let (io, last_received) = ReceiveTrackedStream::new(io);
            let (sender, connection) = builder
                .handshake(TokioIo::new(io))
                .await
                .map_err(|error| unreachable(address, &format!("HTTP/2: {error}")))?;
            task::spawn("HTTP/2 connection", async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "connection ended");
                }
            });
            (sender, last_received)
        });
        Ok(Self {
            sender,
            last_received,
        })
    }

    /// Returns the record of when the server last sent something.
    pub fn last_received(&self) -> &LastReceived {
        &self.last_received
    }

    /// Sends a request. Returns the request if it cannot have reached the server.
    ///
    /// # Errors
    /// Returns [`SendError`] if there is no response.
    pub async fn send(&self, mut request: Request<B>) -> Result<Response<Incoming>, SendError<B>> {
        let span = trace::client_span(&mut request);
        let sent = self.sender.clone().try_send_request(request);
        let sent = sent.instrument(span.clone()).await;
        if let Ok(response) = &sent {
            trace::record_response(&span, response);
        }
        sent.map_err(|mut failed| match failed.take_message() {
            Some(request) => SendError::Unsent(Box::new(request)),
            None => SendError::Broken(failed.into_error()),
        })
    }

    /// Returns whether the connection has ended. Requests on it would fail.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

impl<B> tower::Service<Request<B>> for Http2<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let span = trace::client_span(&mut request);
        let sent = self.sender.send_request(request).instrument(span.clone());
        Box::pin(async move {
            let response = sent.await?;
            trace::record_response(&span, &response);
            Ok(response)
        })
    }
}

/// The protocol of a server.
pub enum Protocol<B> {
    /// HTTP/2, over this connection.
    Http2(Http2<B>),
    /// Only HTTP/1.1: use [`http1_request`] with [`Expected::http1_only`].
    Http1,
}

/// Connects, and performs the HTTP/2 handshake if the server supports it. `expected` must offer
/// both protocols ([`crate::tls::client_config_negotiated`]). In plaintext, HTTP/2 is assumed.
///
/// # Errors
/// As [`connect`].
async fn connect_negotiated<B>(
    address: &PeerAddress,
    expected: Option<&Expected>,
) -> Result<Protocol<B>, ConnectFailure>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = try_connect(address, expected).await?;
    if stream.is_http2() {
        let begun = Http2::begin(address, stream, KEEP_ALIVE_INTERVAL).await?;
        Ok(Protocol::Http2(begun))
    } else {
        Ok(Protocol::Http1)
    }
}

/// Tries the addresses of a peer in order, each 250 ms after the previous one (as RFC 8305
/// does for the addresses of a name). Returns the first one, as a literal address, where the
/// expected server answers. A name is dialled only where it resolves to another machine
/// ([`crate::destination`]).
///
/// # Errors
/// As [`connect`], for the attempt that failed last; `unavailable` if there are no addresses.
pub async fn connect_any<B>(
    addresses: &[PeerAddress],
    expected: Option<&Expected>,
) -> Result<(PeerAddress, Protocol<B>), ConnectFailure>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut attempts = JoinSet::new();
    for (place, address) in (0u32..).zip(addresses) {
        let (address, expected) = (address.clone(), expected.cloned());
        attempts.spawn(async move {
            tokio::time::sleep(STAGGER * place).await;
            let mut failure = ConnectFailure {
                problem: unreachable(&address, "its host name has no address"),
                is_certain: true,
            };
            for machine in destination::resolve_peer(&address).await? {
                match connect_negotiated(&machine, expected.as_ref()).await {
                    Ok(spoken) => return Ok((machine, spoken)),
                    Err(failed) => failure.add(failed),
                }
            }
            Err(failure)
        });
    }
    let mut failure = ConnectFailure {
        problem: Problem::new(ErrorCode::Unavailable, "the source has no address"),
        is_certain: true,
    };
    while let Some(attempt) = attempts.join_next().await {
        match attempt {
            Ok(Ok(answered)) => return Ok(answered),
            Ok(Err(failed)) => failure.add(failed),
            Err(_) => failure.is_certain = false,
        }
    }
    Err(failure)
}

/// Sends one request over its own HTTP/1.1 connection.
///
/// # Errors
/// As [`connect`] (with a configuration for HTTP/1.1); `unavailable` if there is no response.
pub async fn http1_request<B>(
    address: &PeerAddress,
    expected: Option<&Expected>,
    mut request: Request<B>,
) -> Result<Response<Incoming>, Problem>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let broken = |error: hyper::Error| unreachable(address, &format!("HTTP: {error}"));
    let stream = connect(address, expected).await?;
    let mut sender = on_stream!(stream, io => {
        let (sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(broken)?;
        task::spawn("HTTP/1.1 connection", connection);
        sender
    });
    let span = trace::client_span(&mut request);
    let sent = sender.send_request(request).instrument(span.clone());
    let response = sent.await.map_err(broken)?;
    trace::record_response(&span, &response);
    Ok(response)
}
