//! Configuration of a peer.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use convite_core::{PeerAddress, PeerId, SharingPolicy};

use crate::download::unfinished::UNFINISHED_RETENTION;
use crate::inbox::InboxConfig;
use crate::node::listening::Ports;
use crate::serve::download::uploads::UploadLimits;

/// Configuration of a peer.
#[derive(Debug, Clone)]
pub struct PeerConfig {
    /// The home; the peer's state is in its folder `peer/`. A peer without a home is transient: it
    /// exists for the duration of its downloads, keeps nothing on disk, and neither scans nor
    /// publishes.
    pub home: Option<PathBuf>,
    /// The peer's id.
    pub id: PeerId,
    /// The address to listen on; unspecified (`0.0.0.0`, `::`) for all interfaces.
    pub bind: IpAddr,
    /// The port to listen on.
    pub ports: Ports,
    /// Additional addresses of the peer, advertised before its own.
    pub addresses: Vec<PeerAddress>,
    /// Folders to share, in addition to the home's list of shares.
    pub shares: Vec<PathBuf>,
    /// The time between two full scans. Changes in watched folders are noticed sooner.
    pub rescan: Duration,
    /// The total upload limit in bytes per second; `None` for no limit.
    pub upload_limit: Option<u64>,
    /// The upload limit in bytes per second for one account at one IP address; `None` for no limit.
    pub upload_limit_per_peer: Option<u64>,
    /// The number of concurrent uploads; four times as many may wait.
    pub upload_slots: usize,
    /// The address of a metrics listener without encryption or authentication; `None` for no such
    /// listener.
    pub metrics_listen: Option<SocketAddr>,
    /// The sharing policy: which operations other accounts may use.
    pub terms: SharingPolicy,
    /// The inbox, where uploaded files are stored; required for uploads.
    pub inbox: Option<InboxConfig>,
    /// The folder for files fetched at the request of other accounts; `None` for `loads` in the
    /// home.
    pub downloads: Option<PathBuf>,
    /// The maximum number of bytes stored for each other account that requests remote fetches.
    pub load_quota: u64,
    /// How long an unfinished download is kept after its last progress.
    pub download_retention: Duration,
}

impl PeerConfig {
    /// Returns the default configuration of a peer `id` that listens at `bind` on any free port,
    /// shares only what is on its home's list of shares, and has no upload limit. Without `home`
    /// the peer is transient.
    pub fn new(home: Option<PathBuf>, id: PeerId, bind: IpAddr) -> Self {
        let uploads = UploadLimits::default();
        Self {
            home,
            id,
            bind,
            ports: Ports::Any,
            addresses: Vec::new(),
            shares: Vec::new(),
            rescan: Duration::from_secs(600),
            upload_limit: uploads.total,
            upload_limit_per_peer: uploads.per_peer,
            upload_slots: uploads.slots,
            metrics_listen: None,
            terms: SharingPolicy::default(),
            inbox: None,
            downloads: None,
            load_quota: 10 << 30,
            download_retention: UNFINISHED_RETENTION,
        }
    }

    pub(crate) fn upload_limits(&self) -> UploadLimits {
        UploadLimits {
            total: self.upload_limit,
            per_peer: self.upload_limit_per_peer,
            slots: self.upload_slots,
            ..UploadLimits::default()
        }
    }
}
