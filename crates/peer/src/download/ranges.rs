//! A provider that speaks only HTTP/1.1: its piece hashes as JSON, its bytes by range.
//!
//! For those who provide without gRPC, or sit behind a proxy that knows no HTTP/2. HTTP/1.1 answers
//! one request at a time, so each has a connection of its own; giving a request up is dropping it.
//! What comes is checked as everything is, piece by piece.

use std::ops::Range;

use bytes::Bytes;
use convite_core::{ContentHash, PeerAddress, PieceGeometry, PieceHash, Problem};
use convite_net::dial::{Expected, http1_request};
use convite_swarm::Failure;
use convite_wire::chunk::ChunkData;
use convite_wire::pieces::PiecesBody;
use convite_wire::range::{is_answer, is_encoded};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;

use super::receive::{End, Pieces, Receive};

/// Where and as whom a provider is asked for ranges.
pub(crate) struct Ranges {
    address: PeerAddress,
    expected: Option<Expected>,
    host: HeaderValue,
    bearer: HeaderValue,
}

impl Ranges {
    /// A provider at the address that answered, named `host`, which `ticket` lets us in at.
    ///
    /// # Errors
    /// `invalid_argument` if a name or the ticket does not fit into a header.
    pub(crate) fn new(
        address: PeerAddress,
        expected: Option<Expected>,
        host: &str,
        ticket: &str,
    ) -> Result<Self, Problem> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {ticket}"))
            .map_err(|_| Problem::invalid("the ticket is damaged"))?;
        bearer.set_sensitive(true);
        let host = HeaderValue::from_str(host)
            .map_err(|_| Problem::invalid("the provider's name is not valid"))?;
        Ok(Self {
            address,
            expected,
            host,
            bearer,
        })
    }

    /// The hashes of the pieces of `hash`, as the provider says; not yet verified.
    pub(super) async fn piece_hashes(
        &self,
        hash: &ContentHash,
        geometry: PieceGeometry,
    ) -> Result<Vec<PieceHash>, Failure> {
        let response = self.ask(&format!("/files/{hash}/pieces"), None).await?;
        if response.status() != StatusCode::OK || is_encoded(response.headers()) {
            return Err(Failure::Unreachable);
        }
        let bound = PiecesBody::bound(&geometry);
        let json = Limited::new(response.into_body(), bound)
            .collect()
            .await
            .map_err(|_| Failure::Unreachable)?
            .to_bytes();
        PiecesBody::read(&json, &geometry).map_err(|error| match error.is_data() {
            true => Failure::Dishonest,
            false => Failure::Unreachable,
        })
    }

    /// Receives the pieces of one request, each run of neighbours by a range of its own.
    pub(super) async fn receive(&self, receive: &Receive) -> Result<(), End> {
        let path = format!("/files/{}", receive.hash);
        let size = receive.hashes.geometry().file_size();
        let mut pieces = Pieces::new(receive);
        for run in receive.ranges() {
            let range = run.offset..run.offset + run.length;
            let response = self.ask(&path, Some(&range)).await.map_err(End::Broken)?;
            if !is_answer(&response, &range, size) {
                tracing::debug!(status = %response.status(), "a provider did not send the range");
                return Err(End::Broken(Failure::Unreachable));
            }
            let mut body = response.into_body();
            let mut offset = range.start;
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|_| End::Broken(Failure::Unreachable))?;
                // Trailers say nothing of use.
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                let bytes = data.len() as u64;
                receive.note(bytes).await?;
                pieces.take(ChunkData { offset, data }).await?;
                offset += bytes;
            }
            if offset != range.end {
                return Err(End::Broken(Failure::Unreachable));
            }
        }
        pieces.finish().await
    }

    /// Sends a request over a connection of its own; a refusal is a failure.
    async fn ask(
        &self,
        path: &str,
        range: Option<&Range<u64>>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut request = Request::get(path)
            .header(header::HOST, self.host.clone())
            .header(header::AUTHORIZATION, self.bearer.clone())
            .header(header::ACCEPT_ENCODING, "identity");
        if let Some(Range { start, end }) = range {
            request = request.header(header::RANGE, format!("bytes={start}-{}", end - 1));
        }
        let request = request
            .body(Empty::<Bytes>::new())
            .map_err(|_| Failure::Unreachable)?;
        let response = http1_request(&self.address, self.expected.as_ref(), request)
            .await
            .map_err(|problem| {
                tracing::debug!("cannot ask a provider: {problem}");
                Failure::Unreachable
            })?;
        match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Failure::Refused),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Err(Failure::Busy),
            _ => Ok(response),
        }
    }
}
