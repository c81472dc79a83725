//! The peer under test.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use convite_core::{AccessList, ContentHash, PeerAddress, UnixMillis};
use convite_net::clock::DirectoryClock;
use convite_net::dial::Http2;
use convite_peer::announce::tickets::TicketVerification;
use convite_peer::fs::identity::FileIdentity;
use convite_peer::fs::volume::Volume;
use convite_peer::inbox::{Inbox, InboxConfig};
use convite_peer::node::control::{ControlService, ControlToken};
use convite_peer::node::metrics::Metrics;
use convite_peer::node::router::router;
use convite_peer::node::state::PeerState;
use convite_peer::serve::download::uploads::{UploadLimits, Uploads};
use convite_peer::sharing::cache::Cache;
use convite_peer::sharing::cache::HashedFile;
use convite_peer::sharing::catalogue::IndexedFile;
use convite_peer::sharing::indexing::Indexer;
use convite_peer::sharing::shares::ShareList;
use convite_wire::reader_ticket::ReaderTicket;
use convite_wire::ticket::TicketSigner;
use convite_wire::upload_ticket::UploadTicket;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A peer's API with one share, `share`, and without a directory.
pub(crate) struct Peer {
    place: TempDir,
    pub(crate) address: PeerAddress,
    pub(crate) signer: TicketSigner,
    /// The directory's clock, as this peer knows it.
    pub(crate) clock: DirectoryClock,
    pub(crate) control: String,
    pub(crate) state: Arc<PeerState>,
    pub(crate) cache: Arc<Cache>,
    indexing: Arc<Indexer>,
    _stop: DropGuard,
}

impl Peer {
    pub(crate) async fn start(slots: usize) -> Self {
        Self::limited(UploadLimits {
            slots,
            ..UploadLimits::default()
        })
        .await
    }

    pub(crate) async fn limited(limits: UploadLimits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::listening(limits, listener).await
    }

    /// Starts a peer with an inbox for the accounts `allowed`, with a quota in bytes for each.
    pub(crate) async fn with_inbox(allowed: &str, quota: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inbox = (allowed.parse().unwrap(), quota);
        Self::built(UploadLimits::default(), listener, Some(inbox)).await
    }

    pub(crate) async fn listening(limits: UploadLimits, listener: TcpListener) -> Self {
        Self::built(limits, listener, None).await
    }

    async fn built(
        limits: UploadLimits,
        listener: TcpListener,
        inbox: Option<(AccessList, u64)>,
    ) -> Self {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("share");
        std::fs::create_dir(&root).unwrap();
        let mut shares = ShareList::load(place.path().join("shares.json")).unwrap();
        shares.add(&root, None).unwrap();
        let stop = CancellationToken::new();
        let state = Arc::new(PeerState::new(
            "peer_1".parse().unwrap(),
            None,
            shares,
            Uploads::new(limits),
            stop.clone(),
            UnixMillis(0),
        ));
        let cache = Arc::new(Cache::open(&place.path().join("cache.redb")).unwrap());
        let signer = TicketSigner::generate().unwrap();
        let clock = DirectoryClock::default();
        let gate = Arc::new(TicketVerification::with_clock(clock.clone()));
        gate.set_key(&signer.public_key(), state.registration.id.clone())
            .unwrap();
        let mut serving = state.serve_context(cache.clone(), gate);
        if let Some((allowed, quota)) = inbox {
            let folder = place.path().join("inbox");
            let config = Some(InboxConfig { folder, quota });
            let inbox = Inbox::open_if_any(config, allowed, state.inbox_owner(cache.clone())).await;
            serving.inbox = inbox.unwrap();
            if let Some(inbox) = &serving.inbox {
                let _ = state.inbox.set(inbox.level().clone());
            }
        }
        let token = ControlToken::random().unwrap();
        let service = ControlService::new(state.clone(), &token, None);
        let metrics = Metrics::new(state.clone(), Some(&token));
        let routes = router(serving, Some(service), &metrics).await.unwrap();
        let address = listener.local_addr().unwrap().into();
        tokio::spawn(convite_net::serve(
            convite_net::Limits::default(),
            listener,
            None,
            routes,
            stop.clone(),
        ));
        Self {
            place,
            address,
            signer,
            clock,
            control: token.text().to_owned(),
            indexing: Arc::new(Indexer::new(state.files.clone(), cache.clone()).unwrap()),
            cache,
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

    /// Writes a file into the share; [`Self::scan`] adds it to the catalogue.
    pub(crate) fn write(&self, name: &str, contents: &[u8]) -> ContentHash {
        let path = self.file(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
        ContentHash::of(contents)
    }

    /// Waits until the times of a file are reliable.
    pub(crate) fn settle(&self, name: &str) {
        while self.identity(name).changed_too_recently(SystemTime::now()) {
            std::thread::yield_now();
        }
    }

    fn identity(&self, name: &str) -> FileIdentity {
        let path = self.file(name);
        FileIdentity::at(&path, &path.symlink_metadata().unwrap()).unwrap()
    }

    /// Makes the peer use an old hash for a changed file, in memory and on disk.
    pub(crate) fn believe(&self, name: &str, hash: ContentHash) {
        let served = self.state.files.catalogue.by_hash(&hash).remove(0);
        let identity = self.identity(name);
        let volume = Volume::of(&self.file(name)).unwrap();
        let keys = volume.keys(&served.root, served.inner(), &identity);
        let size = identity.size;
        let pieces = self.cache.pieces(hash, size).unwrap().unwrap();
        let hashed = HashedFile {
            keys: Some(keys),
            pieces,
            crc32: 0,
        };
        self.cache.store_hashes(&[hashed]).unwrap();
        self.state.files.catalogue.put(IndexedFile {
            identity,
            ..(*served).clone()
        });
    }

    /// Returns the parts shared by the keys of the share's files in the cache.
    pub(crate) fn volumes(&self) -> HashSet<u128> {
        let root = self.file("");
        Volume::of(&root).unwrap().key_volumes(&root).collect()
    }

    pub(crate) async fn scan(&self) {
        let indexing = self.indexing.clone();
        tokio::task::spawn_blocking(move || indexing.scan_all())
            .await
            .unwrap()
            .unwrap();
    }

    /// Returns a ticket of `ana`, who is in no space.
    pub(crate) fn ticket(&self) -> String {
        self.ticket_for("ana", &[])
    }

    /// Returns a ticket of `user`, a member of `spaces`.
    pub(crate) fn ticket_for(&self, user: &str, spaces: &[&str]) -> String {
        self.sign(&ReaderTicket {
            spaces: spaces.iter().map(|space| space.parse().unwrap()).collect(),
            ..claims(user)
        })
    }

    pub(crate) fn sign(&self, ticket: &ReaderTicket) -> String {
        self.signer.sign_reader(ticket).unwrap()
    }

    /// Shares the folder `name` of the share in a space.
    pub(crate) async fn share_in(&self, name: &str, space: &str) {
        let space = Some(space.parse().unwrap());
        self.state.share(&self.file(name), space).unwrap();
        self.scan().await;
    }

    /// Returns a ticket with which `user`, a member of `spaces`, may upload to this peer.
    pub(crate) fn upload_ticket(&self, user: &str, spaces: &[&str]) -> String {
        let ticket = UploadTicket {
            user: user.parse().unwrap(),
            spaces: spaces.iter().map(|space| space.parse().unwrap()).collect(),
            peer: "peer_1".parse().unwrap(),
            expires: UnixMillis::from(SystemTime::now()).after(Duration::from_secs(300)),
        };
        self.signer.sign_upload(&ticket).unwrap()
    }

    pub(crate) async fn connect(&self) -> Http2<tonic::body::Body> {
        Http2::connect(&self.address, None).await.unwrap()
    }
}

/// Returns the claims of a ticket of `user` for this peer, for five minutes.
pub(crate) fn claims(user: &str) -> ReaderTicket {
    ReaderTicket {
        user: user.parse().unwrap(),
        spaces: Vec::new(),
        peer: "peer_1".parse().unwrap(),
        expires: UnixMillis::from(SystemTime::now()).after(Duration::from_secs(300)),
    }
}

/// Returns bytes without repetitions.
pub(crate) fn contents(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&len.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}
