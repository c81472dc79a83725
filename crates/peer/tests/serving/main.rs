//! What a peer serves, to whom, and what it refuses, over real connections.

#![allow(clippy::unwrap_used)]

mod grpc;
mod http;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use convite_core::{ContentHash, PeerAddress, UnixMillis};
use convite_net::dial::Http2;
use convite_peer::cache::Cache;
use convite_peer::indexing::Indexing;
use convite_peer::serve::auth::TicketGate;
use convite_peer::serve::control::{ControlService, ControlToken};
use convite_peer::serve::uploads::Uploads;
use convite_peer::serve::{Serving, router};
use convite_peer::shares::ShareList;
use convite_peer::state::PeerState;
use convite_wire::ticket::{Ticket, TicketSigner};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A peer's serving half with one share, `share`, and no directory.
pub(crate) struct Peer {
    place: TempDir,
    pub(crate) address: PeerAddress,
    pub(crate) signer: TicketSigner,
    pub(crate) control: String,
    pub(crate) state: Arc<PeerState>,
    indexing: Arc<Indexing>,
    _stop: DropGuard,
}

impl Peer {
    pub(crate) async fn start(uploads: usize) -> Self {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("share");
        std::fs::create_dir(&root).unwrap();
        let mut shares = ShareList::load(place.path().join("shares.json")).unwrap();
        shares.add(&root).unwrap();
        let stop = CancellationToken::new();
        let state = Arc::new(PeerState::new(
            "peer_1".parse().unwrap(),
            None,
            shares,
            Uploads::new(uploads),
            stop.clone(),
            UnixMillis(0),
        ));
        let cache = Arc::new(Cache::open(&place.path().join("cache.redb")).unwrap());
        let signer = TicketSigner::generate().unwrap();
        let gate = Arc::new(TicketGate::default());
        gate.trust(&signer.public_key(), state.id.clone()).unwrap();
        let serving = Serving {
            catalogue: state.catalogue.clone(),
            cache: cache.clone(),
            gate,
            uploads: state.uploads.clone(),
            rescan: state.rescan.clone(),
        };
        let token = ControlToken::random().unwrap();
        let service = ControlService::new(state.clone(), &token);
        let routes = router(serving, Some(service)).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().into();
        tokio::spawn(convite_net::serve(listener, None, routes, stop.clone()));
        Self {
            place,
            address,
            signer,
            control: token.text().to_owned(),
            indexing: Arc::new(Indexing::new(state.clone(), cache).unwrap()),
            state,
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.place.path().join("share").join(name)
    }

    pub(crate) fn outside(&self) -> &Path {
        self.place.path()
    }

    /// Writes a file into the share; [`Self::scan`] makes it served.
    pub(crate) fn write(&self, name: &str, contents: &[u8]) -> ContentHash {
        let path = self.file(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
        ContentHash::of(contents)
    }

    pub(crate) async fn scan(&self) {
        let indexing = self.indexing.clone();
        tokio::task::spawn_blocking(move || indexing.scan_once())
            .await
            .unwrap()
            .unwrap();
    }

    pub(crate) fn ticket(&self, hash: ContentHash) -> String {
        self.sign("peer_1", hash, Duration::from_secs(300))
    }

    pub(crate) fn sign(&self, peer: &str, hash: ContentHash, life: Duration) -> String {
        let expires = UnixMillis::from(SystemTime::now()).after(life);
        sign(&self.signer, peer, hash, expires)
    }

    pub(crate) async fn connect(&self) -> Http2<tonic::body::Body> {
        Http2::connect(&self.address, None).await.unwrap()
    }
}

pub(crate) fn sign(
    signer: &TicketSigner,
    peer: &str,
    hash: ContentHash,
    expires: UnixMillis,
) -> String {
    signer
        .sign(&Ticket {
            user: "ana".parse().unwrap(),
            peer: peer.parse().unwrap(),
            hash,
            expires,
        })
        .unwrap()
}

/// Bytes that are nowhere alike.
pub(crate) fn contents(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&len.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}
