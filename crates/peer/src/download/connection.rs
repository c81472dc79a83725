//! The connection to a provider, over TLS to whoever proves to be that peer.
//!
//! It is one HTTP/2 connection for gRPC, shared by all requests; or, to a provider that negotiates
//! only HTTP/1.1, one connection for each request ([`Ranges`]). Plaintext negotiates nothing: there
//! HTTP/2 is known beforehand, and a provider without it cannot be reached.

use std::sync::Arc;
use std::time::Duration;

use convite_core::model::Provider;
use convite_core::{ContentHash, ErrorCode, PieceGeometry, PieceHash, PieceHashes, Problem};
use convite_net::dial::{self, Expected, Http2, Spoken};
use convite_swarm::Failure;
use convite_wire::convert::hash_bytes;
use convite_wire::status::from_status;
use convite_wire::v1::GetPiecesRequest;
use convite_wire::v1::peer_client::PeerClient;
use tonic::Request;
use tonic::body::Body;
use tonic::metadata::{Ascii, MetadataValue};

use super::ranges::Ranges;

/// A provider that has not sent its piece hashes by then is given up.
const HASHES: Duration = Duration::from_secs(20);

/// A provider that answered, by how it is spoken to.
#[derive(Clone)]
pub(crate) enum Connection {
    Grpc(Grpc),
    Http1(Arc<Ranges>),
}

/// gRPC over one HTTP/2 connection.
#[derive(Clone)]
pub(crate) struct Grpc {
    pub(crate) http2: Http2<Body>,
    /// `scheme://name` that requests are sent to.
    pub(crate) origin: http::Uri,
    pub(crate) bearer: MetadataValue<Ascii>,
}

/// Dials a provider at whichever of its addresses answers first as that peer.
pub(crate) async fn dial(
    provider: &Provider,
    tls: Option<&Arc<rustls::ClientConfig>>,
) -> Result<Connection, Problem> {
    let name = provider.peer.certificate_name();
    let expected = tls
        .map(|config| Expected::new(config.clone(), &name))
        .transpose()?;
    let scheme = if expected.is_some() { "https" } else { "http" };
    let origin = format!("{scheme}://{name}")
        .parse()
        .map_err(|_| Problem::invalid("the provider's name is not valid"))?;
    let mut bearer: MetadataValue<Ascii> = format!("Bearer {}", provider.ticket)
        .parse()
        .map_err(|_| Problem::invalid("the ticket is damaged"))?;
    bearer.set_sensitive(true);
    let (address, spoken) = dial::first_to_answer(&provider.addresses, expected.as_ref()).await?;
    Ok(match spoken {
        Spoken::Http2(http2) => Connection::Grpc(Grpc {
            http2,
            origin,
            bearer,
        }),
        Spoken::Http1 => {
            let expected = expected.as_ref().map(Expected::in_http1);
            let ranges = Ranges::new(address, expected, &name, &provider.ticket)?;
            Connection::Http1(Arc::new(ranges))
        }
    })
}

/// Asks for the piece hashes and checks them against the content hash.
pub(crate) async fn piece_hashes(
    connection: &Connection,
    hash: ContentHash,
    geometry: PieceGeometry,
) -> Result<PieceHashes, Failure> {
    if geometry.piece_count() <= 1 {
        let only = vec![*hash.as_bytes(); geometry.piece_count() as usize];
        return PieceHashes::verify(geometry, hash, only).map_err(|_| Failure::Dishonest);
    }
    let asked = async {
        match connection {
            Connection::Grpc(grpc) => grpc.piece_hashes(hash, geometry).await,
            Connection::Http1(ranges) => ranges.piece_hashes(&hash, geometry).await,
        }
    };
    let hashes = tokio::time::timeout(HASHES, asked)
        .await
        .map_err(|_| Failure::Unreachable)??;
    PieceHashes::verify(geometry, hash, hashes).map_err(|_| Failure::Dishonest)
}

impl Grpc {
    async fn piece_hashes(
        &self,
        hash: ContentHash,
        geometry: PieceGeometry,
    ) -> Result<Vec<PieceHash>, Failure> {
        let wanted = geometry.piece_count() as usize * 32;
        let mut client = PeerClient::with_origin(self.http2.clone(), self.origin.clone())
            .max_decoding_message_size(wanted + 1024);
        let mut request = Request::new(GetPiecesRequest {
            hash: hash_bytes(&hash),
        });
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.bearer.clone());
        let reply = client.get_pieces(request).await;
        let reply = reply.map_err(|status| failure(&from_status(&status)))?;
        match reply.into_inner().piece_hashes.as_chunks::<32>() {
            (hashes, []) => Ok(hashes.to_vec()),
            _ => Err(Failure::Dishonest),
        }
    }
}

/// What a provider's refusal means for the plan.
pub(crate) fn failure(problem: &Problem) -> Failure {
    match problem.code {
        ErrorCode::TicketInvalid | ErrorCode::Unauthenticated => Failure::Refused,
        ErrorCode::Unavailable | ErrorCode::Overloaded | ErrorCode::TooManyRequests => {
            Failure::Busy
        }
        _ => Failure::Unreachable,
    }
}
