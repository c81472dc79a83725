//! A download as a provider of what it has: a peer of its own, for as long as it runs.
//!
//! It is a peer like any other (listener, certificate, lease), but transient: not listed among the
//! peers, without shares, and forgotten when it ends. It keeps nothing on disk, so that any number
//! of downloads run on one home, beside the home's own peer, and a killed one leaves nothing.

use std::net::IpAddr;
use std::sync::Arc;

use convite_client::DirectoryClient;
use convite_core::activity::Direction;
use convite_core::{ContentHash, ErrorCode, PeerAddress, PeerId, PieceHashes, PieceIndex, Problem};
use convite_metrics::catalogue::{DOWNLOADS_ACTIVE, RECEIVED_BYTES, VERIFICATION_FAILURES};
use convite_swarm::PieceSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::debug;

use crate::activity::Moving;
use crate::config::{PeerConfig, Ports};
use crate::partial_files::{PartialFile, PartialFiles, PartialHandle};
use crate::run::{RunningPeer, start};

/// How a download provides what it has.
#[derive(Debug, Clone)]
pub struct MemberConfig {
    /// What the member's id begins with; a random part is added.
    pub name: PeerId,
    /// The address to listen on; unspecified for all.
    pub bind: IpAddr,
    /// Further addresses at which it can be dialled.
    pub addresses: Vec<PeerAddress>,
    /// The most bytes a second to send, in all.
    pub upload_limit: Option<u64>,
}

/// How a download stands.
pub(crate) struct SoFar {
    /// Bytes of the file that are here.
    pub(crate) held: u64,
    /// Those that came in this run, verified.
    pub(crate) verified: u64,
    /// Bytes that came in this run, whatever became of them.
    pub(crate) received: u64,
    /// Pieces that were not what they should be.
    pub(crate) corrupt: u64,
    /// Whether it goes on.
    pub(crate) goes_on: bool,
}

/// A download that provides, until it [leaves](Self::leave) or is dropped.
pub struct Member {
    id: PeerId,
    peer: RunningPeer,
    /// Stops it when it is dropped: nothing else would, and it would be listed for ever.
    stop: DropGuard,
    directory: DirectoryClient,
    provided: Option<(ContentHash, PartialHandle)>,
    /// What it fetches, while it does.
    moving: Option<Moving>,
}

impl Member {
    /// Starts to listen, and registers with the directory, for a download of a file of `size` bytes.
    ///
    /// # Errors
    /// Those of [`start`]. A download goes on without.
    pub(crate) async fn start(
        config: MemberConfig,
        directory: DirectoryClient,
        hash: ContentHash,
        size: u64,
    ) -> Result<Self, Problem> {
        let id = random_id(&config.name)?;
        let token = CancellationToken::new();
        let stop = token.clone().drop_guard();
        let peer = start(
            PeerConfig {
                ports: Ports::Any,
                addresses: config.addresses,
                upload_limit: config.upload_limit,
                ..PeerConfig::new(None, id.clone(), config.bind)
            },
            directory.clone(),
            token,
        )
        .await?;
        peer.state().counted.set(&DOWNLOADS_ACTIVE, &[], 1.0);
        let meter = peer.state().uploads.meter();
        let moving = meter.begin(Direction::Receiving, hash, None, size, 0);
        Ok(Self {
            id,
            peer,
            stop,
            directory,
            provided: None,
            moving: Some(moving),
        })
    }

    /// The id under which the directory lists it.
    pub(crate) fn id(&self) -> &PeerId {
        &self.id
    }

    /// Provides what is held of a file from now on.
    pub(crate) fn provide(
        &mut self,
        hashes: Arc<PieceHashes>,
        file: Arc<std::fs::File>,
        name: String,
        held: &PieceSet,
    ) {
        let hash = hashes.content();
        let size = hashes.geometry().file_size();
        let files: &Arc<PartialFiles> = self.peer.partial_files();
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
        self.provided = Some((hash, handle));
        let (directory, id) = (self.directory.clone(), self.id.clone());
        tokio::spawn(async move {
            if let Err(problem) = directory.announce(&id, &hash, size).await {
                debug!("cannot announce what has been fetched: {problem}");
            }
        });
    }

    /// Notes how the download stands.
    pub(crate) fn count(&mut self, so_far: SoFar) {
        let counted = &self.peer.state().counted;
        counted.set(&RECEIVED_BYTES, &[], so_far.verified as f64);
        counted.set(&VERIFICATION_FAILURES, &[], so_far.corrupt as f64);
        counted.set(&DOWNLOADS_ACTIVE, &[], f64::from(so_far.goes_on));
        if let Some(moving) = &self.moving {
            moving.stands_at(so_far.held, so_far.received);
        }
        if !so_far.goes_on {
            self.moving = None;
        }
    }

    /// Whether it provides anything yet.
    pub(crate) fn is_providing(&self) -> bool {
        self.provided.is_some()
    }

    /// Another piece is verified and written.
    pub(crate) fn add(&self, piece: PieceIndex) {
        if let Some((_, handle)) = &self.provided {
            handle.add(piece);
        }
    }

    /// Lets what is being sent finish, and leaves.
    pub async fn leave(self) {
        drop(self.stop);
        if let Err(problem) = self.peer.finished().await {
            debug!("the download did not stop providing well: {problem}");
        }
    }
}

fn random_id(name: &PeerId) -> Result<PeerId, Problem> {
    let mut random = [0; 4];
    getrandom::fill(&mut random)
        .map_err(|e| Problem::new(ErrorCode::Internal, format!("no randomness: {e}")))?;
    Ok(name.for_download(random))
}
