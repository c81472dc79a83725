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
use data_encoding::HEXLOWER_PERMISSIVE;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use serde::Deserialize;

use super::receive::{End, Pieces, Receive};

/// Bytes of JSON for each piece hash, at most: its 64 digits, and room to be indented.
const JSON_PER_HASH: usize = 128;
/// Bytes of JSON besides the hashes, at most.
const JSON_BESIDES: usize = 4 << 10;

/// Where and as whom a provider is asked for ranges.
pub(crate) struct Ranges {
    address: PeerAddress,
    expected: Option<Expected>,
    host: HeaderValue,
    bearer: HeaderValue,
}

/// What `GET /files/HASH/pieces` answers.
#[derive(Deserialize)]
struct PiecesBody {
    piece_size: u64,
    file_size: u64,
    hashes: Vec<String>,
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
        let bound = geometry.piece_count() as usize * JSON_PER_HASH + JSON_BESIDES;
        let json = Limited::new(response.into_body(), bound)
            .collect()
            .await
            .map_err(|_| Failure::Unreachable)?
            .to_bytes();
        let body: PiecesBody = serde_json::from_slice(&json).map_err(|_| Failure::Unreachable)?;
        if body.file_size != geometry.file_size() || body.piece_size != geometry.piece_size() {
            return Err(Failure::Dishonest);
        }
        let decode = |text: &String| {
            let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
            PieceHash::try_from(bytes).ok()
        };
        let hashes: Option<Vec<PieceHash>> = body.hashes.iter().map(decode).collect();
        hashes.ok_or(Failure::Dishonest)
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
            _ => Ok(response),
        }
    }
}

/// Whether a response is the range that was asked for: that part, or the whole file if the range
/// is all of it (a server need not know ranges: RFC 9110, section 14.2).
fn is_answer<B>(response: &Response<B>, range: &Range<u64>, size: u64) -> bool {
    let headers = response.headers();
    let is_range = match response.status() {
        StatusCode::PARTIAL_CONTENT => {
            let told = headers.get(header::CONTENT_RANGE);
            told.and_then(|value| value.to_str().ok())
                .is_some_and(|told| {
                    let part = format!("{}-{}", range.start, range.end - 1);
                    let told = told.strip_prefix("bytes ").and_then(|t| t.split_once('/'));
                    told.is_some_and(|(said, of)| {
                        said == part && (of == "*" || of == size.to_string())
                    })
                })
        }
        StatusCode::OK => *range == (0..size),
        _ => false,
    };
    is_range && !is_encoded(headers)
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|coding| coding != "identity")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(status: u16, headers: &[(&str, &str)]) -> bool {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        is_answer(&response.body(()).unwrap(), &(100..200), 1000)
    }

    #[test]
    fn only_the_range_asked_for_is_an_answer() {
        let range = ("content-range", "bytes 100-199/1000");
        assert!(answers(206, &[range]));
        assert!(answers(206, &[("content-range", "bytes 100-199/*")]));
        assert!(answers(206, &[range, ("content-encoding", "identity")]));

        assert!(!answers(206, &[]), "it does not say which part it is");
        assert!(!answers(206, &[("content-range", "bytes 0-99/1000")]));
        assert!(!answers(206, &[("content-range", "bytes 100-198/1000")]));
        assert!(!answers(206, &[("content-range", "bytes 100-199/999")]));
        assert!(!answers(206, &[range, ("content-encoding", "gzip")]));
        assert!(!answers(200, &[]), "the whole file was not asked for");
        assert!(!answers(503, &[range]));
    }

    #[test]
    fn the_whole_file_is_an_answer_to_whom_asked_for_all_of_it() {
        let whole = Response::new(());
        assert!(is_answer(&whole, &(0..1000), 1000));
        assert!(!is_answer(&whole, &(0..999), 1000));
    }
}
