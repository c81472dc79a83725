//! Simulated providers.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use convite_core::verify::hash_piece;
use convite_core::{ContentHash, PeerId, PieceGeometry};
use convite_wire::range::{Asked, asked};
use convite_wire::ticket::TicketVerifier;
use http::{HeaderMap, StatusCode, header};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The behaviour of a provider.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Honest,
    /// Sends a wrong byte at this offset.
    LiesAt(u64),
    /// Disconnects at this offset.
    BreaksAt(u64),
    /// Stalls at this offset.
    StallsAt(u64),
    /// Returns the piece hashes of other contents.
    WrongHashes,
    /// Never answers a request for piece hashes.
    KeepsWaiting,
    /// Refuses all requests.
    Busy,
    /// No longer has the file.
    Lacking,
}

/// A provider of one file.
pub struct Peer {
    pub id: PeerId,
    pub port: u16,
    manner: Mutex<Behaviour>,
    contents: Bytes,
    key: [u8; 32],
    /// Number of bytes sent.
    pub sent: AtomicU64,
    /// Number of requests for contents accepted so far.
    pub requests: AtomicUsize,
    /// Number of requests for contents in progress.
    pub open: AtomicUsize,
    /// The users of the tickets.
    pub users: Mutex<Vec<String>>,
    _stop: DropGuard,
}

/// Returns bytes without repetitions.
pub fn contents(len: usize) -> Bytes {
    let mut bytes = vec![0; len];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&len.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes.into()
}

impl Peer {
    /// Starts a provider, which accepts tickets signed with this key.
    pub async fn start(id: &str, key: [u8; 32], contents: &Bytes, manner: Behaviour) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stop = CancellationToken::new();
        let peer = Arc::new(Self {
            id: id.parse().unwrap(),
            port: listener.local_addr().unwrap().port(),
            manner: Mutex::new(manner),
            contents: contents.clone(),
            key,
            sent: AtomicU64::new(0),
            requests: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            users: Mutex::default(),
            _stop: stop.clone().drop_guard(),
        });
        let router = Router::new()
            .route("/files/{hash}", get(bytes))
            .route("/files/{hash}/pieces", get(pieces))
            .with_state(Arc::clone(&peer));
        tokio::spawn(convite_net::serve(
            convite_net::Limits::default(),
            listener,
            None,
            router,
            stop,
        ));
        peer
    }

    pub fn set_behaviour(&self, manner: Behaviour) {
        *self.manner.lock().unwrap() = manner;
    }

    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    fn manner(&self) -> Behaviour {
        *self.manner.lock().unwrap()
    }

    /// Records the ticket; refuses what a real peer would refuse.
    fn admit(&self, headers: &HeaderMap, hash: &str) -> Result<(), StatusCode> {
        let bearer = headers[header::AUTHORIZATION].to_str().unwrap();
        let token = bearer.strip_prefix("Bearer ").unwrap();
        let verifier = TicketVerifier::new(&self.key, self.id.clone()).unwrap();
        let ticket = verifier
            .verify(token, SystemTime::now().into())
            .map_err(|_| StatusCode::FORBIDDEN)?;
        ticket
            .opens(&hash.parse().unwrap())
            .map_err(|_| StatusCode::FORBIDDEN)?;
        self.users.lock().unwrap().push(ticket.user.to_string());
        match self.manner() {
            Behaviour::Busy => Err(StatusCode::SERVICE_UNAVAILABLE),
            Behaviour::Lacking => Err(StatusCode::NOT_FOUND),
            _ => Ok(()),
        }
    }
}

async fn pieces(
    State(peer): State<Arc<Peer>>,
    Path(hash): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Err(status) = peer.admit(&headers, &hash) {
        return status.into_response();
    }
    if peer.manner() == Behaviour::KeepsWaiting {
        return std::future::pending().await;
    }
    let geometry = PieceGeometry::new(peer.contents.len() as u64).unwrap();
    let mut hashes: Vec<String> = (0..geometry.piece_count())
        .map(|index| {
            let range = geometry.piece_range(index);
            let piece = &peer.contents[range.start as usize..range.end as usize];
            ContentHash::from_bytes(hash_piece(&geometry, index, piece)).to_string()
        })
        .collect();
    if peer.manner() == Behaviour::WrongHashes {
        hashes[0] = ContentHash::of(b"something else").to_string();
    }
    axum::Json(serde_json::json!({
        "piece_size": geometry.piece_size(),
        "file_size": geometry.file_size(),
        "hashes": hashes,
    }))
    .into_response()
}

async fn bytes(
    State(peer): State<Arc<Peer>>,
    Path(hash): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Err(status) = peer.admit(&headers, &hash) {
        return status.into_response();
    }
    let size = peer.contents.len() as u64;
    let field = headers.get(header::RANGE).map(|f| f.to_str().unwrap());
    let Ok(Asked::Part(range)) = asked(field, size) else {
        return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
    };
    let told = format!("bytes {}-{}/{size}", range.start, range.end - 1);
    let (out, chunks) = mpsc::channel(1);
    peer.requests.fetch_add(1, Ordering::SeqCst);
    peer.open.fetch_add(1, Ordering::SeqCst);
    tokio::spawn(async move {
        send(&peer, range, out).await;
        peer.open.fetch_sub(1, Ordering::SeqCst);
    });
    let body =
        Body::from_stream(ReceiverStream::new(chunks).map(|chunk: Option<Bytes>| {
            chunk.ok_or_else(|| std::io::Error::other("disconnected"))
        }));
    let headers = [(header::CONTENT_RANGE, told)];
    (StatusCode::PARTIAL_CONTENT, headers, body).into_response()
}

/// Sends a range according to the behaviour; `None` disconnects.
async fn send(peer: &Peer, range: Range<u64>, out: mpsc::Sender<Option<Bytes>>) {
    let mut offset = range.start;
    while offset < range.end {
        let end = (offset + (64 << 10)).min(range.end);
        let mut chunk = peer.contents.slice(offset as usize..end as usize);
        match peer.manner() {
            Behaviour::LiesAt(at) if (offset..end).contains(&at) => {
                let mut wrong = chunk.to_vec();
                wrong[(at - offset) as usize] ^= 1;
                chunk = wrong.into();
            }
            Behaviour::BreaksAt(at) if at < end => {
                let _ = out.send(None).await;
                return;
            }
            Behaviour::StallsAt(at) if at < end => {
                out.closed().await;
                return;
            }
            _ => {}
        }
        if out.send(Some(chunk)).await.is_err() {
            return;
        }
        peer.sent.fetch_add(end - offset, Ordering::SeqCst);
        offset = end;
    }
}
