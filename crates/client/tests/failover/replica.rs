//! Test replicas of a directory: answering, slow, refusing, silent and dead.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use convite_client::{Credentials, DirectoryClient};
use convite_core::{ErrorCode, PeerAddress, PeerId, Problem};
use convite_wire::status::to_status;
use convite_wire::v1;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::channel::Channel;
use http_body_util::{BodyExt, combinators::BoxBody};
use hyper::body::Incoming;
use prost::Message;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// Reaction of a replica to a call.
pub enum Does {
    /// Answers with this message.
    Answer(Vec<u8>),
    /// Answers with this message after a delay.
    AnswerAfter(Duration, Vec<u8>),
    /// Sends this message and leaves the stream open.
    Begin(Vec<u8>),
    /// Refuses the call.
    Refuse(Problem),
    /// Breaks the connection after it has received the call.
    Cut,
}

type Habit = dyn Fn(&str) -> Does + Send + Sync;

/// A listening replica.
pub struct Replica {
    pub address: PeerAddress,
    calls: Arc<Mutex<Vec<String>>>,
    tasks: Vec<AbortHandle>,
}

impl Replica {
    /// Starts a replica that answers calls as `habit` decides from the method's name.
    pub async fn new(habit: impl Fn(&str) -> Does + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::at(listener, habit)
    }

    /// Starts a replica on an existing listener.
    pub fn at(listener: TcpListener, habit: impl Fn(&str) -> Does + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap().into();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let habit: Arc<Habit> = Arc::new(habit);
        let (heard, serving) = (Arc::clone(&calls), Arc::new(AtomicUsize::new(0)));
        let accepting = tokio::spawn(async move {
            // Connections end with this task, as they do when a process is killed.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serving.fetch_add(1, Ordering::Relaxed);
                connections.spawn(serve(stream, Arc::clone(&habit), Arc::clone(&heard)));
            }
        });
        Self {
            address,
            calls,
            tasks: vec![accepting.abort_handle()],
        }
    }

    /// Starts a replica that identifies itself by `generation` in its heartbeat replies.
    pub async fn numbered(generation: u64) -> Self {
        Self::new(move |_| Does::Answer(beat(generation))).await
    }

    /// Returns the called methods in order.
    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    /// Stops the replica and closes its connections.
    pub fn kill(&self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns a heartbeat reply.
pub fn beat(generation: u64) -> Vec<u8> {
    let reply = v1::HeartbeatReply {
        lease_ms: 60_000,
        generation,
        ..Default::default()
    };
    reply.encode_to_vec()
}

async fn serve(stream: TcpStream, habit: Arc<Habit>, calls: Arc<Mutex<Vec<String>>>) {
    let cut = CancellationToken::new();
    let breaking = cut.clone();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
        calls.lock().unwrap().push(method.clone());
        let (does, cut) = (habit(&method), breaking.clone());
        async move {
            // Wait for the whole request before reacting.
            let _ = request.into_body().collect().await;
            Ok::<_, Infallible>(answer(does, &cut).await)
        }
    });
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let serving = hyper::server::conn::http2::Builder::new(executor).serve_connection(io, service);
    tokio::select! {
        _ = serving => {}
        () = cut.cancelled() => {}
    }
}

type Answered = Response<BoxBody<Bytes, Infallible>>;

async fn answer(does: Does, cut: &CancellationToken) -> Answered {
    match does {
        Does::Answer(message) => reply(&message, true),
        Does::Begin(message) => reply(&message, false),
        Does::AnswerAfter(time, message) => {
            tokio::time::sleep(time).await;
            reply(&message, true)
        }
        Does::Refuse(problem) => to_status(&problem).into_http(),
        Does::Cut => {
            cut.cancel();
            std::future::pending().await
        }
    }
}

/// Returns a gRPC response with one frame, and with trailers if `whole`.
fn reply(message: &[u8], whole: bool) -> Answered {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(2);
    tokio::spawn(async move {
        sender.send_data(frame.freeze()).await.unwrap();
        if !whole {
            std::future::pending::<()>().await;
        }
        let status = HeaderValue::from_static("0");
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), status)]);
        sender.send_trailers(trailers).await.unwrap();
    });
    let mut response = Response::new(body.boxed());
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", kind);
    response
}

/// Returns an address that refuses connections.
pub async fn refusing() -> PeerAddress {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().into()
}

/// Returns an address that accepts connections and never sends anything while the listener lives.
pub async fn stalled() -> (PeerAddress, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener.local_addr().unwrap().into(), listener)
}

/// Returns an address that does not answer connection attempts, like a host behind a firewall that
/// drops packets. Its accept queue is full, so the kernel drops new attempts.
pub async fn black_hole() -> (PeerAddress, TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    let patience = Duration::from_millis(300);
    while let Ok(stream) = tokio::time::timeout(patience, TcpStream::connect(address)).await {
        queued.push(stream.unwrap());
        assert!(queued.len() < 64, "the accept queue does not fill up");
    }
    (address.into(), listener, queued)
}

/// A connection to a replica that can be frozen: it stays open, but transfers nothing.
pub struct Line {
    pub address: PeerAddress,
    flowing: watch::Sender<bool>,
    task: AbortHandle,
}

impl Line {
    pub async fn to(replica: &Replica) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().into();
        let target: SocketAddr = replica.address.to_string().parse().unwrap();
        let flowing = watch::Sender::new(true);
        let gate = flowing.subscribe();
        let task = tokio::spawn(async move {
            let mut lines = tokio::task::JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let far = TcpStream::connect(target).await.unwrap();
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = far.into_split();
                lines.spawn(carry(near_in, far_out, gate.clone()));
                lines.spawn(carry(far_in, near_out, gate.clone()));
            }
        });
        Self {
            address,
            flowing,
            task: task.abort_handle(),
        }
    }

    pub fn freeze(&self) {
        self.flowing.send_replace(false);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut gate: watch::Receiver<bool>,
) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut buffer = vec![0; 16 << 10];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        if gate.wait_for(|flowing| *flowing).await.is_err()
            || to.write_all(&buffer[..read]).await.is_err()
        {
            return;
        }
    }
}

/// Returns credentials for the directory at `addresses`.
pub fn credentials(addresses: &[&PeerAddress]) -> Credentials {
    Credentials {
        addresses: addresses.iter().map(|address| (*address).clone()).collect(),
        authority: None,
        user: None,
        token: Some("token".to_owned()),
        peer: None,
    }
}

/// Returns a client for the directory at `addresses`.
pub fn client(addresses: &[&PeerAddress]) -> DirectoryClient {
    DirectoryClient::new(&credentials(addresses)).unwrap()
}

/// Calls `heartbeat` and returns the number of the replica that answered.
pub fn who(client: &DirectoryClient) -> Pin<Box<dyn Future<Output = Result<u64, Problem>> + Send>> {
    let client = client.clone();
    Box::pin(async move {
        let peer: PeerId = "peer_1".parse().unwrap();
        client
            .heartbeat(&peer, None, &Default::default())
            .await
            .map(|lease| lease.generation)
    })
}

/// Returns a problem with this code.
pub fn problem(code: ErrorCode) -> Problem {
    Problem::new(code, "so it is")
}
