//! Replicas of a directory as a client meets them: answering, slow, refusing, silent, gone.

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

/// What a replica does with a call.
pub enum Does {
    /// Answers with that message.
    Answer(Vec<u8>),
    /// The same, after so long.
    AnswerAfter(Duration, Vec<u8>),
    /// Answers with that message and says no more, nor that this is all.
    Begin(Vec<u8>),
    /// Refuses.
    Refuse(Problem),
    /// Breaks the connection, once it has the call.
    Cut,
}

type Habit = dyn Fn(&str) -> Does + Send + Sync;

/// A replica that listens.
pub struct Replica {
    pub address: PeerAddress,
    calls: Arc<Mutex<Vec<String>>>,
    tasks: Vec<AbortHandle>,
}

impl Replica {
    /// One that answers every call as `habit` says, by the method's name.
    pub async fn new(habit: impl Fn(&str) -> Does + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::at(listener, habit)
    }

    /// The same on a socket that listens already.
    pub fn at(listener: TcpListener, habit: impl Fn(&str) -> Does + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().unwrap().into();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let habit: Arc<Habit> = Arc::new(habit);
        let (heard, serving) = (Arc::clone(&calls), Arc::new(AtomicUsize::new(0)));
        let accepting = tokio::spawn(async move {
            // Connections end with this task, as those of a process that is killed.
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

    /// One that says who it is: `generation` in its answers to heartbeats.
    pub async fn numbered(generation: u64) -> Self {
        Self::new(move |_| Does::Answer(beat(generation))).await
    }

    /// The methods that were called, in order.
    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    /// Ends it, with its connections.
    pub fn kill(&self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The answer to a heartbeat.
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
            // The whole request has arrived before anything happens.
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

/// A gRPC answer: a frame, and the trailers if that is all.
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

/// An address where connecting is refused.
pub async fn refusing() -> PeerAddress {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().into()
}

/// One that lets in and never says anything; as long as the guard lives.
pub async fn stalled() -> (PeerAddress, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    (listener.local_addr().unwrap().into(), listener)
}

/// One that answers no attempt to connect, as a host behind a wall that drops packets: its queue is
/// full, so the kernel drops what comes.
pub async fn black_hole() -> (PeerAddress, TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    let patience = Duration::from_millis(300);
    while let Ok(stream) = tokio::time::timeout(patience, TcpStream::connect(address)).await {
        queued.push(stream.unwrap());
        assert!(queued.len() < 64, "the queue has no end");
    }
    (address.into(), listener, queued)
}

/// A line to a replica that can be frozen: nothing is lost or closed, nothing comes through.
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

/// Credentials for the directory at those addresses.
pub fn credentials(addresses: &[&PeerAddress]) -> Credentials {
    Credentials {
        addresses: addresses.iter().map(|address| (*address).clone()).collect(),
        authority: None,
        user: None,
        token: Some("token".to_owned()),
        peer: None,
    }
}

/// A client of it.
pub fn client(addresses: &[&PeerAddress]) -> DirectoryClient {
    DirectoryClient::new(&credentials(addresses)).unwrap()
}

/// Which replica answers a heartbeat.
pub fn who(client: &DirectoryClient) -> Pin<Box<dyn Future<Output = Result<u64, Problem>> + Send>> {
    let client = client.clone();
    Box::pin(async move {
        let peer: PeerId = "peer_1".parse().unwrap();
        client
            .heartbeat(&peer, &Default::default())
            .await
            .map(|lease| lease.generation)
    })
}

/// That kind of problem.
pub fn problem(code: ErrorCode) -> Problem {
    Problem::new(code, "so it is")
}
