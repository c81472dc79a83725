//! A peer's HTTP API, called without the program: tickets and certificates.

use std::time::Duration;

use bytes::Bytes;
use convite_core::{ContentHash, PeerAddress, PeerId};
use convite_net::dial::{Expected, Stream, connect, http1_request};
use convite_net::tls::{DIRECTORY_NAME, client_config_http1, fingerprint};
use convite_wire::invite::Fingerprint;
use http::header::{AUTHORIZATION, CONTENT_RANGE, ETAG, RANGE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use crate::harness::{Directory, Home, Pair, Process, contents, text, wait_until};

/// An HTTP client for one server.
pub struct HttpClient {
    address: PeerAddress,
    expected: Expected,
}

pub struct HttpResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

fn authority(home: &Home) -> [u8; 32] {
    let text = text(&home.credentials(), "authority");
    let Fingerprint(authority) = text.parse().unwrap();
    authority
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

impl HttpClient {
    pub fn of_directory(directory: &Directory, home: &Home) -> Self {
        let config = client_config_http1(authority(home));
        Self {
            address: PeerAddress::new("127.0.0.1", directory.port).unwrap(),
            expected: Expected::new(config, DIRECTORY_NAME).unwrap(),
        }
    }

    pub fn of_peer(process: &Process, home: &Home) -> Self {
        let ready = process.ready();
        let id: PeerId = text(&ready, "id").parse().unwrap();
        let url = text(&ready, "url");
        let config = client_config_http1(authority(home));
        Self {
            address: url.strip_prefix("https://").unwrap().parse().unwrap(),
            expected: Expected::new(config, &id.certificate_name()).unwrap(),
        }
    }

    pub fn get(&self, path: &str, bearer: Option<&str>, range: Option<&str>) -> HttpResponse {
        let mut request = Request::get(path);
        if let Some(range) = range {
            request = request.header(RANGE, range);
        }
        self.ask(request, bearer, Vec::new())
    }

    /// Posts files as a form, as a browser does.
    pub fn post_files(
        &self,
        path: &str,
        bearer: Option<&str>,
        files: &[(&str, &[u8])],
    ) -> HttpResponse {
        let mut form = Vec::new();
        for (name, bytes) in files {
            let head = format!(
                "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
            );
            form.extend_from_slice(head.as_bytes());
            form.extend_from_slice(bytes);
            form.extend_from_slice(b"\r\n");
        }
        form.extend_from_slice(b"--b--\r\n");
        let kind = "multipart/form-data; boundary=b";
        let request = Request::post(path).header("content-type", kind);
        self.ask(request, bearer, form)
    }

    fn ask(
        &self,
        mut request: http::request::Builder,
        bearer: Option<&str>,
        body: Vec<u8>,
    ) -> HttpResponse {
        request = request.header("host", "localhost");
        if let Some(bearer) = bearer {
            request = request.header(AUTHORIZATION, format!("Bearer {bearer}"));
        }
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        wait(async {
            let answer = http1_request(&self.address, Some(&self.expected), request).await;
            let (head, body) = answer.unwrap().into_parts();
            HttpResponse {
                status: head.status,
                headers: head.headers,
                body: body.collect().await.unwrap().to_bytes(),
            }
        })
    }

    /// Returns the fingerprint of the presented certificate; `None` if it is not valid.
    fn certificate(&self) -> Option<[u8; 32]> {
        let stream = wait(connect(&self.address, Some(&self.expected)));
        match stream.ok()? {
            Stream::Encrypted(stream) => {
                let chain = stream.get_ref().1.peer_certificates()?;
                Some(fingerprint(&chain[0]))
            }
            Stream::Plaintext(_) => None,
        }
    }
}

fn ticket(directory: &HttpClient, session: &str, hash: &str, peer: &str) -> String {
    let answer = directory.get(&format!("/files/{hash}"), Some(session), None);
    assert_eq!(answer.status, 200);
    let file: Value = serde_json::from_slice(&answer.body).unwrap();
    let providers = file["providers"].as_array().unwrap();
    let provider = providers.iter().find(|provider| provider["peer"] == peer);
    text(provider.unwrap(), "ticket")
}

#[test]
fn a_peer_serves_a_file_only_with_a_ticket_for_it() {
    let pair = Pair::new();
    let bytes = contents(41, 150_000);
    let hash = ContentHash::of(&bytes).to_string();
    let other = ContentHash::of(b"another file").to_string();
    let unknown = ContentHash::of(b"unknown").to_string();
    for home in [&pair.ana, &pair.ben] {
        home.write("docs/a.bin", &bytes);
        home.write("docs/other.txt", b"another file");
    }
    let first = pair.ana.peer("peer_1", &pair.ana.path("docs"), "");
    let second = pair.ben.peer("peer_2", &pair.ben.path("docs"), "");
    let session = text(&pair.ben.credentials(), "token");
    let directory = HttpClient::of_directory(&pair, &pair.ben);
    let peer = HttpClient::of_peer(&first, &pair.ben);
    let path = format!("/files/{hash}");

    assert_eq!(directory.get(&path, None, None).status, 401);
    assert_eq!(directory.get(&path, Some("garbage"), None).status, 401);

    let right = ticket(&directory, &session, &hash, "peer_1");
    let for_peer_2 = ticket(&directory, &session, &hash, "peer_2");
    // One ticket is for all contents of a peer.
    assert_eq!(ticket(&directory, &session, &other, "peer_1"), right);
    let mut forged = right.clone().into_bytes();
    let middle = forged.len() / 2;
    forged[middle] = if forged[middle] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();

    for what in [&*path, &*format!("{path}/pieces"), "/files/docs/a.bin"] {
        assert_eq!(peer.get(what, None, None).status, 401, "{what}");
        for (wrong, which) in [
            ("garbage", "garbage"),
            (&*session, "the session"),
            (&*for_peer_2, "another peer's"),
            (&*forged, "forged"),
        ] {
            let answer = peer.get(what, Some(wrong), None);
            assert!(
                matches!(answer.status.as_u16(), 401 | 403),
                "{what} opened by {which}: {}",
                answer.status
            );
            assert!(!answer.body.windows(16).any(|part| part == &bytes[..16]));
        }
        assert_eq!(peer.get(what, Some(&right), None).status, 200, "{what}");
    }
    for (hash, status) in [(other, 200), (unknown, 404)] {
        let answer = peer.get(&format!("/files/{hash}"), Some(&right), None);
        assert_eq!(answer.status, status);
    }
    // The ticket that peer_1 refused is valid at the peer for which it was issued.
    let second = HttpClient::of_peer(&second, &pair.ben);
    assert_eq!(second.get(&path, Some(&for_peer_2), None).status, 200);
    assert_eq!(second.get(&path, Some(&right), None).status, 403);

    let whole = peer.get(&path, Some(&right), None);
    assert!(whole.body == bytes);
    assert_eq!(whole.headers[ETAG], format!("\"{hash}\""));
    let part = peer.get(&path, Some(&right), Some("bytes=65530-65545"));
    assert_eq!(part.status, 206);
    assert_eq!(part.headers[CONTENT_RANGE], "bytes 65530-65545/150000");
    assert_eq!(part.body, bytes[65_530..65_546]);
    let in_query = peer.get(&format!("{path}?ticket={right}"), None, None);
    assert_eq!(in_query.status, 200);
}

#[test]
fn a_peer_serves_files_of_a_space_only_to_its_members() {
    let directory = Directory::with("");
    let (ana, ben, eve) = (
        directory.member("ana"),
        directory.member("ben"),
        directory.member("eve"),
    );
    ana.run("space add lab").ok();
    for user in ["ana", "ben"] {
        ana.run(&format!("space member add lab {user}")).ok();
    }
    ana.write("docs/open.txt", b"for everyone");
    ana.write("secrets/formula.txt", b"for the lab alone");
    let peer = ana.peer("peer_1", &ana.path("docs"), "");
    ana.run("share secrets --space lab").ok();
    let open = ContentHash::of(b"for everyone").to_string();
    let secret = ContentHash::of(b"for the lab alone").to_string();
    let unknown = ContentHash::of(b"unknown").to_string();
    let lookup = HttpClient::of_directory(&directory, &ben);
    let locate = |home: &Home, hash: &str| {
        let session = text(&home.credentials(), "token");
        lookup.get(&format!("/files/{hash}"), Some(&session), None)
    };
    wait_until("the secret is published", || {
        (locate(&ben, &secret).status == 200).then_some(())
    });
    let served = HttpClient::of_peer(&peer, &ben);
    // With the ticket that the account gets for the file that everyone may see.
    let status = |home: &Home, hash: &str| {
        let session = text(&home.credentials(), "token");
        let ticket = ticket(&lookup, &session, &open, "peer_1");
        let path = format!("/files/{hash}");
        served.get(&path, Some(&ticket), None).status.as_u16()
    };
    let all = |home: &Home| [&open, &secret, &unknown].map(|hash| status(home, hash));
    assert_eq!(all(&ana), [200, 200, 404]);
    assert_eq!(all(&ben), [200, 200, 404]);
    assert_eq!(all(&eve), [200, 404, 404]);
    // From the moment of the removal on.
    ana.run("space member remove lab ben").ok();
    assert_eq!(all(&ben), [200, 404, 404]);
    assert_eq!(locate(&ben, &secret).status, 404);
    ana.run("space member add lab eve").ok();
    assert_eq!(all(&eve), [200, 200, 404]);
}

#[test]
fn a_peer_certificate_is_renewed_before_it_expires() {
    let directory = Directory::with("--peer-certificate-lifetime 6s");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    ana.write("docs/a.txt", b"contents");
    let peer = ana.peer("peer_1", &ana.path("docs"), "");
    let client = HttpClient::of_peer(&peer, &ben);
    let first = client.certificate().expect("no valid certificate");
    let lapses = std::time::Instant::now() + Duration::from_secs(6);
    let mut changed = false;
    wait_until("the first certificate has expired", || {
        // There is a valid certificate at any time.
        let now = client.certificate().expect("no valid certificate");
        changed |= now != first;
        (std::time::Instant::now() > lapses).then_some(())
    });
    assert!(changed, "the certificate was not replaced");
    ben.run("get a.txt").ok();
}

#[test]
fn a_peer_with_the_certificate_of_another_is_refused() {
    let pair = Pair::new();
    pair.ana.write("docs/a.txt", b"contents");
    let first = pair.ana.peer("peer_1", &pair.ana.path("docs"), "");
    let mut client = HttpClient::of_peer(&first, &pair.ben);
    assert!(client.certificate().is_some());
    let other: PeerId = "peer_2".parse().unwrap();
    let config = client_config_http1(authority(&pair.ben));
    client.expected = Expected::new(config, &other.certificate_name()).unwrap();
    assert!(client.certificate().is_none());
}
