//! One provider, asked over HTTP: its piece hashes as JSON, its bytes by range; over one HTTP/2
//! connection, or a connection for each request where it speaks only HTTP/1.1.
//!
//! Nothing that it sends is believed: piece hashes must fold to the content hash, and a piece
//! leaves here only if its hash is among them.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use convite_core::model::Provider;
use convite_core::{ContentHash, PeerAddress, PieceGeometry, PieceHasher, PieceHashes, PieceIndex};
use convite_net::dial::{Expected, Http2, Spoken, first_to_answer, http1_request};
use convite_wire::pieces::PiecesBody;
use convite_wire::range::{is_answer, is_encoded};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tower::ServiceExt;

use super::Relay;

/// Why a provider did not give what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nobody answers at its addresses as that peer.
    Absent,
    /// It is busy, stalled or broke off.
    Unreachable,
    /// It takes the ticket for invalid or over.
    Refused,
    /// It does not hold these bytes (any more, or yet).
    Lacking,
    /// It sent something else.
    Dishonest,
}

/// A verified piece, in the runs in which it came.
pub(super) struct Piece {
    pub(super) index: PieceIndex,
    pub(super) runs: Vec<Bytes>,
}

/// A provider that answered.
pub(super) struct Line {
    spoken: Over,
    host: String,
    bearer: HeaderValue,
    stall: Duration,
}

enum Over {
    Http2 {
        sender: Http2<Empty<Bytes>>,
        scheme: &'static str,
    },
    Http1 {
        address: PeerAddress,
        expected: Option<Expected>,
    },
}

impl Line {
    /// Dials a provider at whichever of its addresses answers first as that peer.
    pub(super) async fn dial(relay: &Relay, provider: &Provider) -> Result<Self, Failure> {
        let host = provider.peer.certificate_name();
        let expected = match &relay.tls {
            None => None,
            Some(config) => {
                Some(Expected::new(config.clone(), &host).map_err(|_| Failure::Absent)?)
            }
        };
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", provider.ticket))
            .map_err(|_| Failure::Refused)?;
        bearer.set_sensitive(true);
        let dialled = first_to_answer(&provider.addresses, expected.as_ref());
        let (address, spoken) = dialled.await.map_err(|problem| {
            tracing::debug!(peer = %provider.peer, "cannot dial: {problem}");
            Failure::Absent
        })?;
        let spoken = match spoken {
            Spoken::Http2(sender) => Over::Http2 {
                sender,
                scheme: if expected.is_some() { "https" } else { "http" },
            },
            Spoken::Http1 => Over::Http1 {
                address,
                expected: expected.as_ref().map(Expected::in_http1),
            },
        };
        Ok(Self {
            spoken,
            host,
            bearer,
            stall: relay.config.stall,
        })
    }

    /// Whether requests would fail because the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        match &self.spoken {
            Over::Http2 { sender, .. } => sender.is_closed(),
            Over::Http1 { .. } => false,
        }
    }

    /// The piece hashes of `hash`, verified.
    pub(super) async fn piece_hashes(
        &self,
        hash: &ContentHash,
        geometry: PieceGeometry,
    ) -> Result<PieceHashes, Failure> {
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
        .map_err(|_| Failure::Unreachable)?
        .map_err(|_| Failure::Unreachable)?
        .to_bytes();
        let hashes = PiecesBody::read(&json, &geometry).map_err(|_| Failure::Dishonest)?;
        PieceHashes::verify(geometry, *hash, hashes).map_err(|_| Failure::Dishonest)
    }

    /// Fetches the pieces `wanted` and sends each to `out` once it is verified; `wanted` then
    /// begins after it. Ends early, without a failure, if nobody takes them any more.
    pub(super) async fn fetch(
        &self,
        hashes: &PieceHashes,
        wanted: &mut Range<PieceIndex>,
        out: &mpsc::Sender<Piece>,
    ) -> Result<(), Failure> {
        let geometry = hashes.geometry();
        let bytes =
            geometry.piece_range(wanted.start).start..geometry.piece_range(wanted.end - 1).end;
        let path = format!("/files/{}", hashes.content());
        let response = self.ask(&path, Some(&bytes)).await?;
        if !is_answer(&response, &bytes, geometry.file_size()) {
            return Err(refusal(response.status()));
        }
        let mut body = response.into_body();
        let mut coming = Coming::new(&geometry, wanted.start);
        loop {
            let frame = timeout(self.stall, body.frame())
                .await
                .map_err(|_| Failure::Unreachable)?;
            let Some(frame) = frame else {
                // What was asked for has not come whole: a piece returns from here.
                return Err(Failure::Unreachable);
            };
            // Trailers say nothing of use.
            let Ok(mut data) = frame.map_err(|_| Failure::Unreachable)?.into_data() else {
                continue;
            };
            while !data.is_empty() {
                coming.take(&mut data);
                if coming.left > 0 {
                    continue;
                }
                if !hashes.matches(coming.index, &coming.hasher.finish()) {
                    return Err(Failure::Dishonest);
                }
                let piece = Piece {
                    index: coming.index,
                    runs: coming.runs,
                };
                wanted.start += 1;
                if out.send(piece).await.is_err() || Range::is_empty(wanted) {
                    return Ok(());
                }
                coming = Coming::new(&geometry, wanted.start);
            }
        }
    }

    async fn ask(
        &self,
        path: &str,
        range: Option<&Range<u64>>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut request = Request::get(match &self.spoken {
            Over::Http2 { scheme, .. } => format!("{scheme}://{}{path}", self.host),
            Over::Http1 { .. } => path.to_owned(),
        })
        .header(header::AUTHORIZATION, self.bearer.clone())
        .header(header::ACCEPT_ENCODING, "identity");
        if let Some(Range { start, end }) = range {
            request = request.header(header::RANGE, format!("bytes={start}-{}", end - 1));
        }
        let response = match &self.spoken {
            Over::Http2 { sender, .. } => {
                let request = request.body(Empty::new()).map_err(|_| Failure::Refused)?;
                timeout(self.stall, sender.clone().oneshot(request))
                    .await
                    .map_err(|_| Failure::Unreachable)?
                    .map_err(|_| Failure::Unreachable)?
            }
            Over::Http1 { address, expected } => {
                let request = request
                    .header(header::HOST, &self.host)
                    .body(Empty::<Bytes>::new())
                    .map_err(|_| Failure::Refused)?;
                timeout(
                    self.stall,
                    http1_request(address, expected.as_ref(), request),
                )
                .await
                .map_err(|_| Failure::Unreachable)?
                .map_err(|_| Failure::Unreachable)?
            }
        };
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            status => Err(refusal(status)),
        }
    }
}

/// A piece of which some has come.
struct Coming {
    index: PieceIndex,
    left: u64,
    hasher: PieceHasher,
    runs: Vec<Bytes>,
}

impl Coming {
    fn new(geometry: &PieceGeometry, index: PieceIndex) -> Self {
        Self {
            index,
            left: geometry.piece_len(index),
            hasher: PieceHasher::new(geometry, index),
            runs: Vec::new(),
        }
    }

    /// Takes what of `data` belongs to the piece.
    fn take(&mut self, data: &mut Bytes) {
        let part = data.split_to((data.len() as u64).min(self.left) as usize);
        self.left -= part.len() as u64;
        self.hasher.update(&part);
        self.runs.push(part);
    }
}

/// What a status other than success means.
fn refusal(status: StatusCode) -> Failure {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::Refused,
        StatusCode::NOT_FOUND
        | StatusCode::CONFLICT
        | StatusCode::GONE
        | StatusCode::RANGE_NOT_SATISFIABLE => Failure::Lacking,
        _ => Failure::Unreachable,
    }
}
