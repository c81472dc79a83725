//! Reports a wrong piece to the provider that sent it, so that it checks its file.

use std::time::Duration;

use convite_core::{ContentHash, PieceIndex};
use convite_wire::convert::hash_bytes;
use convite_wire::v1::ReportPieceRequest;
use convite_wire::v1::peer_client::PeerClient;
use tonic::Request;
use tracing::debug;

use crate::connection::Connection;

/// The time limit for a provider's reply, for which it reads one piece.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Reports a wrong piece to its sender. Failures are only logged, because nothing more is requested
/// from that provider. Over HTTP/1.1 there is no such call.
pub(crate) async fn report_piece(connection: Connection, hash: ContentHash, piece: PieceIndex) {
    let Connection::Grpc(grpc) = connection else {
        return;
    };
    let mut client = PeerClient::with_origin(grpc.http2, grpc.origin);
    let mut request = Request::new(ReportPieceRequest {
        hash: hash_bytes(&hash),
        piece,
    });
    let metadata = request.metadata_mut();
    metadata.insert("authorization", grpc.bearer);
    match tokio::time::timeout(ANSWER_TIMEOUT, client.report_piece(request)).await {
        Ok(Ok(_)) => {}
        Ok(Err(status)) => debug!("a source rejected a report of a wrong piece: {status}"),
        Err(_) => debug!("a source did not reply to a report of a wrong piece"),
    }
}
