//! The peer that the tests talk to.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use convite_core::{Allowed, ContentHash, PeerAddress, UnixMillis};
use convite_net::dial::Http2;
use convite_peer::cache::Cache;
use convite_peer::inbox::{Inbox, InboxConfig};
use convite_peer::indexing::Indexing;
use convite_peer::serve::auth::TicketGate;
use convite_peer::serve::control::{ControlService, ControlToken};
use convite_peer::serve::metrics::Metrics;
use convite_peer::serve::uploads::{UploadLimits, Uploads};
use convite_peer::serve::{Serving, router};
use convite_peer::shares::ShareList;
use convite_peer::state::PeerState;
use convite_wire::ticket::{Ticket, TicketSigner};
use convite_wire::upload_ticket::UploadTicket;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A peer's serving half with one share, `share`, and no directory.
pub(crate) struct Peer {
    place: TempDir,
    pub(crate) address: PeerAddress,
    pub(crate) signer: TicketSigner,
    pub(crate) control: String,
    pub(crate) state: Arc<PeerState>,
    pub(crate) cache: Arc<Cache>,
    indexing: Arc<Indexing>,
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

    /// With an inbox for those of the list, who may each have so many bytes in it.
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
        inbox: Option<(Allowed, u64)>,
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
        let gate = Arc::new(TicketGate::default());
        gate.trust(&signer.public_key(), state.id.clone()).unwrap();
        let mut serving = Serving::new(&state, cache.clone(), gate);
        if let Some((allowed, quota)) = inbox {
            let folder = place.path().join("inbox");
            let config = Some(InboxConfig { folder, quota });
            let inbox = Inbox::open_if_any(config, allowed, &state, &cache).await;
            serving.inbox = inbox.unwrap();
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
            control: token.text().to_owned(),
            indexing: Arc::new(Indexing::new(state.clone(), cache.clone()).unwrap()),
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

    pub(crate) fn ticket_for(&self, user: &str, hash: ContentHash) -> String {
        let expires = UnixMillis::from(SystemTime::now()).after(Duration::from_secs(300));
        sign_for(user, &self.signer, "peer_1", hash, expires)
    }

    pub(crate) fn sign(&self, peer: &str, hash: ContentHash, life: Duration) -> String {
        let expires = UnixMillis::from(SystemTime::now()).after(life);
        sign(&self.signer, peer, hash, expires)
    }

    /// What lets `user`, who is in these spaces, upload here.
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

pub(crate) fn sign(
    signer: &TicketSigner,
    peer: &str,
    hash: ContentHash,
    expires: UnixMillis,
) -> String {
    sign_for("ana", signer, peer, hash, expires)
}

pub(crate) fn sign_for(
    user: &str,
    signer: &TicketSigner,
    peer: &str,
    hash: ContentHash,
    expires: UnixMillis,
) -> String {
    signer
        .sign(&Ticket {
            user: user.parse().unwrap(),
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
