//! The parameters, the progress and the result of a folder's download.

use std::path::PathBuf;
use std::time::Duration;

use convite_client::{DirectoryClient, Home};
use convite_core::model::LocatedFile;
use convite_core::{ContentHash, PeerId, SafePath, SearchScope};
use convite_wire::invite::Fingerprint;

use crate::folder_target::{ArrivalOptions, ArrivalPlan};

/// Parameters of a folder's download.
pub struct FolderRequest {
    /// The home, which stores the record of the target.
    pub home: Home,
    /// A client of the directory with a session.
    pub directory: DirectoryClient,
    /// The authority that issues the peers' certificates; `None` if peers use plaintext.
    pub authority: Option<Fingerprint>,
    /// The folder, as the directory located it.
    pub folder: LocatedFile,
    /// The search scope: only providers that share the folder within it are used.
    pub within: SearchScope,
    /// The path of the folder in the end.
    pub target: PathBuf,
    /// Where the folder comes from: `PEER:PATH`; empty if it was given by its hash.
    pub place: String,
    /// How it is placed in the target.
    pub options: ArrivalOptions,
    /// Whether only the plan is returned, and nothing is written or received.
    pub dry_run: bool,
    /// Whether near providers are preferred.
    pub locality: bool,
    /// The download limit in bytes per second.
    pub download_limit: Option<u64>,
}

/// The progress of a folder's download; sent on change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderProgress {
    /// Bytes of wanted files that are here, including earlier runs.
    pub bytes: u64,
    /// Bytes of wanted files that were here at the start of this run.
    pub resumed: u64,
    /// The size of all wanted files in bytes.
    pub size: u64,
    /// The number of wanted files that are here.
    pub files: u64,
    /// The number of wanted files.
    pub files_total: u64,
    /// The number of providers that can be used now.
    pub providers: usize,
}

/// How a folder's download ended.
pub enum FolderDownload {
    /// The folder is in its target.
    Done(Box<FolderResult>),
    /// Nothing was written; this is what would happen.
    Planned(ArrivalPlan),
    /// It was interrupted. What was received is kept.
    Interrupted,
}

/// A successful download of a folder.
pub struct FolderResult {
    /// The path of the folder.
    pub path: PathBuf,
    /// The folder hash.
    pub hash: ContentHash,
    /// The size of all wanted files in bytes.
    pub bytes: u64,
    /// The number of wanted files.
    pub files: u64,
    /// The number of files that were given their names in this run.
    pub placed: u64,
    /// Bytes received over the network in this run, without manifests.
    pub received: u64,
    /// Bytes that were in the target at the start of this run.
    pub resumed: u64,
    /// Providers that sent verified pieces.
    pub providers: Vec<PeerId>,
    /// The time from the start until the folder was complete.
    pub took: Duration,
    /// Paths inside the target under which files that differed were kept.
    pub kept_others: Vec<SafePath>,
    /// Paths inside the target of files that were removed.
    pub removed: Vec<SafePath>,
}
