//! Dialling a directory or a peer, over TLS or (by choice) plaintext.

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
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::Instrument;

use crate::heard::{Heard, Heeded};
use crate::{CONNECTION_WINDOW, FRAME, STREAM_WINDOW, trace};

/// A connection that has not been made by then is given up.
const CONNECT: Duration = Duration::from_secs(5);
/// An address that has not answered by then no longer keeps the next from being tried.
const STAGGER: Duration = Duration::from_millis(250);
/// How often a silent server is asked for a sign of life, and how long it may take.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Whom a dialler expects to answer.
#[derive(Clone)]
pub struct Expected {
    config: Arc<rustls::ClientConfig>,
    name: ServerName<'static>,
}

impl Expected {
    /// The holder of a certificate for `name` that `config` accepts ([`crate::tls`]).
    ///
    /// # Errors
    /// `invalid_argument` if `name` is not a host name.
    pub fn new(config: Arc<rustls::ClientConfig>, name: &str) -> Result<Self, Problem> {
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| Problem::invalid("a server name is not valid"))?;
        Ok(Self { config, name })
    }

    /// The same one, to be spoken to in HTTP/1.1 whatever else it offers.
    pub fn in_http1(&self) -> Self {
        Self {
            config: crate::tls::for_http1(&self.config),
            name: self.name.clone(),
        }
    }
}

/// A stream to whoever answered, encrypted if somebody was expected.
pub enum Stream {
    /// TLS.
    Encrypted(Box<TlsStream<TcpStream>>),
    /// Nothing.
    Plaintext(TcpStream),
}

impl Stream {
    /// Whether HTTP/2 is to be spoken. Over TLS only if it was negotiated (RFC 9113, section 3.2);
    /// in plaintext nothing is, and HTTP/2 is known beforehand (section 3.3).
    fn is_http2(&self) -> bool {
        match self {
            Self::Encrypted(stream) => {
                stream.get_ref().1.alpn_protocol() == Some(crate::tls::HTTP2)
            }
            Self::Plaintext(_) => true,
        }
    }
}

/// Dials `address`; over TLS if somebody is expected there.
///
/// # Errors
/// `unavailable` if nobody answers in time; `untrusted` if somebody else does.
pub async fn connect(
    address: &PeerAddress,
    expected: Option<&Expected>,
) -> Result<Stream, Problem> {
    let dialled = TcpStream::connect((address.host(), address.port()));
    let stream = timeout(CONNECT, dialled)
        .await
        .map_err(|_| unreachable(address, "no answer"))?
        .map_err(|error| unreachable(address, io_cause(&error)))?;
    stream
        .set_nodelay(true)
        .map_err(|error| unreachable(address, &error.to_string()))?;
    let Some(expected) = expected else {
        return Ok(Stream::Plaintext(stream));
    };
    let handshake =
        TlsConnector::from(expected.config.clone()).connect(expected.name.clone(), stream);
    let stream = timeout(CONNECT, handshake)
        .await
        .map_err(|_| unreachable(address, "no answer to the TLS handshake"))?
        .map_err(|error| handshake_problem(address, &error))?;
    Ok(Stream::Encrypted(Box::new(stream)))
}

fn io_cause(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::TimedOut => "no answer",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => "no route to it",
        _ => "it cannot be connected to",
    }
}

fn unreachable(address: &PeerAddress, cause: &str) -> Problem {
    Problem::new(
        ErrorCode::Unavailable,
        format!("cannot reach {address}: {cause}"),
    )
}

/// Tells an impostor (or a directory that was set up anew) from a broken line.
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
    let message = match cause {
        E::UnknownIssuer | E::BadSignature => format!(
            "{address} is not the one that was pinned: its certificate is of another authority"
        ),
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            format!("{address} answers, but as somebody else")
        }
        E::Expired | E::ExpiredContext { .. } => {
            format!("the certificate of {address} has expired")
        }
        E::NotValidYet | E::NotValidYetContext { .. } => {
            format!("the certificate of {address} is not valid yet")
        }
        other => format!("the certificate of {address} is not valid: {other}"),
    };
    let hint = match cause {
        E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. } => {
            "check the clocks of both machines"
        }
        _ => {
            "if the directory was set up anew, ask its administrator for a new invite and join \
             again; otherwise somebody may be listening in"
        }
    };
    Problem::new(ErrorCode::Untrusted, message).hint(hint)
}

macro_rules! on_stream {
    ($stream:expr, $io:ident => $body:expr) => {
        match $stream {
            Stream::Encrypted($io) => $body,
            Stream::Plaintext($io) => $body,
        }
    };
}

/// One HTTP/2 connection, shared by its clones; a `tower` service, so that it fits tonic's clients.
pub struct Http2<B> {
    sender: http2::SendRequest<B>,
    heard: Heard,
}

/// Why a request has no answer.
pub enum SendFailed<B> {
    /// It never left: here it is back, to go another way.
    Unsent(Box<Request<B>>),
    /// It left, and nobody knows how far it came.
    Broken(hyper::Error),
}

impl<B> Clone for Http2<B> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            heard: self.heard.clone(),
        }
    }
}

impl<B> Http2<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Dials and begins HTTP/2.
    ///
    /// # Errors
    /// As [`connect`].
    pub async fn connect(
        address: &PeerAddress,
        expected: Option<&Expected>,
    ) -> Result<Self, Problem> {
        let stream = connect(address, expected).await?;
        Self::begin(address, stream, KEEP_ALIVE).await
    }

    /// The same for a server that others could stand in for: waits until it has said something in
    /// HTTP/2, and asks it for a sign of life each `beat` in which none came while a request waits.
    ///
    /// # Errors
    /// As [`connect`].
    pub async fn connect_watchfully(
        address: &PeerAddress,
        expected: Option<&Expected>,
        beat: Duration,
    ) -> Result<Self, Problem> {
        let stream = connect(address, expected).await?;
        let connection = Self::begin(address, stream, beat).await?;
        timeout(CONNECT, connection.heard.first())
            .await
            .map_err(|_| unreachable(address, "no answer in HTTP/2"))?;
        Ok(connection)
    }

    async fn begin(address: &PeerAddress, stream: Stream, beat: Duration) -> Result<Self, Problem> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .keep_alive_interval(beat)
            .keep_alive_timeout(KEEP_ALIVE);
        let (sender, heard) = on_stream!(stream, io => {
            let (io, heard) = Heeded::new(io);
            let (sender, connection) = builder
                .handshake(TokioIo::new(io))
                .await
                .map_err(|error| unreachable(address, &format!("HTTP/2: {error}")))?;
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "connection ended");
                }
            });
            (sender, heard)
        });
        Ok(Self { sender, heard })
    }

    /// When the server last said anything.
    pub fn heard(&self) -> &Heard {
        &self.heard
    }

    /// Sends a request, and gives it back if it cannot have reached the server.
    ///
    /// # Errors
    /// [`SendFailed`].
    pub async fn send(&self, mut request: Request<B>) -> Result<Response<Incoming>, SendFailed<B>> {
        let span = trace::sent(&mut request);
        let sent = self.sender.clone().try_send_request(request);
        let sent = sent.instrument(span.clone()).await;
        if let Ok(response) = &sent {
            trace::answered(&span, response);
        }
        sent.map_err(|mut failed| match failed.take_message() {
            Some(request) => SendFailed::Unsent(Box::new(request)),
            None => SendFailed::Broken(failed.into_error()),
        })
    }

    /// Whether the connection has ended; requests on it would fail.
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
        let span = trace::sent(&mut request);
        let sent = self.sender.send_request(request).instrument(span.clone());
        Box::pin(async move {
            let response = sent.await?;
            trace::answered(&span, &response);
            Ok(response)
        })
    }
}

/// What a server that was dialled speaks.
pub enum Spoken<B> {
    /// HTTP/2, over this connection.
    Http2(Http2<B>),
    /// Only HTTP/1.1: requests go by [`http1_request`], with [`Expected::in_http1`].
    Http1,
}

/// Dials, and begins HTTP/2 if the server speaks it. Who is expected must be so with a
/// configuration that offers both ([`crate::tls::client_config_either`]); in plaintext, HTTP/2 is
/// taken for granted.
///
/// # Errors
/// As [`connect`].
pub async fn dial_either<B>(
    address: &PeerAddress,
    expected: Option<&Expected>,
) -> Result<Spoken<B>, Problem>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = connect(address, expected).await?;
    if stream.is_http2() {
        Http2::begin(address, stream, KEEP_ALIVE)
            .await
            .map(Spoken::Http2)
    } else {
        Ok(Spoken::Http1)
    }
}

/// Dials the addresses of one server in order, each a little after the one before (as RFC 8305 does
/// for the addresses of a name); returns the first that answers as who is expected.
///
/// # Errors
/// As [`connect`], of the attempt that failed last; `unavailable` without an address.
pub async fn first_to_answer<B>(
    addresses: &[PeerAddress],
    expected: Option<&Expected>,
) -> Result<(PeerAddress, Spoken<B>), Problem>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut attempts = JoinSet::new();
    for (place, address) in (0u32..).zip(addresses) {
        let (address, expected) = (address.clone(), expected.cloned());
        attempts.spawn(async move {
            tokio::time::sleep(STAGGER * place).await;
            let spoken = dial_either(&address, expected.as_ref()).await?;
            Ok((address, spoken))
        });
    }
    let mut problem = Problem::new(ErrorCode::Unavailable, "the provider has no address");
    while let Some(attempt) = attempts.join_next().await {
        match attempt {
            Ok(Ok(answered)) => return Ok(answered),
            Ok(Err(failed)) => problem = failed,
            Err(_) => {}
        }
    }
    Err(problem)
}

/// Sends one request over an HTTP/1.1 connection of its own.
///
/// # Errors
/// As [`connect`] (with a configuration for HTTP/1.1); `unavailable` if the answer does not come.
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
        tokio::spawn(connection);
        sender
    });
    let span = trace::sent(&mut request);
    let sent = sender.send_request(request).instrument(span.clone());
    let response = sent.await.map_err(broken)?;
    trace::answered(&span, &response);
    Ok(response)
}
