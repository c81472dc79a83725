//! Bodies of uploads to a peer's inbox, which the peer and the directory share.

use convite_core::ContentHash;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The response to an uploaded form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Uploaded {
    /// The files, in the order of the form.
    pub files: Vec<UploadedFile>,
}

/// A file that was uploaded to a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UploadedFile {
    /// Path as the peer publishes it; a number may be added to the name.
    pub path: String,
    /// Content hash.
    pub hash: ContentHash,
    /// Size in bytes.
    pub size: u64,
}
