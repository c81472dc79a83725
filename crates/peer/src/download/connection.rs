//! The connection to a provider: one HTTP/2 connection, over TLS to whoever proves to be that peer.

use std::sync::Arc;
use std::time::Duration;

use convite_core::model::Provider;
use convite_core::{ContentHash, ErrorCode, PeerAddress, PieceGeometry, PieceHashes, Problem};
use convite_net::dial::{Expected, Http2};
use convite_swarm::Failure;
use convite_wire::convert::hash_bytes;
use convite_wire::status::from_status;
use convite_wire::v1::GetPiecesRequest;
use convite_wire::v1::peer_client::PeerClient;
use tokio::task::JoinSet;
use tonic::Request;
use tonic::body::Body;
use tonic::metadata::{Ascii, MetadataValue};

/// An address that has not answered by then no longer keeps the next from being tried.
const STAGGER: Duration = Duration::from_millis(250);
/// A provider that has not sent its piece hashes by then is given up.
const HASHES: Duration = Duration::from_secs(20);

/// A provider that answered.
#[derive(Clone)]
pub(crate) struct Connection {
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
    let http2 = first_to_answer(&provider.addresses, expected).await?;
    Ok(Connection {
        http2,
        origin,
        bearer,
    })
}

/// Tries the addresses in order, each a little after the one before (as RFC 8305 does for the
/// addresses of a name).
async fn first_to_answer(
    addresses: &[PeerAddress],
    expected: Option<Expected>,
) -> Result<Http2<Body>, Problem> {
    let mut attempts = JoinSet::new();
    for (place, address) in (0u32..).zip(addresses) {
        let (address, expected) = (address.clone(), expected.clone());
        attempts.spawn(async move {
            tokio::time::sleep(STAGGER * place).await;
            Http2::connect(&address, expected.as_ref()).await
        });
    }
    let mut problem = Problem::new(ErrorCode::Unavailable, "the provider has no address");
    while let Some(attempt) = attempts.join_next().await {
        match attempt {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(failed)) => problem = failed,
            Err(_) => {}
        }
    }
    Err(problem)
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
    let wanted = geometry.piece_count() as usize * 32;
    let mut client = PeerClient::with_origin(connection.http2.clone(), connection.origin.clone())
        .max_decoding_message_size(wanted + 1024);
    let mut request = Request::new(GetPiecesRequest {
        hash: hash_bytes(&hash),
    });
    request
        .metadata_mut()
        .insert("authorization", connection.bearer.clone());
    let reply = match tokio::time::timeout(HASHES, client.get_pieces(request)).await {
        Ok(Ok(reply)) => reply.into_inner(),
        Ok(Err(status)) => return Err(failure(&from_status(&status))),
        Err(_) => return Err(Failure::Unreachable),
    };
    let (hashes, rest) = reply.piece_hashes.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(Failure::Dishonest);
    }
    PieceHashes::verify(geometry, hash, hashes.to_vec()).map_err(|_| Failure::Dishonest)
}

/// What a provider's refusal means for the plan.
pub(crate) fn failure(problem: &Problem) -> Failure {
    match problem.code {
        ErrorCode::TicketInvalid | ErrorCode::Unauthenticated => Failure::Refused,
        _ => Failure::Unreachable,
    }
}
