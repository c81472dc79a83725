//! The transient peer of a download, which provides the downloaded pieces while the download runs.
//!
//! It is a peer with a listener, a certificate and a lease, but it is not in the list of peers, has
//! no shares, and is forgotten when it ends. It keeps nothing on disk, so that any number of
//! downloads can run on one home beside the home's own peer, and a kill leaves nothing behind.

use std::net::IpAddr;
use std::sync::Arc;

use convite_client::DirectoryClient;
use convite_core::activity::Direction;
use convite_core::{
    ContentHash, ErrorCode, PeerAddress, PeerId, PieceHashes, PieceIndex, Problem, SharingPolicy,
};
use convite_metrics::catalogue::{DOWNLOADS_ACTIVE, RECEIVED_BYTES, VERIFICATION_FAILURES};
use convite_net::{random, task};
use convite_swarm::PieceSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;
use tracing::debug;

use crate::activity::TransferGuard;
use crate::node::listening::Ports;
use crate::node::{Node, NodeConfig, Storage};
use crate::serve::download::uploads::UploadLimits;
use crate::sharing::partial_files::{PartialFile, PartialFiles, PartialHandle};

/// Configuration of a transient peer.
#[derive(Debug, Clone)]
pub struct TransientPeerConfig {
    /// The prefix of its id; a random part is added.
    pub name: PeerId,
    /// The address to listen on; unspecified for all interfaces.
    pub bind: IpAddr,
    /// Additional addresses at which it can be dialled.
    pub addresses: Vec<PeerAddress>,
    /// The upload limit in bytes per second.
    pub upload_limit: Option<u64>,
    /// Whether it stays after the download. Then it provides a file of any size, even if the
    /// download ended before it had started.
    pub stay_after_download: bool,
}

/// The state of a download.
pub(crate) struct DownloadState {
    /// Bytes of the file on disk.
    pub(crate) held: u64,
    /// Verified bytes received in this run.
    pub(crate) verified: u64,
    /// All bytes received in this run.
    pub(crate) received: u64,
    /// The number of pieces that failed verification.
    pub(crate) corrupt: u64,
    /// Whether the download continues.
    pub(crate) goes_on: bool,
}

/// A running transient peer, until it [leaves](Self::leave) or is dropped.
pub struct TransientPeer {
    id: PeerId,
    node: Node,
    /// Stops the peer on drop. Otherwise it would run and stay listed.
    stop: DropGuard,
    directory: DirectoryClient,
    provided: Option<(ContentHash, PartialHandle)>,
    /// The task that registers it as a provider.
    announcing: Option<AbortOnDropHandle<Result<(), Problem>>>,
    /// The transfer in the activity, while the download runs.
    moving: Option<TransferGuard>,
}

impl TransientPeer {
    /// Starts a listener and registers with the directory, for a download of a file of `size`
    /// bytes.
    ///
    /// # Errors
    /// Returns the errors of [`Node::start`]. A download can continue without its transient peer.
    pub(crate) async fn start(
        config: TransientPeerConfig,
        directory: DirectoryClient,
        hash: ContentHash,
        size: u64,
    ) -> Result<Self, Problem> {
        let id = random_id(&config.name)?;
        let token = CancellationToken::new();
        let stop = token.clone().drop_guard();
        let node_config = NodeConfig {
            id: id.clone(),
            bind: config.bind,
            ports: Ports::Any,
            addresses: config.addresses,
            uploads: UploadLimits {
                total: config.upload_limit,
                ..UploadLimits::default()
            },
            metrics_listen: None,
            terms: SharingPolicy::default(),
            inbox: None,
        };
        let client = Arc::new(directory.clone());
        let node = Node::start(node_config, Storage::transient()?, client, token).await?;
        node.state.files.metrics.set(&DOWNLOADS_ACTIVE, &[], 1.0);
        let meter = node.state.uploads.meter();
        let moving = meter.begin(Direction::Receiving, hash, None, size, 0);
        Ok(Self {
            id,
            node,
            stop,
            directory,
            provided: None,
            announcing: None,
            moving: Some(moving),
        })
    }

    /// Returns its id in the directory.
    pub(crate) fn id(&self) -> &PeerId {
        &self.id
    }

    /// Starts to provide the pieces of a partial file, to the audience that the directory returns.
    pub(crate) fn provide(
        &mut self,
        hashes: Arc<PieceHashes>,
        file: Arc<std::fs::File>,
        name: String,
        held: &PieceSet,
    ) {
        let hash = hashes.content();
        let size = hashes.geometry().file_size();
        let files: &Arc<PartialFiles> = &self.node.state.files.partial_files;
        let handle = files.insert(PartialFile {
            hash,
            geometry: hashes.geometry(),
            hashes,
            file,
            name,
        });
        for piece in held.iter() {
            handle.add(piece);
        }
        let audience = handle.audience_setter();
        self.provided = Some((hash, handle));
        let (directory, id) = (self.directory.clone(), self.id.clone());
        let announcing = task::spawn("announce", async move {
            match directory.announce(&id, &hash, size).await {
                Ok(spaces) => audience.set(spaces),
                Err(problem) => {
                    debug!("cannot register as a source: {problem}");
                    return Err(problem);
                }
            }
            Ok(())
        });
        self.announcing = Some(AbortOnDropHandle::new(announcing));
    }

    /// Waits until the directory lists it as a provider of the file.
    ///
    /// # Errors
    /// Returns the errors of [`DirectoryClient::announce`].
    pub async fn wait_listed(&mut self) -> Result<(), Problem> {
        let Some(announcing) = self.announcing.take() else {
            return Ok(());
        };
        let failed = |error| {
            Problem::new(
                ErrorCode::Internal,
                format!("cannot register as a source: {error}"),
            )
        };
        announcing.await.map_err(failed)?
    }

    /// Records the state of the download in the metrics and the activity.
    pub(crate) fn record_state(&mut self, so_far: DownloadState) {
        let counted = &self.node.state.files.metrics;
        counted.set(&RECEIVED_BYTES, &[], so_far.verified as f64);
        counted.set(&VERIFICATION_FAILURES, &[], so_far.corrupt as f64);
        counted.set(&DOWNLOADS_ACTIVE, &[], f64::from(so_far.goes_on));
        if let Some(moving) = &self.moving {
            moving.set_progress(so_far.held, so_far.received);
        }
        if !so_far.goes_on {
            self.moving = None;
        }
    }

    /// Returns whether it provides a file.
    pub(crate) fn is_providing(&self) -> bool {
        self.provided.is_some()
    }

    /// Provides another piece, which is verified and written.
    pub(crate) fn add(&self, piece: PieceIndex) {
        if let Some((_, handle)) = &self.provided {
            handle.add(piece);
        }
    }

    /// Completes uploads in progress and leaves the directory's list.
    pub async fn leave(self) {
        drop(self.stop);
        if let Err(problem) = self.node.finished().await {
            debug!("stopping to share the download failed: {problem}");
        }
    }
}

fn random_id(name: &PeerId) -> Result<PeerId, Problem> {
    Ok(name.transient_id(random::bytes()?))
}
