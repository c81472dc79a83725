//! The parameters of a folder's arrival.

use std::path::PathBuf;
use std::sync::Arc;

use convite_client::Home;
use tokio_util::sync::CancellationToken;

use super::received::ReceivedFolder;
use super::selection::Selection;

/// How a folder is placed in its target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArrivalOptions {
    /// The files that are wanted.
    pub selection: Selection,
    /// Whether files that differ are replaced. Otherwise they are listed and refused.
    pub update: bool,
    /// Whether files are removed that an earlier download placed, that are unchanged since, and that
    /// are not part of the folder.
    pub delete: bool,
    /// Whether names that the file system cannot store are replaced. Otherwise they are refused.
    pub rename_collisions: bool,
}

/// A target to open.
pub struct TargetOpening {
    /// The home, which stores the record of the target.
    pub home: Home,
    /// The path of the folder in the end.
    pub path: PathBuf,
    /// Where the folder comes from, for the marker: `PEER:PATH`, or empty.
    pub place: String,
    /// The folder.
    pub folder: Arc<ReceivedFolder>,
    /// How it is placed.
    pub options: ArrivalOptions,
    /// Cancels the comparison with files in the target.
    pub stop: CancellationToken,
}
