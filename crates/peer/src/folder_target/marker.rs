//! The marker of an unfinished folder: which folder it is, and where it comes from.

use std::fs;
use std::io;
use std::path::Path;

use convite_client::home::{sync_folder, write_private};
use convite_core::ContentHash;
use serde::{Deserialize, Serialize};

use crate::fs::names::UNFINISHED_MARKER;

/// The contents of the marker, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnfinishedFolder {
    /// The folder hash.
    pub hash: ContentHash,
    /// Where the folder comes from: `PEER:PATH`; empty if it was given by its hash.
    pub place: String,
}

impl UnfinishedFolder {
    /// Reads the marker in `folder`. Returns `None` if there is none, and `Some(None)` if it cannot be
    /// understood.
    pub fn read(folder: &Path) -> Option<Option<Self>> {
        match fs::read(folder.join(UNFINISHED_MARKER)) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(_) => Some(None),
        }
    }

    /// Writes the marker into `folder`, by way of a file in `parts` below it, and syncs it.
    ///
    /// # Errors
    /// Fails as the file system does.
    pub(super) fn write(&self, folder: &Path, parts: &Path) -> io::Result<()> {
        let new = parts.join("marker");
        write_private(&new, &serde_json::to_vec(self).map_err(io::Error::other)?)?;
        fs::rename(new, folder.join(UNFINISHED_MARKER))?;
        sync_folder(folder)
    }
}
