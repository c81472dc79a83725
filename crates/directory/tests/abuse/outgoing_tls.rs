//! What a directory reveals when it dials addresses named by a peer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use convite_core::{PeerAddress, PeerId, UnixMillis};
use convite_directory::authority::Authority;
use convite_net::dial::{Expected, connect_any, http1_request};
use convite_net::tls::{SwappableCertificate, client_config_http1, server_config};
use http::Request;
use http_body_util::Empty;
use rcgen::{CertificateParams, KeyPair};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The extension with which a client resumes a session (RFC 8446, section 4.2.11).
const PRE_SHARED_KEY: u16 = 41;
/// The corresponding extension in TLS 1.2 (RFC 5077).
const SESSION_TICKET: u16 = 35;

/// A peer that issues session tickets, behind a proxy that records each client's first bytes.
struct Peer {
    address: PeerAddress,
    authority: [u8; 32],
    id: PeerId,
    hellos: Arc<Mutex<Vec<Vec<u8>>>>,
    _folder: tempfile::TempDir,
}

impl Peer {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = UnixMillis::from(std::time::SystemTime::now());
        let authority = Authority::open(folder.path(), now).unwrap();
        let id: PeerId = "eve-1".parse().unwrap();
        let key = KeyPair::generate().unwrap();
        let request = CertificateParams::default()
            .serialize_request(&key)
            .unwrap();
        let day = Duration::from_secs(86_400);
        let made = authority
            .peer_certificate(&id, request.der(), day, now)
            .unwrap();
        let certificate = Arc::new(SwappableCertificate::new());
        let chain = [made.der, made.authority]
            .map(CertificateDer::from)
            .to_vec();
        let secret = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        certificate.set(chain, secret).unwrap();
        let inner = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let behind = inner.local_addr().unwrap();
        tokio::spawn(serve(inner, TlsAcceptor::from(server_config(certificate))));
        let outer = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = outer.local_addr().unwrap().into();
        let hellos = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let kept = hellos.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = outer.accept().await {
                let mut server = TcpStream::connect(behind).await.unwrap();
                let hello = first_record(&mut client).await;
                server.write_all(&hello).await.unwrap();
                kept.lock().unwrap().push(hello);
                tokio::spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        Self {
            address,
            authority: authority.fingerprint(),
            id,
            hellos,
            _folder: folder,
        }
    }

    /// Connects twice, reading one response each time; returns the extensions of the second
    /// ClientHello.
    async fn second_hello(&self, config: Arc<rustls::ClientConfig>) -> Vec<u16> {
        let expected = Expected::new(config, &self.id.certificate_name()).unwrap();
        for _ in 0..2 {
            let request = Request::get("/").header("host", "peer");
            let request = request.body(Empty::<Bytes>::new()).unwrap();
            let answer = http1_request(&self.address, Some(&expected), request).await;
            assert_eq!(answer.unwrap().status(), 200);
        }
        extensions(self.hellos.lock().unwrap().last().unwrap())
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
        let tls = tls.clone();
        tokio::spawn(async move {
            let mut stream = tls.accept(stream).await.unwrap();
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        });
    }
}

async fn first_record(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = [0; 5];
    stream.read_exact(&mut head).await.unwrap();
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    stream.read_exact(&mut body).await.unwrap();
    [&head[..], &body].concat()
}

/// Returns the types of the extensions of a ClientHello (RFC 8446, section 4.1.2) in one record,
/// without empty session tickets.
fn extensions(record: &[u8]) -> Vec<u16> {
    // Skip record header, handshake header, version and random.
    let mut rest = &record[5 + 4 + 2 + 32..];
    let short = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
    // Session id, cipher suites, compression methods.
    rest = &rest[1 + usize::from(rest[0])..];
    rest = &rest[2 + usize::from(short(rest))..];
    rest = &rest[1 + usize::from(rest[0])..];
    rest = &rest[2..];
    let mut types = Vec::new();
    while rest.len() >= 4 {
        let (kind, length) = (short(rest), usize::from(short(&rest[2..])));
        if kind != SESSION_TICKET || length > 0 {
            types.push(kind);
        }
        rest = &rest[4 + length..];
    }
    types
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_sessions_are_never_resumed() {
    let peer = Peer::start().await;
    let config = client_config_http1(peer.authority);
    let said = peer.second_hello(config.clone()).await;
    assert!(said.len() > 5, "{said:?}");
    assert!(!said.contains(&PRE_SHARED_KEY), "{said:?}");
    assert!(!said.contains(&SESSION_TICKET), "{said:?}");
    // A control: a client that resumes is detected.
    let mut resuming = (*config).clone();
    resuming.resumption = Resumption::in_memory_sessions(8);
    let said = peer.second_hello(Arc::new(resuming)).await;
    assert!(said.contains(&PRE_SHARED_KEY), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_of_a_peer_leads_to_this_machine() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for name in [
        "127.1",
        "localhost",
        "0",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
    ] {
        let address = [PeerAddress::new(name, port).unwrap()];
        let dialled = connect_any::<Empty<Bytes>>(&address, None).await;
        assert!(dialled.is_err(), "{name}");
    }
    // The directory did not connect: the first connection is this one.
    let own = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (_, from) = listener.accept().await.unwrap();
    assert_eq!(from, own.local_addr().unwrap());
}
