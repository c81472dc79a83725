//! How a peer is to run.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use convite_core::{PeerAddress, PeerId, Terms};

use crate::inbox::InboxConfig;
use crate::serve::uploads::UploadLimits;

/// Where a peer listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ports {
    /// On any free port.
    Any,
    /// On this one.
    Exactly(u16),
    /// On the first of these that is free.
    FirstFree(RangeInclusive<u16>),
}

/// How a peer is to run.
#[derive(Debug, Clone)]
pub struct PeerConfig {
    /// The home, below which the peer keeps its state in `peer/`. A peer without one is transient:
    /// it is there for its downloads alone, keeps nothing on disk, shares nothing of its own, scans
    /// nothing and publishes nothing.
    pub home: Option<PathBuf>,
    /// Its id.
    pub id: PeerId,
    /// The address to listen on; unspecified (`0.0.0.0`, `::`) for all.
    pub bind: IpAddr,
    /// The port to listen on.
    pub ports: Ports,
    /// Further addresses at which it can be dialled, advertised first.
    pub addresses: Vec<PeerAddress>,
    /// What to share, besides what the home's list of shares has.
    pub shares: Vec<PathBuf>,
    /// Between two looks at everything; what changes is noticed before, where it can be watched.
    pub rescan: Duration,
    /// Bytes per second that it uploads in all; none for no limit.
    pub upload_limit: Option<u64>,
    /// Bytes per second that it uploads to one account at one IP address; none for no limit.
    pub upload_limit_per_peer: Option<u64>,
    /// Uploads at once; four times as many may wait for their turn.
    pub upload_slots: usize,
    /// Where to answer for the monitoring, without encryption and to everybody; without it, nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// What it does for others.
    pub terms: Terms,
    /// Where files of others go; needed for uploads.
    pub inbox: Option<InboxConfig>,
    /// Where files go that others have it fetch; `loads` in its home if none.
    pub downloads: Option<PathBuf>,
}

impl PeerConfig {
    /// A peer `id` with its home at `home`, transient without, that listens at `bind`, on any free port, shares
    /// nothing but what its home has on its list, and sends as fast as it can.
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
            upload_limit: uploads.in_all,
            upload_limit_per_peer: uploads.per_peer,
            upload_slots: uploads.slots,
            metrics_listen: None,
            terms: Terms::default(),
            inbox: None,
            downloads: None,
        }
    }

    pub(crate) fn upload_limits(&self) -> UploadLimits {
        UploadLimits {
            in_all: self.upload_limit,
            per_peer: self.upload_limit_per_peer,
            slots: self.upload_slots,
            ..UploadLimits::default()
        }
    }
}
