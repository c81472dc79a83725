//! Uploads a file to the inbox of another peer.
//!
//! The file is read and hashed once, while it is sent. An upload resumes: the receiver returns the
//! hashes of the pieces that it has from an earlier attempt, and pieces that match the file here
//! are not sent again. At the end the sender sends the content hash, and the receiver stores the
//! file only if its own hash is the same. If the final reply is lost, the next attempt gets it
//! again: the receiver remembers a finished upload for a day, and if its hash matches the file
//! here, the upload is done.

mod body;
mod progress;
mod reading;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use convite_client::DirectoryClient;
use convite_core::model::Provider;
use convite_core::{ContentHash, ErrorCode, PeerId, Problem};
use convite_net::task::blocking;
use convite_provider::{Connection, Grpc, dial};
use convite_wire::invite::Fingerprint;
use convite_wire::status::from_status;
use convite_wire::v1::peer_client::PeerClient;
use convite_wire::v1::{BeginUploadReply, BeginUploadRequest, UploadFileReply};
use http::{HeaderValue, Request, header};
use http_body_util::BodyExt;
use prost::Message;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt;

use body::UploadBody;
pub use progress::UploadProgress;
use reading::{SourceFile, SourceReader};

/// The number of consecutive attempts without progress after which the upload fails.
const ATTEMPTS: u32 = 5;
/// The delay before the second attempt; it doubles with each further attempt.
const PAUSE: Duration = Duration::from_millis(500);
/// The time limit of `BeginUpload`: the receiver may have to hash the pieces that it has.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(300);
/// The largest reply to `BeginUpload` in bytes: the piece hashes of 1 TiB.
const BEGIN_REPLY_MAX: usize = (8 << 20) + 1024;
/// The largest reply to `UploadFile` in bytes.
const REPLY_MAX: usize = 64 << 10;

/// Parameters of an upload.
#[derive(Clone)]
pub struct UploadRequest {
    /// A client of the directory with a session.
    pub directory: DirectoryClient,
    /// The authority that issues the peers' certificates; `None` if peers use plaintext.
    pub authority: Option<Fingerprint>,
    /// The receiving peer.
    pub peer: PeerId,
    /// The file to send.
    pub file: PathBuf,
}

/// A finished upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadResult {
    /// The published path on the receiving peer.
    pub path: String,
    /// The content hash.
    pub hash: ContentHash,
    /// The size in bytes.
    pub bytes: u64,
    /// Bytes that did not have to be sent again.
    pub resumed: u64,
    /// The time from the start until the receiver had synced the file to disk.
    pub took: Duration,
}

/// Uploads a file to a peer's inbox. If `interrupt` is cancelled, returns `None`; the receiver
/// keeps the sent part for a day.
///
/// # Errors
/// Returns `not_found` if the file or the peer does not exist, `permission_denied` if the peer does
/// not accept uploads from this account, `too_large` or `no_space` if the receiver cannot store the
/// file, `content_changed` if the file changed while it was sent, and `unavailable` if the peer
/// cannot be reached.
pub async fn put(
    put: UploadRequest,
    progress: watch::Sender<UploadProgress>,
    interrupt: CancellationToken,
) -> Result<Option<UploadResult>, Problem> {
    let sending = send(&put, &progress);
    tokio::select! {
        done = sending => done.map(Some),
        () = interrupt.cancelled() => Ok(None),
    }
}

async fn send(
    put: &UploadRequest,
    progress: &watch::Sender<UploadProgress>,
) -> Result<UploadResult, Problem> {
    let started = Instant::now();
    let path = put.file.clone();
    let opened = Arc::new(blocking(move || SourceFile::open(&path)).await?);
    progress.send_modify(|progress| progress.size = opened.size());
    let (mut attempt, mut farthest) = (0, 0);
    loop {
        match try_once(put, &opened, progress).await {
            Ok((reply, resumed)) => {
                return Ok(UploadResult {
                    path: reply.path,
                    hash: ContentHash::from_slice(&reply.hash)?,
                    bytes: reply.size,
                    resumed,
                    took: started.elapsed(),
                });
            }
            Err(problem) if !is_temporary(&problem) => return Err(problem),
            Err(problem) => {
                // The receiver keeps what it has: count only attempts without progress.
                let reached = progress.borrow().sent;
                attempt = if reached > farthest { 1 } else { attempt + 1 };
                farthest = farthest.max(reached);
                if attempt >= ATTEMPTS {
                    return Err(problem);
                }
                tracing::debug!("an upload was interrupted: {problem}");
                tokio::time::sleep(PAUSE * 2u32.pow(attempt - 1)).await;
            }
        }
    }
}

/// Returns whether to try again.
fn is_temporary(problem: &Problem) -> bool {
    matches!(
        problem.code,
        ErrorCode::Unavailable | ErrorCode::Overloaded | ErrorCode::TicketInvalid
    )
}

fn disconnected(peer: &PeerId) -> Problem {
    Problem::new(
        ErrorCode::Unavailable,
        format!("peer '{peer}' cannot be reached or closed the connection"),
    )
    .hint("run the same command again when the peer is online; the upload resumes")
}

/// Makes one attempt. Returns the reply and the number of bytes that the receiver already had.
async fn try_once(
    put: &UploadRequest,
    opened: &Arc<SourceFile>,
    progress: &watch::Sender<UploadProgress>,
) -> Result<(UploadFileReply, u64), Problem> {
    let grpc = connect(put).await?;
    let mut begun = begin(&grpc, put, opened, false).await?;
    if let Some(done) = begun.done.take() {
        let file = opened.clone();
        let hash = blocking(move || file.hash()).await?;
        if *hash.as_bytes() == *done.hash {
            let size = opened.size();
            progress.send_modify(|progress| (progress.sent, progress.resumed) = (size, size));
            return Ok((done, size));
        }
        // The file changed since that upload, with the same size and time.
        begun = begin(&grpc, put, opened, true).await?;
    }
    let (held, _) = begun.piece_hashes.as_chunks::<32>();
    let (upload, held) = (begun.upload, held.to_vec());
    let file = opened.clone();
    let agreed = blocking(move || file.matching_prefix(held)).await?;
    let resumed = agreed.len() as u64 * opened.piece_size();
    progress.send_modify(|progress| (progress.sent, progress.resumed) = (resumed, resumed));
    let reading = SourceReader::start(opened.clone(), agreed);
    let trouble = reading.trouble.clone();
    let body = Body::new(UploadBody::new(reading, progress.clone()));
    let answered = ask(&grpc, &put.peer, &upload, body).await;
    // A read error is a better explanation than the broken stream that it caused.
    let trouble = trouble.lock().take();
    match trouble {
        Some(problem) => Err(problem),
        None => Ok((answered?, resumed)),
    }
}

async fn connect(put: &UploadRequest) -> Result<Grpc, Problem> {
    let grant = put.directory.upload_ticket(&put.peer).await?;
    let tls = put
        .authority
        .map(|pin| convite_net::tls::peer_client_config(pin.0, &put.directory.clock()));
    let provider = Provider {
        peer: put.peer.clone(),
        addresses: grant.addresses,
        size: 0,
        ticket: grant.ticket,
        partial: false,
    };
    match dial(&provider, tls.as_ref()).await {
        Ok(Connection::Grpc(grpc)) => Ok(grpc),
        Ok(Connection::Http1(_)) => Err(Problem::new(
            ErrorCode::Unavailable,
            format!("peer '{}' does not support HTTP/2", put.peer),
        )),
        Err(loss) => Err(loss.reason),
    }
}

async fn begin(
    grpc: &Grpc,
    put: &UploadRequest,
    opened: &SourceFile,
    anew: bool,
) -> Result<BeginUploadReply, Problem> {
    let mut client = PeerClient::with_origin(grpc.http2.clone(), grpc.origin.clone())
        .max_decoding_message_size(BEGIN_REPLY_MAX);
    let mut request = tonic::Request::new(BeginUploadRequest {
        name: opened.name(),
        size: opened.size(),
        modified_ns: opened.modified_ns(),
        anew,
    });
    let metadata = request.metadata_mut();
    metadata.insert("authorization", grpc.bearer.clone());
    let reply = tokio::time::timeout(BEGIN_TIMEOUT, client.begin_upload(request))
        .await
        .map_err(|_| disconnected(&put.peer))?
        .map_err(|status| refusal(&put.peer, &status))?;
    Ok(reply.into_inner())
}

/// Returns the error of a status. A status caused by a broken connection is replaced by
/// [`disconnected`].
fn refusal(peer: &PeerId, status: &Status) -> Problem {
    let problem: Problem = from_status(status);
    match problem.code {
        ErrorCode::Unavailable if problem.hint.is_none() => disconnected(peer),
        _ => problem,
    }
}

async fn ask(
    grpc: &Grpc,
    peer: &PeerId,
    upload: &str,
    body: Body,
) -> Result<UploadFileReply, Problem> {
    let mut bearer = HeaderValue::from_bytes(grpc.bearer.as_bytes())
        .map_err(|_| Problem::invalid("the ticket is damaged"))?;
    bearer.set_sensitive(true);
    let request = Request::post(format!("{}convite.v1.Peer/UploadFile", grpc.origin))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .header(header::AUTHORIZATION, bearer)
        .header("convite-upload", upload)
        .body(body)
        .map_err(|_| disconnected(peer))?;
    let response = grpc.http2.clone().oneshot(request).await;
    let response = response.map_err(|_| disconnected(peer))?;
    if let Some(status) = Status::from_header_map(response.headers())
        && status.code() != tonic::Code::Ok
    {
        return Err(refusal(peer, &status));
    }
    let answer = http_body_util::Limited::new(response.into_body(), REPLY_MAX)
        .collect()
        .await
        .map_err(|_| disconnected(peer))?;
    if let Some(status) = answer.trailers().and_then(Status::from_header_map)
        && status.code() != tonic::Code::Ok
    {
        return Err(refusal(peer, &status));
    }
    message(answer.to_bytes()).ok_or_else(|| disconnected(peer))
}

/// Decodes the only message of a reply (gRPC over HTTP/2, "Responses").
fn message(mut body: Bytes) -> Option<UploadFileReply> {
    if body.len() < 5 || body.get_u8() != 0 || body.get_u32() as usize != body.len() {
        return None;
    }
    UploadFileReply::decode(body).ok()
}
