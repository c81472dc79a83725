//! Simulated providers, which speak gRPC without TLS. Also used by the tests of the gateway.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use convite_core::verify::hash_piece;
use convite_core::{ContentHash, PeerId, PieceGeometry};
use convite_wire::v1::peer_server::{Peer as PeerService, PeerServer};
use convite_wire::v1::{
    AvailabilityReply, AvailabilityRequest, BeginUploadReply, BeginUploadRequest,
    DownloadFileRequest, FileChunk, FolderPart, GetFolderRequest, GetPiecesReply, GetPiecesRequest,
    LoadHereReply, LoadHereRequest, ReportPieceReply, ReportPieceRequest, UploadChunk,
    UploadFileReply,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

const CHUNK: u64 = 64 << 10;

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

/// Checks the ticket of a request for a hash. Returns its user.
pub type TicketCheck = Box<dyn Fn(&str, &ContentHash) -> Result<String, Status> + Send + Sync>;

/// A provider of one file.
pub struct Peer {
    pub id: PeerId,
    pub port: u16,
    manner: Mutex<Behaviour>,
    contents: Bytes,
    check: TicketCheck,
    /// The users of the tickets.
    pub users: Mutex<Vec<String>>,
    /// Number of bytes sent.
    pub sent: AtomicU64,
    /// The ranges requested so far.
    pub ranges: Mutex<Vec<Range<u64>>>,
    /// Number of requests for contents accepted so far.
    pub requests: AtomicUsize,
    /// Number of requests for contents in progress.
    pub open: AtomicUsize,
    /// Number of requests for piece hashes.
    pub asked_hashes: AtomicUsize,
    /// Number of requests with a ticket that is not valid.
    pub refused: AtomicUsize,
    /// Number of reports of wrong pieces.
    pub reports: AtomicUsize,
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
    /// Starts a provider.
    pub async fn start(
        id: &str,
        contents: &Bytes,
        manner: Behaviour,
        check: TicketCheck,
    ) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = Arc::new(Self {
            id: id.parse().unwrap(),
            port: listener.local_addr().unwrap().port(),
            manner: Mutex::new(manner),
            contents: contents.clone(),
            check,
            users: Mutex::default(),
            sent: AtomicU64::new(0),
            ranges: Mutex::default(),
            requests: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            asked_hashes: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            reports: AtomicUsize::new(0),
        });
        let service = PeerServer::new(Service(peer.clone()));
        tokio::spawn(convite_net::serve(
            convite_net::Limits::default(),
            listener,
            None,
            service,
            CancellationToken::new(),
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

    /// Refuses what a real peer would refuse.
    fn admit<T>(&self, request: &Request<T>, hash: &Bytes) -> Result<(), Status> {
        let bearer = request.metadata().get("authorization").unwrap();
        let token = bearer.to_str().unwrap().strip_prefix("Bearer ").unwrap();
        let checked = (self.check)(token, &ContentHash::from_slice(hash).unwrap());
        let user = checked.inspect_err(|_| {
            self.refused.fetch_add(1, Ordering::SeqCst);
        })?;
        self.users.lock().unwrap().push(user);
        let problem = match self.manner() {
            Behaviour::Busy => {
                convite_core::Problem::new(convite_core::ErrorCode::Overloaded, "it is busy")
            }
            Behaviour::Lacking => convite_core::Problem::not_found("it is no longer shared"),
            _ => return Ok(()),
        };
        Err(convite_wire::status::to_status(&problem))
    }

    /// Sends ranges according to the behaviour.
    async fn send(&self, ranges: Vec<Range<u64>>, out: mpsc::Sender<Result<FileChunk, Status>>) {
        for range in ranges {
            let mut offset = range.start;
            while offset < range.end {
                let end = (offset + CHUNK).min(range.end);
                let mut data = self.contents.slice(offset as usize..end as usize);
                match self.manner() {
                    Behaviour::LiesAt(at) if (offset..end).contains(&at) => {
                        let mut wrong = data.to_vec();
                        wrong[(at - offset) as usize] ^= 1;
                        data = wrong.into();
                    }
                    Behaviour::BreaksAt(at) if at < end => {
                        let _ = out.send(Err(Status::unavailable("disconnected"))).await;
                        return;
                    }
                    Behaviour::StallsAt(at) if at < end => {
                        out.closed().await;
                        return;
                    }
                    _ => {}
                }
                if out.send(Ok(FileChunk { offset, data })).await.is_err() {
                    return;
                }
                self.sent.fetch_add(end - offset, Ordering::SeqCst);
                offset = end;
            }
        }
    }
}

/// The service of a provider; it ends with the test.
struct Service(Arc<Peer>);

type Messages<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl PeerService for Service {
    type DownloadFileStream = Messages<FileChunk>;
    type GetFolderStream = Messages<FolderPart>;
    type AvailabilityStream = Messages<AvailabilityReply>;

    async fn download_file(
        &self,
        request: Request<DownloadFileRequest>,
    ) -> Result<Response<Self::DownloadFileStream>, Status> {
        let peer = self.0.clone();
        peer.admit(&request, &request.get_ref().hash)?;
        let size = peer.contents.len() as u64;
        let asked = request.get_ref().ranges.iter();
        let ranges: Vec<_> = asked.map(|r| r.offset..r.offset + r.length).collect();
        if ranges.iter().any(|range| range.end > size) {
            return Err(Status::out_of_range("beyond the end"));
        }
        peer.ranges.lock().unwrap().extend(ranges.clone());
        peer.requests.fetch_add(1, Ordering::SeqCst);
        peer.open.fetch_add(1, Ordering::SeqCst);
        let (out, chunks) = mpsc::channel(1);
        tokio::spawn(async move {
            peer.send(ranges, out).await;
            peer.open.fetch_sub(1, Ordering::SeqCst);
        });
        Ok(Response::new(chunks.into()))
    }

    async fn get_pieces(
        &self,
        request: Request<GetPiecesRequest>,
    ) -> Result<Response<GetPiecesReply>, Status> {
        let peer = self.0.clone();
        peer.admit(&request, &request.get_ref().hash)?;
        peer.asked_hashes.fetch_add(1, Ordering::SeqCst);
        if peer.manner() == Behaviour::KeepsWaiting {
            return std::future::pending().await;
        }
        let geometry = PieceGeometry::new(peer.contents.len() as u64).unwrap();
        let mut hashes = Vec::new();
        for index in 0..geometry.piece_count() {
            let range = geometry.piece_range(index);
            let piece = &peer.contents[range.start as usize..range.end as usize];
            hashes.extend_from_slice(&hash_piece(&geometry, index, piece));
        }
        if peer.manner() == Behaviour::WrongHashes {
            hashes[0] ^= 1;
        }
        Ok(Response::new(GetPiecesReply {
            file_size: geometry.file_size(),
            piece_size: geometry.piece_size(),
            piece_hashes: hashes.into(),
        }))
    }

    async fn availability(
        &self,
        request: Request<AvailabilityRequest>,
    ) -> Result<Response<Self::AvailabilityStream>, Status> {
        let peer = self.0.clone();
        peer.admit(&request, &request.get_ref().hash)?;
        let (out, replies) = mpsc::channel(1);
        tokio::spawn(async move {
            let whole = AvailabilityReply {
                whole: true,
                ..AvailabilityReply::default()
            };
            let _ = out.send(Ok(whole)).await;
            out.closed().await;
        });
        Ok(Response::new(replies.into()))
    }

    async fn report_piece(
        &self,
        _: Request<ReportPieceRequest>,
    ) -> Result<Response<ReportPieceReply>, Status> {
        self.0.reports.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(ReportPieceReply::default()))
    }

    async fn get_folder(
        &self,
        _: Request<GetFolderRequest>,
    ) -> Result<Response<Self::GetFolderStream>, Status> {
        Err(Status::unimplemented("GetFolder"))
    }

    async fn load_file(
        &self,
        _: Request<LoadHereRequest>,
    ) -> Result<Response<LoadHereReply>, Status> {
        Err(Status::unimplemented("LoadFile"))
    }

    async fn begin_upload(
        &self,
        _: Request<BeginUploadRequest>,
    ) -> Result<Response<BeginUploadReply>, Status> {
        Err(Status::unimplemented("BeginUpload"))
    }

    async fn upload_file(
        &self,
        _: Request<Streaming<UploadChunk>>,
    ) -> Result<Response<UploadFileReply>, Status> {
        Err(Status::unimplemented("UploadFile"))
    }
}
