//! The accept loop: one port, TLS with ALPN or plaintext, HTTP/1.1 and HTTP/2, within [`Limits`].
//!
//! Each connection is a task. At shutdown, no new connections are accepted, active requests may
//! finish within [`DRAIN_TIMEOUT`], and then the remaining connections are cut.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use convite_core::Problem;
use http::header::DATE;
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

use crate::connection::{ConnectionInfo, FRAME};
use crate::date::date_header;
use crate::idle::{IdleTracker, PacedBody, Verdict};
use crate::limits::Limits;
use crate::network::Network;
use crate::open_files::raise_open_files;
use crate::permits::{KeyedPermit, KeyedPermits};
use crate::proxy::{self, PrefixedStream, Proxies, UntrustedClients};
use crate::request_body::{BodyDrain, RequestBody};
use crate::write_progress::{WriteProgress, WriteTrackedStream, set_send_limits};

/// The time that active requests have to finish at shutdown.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(8);
/// The maximum number of bytes buffered for sending per stream.
const SEND_BUFFER: usize = 512 << 10;
/// The interval of keep-alive pings on an idle HTTP/2 connection, and the time limit for the reply.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// The maximum number of streams that a client opened and reset before they were accepted
/// (CVE-2023-44487), and of streams reset because of client errors. Beyond it the connection is
/// cut.
const RESETS_MAX: usize = 64;

/// Cancellation tokens to close connections: gracefully, and immediately.
#[derive(Clone, Default)]
struct Shutdown {
    graceful: CancellationToken,
    immediate: CancellationToken,
}

/// Like [`serve_behind`], without proxies.
///
/// # Errors
/// Never fails; errors of single connections are logged.
pub async fn serve<S, B>(
    limits: Limits,
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    service: S,
    shutdown: CancellationToken,
) -> Result<(), Problem>
where
    S: tower::Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>> + Send + Sync,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    serve_behind(Proxies::default(), limits, listener, tls, service, shutdown).await
}

/// Serves until `shutdown`, then drains for at most [`DRAIN_TIMEOUT`].
///
/// Every request has a [`ConnectionInfo`] in its extensions, whose `remote` is the client address
/// reported by a trusted proxy, if any.
///
/// # Errors
/// Never fails; errors of single connections are logged.
pub async fn serve_behind<S, B>(
    proxies: Proxies,
    limits: Limits,
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    service: S,
    shutdown: CancellationToken,
) -> Result<(), Problem>
where
    S: tower::Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>> + Send + Sync,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let limits = limits.capped_by_open_files(raise_open_files());
    let tasks = TaskTracker::new();
    let stopping = Shutdown::default();
    // Also cuts the connections if this future is dropped.
    let _cut = stopping.immediate.clone().drop_guard();
    let slots = Arc::new(Semaphore::new(limits.connections));
    let networks = KeyedPermits::default();
    let drain = BodyDrain::new(stopping.graceful.clone());
    let untrusted = UntrustedClients::default();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, remote, slot)) = accepted else {
            continue;
        };
        set_send_limits(&stream, &limits);
        let connection = ConnectionInfo {
            remote: canonical(remote),
            local: canonical(stream.local_addr().unwrap_or(remote)),
            tls: tls.is_some(),
        };
        let proxies = proxies.clone();
        // A proxy is not counted itself: its clients are.
        let is_proxy = proxies.trusts(connection.remote.ip());
        let permit = if is_proxy {
            None
        } else {
            count(&networks, connection.remote.ip(), &limits)
        };
        if permit.is_none() && !is_proxy {
            debug!(remote = %connection.remote, "too many connections from this network");
            continue;
        }
        let acceptor = tls.clone().map(TlsAcceptor::from);
        let (service, stopping, networks) = (service.clone(), stopping.clone(), networks.clone());
        let drain = drain.clone();
        let untrusted = untrusted.clone();
        tasks.spawn(async move {
            let _held = (slot, permit);
            let admitted = if is_proxy {
                admit_proxied(stream, connection, &networks, &limits).await
            } else {
                let stream = untrusted.watch(stream, connection.remote.ip());
                Ok((stream, connection, None))
            };
            let served = match admitted {
                Err(error) => Err(error),
                Ok((stream, connection, _permit)) => {
                    let connection_service = ConnectionService {
                        service,
                        proxies,
                        connection,
                        drain,
                    };
                    serve_connection(stream, acceptor, connection_service, limits, stopping).await
                }
            };
            if let Err(error) = served {
                debug!(remote = %connection.remote, error, "connection ended");
            }
        });
    }
    drop(listener);
    tasks.close();
    stopping.graceful.cancel();
    if timeout(DRAIN_TIMEOUT, tasks.wait()).await.is_err() {
        warn!("cut connections that did not finish in time");
    }
    Ok(())
}

/// The service of a connection and its context.
struct ConnectionService<S> {
    service: S,
    proxies: Proxies,
    connection: ConnectionInfo,
    drain: BodyDrain,
}

/// Reads the PROXY header of a connection from a trusted proxy and counts the connection for its
/// client.
async fn admit_proxied(
    stream: TcpStream,
    connection: ConnectionInfo,
    networks: &KeyedPermits<Network>,
    limits: &Limits,
) -> Result<(PrefixedStream, ConnectionInfo, Option<KeyedPermit<Network>>), String> {
    let admitted = timeout(limits.handshake, proxy::read_header(stream)).await;
    let (source, stream) = admitted
        .map_err(|_| "the proxy sent nothing".to_owned())?
        .map_err(|error| error.to_string())?;
    let Some(source) = source.map(canonical) else {
        return Ok((stream, connection, None));
    };
    let permit = count(networks, source.ip(), limits);
    let permit = permit.ok_or_else(|| format!("too many connections from {}", source.ip()))?;
    let connection = ConnectionInfo {
        remote: source,
        ..connection
    };
    Ok((stream, connection, Some(permit)))
}

/// Counts a connection for the network of `address`, or returns `None` if that is at its limit.
fn count(
    networks: &KeyedPermits<Network>,
    address: IpAddr,
    limits: &Limits,
) -> Option<KeyedPermit<Network>> {
    networks.acquire(Network::of(address), limits.connections_per_network)
}

/// Converts IPv4-mapped addresses of an IPv6 socket to IPv4.
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
            // Writes are already batched, so send them at once.
            let _ = stream.set_nodelay(true);
            Some((stream, remote, slot))
        }
        Err(error) => {
            // Most likely no file descriptor is free; retry shortly.
            warn!(%error, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn serve_connection<S, B>(
    stream: PrefixedStream,
    tls: Option<TlsAcceptor>,
    connection_service: ConnectionService<S>,
    limits: Limits,
    stopping: Shutdown,
) -> Result<(), String>
where
    S: tower::Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>> + Send + Sync,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let builder = builder(&limits);
    // Below TLS, because the progress of the socket counts.
    let (stream, writes) = WriteTrackedStream::new(stream);
    match tls {
        None => {
            serve_http(
                builder,
                (stream, writes),
                connection_service,
                limits,
                stopping,
            )
            .await
        }
        Some(tls) => {
            let stream = timeout(limits.handshake, tls.accept(stream))
                .await
                .map_err(|_| "the TLS handshake took too long".to_owned())?
                .map_err(|error| format!("the TLS handshake failed: {error}"))?;
            // Use the negotiated protocol, not the one that the first bytes suggest.
            let is_h2 = stream.get_ref().1.alpn_protocol() == Some(crate::tls::HTTP2);
            let builder = if is_h2 {
                builder.http2_only()
            } else {
                builder.http1_only()
            };
            serve_http(
                builder,
                (stream, writes),
                connection_service,
                limits,
                stopping,
            )
            .await
        }
    }
}

async fn serve_http<I, S, B>(
    builder: auto::Builder<TokioExecutor>,
    (stream, writes): (I, WriteProgress),
    connection_service: ConnectionService<S>,
    limits: Limits,
    stopping: Shutdown,
) -> Result<(), String>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: tower::Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>> + Send + Sync,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let idle = IdleTracker::new(writes);
    let watched = Arc::clone(&idle);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let seen = connection_service
            .proxies
            .resolve_client(connection_service.connection, request.headers());
        request.extensions_mut().insert(seen);
        let answer = idle.start_request();
        let request = request.map(|body| RequestBody::new(body, connection_service.drain.clone()));
        let answered = connection_service.service.clone().oneshot(request);
        async move {
            answer.begin();
            let mut response = answered.await?;
            if let Some(date) = date_header(SystemTime::now()) {
                response.headers_mut().insert(DATE, date);
            }
            Ok::<_, S::Error>(response.map(|body| PacedBody::new(body, limits.chunk, answer)))
        }
    });
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    run_connection(serving.into_owned(), &watched, &limits, &stopping).await
}

/// Drives a connection to its end and closes it when its [`Verdict`] requires it.
async fn run_connection<C>(
    connection: C,
    idle: &IdleTracker,
    limits: &Limits,
    stopping: &Shutdown,
) -> Result<(), String>
where
    C: GracefulConnection,
    C::Error: std::fmt::Display,
{
    let mut connection = pin!(connection);
    let mut closing: Option<Instant> = None;
    let mut tick = tokio::time::interval(limits.check_interval());
    loop {
        let verdict = tokio::select! {
            ended = connection.as_mut() => return ended.map_err(|e| e.to_string()),
            () = stopping.immediate.cancelled() => return Err("cut at shutdown".to_owned()),
            () = stopping.graceful.cancelled(), if closing.is_none() => Verdict::Idle,
            _ = tick.tick() => idle.verdict(limits),
        };
        match (verdict, closing) {
            (Verdict::Fine, _) => {}
            (Verdict::Silent, _) => return Err("no request received".to_owned()),
            (Verdict::Stalled, _) => {
                return Err("the client does not read its responses".to_owned());
            }
            (Verdict::Idle, None) => {
                closing = Some(Instant::now());
                connection.as_mut().graceful_shutdown();
            }
            (Verdict::Idle, Some(since)) if since.elapsed() > limits.headers => {
                return Err("the idle connection did not close".to_owned());
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
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_INTERVAL);
    builder
}
