//! The parameters, the progress and the result of a download.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use convite_client::{DirectoryClient, Home};
use convite_core::model::LocatedFile;
use convite_core::{ContentHash, PeerId, PieceHashes, Problem, SearchScope};
use convite_wire::invite::Fingerprint;

use super::disk_space::Headroom;
use super::target::Target;
use super::transient_peer::{TransientPeer, TransientPeerConfig};
use super::unfinished::{UNFINISHED_RETENTION, UnfinishedDownload};
use crate::fs::identity::FileIdentity;

/// Parameters of a download.
pub struct DownloadRequest {
    /// The home, which stores unfinished downloads.
    pub home: Home,
    /// A client of the directory with a session.
    pub directory: DirectoryClient,
    /// The authority that issues the peers' certificates; `None` if peers use plaintext.
    pub authority: Option<Fingerprint>,
    /// The file, as the directory located it.
    pub file: LocatedFile,
    /// The search scope: only providers that share the file within it are used.
    pub within: SearchScope,
    /// The target path.
    pub target: Target,
    /// Whether near providers are preferred.
    pub locality: bool,
    /// The download limit in bytes per second.
    pub download_limit: Option<u64>,
    /// How to provide downloaded pieces; `None` to provide nothing.
    pub member: Option<TransientPeerConfig>,
    /// The use of the disk.
    pub storage: Storage,
}

/// Reserves quota for a file of the given size until the result is dropped, or returns why that is
/// not possible.
pub type QuotaCheck = Arc<dyn Fn(u64) -> Result<Box<dyn Send>, Problem> + Send + Sync>;

/// The use of the disk by a download.
#[derive(Clone)]
pub struct Storage {
    /// How long an unfinished download is kept.
    pub retention: Duration,
    /// The disk space that may be used.
    pub headroom: Headroom,
    /// The quota check before the download; `None` to skip it.
    pub quota_check: Option<QuotaCheck>,
    /// Whether the file will be shared, so that its CRC-32 is computed.
    pub is_shared: bool,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            retention: UNFINISHED_RETENTION,
            headroom: Headroom::default(),
            quota_check: None,
            is_shared: false,
        }
    }
}

/// The progress of a download; sent on change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DownloadProgress {
    /// Bytes verified and written, including earlier runs.
    pub verified: u64,
    /// Bytes that were on disk at the start of this run.
    pub resumed: u64,
    /// The size of the file in bytes.
    pub size: u64,
    /// The number of providers that can be used now.
    pub providers: usize,
    /// Whether it is paused.
    pub paused: bool,
    /// The unfinished download that was kept, after an interruption.
    pub kept: Option<UnfinishedDownload>,
}

/// A successful download.
pub struct DownloadResult {
    /// The path of the file.
    pub path: PathBuf,
    /// The content hash.
    pub hash: ContentHash,
    /// The size in bytes.
    pub bytes: u64,
    /// Bytes received over the network in this run.
    pub received: u64,
    /// Providers that sent verified pieces.
    pub providers: Vec<PeerId>,
    /// The time from the start until the file was in place.
    pub took: Duration,
    /// The time from the start to the first verified piece; `None` if no piece was downloaded.
    pub first_verified: Option<Duration>,
    /// The piece hashes; `None` if the file was in place already.
    pub hashes: Option<Arc<PieceHashes>>,
    /// The CRC-32 of the contents; `None` if it was not computed, or if pieces of an earlier run were
    /// used.
    pub crc32: Option<u32>,
    /// The identity of the verified file.
    pub identity: Option<FileIdentity>,
    /// Whether the same file was in place already.
    pub was_there: bool,
    /// The transient peer, if it still provides the file.
    pub member: Option<TransientPeer>,
}
