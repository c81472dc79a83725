//! Downloads over real connections: from providers with HTTP/1.1 only, and with pauses.
//!
//! There is no directory: the located file is all that a download needs.

#![allow(clippy::disallowed_methods, reason = "tests start tasks without names")]
#![allow(clippy::unwrap_used)]

mod claims;
mod pausing;
#[path = "../serving/peer.rs"]
mod peer;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use convite_client::{Credentials, DirectoryClient, Home};
use convite_core::model::{LocatedFile, Provider};
use convite_core::verify::hash_piece;
use convite_core::{
    ContentHash, EntryKind, PeerId, PieceGeometry, PieceHashes, Problem, SearchScope,
};
use convite_net::tls;
use convite_peer::download::{
    DownloadProgress, DownloadRequest, DownloadResult, Storage, Target, download,
};
use convite_wire::invite::Fingerprint;
use data_encoding::HEXLOWER;
use http::header::{AUTHORIZATION, CONTENT_RANGE, RANGE};
use http::{HeaderMap, StatusCode, Version};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

const TICKET: &str = "a-ticket";
/// Many pieces, with a short last one.
const SIZE: usize = (3 << 20) + 4321;
/// An upper bound for the duration of each test.
const PATIENCE: Duration = Duration::from_secs(60);

struct PieceWriter {
    bytes: Vec<u8>,
    hashes: PieceHashes,
}

impl PieceWriter {
    fn new() -> Arc<Self> {
        let bytes: Vec<u8> = (0..SIZE)
            .map(|i| (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0])
            .collect();
        let geometry = PieceGeometry::new(SIZE as u64).unwrap();
        let piece = |index| {
            let range = geometry.piece_range(index);
            hash_piece(
                &geometry,
                index,
                &bytes[range.start as usize..range.end as usize],
            )
        };
        let hashes = (0..geometry.piece_count()).map(piece).collect();
        let hashes = PieceHashes::fold(geometry, hashes).unwrap();
        Arc::new(Self { bytes, hashes })
    }

    fn hash(&self) -> ContentHash {
        self.hashes.content()
    }
}

/// The behavior of a server for range requests.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Manner {
    Honest,
    FlipsAByte,
    SendsMore,
    SendsLess,
    Refuses,
    IgnoresRanges,
}

struct Server {
    contents: Arc<PieceWriter>,
    manner: Manner,
    /// The number of range requests received.
    asked: AtomicUsize,
    /// Nothing is sent until this is true.
    gate: watch::Receiver<bool>,
    /// Set to true by the first request.
    opens: watch::Sender<bool>,
}

async fn pieces(
    State(server): State<Arc<Server>>,
    version: Version,
    headers: HeaderMap,
) -> Response {
    assert_eq!(version, Version::HTTP_11);
    assert_eq!(headers[AUTHORIZATION], format!("Bearer {TICKET}").as_str());
    let hashes = &server.contents.hashes;
    let encoded: Vec<String> = hashes
        .as_slice()
        .iter()
        .map(|h| HEXLOWER.encode(h))
        .collect();
    axum::Json(serde_json::json!({
        "piece_size": hashes.geometry().piece_size(),
        "file_size": hashes.geometry().file_size(),
        "hashes": encoded,
    }))
    .into_response()
}

async fn file(
    State(server): State<Arc<Server>>,
    Path(hash): Path<String>,
    version: Version,
    headers: HeaderMap,
) -> Response {
    assert_eq!(version, Version::HTTP_11);
    assert_eq!(hash, server.contents.hash().to_string());
    assert_eq!(headers[AUTHORIZATION], format!("Bearer {TICKET}").as_str());
    server.gate.clone().wait_for(|open| *open).await.unwrap();
    server.asked.fetch_add(1, Ordering::SeqCst);
    let range = headers[RANGE].to_str().unwrap();
    let (first, last) = range
        .strip_prefix("bytes=")
        .unwrap()
        .split_once('-')
        .unwrap();
    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
    let mut bytes = server.contents.bytes[first..=last].to_vec();
    match server.manner {
        Manner::Honest => {}
        Manner::FlipsAByte => bytes[0] ^= 1,
        Manner::SendsMore => bytes.push(0),
        Manner::SendsLess => bytes.truncate(1),
        Manner::Refuses => {
            server.opens.send_replace(true);
            return StatusCode::FORBIDDEN.into_response();
        }
        Manner::IgnoresRanges => {
            server.opens.send_replace(true);
            return server.contents.bytes.clone().into_response();
        }
    }
    server.opens.send_replace(true);
    Response::builder()
        .status(StatusCode::PARTIAL_CONTENT)
        .header(CONTENT_RANGE, format!("bytes {first}-{last}/{SIZE}"))
        .body(Body::from(bytes))
        .unwrap()
}

/// Issues the servers' certificates.
struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    der: Vec<u8>,
}

impl Authority {
    fn new() -> Self {
        convite_net::install_crypto();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        let issuer = rcgen::Issuer::new(params, key);
        Self { issuer, der }
    }

    /// Returns a configuration with a certificate for `peer` and exactly the protocols `alpn`.
    fn server_config(&self, peer: &PeerId, alpn: &[&[u8]]) -> Arc<rustls::ServerConfig> {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new([peer.certificate_name()]).unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let certificate = tls::SwappableCertificate::new();
        let chain = vec![leaf.der().clone(), self.der.clone().into()];
        let key = key.serialize_der().try_into().unwrap();
        certificate.set(chain, key).unwrap();
        let mut config = (*tls::server_config(Arc::new(certificate))).clone();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }
}

struct Scene {
    authority: Authority,
    contents: Arc<PieceWriter>,
    providers: Vec<Provider>,
    folder: TempDir,
    stop: CancellationToken,
    _stopped_at_the_end: DropGuard,
}

impl Scene {
    fn new() -> Self {
        let stop = CancellationToken::new();
        Self {
            authority: Authority::new(),
            contents: PieceWriter::new(),
            providers: Vec::new(),
            folder: TempDir::new().unwrap(),
            _stopped_at_the_end: stop.clone().drop_guard(),
            stop,
        }
    }

    /// Starts a provider that sends once `gate` is true.
    async fn provide(
        &mut self,
        peer: &str,
        alpn: &[&[u8]],
        manner: Manner,
        gate: watch::Receiver<bool>,
    ) -> Arc<Server> {
        let peer: PeerId = peer.parse().unwrap();
        let server = Arc::new(Server {
            contents: self.contents.clone(),
            manner,
            asked: AtomicUsize::new(0),
            gate,
            opens: watch::Sender::new(false),
        });
        let router = Router::new()
            .route("/files/{hash}", get(file))
            .route("/files/{hash}/pieces", get(pieces))
            .with_state(server.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let config = self.authority.server_config(&peer, alpn);
        tokio::spawn(convite_net::serve(
            convite_net::Limits::default(),
            listener,
            Some(config),
            router,
            self.stop.clone(),
        ));
        self.providers.push(Provider {
            peer,
            addresses: vec![address.parse().unwrap()],
            size: SIZE as u64,
            ticket: TICKET.to_owned(),
            partial: false,
        });
        server
    }

    /// Downloads the file and compares its contents.
    async fn fetch(&self) -> DownloadResult {
        let fetched = self.fetch_as(SIZE as u64).await.unwrap().unwrap();
        assert!(self.is_whole(), "the file differs from the provided one");
        fetched
    }

    fn is_whole(&self) -> bool {
        std::fs::read(self.folder.path().join("fetched")).unwrap() == self.contents.bytes
    }

    /// Downloads the file, with `size` as the size from the directory.
    async fn fetch_as(&self, size: u64) -> Result<Option<DownloadResult>, Problem> {
        let credentials = Credentials {
            addresses: vec!["127.0.0.1:1".parse().unwrap()],
            authority: None,
            user: None,
            token: None,
            peer: None,
        };
        let path = self.folder.path().join("fetched");
        let wanted = DownloadRequest {
            home: Home::open(self.folder.path().join("home")).unwrap(),
            directory: DirectoryClient::new(&credentials).unwrap(),
            authority: Some(Fingerprint(tls::fingerprint(&self.authority.der))),
            within: SearchScope::Visible,
            file: LocatedFile {
                hash: self.contents.hash(),
                kind: EntryKind::File,
                files: None,
                size,
                names: vec!["fetched".to_owned()],
                providers: self.providers.clone(),
            },
            locality: true,
            target: Target {
                path: path.clone(),
                force: false,
            },
            download_limit: None,
            member: None,
            storage: Storage::default(),
        };
        let (progress, _) = watch::channel(DownloadProgress::default());
        let fetching = download(wanted, progress, CancellationToken::new());
        let fetched = tokio::time::timeout(PATIENCE, fetching).await;
        fetched.expect("the download did not end")
    }
}

fn open() -> watch::Receiver<bool> {
    watch::channel(true).1
}

#[tokio::test(flavor = "multi_thread")]
async fn download_from_an_http1_provider() {
    // A server that negotiates nothing uses HTTP/1.1 too.
    let protocols: [&[&[u8]]; 2] = [&[b"http/1.1"], &[]];
    for alpn in protocols {
        let mut scene = Scene::new();
        let server = scene.provide("plain", alpn, Manner::Honest, open()).await;
        let fetched = scene.fetch().await;
        assert_eq!(fetched.received, SIZE as u64);
        assert_eq!(fetched.providers, [scene.providers[0].peer.clone()]);
        let asked = server.asked.load(Ordering::SeqCst);
        assert!(
            asked < scene.contents.hashes.as_slice().len(),
            "adjacent pieces must be requested together, not in {asked} requests"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn provider_that_sends_other_data_is_dropped() {
    let manners = [
        Manner::FlipsAByte,
        Manner::SendsMore,
        Manner::SendsLess,
        Manner::Refuses,
        Manner::IgnoresRanges,
    ];
    for manner in manners {
        let mut scene = Scene::new();
        let bad = scene.provide("bad", &[b"http/1.1"], manner, open()).await;
        // The honest provider waits until the other one got a request, so that the download cannot
        // end before.
        let gate = bad.opens.subscribe();
        let honest = scene
            .provide("good", &[b"http/1.1"], Manner::Honest, gate)
            .await;
        let fetched = scene.fetch().await;
        let good = &scene.providers[1].peer;
        assert!(fetched.providers.contains(good), "{manner:?}");
        assert!(honest.asked.load(Ordering::SeqCst) > 0, "{manner:?}");
        let asked = bad.asked.load(Ordering::SeqCst);
        assert!(asked > 0, "{manner:?}");
        if matches!(manner, Manner::FlipsAByte | Manner::SendsMore) {
            // At most two requests per provider are in progress.
            assert!(asked <= 2, "{manner:?}: asked {asked} times");
        }
        if manner != Manner::SendsMore {
            let from = &fetched.providers;
            assert_eq!(
                from,
                std::slice::from_ref(good),
                "{manner:?}: no unfinished download may be left"
            );
        }
    }
}
