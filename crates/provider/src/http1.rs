//! Downloads from a provider with HTTP/1.1 only: piece hashes as JSON, bytes by range.
//!
//! For providers without gRPC or behind a proxy without HTTP/2. HTTP/1.1 serves one request at a
//! time, so each request has its own connection; cancelling a request closes it. Received pieces
//! are verified like all others.

use std::ops::Range;

use bytes::Bytes;
use convite_core::{ContentHash, ErrorCode, PeerAddress, PieceGeometry, PieceHash, Problem};
use convite_net::dial::{Expected, http1_request};
use convite_wire::chunk::ChunkData;
use convite_wire::pieces::PiecesBody;
use convite_wire::range::{is_answer, is_encoded};
use convite_wire::status::ProblemDocument;
use convite_wire::v1::ByteRange;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;

use crate::content::Content;
use crate::loss::Loss;
use crate::pieces::{CONNECTION_CLOSED, PieceAssembler, PieceRequest, ReceiveError};
use crate::sink::PieceSink;

/// The largest error response that is read, in bytes.
const ERROR_BODY_MAX: usize = 16 << 10;

/// A provider reached over HTTP/1.1, with the headers for requests.
pub struct Http1Provider {
    address: PeerAddress,
    expected: Option<Expected>,
    host: HeaderValue,
    bearer: HeaderValue,
}

impl Http1Provider {
    /// Creates a client for the provider at the address that answered, with host name `host` and
    /// ticket `ticket`.
    ///
    /// # Errors
    /// Returns `invalid_argument` if a name or the ticket is not valid in a header.
    pub(crate) fn new(
        address: PeerAddress,
        expected: Option<Expected>,
        host: &str,
        ticket: &str,
    ) -> Result<Self, Problem> {
        let bearer = bearer(ticket)?;
        let host = HeaderValue::from_str(host)
            .map_err(|_| Problem::invalid("the source's name is not valid"))?;
        Ok(Self {
            address,
            expected,
            host,
            bearer,
        })
    }

    /// Returns the same client with another ticket.
    ///
    /// # Errors
    /// Returns `invalid_argument` if the ticket is not valid in a header.
    pub(crate) fn with_ticket(&self, ticket: &str) -> Result<Self, Problem> {
        Ok(Self {
            address: self.address.clone(),
            expected: self.expected.clone(),
            host: self.host.clone(),
            bearer: bearer(ticket)?,
        })
    }

    /// Requests the piece hashes of `hash`. They are not verified yet.
    pub(crate) async fn piece_hashes(
        &self,
        hash: &ContentHash,
        geometry: PieceGeometry,
    ) -> Result<Vec<PieceHash>, Loss> {
        let response = self.ask(&format!("/files/{hash}/pieces"), None).await?;
        if response.status() != StatusCode::OK || is_encoded(response.headers()) {
            return Err(Loss::disconnected("it did not send the piece hashes"));
        }
        let bound = PiecesBody::bound(&geometry);
        let json = Limited::new(response.into_body(), bound)
            .collect()
            .await
            .map_err(|_| Loss::disconnected(CONNECTION_CLOSED))?
            .to_bytes();
        PiecesBody::read(&json, &geometry).map_err(|error| {
            if error.is_data() {
                Loss::wrong_data()
            } else {
                Loss::disconnected("it did not send the piece hashes")
            }
        })
    }

    /// Receives the pieces of a request; each run of adjacent pieces is one range request.
    pub(crate) async fn receive<C: Content, S: PieceSink>(
        &self,
        receive: &PieceRequest<C, S>,
        ranges: Vec<ByteRange>,
    ) -> Result<(), ReceiveError> {
        let path = format!("/files/{}", receive.content.hash());
        let size = receive.content.size();
        let mut pieces = PieceAssembler::new(receive);
        for run in ranges {
            let range = run.offset..run.offset + run.length;
            let response = self
                .ask(&path, Some(&range))
                .await
                .map_err(ReceiveError::Broken)?;
            if !is_answer(&response, &range, size) {
                tracing::debug!(status = %response.status(), "a source did not send the requested range");
                return Err(ReceiveError::Broken(Loss::disconnected(
                    "it did not send the requested range",
                )));
            }
            let mut body = response.into_body();
            let mut offset = range.start;
            while let Some(frame) = body.frame().await {
                let frame = frame
                    .map_err(|_| ReceiveError::Broken(Loss::disconnected(CONNECTION_CLOSED)))?;
                // Trailers are ignored.
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                let bytes = data.len() as u64;
                receive.note(bytes).await?;
                pieces.take(ChunkData { offset, data }).await?;
                offset += bytes;
            }
            if offset != range.end {
                return Err(ReceiveError::Broken(Loss::disconnected(CONNECTION_CLOSED)));
            }
        }
        pieces.finish().await
    }

    /// Sends a request over its own connection. An error response is returned as an error.
    async fn ask(
        &self,
        path: &str,
        range: Option<&Range<u64>>,
    ) -> Result<Response<Incoming>, Loss> {
        let mut request = Request::get(path)
            .header(header::HOST, self.host.clone())
            .header(header::AUTHORIZATION, self.bearer.clone())
            .header(header::ACCEPT_ENCODING, "identity");
        if let Some(Range { start, end }) = range {
            request = request.header(header::RANGE, format!("bytes={start}-{}", end - 1));
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|_| Loss::disconnected("it has an invalid address"))?;
        let response = http1_request(&self.address, self.expected.as_ref(), request).await?;
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            return Err(Loss::from_provider(refusal(response).await));
        }
        Ok(response)
    }
}

fn bearer(ticket: &str) -> Result<HeaderValue, Problem> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {ticket}"))
        .map_err(|_| Problem::invalid("the ticket is damaged"))?;
    bearer.set_sensitive(true);
    Ok(bearer)
}

/// Returns the error in the response, or one derived from its status.
async fn refusal(response: Response<Incoming>) -> Problem {
    let status = response.status();
    let body = Limited::new(response.into_body(), ERROR_BODY_MAX);
    let said = body.collect().await.ok();
    let said = said.and_then(|body| serde_json::from_slice(&body.to_bytes()).ok());
    if let Some(document) = said.and_then(|document: ProblemDocument| problem_in(&document)) {
        return document;
    }
    let code = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorCode::TicketInvalid,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => ErrorCode::Overloaded,
        StatusCode::NOT_FOUND | StatusCode::GONE => ErrorCode::NotFound,
        // Another failure of the provider; it may be tried again.
        _ => ErrorCode::Internal,
    };
    Problem::new(code, format!("it responded with status {status}"))
}

fn problem_in(document: &ProblemDocument) -> Option<Problem> {
    let code = document.code.parse().ok()?;
    Some(Problem::new(code, document.detail.clone()))
}
