//! The accept loop: one port, TLS with ALPN or plaintext, HTTP/1.1 and HTTP/2, within [`Limits`].
//!
//! Each connection is a task. On shutdown nobody new is let in, requests under way may finish
//! within [`DRAIN`], and what is left is cut.

use std::error::Error;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use convite_core::Problem;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::descriptors::raise_open_files;
use crate::limits::{Guest, Guests, Limits};
use crate::proxy::{self, Proxies, Rewound};
use crate::pulse::{Paced, Pulse, Verdict};
use crate::{Connection, FRAME};

/// How long requests under way may take to finish after a shutdown began.
pub const DRAIN: Duration = Duration::from_secs(8);
/// How much of a response may wait to be sent, per stream, in bytes.
const SEND_BUFFER: usize = 512 << 10;
/// How often an idle HTTP/2 connection is asked for a sign of life, and how long it may take.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Streams that a client may open and reset before they are looked at (CVE-2023-44487), and those
/// that we reset for its errors, before the connection is cut.
const RESETS_MAX: usize = 64;

/// What ends connections: softly, and at once.
#[derive(Clone, Default)]
struct Ending {
    soon: CancellationToken,
    now: CancellationToken,
}

/// [`serve_behind`] nobody.
///
/// # Errors
/// None once it listens: failures of single connections are logged.
pub async fn serve<S, B>(
    limits: Limits,
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    service: S,
    shutdown: CancellationToken,
) -> Result<(), Problem>
where
    S: tower::Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>> + Send + Sync,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    serve_behind(Proxies::default(), limits, listener, tls, service, shutdown).await
}

/// Serves until `shutdown`, then drains for at most [`DRAIN`]. Every request carries a
/// [`Connection`] in its extensions, in which is who asks: the one for whom a trusted one of `proxies`
/// speaks.
///
/// # Errors
/// None once it listens: failures of single connections are logged.
pub async fn serve_behind<S, B>(
    proxies: Proxies,
    limits: Limits,
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    service: S,
    shutdown: CancellationToken,
) -> Result<(), Problem>
where
    S: tower::Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>> + Send + Sync,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let limits = limits.within(raise_open_files());
    let tasks = TaskTracker::new();
    let ending = Ending::default();
    // Also when this future is dropped: its connections go with it.
    let _cut = ending.now.clone().drop_guard();
    let slots = Arc::new(Semaphore::new(limits.connections));
    let guests = Guests::default();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, remote, slot)) = accepted else {
            continue;
        };
        let connection = Connection {
            remote: canonical(remote),
            local: canonical(stream.local_addr().unwrap_or(remote)),
            tls: tls.is_some(),
        };
        let proxies = proxies.clone();
        // Those for whom it speaks count, not a proxy itself.
        let is_proxy = proxies.trust(connection.remote.ip());
        let guest = match is_proxy {
            true => None,
            false => guests.admit(connection.remote.ip(), &limits),
        };
        if guest.is_none() && !is_proxy {
            debug!(remote = %connection.remote, "too many connections from there");
            continue;
        }
        let acceptor = tls.clone().map(TlsAcceptor::from);
        let (service, ending, guests) = (service.clone(), ending.clone(), guests.clone());
        tasks.spawn(async move {
            let _held = (slot, guest);
            let introduced = match is_proxy {
                true => introduce(stream, connection, &guests, &limits).await,
                false => Ok((stream.into(), connection, None)),
            };
            let served = match introduced {
                Err(error) => Err(error),
                Ok((stream, connection, _guest)) => {
                    let door = Door {
                        service,
                        proxies,
                        connection,
                    };
                    serve_connection(stream, acceptor, door, limits, ending).await
                }
            };
            if let Err(error) = served {
                debug!(remote = %connection.remote, error, "connection ended");
            }
        });
    }
    drop(listener);
    tasks.close();
    ending.soon.cancel();
    if timeout(DRAIN, tasks.wait()).await.is_err() {
        warn!("cut connections that did not finish in time");
    }
    Ok(())
}

/// What answers the requests of a connection.
struct Door<S> {
    service: S,
    proxies: Proxies,
    connection: Connection,
}

/// A connection that a trusted one has made: whose it is, and that one's place among the guests.
async fn introduce(
    stream: TcpStream,
    connection: Connection,
    guests: &Guests,
    limits: &Limits,
) -> Result<(Rewound, Connection, Option<Guest>), String> {
    let introduced = timeout(limits.handshake, proxy::introduced(stream)).await;
    let (source, stream) = introduced
        .map_err(|_| "nothing came from the proxy".to_owned())?
        .map_err(|error| error.to_string())?;
    let Some(source) = source.map(canonical) else {
        return Ok((stream, connection, None));
    };
    let guest = guests.admit(source.ip(), limits);
    let guest = guest.ok_or_else(|| format!("too many connections from {}", source.ip()))?;
    let connection = Connection {
        remote: source,
        ..connection
    };
    Ok((stream, connection, Some(guest)))
}

/// IPv4 clients of an IPv6 socket count as what they are.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let slot = slots.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, remote)) => {
            // What is written goes out at once: it was gathered before.
            let _ = stream.set_nodelay(true);
            Some((stream, remote, slot))
        }
        Err(error) => {
            // Out of file descriptors, most likely: some will be free in a moment.
            warn!(%error, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn serve_connection<S, B>(
    stream: Rewound,
    tls: Option<TlsAcceptor>,
    door: Door<S>,
    limits: Limits,
    ending: Ending,
) -> Result<(), String>
where
    S: tower::Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>> + Send + Sync,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let builder = builder(&limits);
    match tls {
        None => serve_http(builder, stream, door, limits, ending).await,
        Some(tls) => {
            let stream = timeout(limits.handshake, tls.accept(stream))
                .await
                .map_err(|_| "the TLS handshake took too long".to_owned())?
                .map_err(|error| format!("the TLS handshake failed: {error}"))?;
            // The protocol is what was negotiated, not what the first bytes look like.
            let is_h2 = stream.get_ref().1.alpn_protocol() == Some(crate::tls::HTTP2);
            let builder = if is_h2 {
                builder.http2_only()
            } else {
                builder.http1_only()
            };
            serve_http(builder, stream, door, limits, ending).await
        }
    }
}

async fn serve_http<I, S, B>(
    builder: auto::Builder<TokioExecutor>,
    stream: I,
    door: Door<S>,
    limits: Limits,
    ending: Ending,
) -> Result<(), String>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: tower::Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>> + Send + Sync,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let pulse = Pulse::new();
    let watched = Arc::clone(&pulse);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let seen = door.proxies.seen(door.connection, request.headers());
        request.extensions_mut().insert(seen);
        let answer = pulse.request();
        let answered = door.service.clone().oneshot(request);
        async move {
            answer.begin();
            let response = answered.await?;
            Ok::<_, S::Error>(response.map(|body| Paced::new(body, limits.chunk, answer)))
        }
    });
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    run_connection(serving.into_owned(), &watched, &limits, &ending).await
}

/// Drives a connection to its end, and sees to it that it has one.
async fn run_connection<C>(
    connection: C,
    pulse: &Pulse,
    limits: &Limits,
    ending: &Ending,
) -> Result<(), String>
where
    C: GracefulConnection,
    C::Error: std::fmt::Display,
{
    let mut connection = pin!(connection);
    let mut closing: Option<Instant> = None;
    let mut tick = tokio::time::interval(limits.tick());
    loop {
        let verdict = tokio::select! {
            ended = connection.as_mut() => return ended.map_err(|e| e.to_string()),
            () = ending.now.cancelled() => return Err("cut at the end".to_owned()),
            () = ending.soon.cancelled(), if closing.is_none() => Verdict::Idle,
            _ = tick.tick() => pulse.verdict(limits),
        };
        match (verdict, closing) {
            (Verdict::Fine, _) => {}
            (Verdict::Silent, _) => return Err("no request came".to_owned()),
            (Verdict::Stalled, _) => return Err("answers are not taken".to_owned()),
            (Verdict::Idle, None) => {
                closing = Some(Instant::now());
                connection.as_mut().graceful_shutdown();
            }
            (Verdict::Idle, Some(since)) if since.elapsed() > limits.headers => {
                return Err("it was idle and did not close".to_owned());
            }
            (Verdict::Idle, Some(_)) => {}
        }
    }
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .max_headers(limits.headers_count)
        .max_buf_size(limits.header_bytes as usize * 2);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_frame_size(FRAME)
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.header_bytes)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(RESETS_MAX)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    builder
}
