//! Bodies of uploads: what lets somebody leave a file with a peer, and what came of it.

use convite_core::{ContentHash, PeerAddress};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /peers/{id}/upload-ticket`: the way to a peer's inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadGrant {
    /// For this peer and this account, to be sent as bearer token or `?ticket=`.
    pub ticket: String,
    /// When it ends, in seconds since 1970; what began before goes on.
    pub expires_at: i64,
    /// Where the peer can be dialled, best first.
    pub addresses: Vec<PeerAddress>,
}

/// What an upload of a form gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Uploaded {
    /// The files, in the order of the form.
    pub files: Vec<UploadedFile>,
}

/// A file that a peer took in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadedFile {
    /// As the peer publishes it: its name there may have got a number.
    pub path: String,
    /// Its contents.
    pub hash: ContentHash,
    /// In bytes.
    pub size: u64,
}
