//! The accept loop: one port, TLS with ALPN or plaintext, HTTP/1.1 and HTTP/2.
//!
//! Each connection is a task. On shutdown nobody new is let in, requests under way may finish
//! within [`DRAIN`], and what is left is cut.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use convite_core::Problem;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::{CONNECTION_WINDOW, Connection, FRAME, STREAM_WINDOW};

/// How long requests under way may take to finish after a shutdown began.
pub const DRAIN: Duration = Duration::from_secs(8);
/// A connection that has not shaken hands by then is dropped.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A request whose headers have not come by then is dropped.
const HEADERS: Duration = Duration::from_secs(20);
/// Connections at once; further ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 8192;
/// Requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;
/// The most bytes of headers of one request.
const HEADER_BYTES_MAX: u32 = 32 << 10;
/// How much of a response may wait to be sent, per stream, in bytes.
const SEND_BUFFER: usize = 512 << 10;
/// How often an idle HTTP/2 connection is asked for a sign of life, and how long it may take.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Serves until `shutdown`, then drains for at most [`DRAIN`]. Every request carries a
/// [`Connection`] in its extensions.
///
/// # Errors
/// None once it listens: failures of single connections are logged.
pub async fn serve<S, B>(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    service: S,
    shutdown: CancellationToken,
) -> Result<(), Problem>
where
    S: tower::Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>> + Send + Sync,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
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
        let acceptor = tls.clone().map(TlsAcceptor::from);
        let (service, watcher) = (service.clone(), graceful.watcher());
        tokio::spawn(async move {
            let served = serve_connection(stream, acceptor, connection, service, watcher).await;
            if let Err(error) = served {
                debug!(remote = %connection.remote, error, "connection ended");
            }
            drop(slot);
        });
    }
    drop(listener);
    if timeout(DRAIN, graceful.shutdown()).await.is_err() {
        warn!("cut connections that did not finish in time");
    }
    Ok(())
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
        Ok((stream, remote)) => Some((stream, remote, slot)),
        Err(error) => {
            // Out of file descriptors, most likely: some will be free in a moment.
            warn!(%error, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn serve_connection<S, B>(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    connection: Connection,
    service: S,
    watcher: Watcher,
) -> Result<(), String>
where
    S: tower::Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>> + Send + Sync,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    match tls {
        None => serve_http(builder(), stream, connection, service, watcher).await,
        Some(tls) => {
            let stream = timeout(HANDSHAKE, tls.accept(stream))
                .await
                .map_err(|_| "the TLS handshake took too long".to_owned())?
                .map_err(|error| format!("the TLS handshake failed: {error}"))?;
            // The protocol is what was negotiated, not what the first bytes look like.
            let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let builder = if is_h2 {
                builder().http2_only()
            } else {
                builder().http1_only()
            };
            serve_http(builder, stream, connection, service, watcher).await
        }
    }
}

async fn serve_http<I, S, B>(
    builder: auto::Builder<TokioExecutor>,
    stream: I,
    connection: Connection,
    service: S,
    watcher: Watcher,
) -> Result<(), String>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: tower::Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>> + Send + Sync,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(connection);
        service.clone().oneshot(request)
    });
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    watcher
        .watch(serving.into_owned())
        .await
        .map_err(|e| e.to_string())
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .max_buf_size(HEADER_BYTES_MAX as usize * 2);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    builder
}
