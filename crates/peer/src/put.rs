//! Leaving a file with another peer, in its inbox.
//!
//! The file is read and hashed once, on its way. What an earlier attempt left there is not sent again
//! if it is what the file begins with: the other side says the hashes of its pieces, and they are
//! compared with the file here. At the end the content hash goes over, and the other side puts the
//! file away only if it came to the same. An answer that gets lost is told again: the other side
//! remembers for a day, and if its hash is that of the file here, it is there.

mod body;
mod reading;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use convite_client::DirectoryClient;
use convite_core::model::Provider;
use convite_core::{ContentHash, ErrorCode, PeerId, Problem};
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

use crate::download::connection::{Connection, Grpc, dial};
use body::Sending;
use reading::{Opened, Reading};

/// Attempts that bring nothing further, one after the other, before it is given up.
const ATTEMPTS: u32 = 5;
/// Between the first two; twice as long each time.
const PAUSE: Duration = Duration::from_millis(500);
/// Beginning may mean to the other side that it hashes what is there.
const BEGIN_MAX: Duration = Duration::from_secs(300);
/// The largest answer to a beginning, in bytes: the piece hashes of 1 TiB.
const BEGUN_MAX: usize = (8 << 20) + 1024;
/// The largest answer at the end.
const ANSWER_MAX: usize = 64 << 10;

/// What to put, and where.
#[derive(Clone)]
pub struct Put {
    /// The directory, in a session.
    pub directory: DirectoryClient,
    /// The authority that peers' certificates are under; none if they speak plaintext.
    pub authority: Option<Fingerprint>,
    /// Whose inbox.
    pub peer: PeerId,
    /// A file.
    pub file: PathBuf,
}

/// How an upload stands; sent on change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that the other side has, or that are on their way there.
    pub sent: u64,
    /// Bytes that it had from an earlier attempt.
    pub resumed: u64,
    /// Size of the file in bytes.
    pub size: u64,
}

/// A file that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// What it is called there, as it is published.
    pub path: String,
    /// Its contents.
    pub hash: ContentHash,
    /// In bytes.
    pub bytes: u64,
    /// Bytes of it that did not have to be sent.
    pub resumed: u64,
    /// From the start to the file being there, synced.
    pub took: Duration,
}

/// Puts a file into a peer's inbox. When `interrupt` is cancelled, what came over is kept there for a
/// day and the result is none.
///
/// # Errors
/// `not_found` for a file or a peer that is not there; `permission_denied` if the peer takes none of
/// this account; `too_large`, `no_space`; `content_changed` if the file changed meanwhile;
/// `unavailable` if the peer cannot be reached (any more).
pub async fn put(
    put: Put,
    progress: watch::Sender<Progress>,
    interrupt: CancellationToken,
) -> Result<Option<Done>, Problem> {
    let sending = send(&put, &progress);
    tokio::select! {
        done = sending => done.map(Some),
        () = interrupt.cancelled() => Ok(None),
    }
}

async fn send(put: &Put, progress: &watch::Sender<Progress>) -> Result<Done, Problem> {
    let started = Instant::now();
    let path = put.file.clone();
    let opened = tokio::task::spawn_blocking(move || Opened::open(&path));
    let opened = Arc::new(opened.await.map_err(|_| failed())??);
    progress.send_modify(|progress| progress.size = opened.size());
    let (mut attempt, mut farthest) = (0, 0);
    loop {
        match try_once(put, &opened, progress).await {
            Ok((reply, resumed)) => {
                return Ok(Done {
                    path: reply.path,
                    hash: ContentHash::from_slice(&reply.hash)?,
                    bytes: reply.size,
                    resumed,
                    took: started.elapsed(),
                });
            }
            Err(problem) if !is_passing(&problem) => return Err(problem),
            Err(problem) => {
                // The other side keeps what came: one that gets on is not given up.
                let reached = progress.borrow().sent;
                attempt = if reached > farthest { 1 } else { attempt + 1 };
                farthest = farthest.max(reached);
                if attempt >= ATTEMPTS {
                    return Err(problem);
                }
                tracing::debug!("an upload broke off: {problem}");
                tokio::time::sleep(PAUSE * 2u32.pow(attempt - 1)).await;
            }
        }
    }
}

/// Whether to try again.
fn is_passing(problem: &Problem) -> bool {
    matches!(
        problem.code,
        ErrorCode::Unavailable | ErrorCode::Overloaded | ErrorCode::TicketInvalid
    )
}

fn failed() -> Problem {
    Problem::new(ErrorCode::Internal, "a task of the upload failed")
}

fn broken(peer: &PeerId) -> Problem {
    Problem::new(
        ErrorCode::Unavailable,
        format!("peer '{peer}' cannot be reached, or broke off"),
    )
    .hint("run the same command again when it is back: it goes on from where it was")
}

/// One attempt: its answer, and how many bytes were there already.
async fn try_once(
    put: &Put,
    opened: &Arc<Opened>,
    progress: &watch::Sender<Progress>,
) -> Result<(UploadFileReply, u64), Problem> {
    let grpc = connect(put).await?;
    let mut begun = begin(&grpc, put, opened, false).await?;
    if let Some(done) = begun.done.take() {
        let file = opened.clone();
        let hash = tokio::task::spawn_blocking(move || file.hash());
        let hash = hash.await.map_err(|_| failed())??;
        if *hash.as_bytes() == *done.hash {
            let size = opened.size();
            progress.send_modify(|progress| (progress.sent, progress.resumed) = (size, size));
            return Ok((done, size));
        }
        // It has changed since, and kept its size and time.
        begun = begin(&grpc, put, opened, true).await?;
    }
    let (held, _) = begun.piece_hashes.as_chunks::<32>();
    let (upload, held) = (begun.upload, held.to_vec());
    let file = opened.clone();
    let agreed = tokio::task::spawn_blocking(move || file.agreed(held));
    let agreed = agreed.await.map_err(|_| failed())??;
    let resumed = agreed.len() as u64 * opened.piece_size();
    progress.send_modify(|progress| (progress.sent, progress.resumed) = (resumed, resumed));
    let reading = Reading::start(opened.clone(), agreed);
    let trouble = reading.trouble.clone();
    let body = Body::new(Sending::new(reading, progress.clone()));
    let answered = ask(&grpc, &put.peer, &upload, body).await;
    // Why the file could not be read explains more than that the stream broke off.
    let trouble = trouble.lock().ok().and_then(|mut trouble| trouble.take());
    match trouble {
        Some(problem) => Err(problem),
        None => Ok((answered?, resumed)),
    }
}

async fn connect(put: &Put) -> Result<Grpc, Problem> {
    let grant = put.directory.upload_ticket(&put.peer).await?;
    let tls = put
        .authority
        .map(|pin| convite_net::tls::client_config(pin.0));
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
            format!("peer '{}' speaks no HTTP/2", put.peer),
        )),
        Err(problem) => Err(problem),
    }
}

async fn begin(
    grpc: &Grpc,
    put: &Put,
    opened: &Opened,
    anew: bool,
) -> Result<BeginUploadReply, Problem> {
    let mut client = PeerClient::with_origin(grpc.http2.clone(), grpc.origin.clone())
        .max_decoding_message_size(BEGUN_MAX);
    let mut request = tonic::Request::new(BeginUploadRequest {
        name: opened.name(),
        size: opened.size(),
        modified_ns: opened.modified_ns(),
        anew,
    });
    let metadata = request.metadata_mut();
    metadata.insert("authorization", grpc.bearer.clone());
    let reply = tokio::time::timeout(BEGIN_MAX, client.begin_upload(request))
        .await
        .map_err(|_| broken(&put.peer))?
        .map_err(|status| refusal(&put.peer, &status))?;
    Ok(reply.into_inner())
}

/// What a status says, which of a connection that broke says little.
fn refusal(peer: &PeerId, status: &Status) -> Problem {
    let problem: Problem = from_status(status);
    match problem.code {
        ErrorCode::Unavailable if problem.hint.is_none() => broken(peer),
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
        .map_err(|_| broken(peer))?;
    let response = grpc.http2.clone().oneshot(request).await;
    let response = response.map_err(|_| broken(peer))?;
    if let Some(status) = Status::from_header_map(response.headers())
        && status.code() != tonic::Code::Ok
    {
        return Err(refusal(peer, &status));
    }
    let answer = http_body_util::Limited::new(response.into_body(), ANSWER_MAX)
        .collect()
        .await
        .map_err(|_| broken(peer))?;
    if let Some(status) = answer.trailers().and_then(Status::from_header_map)
        && status.code() != tonic::Code::Ok
    {
        return Err(refusal(peer, &status));
    }
    message(answer.to_bytes()).ok_or_else(|| broken(peer))
}

/// Takes the one message out of an answer (gRPC over HTTP/2, "Responses").
fn message(mut body: Bytes) -> Option<UploadFileReply> {
    if body.len() < 5 || body.get_u8() != 0 || body.get_u32() as usize != body.len() {
        return None;
    }
    UploadFileReply::decode(body).ok()
}
