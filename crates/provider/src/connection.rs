//! The connection to a provider, over TLS to the peer with the expected certificate.
//!
//! Usually one HTTP/2 connection for gRPC, shared by all requests. For a provider that negotiates
//! only HTTP/1.1, each request has its own connection ([`Http1Provider`]). Plaintext connections
//! negotiate nothing and always use HTTP/2; a provider without HTTP/2 cannot be reached that way.

use std::sync::Arc;
use std::time::Duration;

use convite_core::model::Provider;
use convite_core::{ContentHash, PieceGeometry, PieceHash, PieceHashes, Problem};
use convite_net::dial::{self, Expected, Http2, Protocol};
use convite_wire::convert::hash_bytes;
use convite_wire::status::from_status;
use convite_wire::v1::GetPiecesRequest;
use convite_wire::v1::peer_client::PeerClient;
use tonic::Request;
use tonic::body::Body;
use tonic::metadata::{Ascii, MetadataValue};

use crate::http1::Http1Provider;
use crate::loss::Loss;

/// The time limit for a provider's piece hashes.
const PIECE_HASHES_TIMEOUT: Duration = Duration::from_secs(20);

/// A connected provider, by protocol.
#[derive(Clone)]
pub enum Connection {
    /// HTTP/2: gRPC, shared by all requests.
    Grpc(Grpc),
    /// HTTP/1.1: one connection for each request.
    Http1(Arc<Http1Provider>),
}

/// gRPC over one HTTP/2 connection.
#[derive(Clone)]
pub struct Grpc {
    /// The connection.
    pub http2: Http2<Body>,
    /// The `scheme://name` that requests are sent to.
    pub origin: http::Uri,
    /// The value of the header `authorization`, with the ticket.
    pub bearer: MetadataValue<Ascii>,
}

/// Connects to the first of a provider's addresses that proves to be that peer; in plaintext if
/// `tls` is `None`.
///
/// # Errors
/// Returns the loss of the provider if no address answers as that peer, or if the ticket is
/// malformed.
pub async fn dial(
    provider: &Provider,
    tls: Option<&Arc<rustls::ClientConfig>>,
) -> Result<Connection, Loss> {
    let name = provider.peer.certificate_name();
    let expected = tls
        .map(|config| Expected::new(config.clone(), &name))
        .transpose()?;
    let scheme = if expected.is_some() { "https" } else { "http" };
    let origin = format!("{scheme}://{name}")
        .parse()
        .map_err(|_| Problem::invalid("the source's name is not valid"))?;
    let bearer = grpc_bearer(&provider.ticket)?;
    let (address, spoken) = dial::connect_any(&provider.addresses, expected.as_ref()).await?;
    Ok(match spoken {
        Protocol::Http2(http2) => Connection::Grpc(Grpc {
            http2,
            origin,
            bearer,
        }),
        Protocol::Http1 => {
            let expected = expected.as_ref().map(Expected::http1_only);
            let ranges = Http1Provider::new(address, expected, &name, &provider.ticket)?;
            Connection::Http1(Arc::new(ranges))
        }
    })
}

impl Connection {
    /// Sets the ticket of further requests.
    ///
    /// # Errors
    /// Returns `invalid_argument` if the ticket is malformed.
    pub(crate) fn set_ticket(&mut self, ticket: &str) -> Result<(), Problem> {
        match self {
            Self::Grpc(grpc) => grpc.bearer = grpc_bearer(ticket)?,
            Self::Http1(provider) => *provider = Arc::new(provider.with_ticket(ticket)?),
        }
        Ok(())
    }
}

fn grpc_bearer(ticket: &str) -> Result<MetadataValue<Ascii>, Problem> {
    let mut bearer: MetadataValue<Ascii> = format!("Bearer {ticket}")
        .parse()
        .map_err(|_| Problem::invalid("the ticket is damaged"))?;
    bearer.set_sensitive(true);
    Ok(bearer)
}

/// Requests the piece hashes and verifies them against the content hash.
///
/// # Errors
/// Returns the loss of the provider if it does not answer within 20 seconds, refuses, or sends
/// hashes that do not fold to the content hash.
pub(crate) async fn piece_hashes(
    connection: &Connection,
    hash: ContentHash,
    geometry: PieceGeometry,
) -> Result<PieceHashes, Loss> {
    if geometry.piece_count() <= 1 {
        let only = vec![*hash.as_bytes(); geometry.piece_count() as usize];
        return PieceHashes::verify(geometry, hash, only).map_err(|_| Loss::wrong_data());
    }
    let asked = async {
        match connection {
            Connection::Grpc(grpc) => grpc.piece_hashes(hash, geometry).await,
            Connection::Http1(ranges) => ranges.piece_hashes(&hash, geometry).await,
        }
    };
    let hashes = tokio::time::timeout(PIECE_HASHES_TIMEOUT, asked)
        .await
        .map_err(|_| Loss::disconnected("it did not answer"))??;
    PieceHashes::verify(geometry, hash, hashes).map_err(|_| Loss::wrong_data())
}

impl Grpc {
    async fn piece_hashes(
        &self,
        hash: ContentHash,
        geometry: PieceGeometry,
    ) -> Result<Vec<PieceHash>, Loss> {
        let wanted = geometry.piece_count() as usize * 32;
        let mut client = PeerClient::with_origin(self.http2.clone(), self.origin.clone())
            .max_decoding_message_size(wanted + 1024);
        let mut request = Request::new(GetPiecesRequest {
            hash: hash_bytes(&hash),
        });
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.bearer.clone());
        let reply = client.get_pieces(request).await;
        let reply = reply.map_err(|status| Loss::from_provider(from_status(&status)))?;
        match reply.into_inner().piece_hashes.as_chunks::<32>() {
            (hashes, []) => Ok(hashes.to_vec()),
            _ => Err(Loss::wrong_data()),
        }
    }
}
