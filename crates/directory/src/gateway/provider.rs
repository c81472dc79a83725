//! Client for one provider over HTTP: piece hashes as JSON, contents by range; over one HTTP/2
//! connection, or with HTTP/1.1 over one connection per request.
//!
//! Its data is verified: piece hashes must fold to the content hash, and a piece is passed on only
//! if its hash matches.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use convite_core::model::Provider;
use convite_core::{ContentHash, PeerAddress, PieceGeometry, PieceHasher, PieceHashes, PieceIndex};
use convite_net::dial::{Expected, Http2, Protocol, connect_any, http1_request};
use convite_wire::pieces::PiecesBody;
use convite_wire::range::{is_answer, is_encoded};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tower::ServiceExt;

use super::Gateway;

/// The reason why a request to a provider failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProviderFailure {
    /// No peer with this identity answers at its addresses.
    Absent,
    /// It is busy, stalled or disconnected.
    Unreachable,
    /// It refused the ticket as invalid or expired.
    Refused,
    /// It does not have these bytes, no longer or not yet.
    Lacking,
    /// It sent wrong data.
    Dishonest,
}

impl ProviderFailure {
    /// Returns a description for users.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Absent => "it does not answer at its addresses",
            Self::Unreachable => "it is busy, disconnected, or cannot read the file",
            Self::Refused => "it refused the ticket",
            Self::Lacking => "the file changed, or is no longer shared there",
            Self::Dishonest => "it sent wrong data",
        }
    }
}

/// A verified piece, as the chunks in which it arrived.
pub(super) struct Piece {
    pub(super) index: PieceIndex,
    pub(super) runs: Vec<Bytes>,
}

/// A connection to a provider.
pub(super) struct ProviderConnection {
    transport: Transport,
    host: String,
    bearer: HeaderValue,
    stall: Duration,
}

enum Transport {
    Http2 {
        sender: Http2<Empty<Bytes>>,
        scheme: &'static str,
    },
    Http1 {
        address: PeerAddress,
        expected: Option<Expected>,
    },
}

impl ProviderConnection {
    /// Dials all addresses of a provider; the first one that answers with the peer's identity is
    /// used.
    pub(super) async fn dial(
        gateway: &Gateway,
        provider: &Provider,
    ) -> Result<Self, ProviderFailure> {
        let host = provider.peer.certificate_name();
        let expected = match &gateway.tls {
            None => None,
            Some(config) => {
                Some(Expected::new(config.clone(), &host).map_err(|_| ProviderFailure::Absent)?)
            }
        };
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", provider.ticket))
            .map_err(|_| ProviderFailure::Refused)?;
        bearer.set_sensitive(true);
        let dialled = connect_any(&provider.addresses, expected.as_ref());
        let (address, transport) = dialled.await.map_err(|unanswered| {
            let problem = unanswered.problem;
            tracing::debug!(peer = %provider.peer, "cannot dial: {problem}");
            ProviderFailure::Absent
        })?;
        let transport = match transport {
            Protocol::Http2(sender) => Transport::Http2 {
                sender,
                scheme: if expected.is_some() { "https" } else { "http" },
            },
            Protocol::Http1 => Transport::Http1 {
                address,
                expected: expected.as_ref().map(Expected::http1_only),
            },
        };
        Ok(Self {
            transport,
            host,
            bearer,
            stall: gateway.config.provider_timeout,
        })
    }

    /// Returns whether the connection has ended, so that requests would fail.
    pub(super) fn is_closed(&self) -> bool {
        match &self.transport {
            Transport::Http2 { sender, .. } => sender.is_closed(),
            Transport::Http1 { .. } => false,
        }
    }

    /// Fetches and verifies the piece hashes of `hash`.
    pub(super) async fn piece_hashes(
        &self,
        hash: &ContentHash,
        geometry: PieceGeometry,
    ) -> Result<PieceHashes, ProviderFailure> {
        let response = self.ask(&format!("/files/{hash}/pieces"), None).await?;
        if response.status() != StatusCode::OK || is_encoded(response.headers()) {
            return Err(refusal(response.status()));
        }
        let bound = PiecesBody::bound(&geometry);
        let json = timeout(
            self.stall,
            Limited::new(response.into_body(), bound).collect(),
        )
        .await
        .map_err(|_| ProviderFailure::Unreachable)?
        .map_err(|_| ProviderFailure::Unreachable)?
        .to_bytes();
        let hashes = PiecesBody::read(&json, &geometry).map_err(|_| ProviderFailure::Dishonest)?;
        PieceHashes::verify(geometry, *hash, hashes).map_err(|_| ProviderFailure::Dishonest)
    }

    /// Fetches the pieces `wanted`, and sends each to `out` once it is verified, advancing the
    /// start of `wanted`. Returns early, without an error, if the receiver is dropped.
    pub(super) async fn fetch(
        &self,
        hashes: &PieceHashes,
        wanted: &mut Range<PieceIndex>,
        out: &mpsc::Sender<Piece>,
    ) -> Result<(), ProviderFailure> {
        let geometry = hashes.geometry();
        let bytes =
            geometry.piece_range(wanted.start).start..geometry.piece_range(wanted.end - 1).end;
        let path = format!("/files/{}", hashes.content());
        let response = self.ask(&path, Some(&bytes)).await?;
        if !is_answer(&response, &bytes, geometry.file_size()) {
            return Err(refusal(response.status()));
        }
        let mut body = response.into_body();
        let mut partial = PartialPiece::new(&geometry, wanted.start);
        loop {
            let frame = timeout(self.stall, body.frame())
                .await
                .map_err(|_| ProviderFailure::Unreachable)?;
            let Some(frame) = frame else {
                // The body ended before the last piece.
                return Err(ProviderFailure::Unreachable);
            };
            // Ignore trailers.
            let Ok(mut data) = frame.map_err(|_| ProviderFailure::Unreachable)?.into_data() else {
                continue;
            };
            while !data.is_empty() {
                partial.take(&mut data);
                if partial.left > 0 {
                    continue;
                }
                if !hashes.matches(partial.index, &partial.hasher.finish()) {
                    return Err(ProviderFailure::Dishonest);
                }
                let piece = Piece {
                    index: partial.index,
                    runs: partial.runs,
                };
                wanted.start += 1;
                if out.send(piece).await.is_err() || Range::is_empty(wanted) {
                    return Ok(());
                }
                partial = PartialPiece::new(&geometry, wanted.start);
            }
        }
    }

    async fn ask(
        &self,
        path: &str,
        range: Option<&Range<u64>>,
    ) -> Result<Response<Incoming>, ProviderFailure> {
        let mut request = Request::get(match &self.transport {
            Transport::Http2 { scheme, .. } => format!("{scheme}://{}{path}", self.host),
            Transport::Http1 { .. } => path.to_owned(),
        })
        .header(header::AUTHORIZATION, self.bearer.clone())
        .header(header::ACCEPT_ENCODING, "identity");
        if let Some(Range { start, end }) = range {
            request = request.header(header::RANGE, format!("bytes={start}-{}", end - 1));
        }
        let response = match &self.transport {
            Transport::Http2 { sender, .. } => {
                let request = request
                    .body(Empty::new())
                    .map_err(|_| ProviderFailure::Refused)?;
                timeout(self.stall, sender.clone().oneshot(request))
                    .await
                    .map_err(|_| ProviderFailure::Unreachable)?
                    .map_err(|_| ProviderFailure::Unreachable)?
            }
            Transport::Http1 { address, expected } => {
                let request = request
                    .header(header::HOST, &self.host)
                    .body(Empty::<Bytes>::new())
                    .map_err(|_| ProviderFailure::Refused)?;
                timeout(
                    self.stall,
                    http1_request(address, expected.as_ref(), request),
                )
                .await
                .map_err(|_| ProviderFailure::Unreachable)?
                .map_err(|_| ProviderFailure::Unreachable)?
            }
        };
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            status => Err(refusal(status)),
        }
    }
}

/// A partly received piece.
struct PartialPiece {
    index: PieceIndex,
    left: u64,
    hasher: PieceHasher,
    runs: Vec<Bytes>,
}

impl PartialPiece {
    fn new(geometry: &PieceGeometry, index: PieceIndex) -> Self {
        Self {
            index,
            left: geometry.piece_len(index),
            hasher: PieceHasher::new(geometry, index),
            runs: Vec::new(),
        }
    }

    /// Takes the part of `data` that belongs to the piece.
    fn take(&mut self, data: &mut Bytes) {
        let part = data.split_to((data.len() as u64).min(self.left) as usize);
        self.left -= part.len() as u64;
        self.hasher.update(&part);
        self.runs.push(part);
    }
}

/// Returns the failure for a status other than success.
fn refusal(status: StatusCode) -> ProviderFailure {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ProviderFailure::Refused,
        StatusCode::NOT_FOUND
        | StatusCode::CONFLICT
        | StatusCode::GONE
        | StatusCode::RANGE_NOT_SATISFIABLE => ProviderFailure::Lacking,
        _ => ProviderFailure::Unreachable,
    }
}
