//! `GetFolder`: the manifests of a folder, each verified against its parent before it is believed.

use std::ops::Range;
use std::time::Duration;

use convite_core::{ContentHash, ErrorCode, FolderTree, FolderTreeBuilder, Problem};
use convite_wire::convert::hash_bytes;
use convite_wire::status::from_status;
use convite_wire::v1::peer_client::PeerClient;
use convite_wire::v1::{FolderPart, GetFolderRequest};
use tonic::Request;

use crate::connection::Connection;
use crate::loss::Loss;

/// The time limit for the next part.
const PART_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest message in bytes: a part of 1 MiB, with a time of up to 10 bytes for each entry.
const MESSAGE_MAX: usize = 2 << 20;

/// Fetches the manifests of a folder from a provider. `each` is called with the indexes of the entries
/// of each part (see [`FolderTree::entry_count`]), after the part was accepted.
///
/// Memory is bounded by the limits of a folder, whatever the provider sends.
///
/// # Errors
/// Returns the loss of the provider if it refuses, does not send a part within 30 seconds, sends
/// manifests that do not belong to the folder or exceed the limits, or if `each` fails.
pub async fn fetch_manifests(
    connection: &Connection,
    hash: ContentHash,
    mut each: impl FnMut(Range<usize>, &FolderPart) -> Result<(), Problem>,
) -> Result<FolderTree, Loss> {
    let Connection::Grpc(grpc) = connection else {
        return Err(Loss::disconnected(
            "it sends folders only over HTTP/2, which is not available on the way to it",
        ));
    };
    let mut client = PeerClient::with_origin(grpc.http2.clone(), grpc.origin.clone())
        .max_decoding_message_size(MESSAGE_MAX);
    let mut request = Request::new(GetFolderRequest {
        hash: hash_bytes(&hash),
    });
    let metadata = request.metadata_mut();
    metadata.insert("authorization", grpc.bearer.clone());
    let silent = |_| Loss::disconnected("it did not answer");
    let refused = |status: tonic::Status| Loss::from_provider(from_status(&status));
    let reply = tokio::time::timeout(PART_TIMEOUT, client.get_folder(request)).await;
    let mut parts = reply.map_err(silent)?.map_err(refused)?.into_inner();
    let mut builder = FolderTreeBuilder::new(hash);
    while !builder.is_complete() {
        let part = tokio::time::timeout(PART_TIMEOUT, parts.message()).await;
        let part = part.map_err(silent)?.map_err(refused)?;
        let part = part.ok_or_else(|| Loss::disconnected("it closed the connection"))?;
        // An empty part that ends nothing would make no progress.
        if part.data.is_empty() && !part.last {
            return Err(Loss::wrong_data());
        }
        let entries = builder.add_part(&part.data, part.last);
        let entries = entries.map_err(wrong_manifest)?;
        each(entries, &part).map_err(wrong_manifest)?;
    }
    builder.finish().map_err(wrong_manifest)
}

/// Returns the loss of a provider that sent a manifest that is not accepted. A folder beyond the limits
/// has the right hash, so its sender is not dishonest.
fn wrong_manifest(problem: Problem) -> Loss {
    match problem.code {
        ErrorCode::TooLarge => Loss::from(problem),
        _ => Loss::wrong_data(),
    }
}
